#include "pool.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace pullback {
namespace {

// Waking a thread takes some ten microseconds; below this many steps (samples read, about a nanosecond each) it does
// not pay.
constexpr int64_t work_worth_a_thread = 20000;

// How long a thread looks for what it waits for before it goes to sleep: from a forward to its backward pass, or from
// the end of the caller's share of a job to the end of the others'. To wake up takes longer than most jobs.
constexpr std::chrono::microseconds watch_time{100};

template <class Condition>
bool watch(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + watch_time;
    do {
        for (int i = 0; i < 32; ++i) {
            if (condition()) return true;
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
        }
    } while (std::chrono::steady_clock::now() < end);
    return condition();
}

struct Job {
    void (*call)(const void* task, int64_t i);
    const void* task;
    int64_t count;
    int helpers_wanted;  // guarded by the mutex of the pool
    std::atomic<int> helpers_inside{0};
    std::atomic<int64_t> next{0};
    std::atomic<bool> stopped{false};

    void run() {
        for (int64_t i = next.fetch_add(1); i < count && !stopped.load(); i = next.fetch_add(1)) call(task, i);
    }

    // The share of the caller, who alone can be asked.
    void run_patiently() {
        Patience patience;
        for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
            if (patience.is_to_stop()) {
                stopped.store(true);
                return;
            }
            call(task, i);
        }
    }
};

// Threads that nobody could use.
constexpr int most_threads = 1024;

std::atomic<bool (*)()> stop_question{nullptr};

class Pool {
public:
    void run(Job& job, int helpers) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            helpers = workers_of(helpers);
            job.helpers_wanted = helpers;
            if (helpers > 0) jobs_.push_back(&job);
            waiting_jobs_.store(static_cast<int>(jobs_.size()));
        }
        for (int i = 0; i < helpers; ++i) wake_.notify_one();
        job.run_patiently();
        {
            std::lock_guard<std::mutex> lock(mutex_);
            withdraw(job);
        }
        const auto done = [&] { return job.helpers_inside.load() == 0; };
        if (watch(done)) return;
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, done);
    }

private:
    // Sees that there are as many workers as are wanted, or as many as there may be: where no thread is to be had, the
    // caller goes on alone. Under the mutex.
    int workers_of(int wanted) {
        try {
            for (; workers_ < wanted; ++workers_) std::thread([this] { work(); }).detach();
        } catch (const std::system_error&) {
        }
        return std::min(workers_, wanted);
    }

    void work() {
        for (;;) {
            watch([&] { return waiting_jobs_.load() > 0; });
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, [&] { return !jobs_.empty(); });
            Job& job = *jobs_.front();
            job.helpers_inside.fetch_add(1);
            if (--job.helpers_wanted == 0) withdraw(job);
            lock.unlock();
            job.run();
            lock.lock();
            withdraw(job);
            // The job may be gone as soon as nobody is inside.
            if (job.helpers_inside.fetch_sub(1) == 1) done_.notify_all();
        }
    }

    // Keeps threads from entering a job; under the mutex.
    void withdraw(Job& job) {
        for (auto it = jobs_.begin(); it != jobs_.end(); ++it)
            if (*it == &job) {
                jobs_.erase(it);
                break;
            }
        waiting_jobs_.store(static_cast<int>(jobs_.size()));
    }

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::deque<Job*> jobs_;
    std::atomic<int> waiting_jobs_{0};
    int workers_ = 0;
};

int default_thread_count() {
    if (const char* value = std::getenv("PULLBACK_NUM_THREADS")) {
        char* end = nullptr;
        const long count = std::strtol(value, &end, 10);
        if (end != value && *end == '\0' && count > 0) return static_cast<int>(std::min<long>(count, most_threads));
    }
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
#endif
    const unsigned count = std::thread::hardware_concurrency();
    return count > 0 ? static_cast<int>(count) : 1;
}

std::atomic<int>& configured_threads() {
    static std::atomic<int> count{default_thread_count()};
    return count;
}

// Never destroyed: its threads may outlive static objects. A forked child has none of its parent's threads, and its
// mutex may be held by one of them, so the child starts with a new pool.
Pool* pool = nullptr;

}  // namespace

void make_pool() {
    configured_threads();
    pool = new Pool;
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
#endif
}

void set_stop_question(bool (*is_to_stop)()) { stop_question.store(is_to_stop); }

bool Patience::ask(std::chrono::steady_clock::time_point now) {
    next_ = now + std::chrono::milliseconds(50);
    bool (*const is_to_stop)() = stop_question.load();
    return is_to_stop && is_to_stop();
}

int thread_count() { return configured_threads().load(); }

void set_thread_count(int count) { configured_threads().store(count); }

int threads_worth(int64_t count, int64_t work) {
    const int64_t worth = work / work_worth_a_thread + 1;
    return static_cast<int>(std::min<int64_t>({thread_count(), count, worth}));
}

void run_on_threads(int threads, int64_t count, void (*run)(const void* task, int64_t i), const void* task) {
    Job job;
    job.call = run;
    job.task = task;
    job.count = count;
    pool->run(job, threads - 1);
    if (job.stopped.load()) throw Interrupted();
}

}  // namespace pullback
