// The thread pool: fixed work, cut the same way whatever the number of threads; the caller takes part.
#pragma once

#include <chrono>
#include <cstdint>

namespace pullback {

// Makes the pool, and what else a fork must not catch half-made in another thread: for the import of the module.
void make_pool();

// Thrown out of a call that was asked to stop, when no thread is inside it any more.
struct Interrupted {};

// What tells whether the call of this thread is to stop. It is asked between two tasks, a few times in a second.
void set_stop_question(bool (*is_to_stop)());

// When to ask.
class Patience {
public:
    bool is_to_stop() {
        const auto now = std::chrono::steady_clock::now();
        return now >= next_ && ask(now);
    }

private:
    bool ask(std::chrono::steady_clock::time_point now);

    std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
};

int thread_count();
void set_thread_count(int count);

// How many threads `count` tasks are worth; `work` is the number of elementary steps in all of them.
int threads_worth(int64_t count, int64_t work);

// Runs run(task, i) for every i in [0, count) on `threads` threads, the caller's among them.
void run_on_threads(int threads, int64_t count, void (*run)(const void* task, int64_t i), const void* task);

// Calls task(i) for every i in [0, count) on up to thread_count() threads, and returns when all are done. Little work
// runs on the caller alone, at the cost of a loop. Throws Interrupted where the call is to stop.
template <class Task>
void parallel_for(int64_t count, int64_t work, const Task& task) {
    const int threads = threads_worth(count, work);
    if (threads > 1) {
        run_on_threads(threads, count, [](const void* any, int64_t i) { (*static_cast<const Task*>(any))(i); }, &task);
    } else if (count == 1) {
        task(0);
    } else {
        Patience patience;
        for (int64_t i = 0; i < count; ++i) {
            if (patience.is_to_stop()) throw Interrupted();
            task(i);
        }
    }
}

}  // namespace pullback
