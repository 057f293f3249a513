// Where the gradient in an image is summed. In single precision, sums of many points lose digits with their number:
// they are formed in double precision, apart, and rounded once.
#pragma once

#include "kernels.hpp"

namespace pullback {

// As many sums stay in the cache beside a core: 512 KiB.
constexpr int64_t most_sums = 1 << 16;

enum class Summing {
    apart,    // in double precision
    counted,  // in the gradient; where many points have come, once more, apart, `most_sums` at a time
    direct    // in the gradient
};

// How the sums of call.grad_image are formed, whatever the number of threads: apart, but where few points a sample come
// to a large image, so that no copy of it is made. Of affine maps that is known, of others it is seen as they go.
Summing summing_of(const Call& call);

// The samples of a row of an image's first axis.
int64_t samples_in_row(const Call& call, const Image& image);

// How many rows of the first axis have no more than `most_sums` samples; one at least.
int64_t rows_of_sums(const Call& call);

}  // namespace pullback
