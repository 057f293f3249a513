// What part of an image a task scatters to, and in which order it takes the points of a block.
#pragma once

#include <cstdint>

namespace pullback {
namespace PULLBACK_ISA_NAMESPACE {

// The rows of the image's first axis that a task may write to.
struct Band {
    int64_t begin, end;
    bool whole;  // all of them
};

// Neighbouring points write to the same samples, and a load that overlaps the store before it must wait for it: points
// are taken from `streams` distant parts of the block in turn.
template <class Visit>
inline void walk_apart(int count, Visit visit) {
    constexpr int streams = 8;
    const int length = (count + streams - 1) / streams;
    const int full = count - (streams - 1) * length;
    for (int j = 0; j < full; ++j)
        for (int k = 0; k < streams; ++k) visit(k * length + j);
    for (int j = full > 0 ? full : 0; j < length; ++j)
        for (int k = 0; k < streams; ++k)
            if (k * length + j < count) visit(k * length + j);
}

}  // namespace PULLBACK_ISA_NAMESPACE
}  // namespace pullback
