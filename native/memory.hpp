// Advice to the operating system on memory that is about to be written.
#pragma once

#include <cstdint>

namespace pullback {

// Asks for large pages where a long result is written to fresh memory: a fault for each small page costs more than what
// is written to it.
void prefer_large_pages(void* data, int64_t bytes);

}  // namespace pullback
