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
