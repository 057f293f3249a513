// The thread pool: fixed work, cut the same way whatever the number of threads; the caller takes part.
#pragma once

#include <cstdint>

namespace pullback {

int thread_count();
void set_thread_count(int count);

// How many threads `count` tasks are worth; `work` is the number of elementary steps in all of them.
int threads_worth(int64_t count, int64_t work);

// Runs run(task, i) for every i in [0, count) on `threads` threads, the caller's among them.
void run_on_threads(int threads, int64_t count, void (*run)(const void* task, int64_t i), const void* task);

// Calls task(i) for every i in [0, count) on up to thread_count() threads, and returns when all are done. Little work
// runs on the caller alone, at the cost of a loop.
template <class Task>
void parallel_for(int64_t count, int64_t work, const Task& task) {
    const int threads = threads_worth(count, work);
    if (threads > 1)
        run_on_threads(threads, count, [](const void* any, int64_t i) { (*static_cast<const Task*>(any))(i); }, &task);
    else
        for (int64_t i = 0; i < count; ++i) task(i);
}

}  // namespace pullback
