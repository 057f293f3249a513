// Which instruction set's kernels are used.
#pragma once

#include "kernels.hpp"

namespace pullback {

// Instruction sets that were compiled in and that this machine has, best last; a null name ends the list.
const char* const* available_isas();
const char* active_isa();
// False where `name` is not available here.
bool set_isa(const char* name);

// Those of the active instruction set.
const Kernels& kernels();

}  // namespace pullback
