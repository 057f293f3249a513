// The thread pool: fixed work, cut the same way whatever the number of threads; the caller takes part.
#pragma once

#include <cstdint>
#include <functional>

namespace pullback {

int thread_count();
void set_thread_count(int count);

// Runs task(i) for every i in [0, count) on up to thread_count() threads, and returns when all are done. `work` is the
// number of elementary steps in all of them: little work runs on the caller alone.
void parallel_for(int64_t count, int64_t work, const std::function<void(int64_t)>& task);

}  // namespace pullback
