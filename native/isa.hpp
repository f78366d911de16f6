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
#else
namespace neon {
extern const Engine engine;
}
#endif

// What this machine can run, the widest first.
inline std::vector<const Engine*> usable_engines() {
    std::vector<const Engine*> usable;
#if defined(__x86_64__)
    const int level = x86_level();
    static const Engine with_bf16 = [] {
        Engine engine = v4::engine;  // but for products of bfloat16 numbers
        engine.isa = "v4-bf16";
        engine.bfloat16 = &v4_bf16::bfloat16;
        return engine;
    }();
    if (level >= 4 && has_avx512_bf16()) usable.push_back(&with_bf16);
    if (level >= 4) usable.push_back(&v4::engine);
    if (level >= 3) usable.push_back(&v3::engine);
    if (level >= 2) usable.push_back(&v2::engine);
#else
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
