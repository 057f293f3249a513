// From a call to its tasks: how the work is cut for the threads, and the memory that the tasks of a call share.
#pragma once

#include "kernels.hpp"

namespace pullback {

void pull(const Call& call);
void gradient(const Call& call);
// Writes call.grad_image and call.grad_geometry; either may have null data, and is then left out.
void backward(const Call& call);
// Writes how the values move with call.image_dot and call.geometry_dot, either of which may have null data.
void jvp(const Call& call);
// Writes the gradients, in the image and in the geometry, of the inner product of call.values and what jvp writes.
void second(const Call& call);
// Writes the moments of the residual between the image and the target call.values to `record`, record_size numbers for
// each entry of the batch; see normal.hpp.
int64_t normal_record_size(const Plan& plan);
void normal(const Call& call, double* record);
// Writes the flat index of the point that reaches each sample with the largest importance, or -1; call.grad_image is
// scratch, and `winner` of its shape.
void winners(const Call& call, int64_t* winner);
// Filters the lines along an axis of a contiguous array, in place.
void solve(const LinePass& pass);
// Resamples an axis of `outer` arrays.
void resample(const ResamplePass& pass, int64_t outer);

}  // namespace pullback
