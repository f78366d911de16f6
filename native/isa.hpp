// The choice of the instruction set, at run time.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "engine.hpp"
#include "platform.hpp"

namespace memfold {

#if defined(__x86_64__)
namespace v2 {
extern const Engine engine;
}
namespace v3 {
extern const Engine engine;
}
namespace v4 {
extern const Engine engine;
}
namespace v4_bf16 {
extern const Functions<float> bfloat16;
}
namespace v4_amx {
extern const Functions<float> bfloat16;
}
#else
namespace neon {
extern const Engine engine;
}
namespace neon_bf16 {
extern const Functions<float> bfloat16;
}
#endif

// What this machine can run, the widest first.
inline std::vector<const Engine*> usable_engines() {
    std::vector<const Engine*> usable;
    const auto but_for_bfloat16 = [](Engine engine, const char* isa, const Functions<float>& bfloat16) {
        engine.isa = isa;
        engine.bfloat16 = &bfloat16;
        return engine;
    };
#if defined(__x86_64__)
    const int level = x86_level();
    static const Engine with_bf16 = but_for_bfloat16(v4::engine, "v4-bf16", v4_bf16::bfloat16);
    static const Engine with_amx = but_for_bfloat16(v4::engine, "v4-amx", v4_amx::bfloat16);
    if (level >= 4 && has_avx512_bf16() && may_use_amx()) usable.push_back(&with_amx);
    if (level >= 4 && has_avx512_bf16()) usable.push_back(&with_bf16);
    if (level >= 4) usable.push_back(&v4::engine);
    if (level >= 3) usable.push_back(&v3::engine);
    if (level >= 2) usable.push_back(&v2::engine);
#else
    static const Engine with_bf16 = but_for_bfloat16(neon::engine, "neon-bf16", neon_bf16::bfloat16);
    if (has_arm_bf16()) usable.push_back(&with_bf16);
    usable.push_back(&neon::engine);
#endif
    return usable;
}

// The engine of that name, or the widest usable one for an empty name.
inline const Engine& choose_engine(std::string_view name) {
    const auto usable = usable_engines();
    if (usable.empty()) throw std::runtime_error("memfold needs an x86-64-v2 processor (SSE4.2) or a 64-bit ARM");
    if (name.empty()) return *usable.front();
    std::string names;
    for (const Engine* engine : usable) {
        if (name == engine->isa) return *engine;
        names += (names.empty() ? "" : ", ") + std::string(engine->isa);
    }
    throw std::runtime_error("MEMFOLD_ISA is '" + std::string(name) + "'; this machine has " + names);
}

}  // namespace memfold
