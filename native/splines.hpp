// The systems that make samples into spline coefficients, in triangular factors.
#pragma once

#include "kernels.hpp"

namespace pullback {

// The filter that solves A c = f along a line of n samples, or its transpose: A holds the values of the B-spline of an
// order (2 to 5) at the integers, with taps beyond the line mapped by `border` and those on a constant border left out.
LineFilter line_filter(int order, Border border, int64_t n, bool adjoint);

}  // namespace pullback
