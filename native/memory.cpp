#include "memory.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace pullback {

void prefer_large_pages(void* data, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr int64_t worthwhile = int64_t(4) << 20;
    constexpr uintptr_t page = 4096;
    if (bytes < worthwhile) return;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) & ~(page - 1);
    const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(bytes)) & ~(page - 1);
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // advice: a refusal changes nothing
#else
    (void)data;
    (void)bytes;
#endif
}

}  // namespace pullback
