// The gradient in a matrix or in coefficients, which every point of the lattice adds to: a record of sums for each
// range of chunks, and what is made of the records in the end.
#pragma once

#include "kernels.hpp"

namespace pullback {

// Sets how large a record is, and how many there are for each entry of the geometry: whatever the number of threads.
void plan_records(Call& call);

// Adds up the records of each batch entry, in order, and writes its gradient.
void finish_geometry(const Call& call);

}  // namespace pullback
