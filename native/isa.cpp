#include "isa.hpp"

#include <atomic>
#include <cstring>
#include <vector>

namespace pullback {
namespace {

struct InstructionSet {
    const char* name;
    const Kernels* kernels;
};

std::vector<InstructionSet> find_isas() {
    std::vector<InstructionSet> found{{"baseline", &baseline::kernels}};
#if defined(PULLBACK_X86_64)
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v3) found.push_back({"x86-64-v3", &x86_64_v3::kernels});
    if (v4) found.push_back({"x86-64-v4", &x86_64_v4::kernels});
#endif
    return found;
}

const std::vector<InstructionSet>& isas() {
    static const std::vector<InstructionSet> found = find_isas();
    return found;
}

std::atomic<const InstructionSet*>& active() {
    static std::atomic<const InstructionSet*> chosen{&isas().back()};
    return chosen;
}

}  // namespace

const Kernels& kernels() { return *active().load()->kernels; }

const char* const* available_isas() {
    static const std::vector<const char*> names = [] {
        std::vector<const char*> result;
        for (const InstructionSet& isa : isas()) result.push_back(isa.name);
        result.push_back(nullptr);
        return result;
    }();
    return names.data();
}

const char* active_isa() { return active().load()->name; }

bool set_isa(const char* name) {
    for (const InstructionSet& isa : isas())
        if (std::strcmp(isa.name, name) == 0) {
            active().store(&isa);
            return true;
        }
    return false;
}

}  // namespace pullback
