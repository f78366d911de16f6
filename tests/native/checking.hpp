// What the tests of the engine without Python share.
#pragma once

#include <cstdio>
#include <vector>

#include "isa.hpp"

namespace memfold {

inline int failures = 0;

inline void check(bool good, const char* what) {
    if (good) return;
    ++failures;
    std::printf("FAILED: %s\n", what);
}

// What this machine can run, or the one instruction set that was compiled alone.
inline std::vector<const Engine*> engines_to_test() {
#ifdef MEMFOLD_ONLY
    return {&MEMFOLD_ONLY::engine};
#else
    return usable_engines();
#endif
}

// Runs test(engine) for each of them and says under the name how that went; what main returns.
template <typename Test>
int with_every_engine(const char* name, const Test& test) {
    for (const Engine* engine : engines_to_test()) {
        test(*engine);
        std::printf("%s, %s: %s\n", name, engine->isa, failures == 0 ? "right" : "wrong");
    }
    return failures == 0 ? 0 : 1;
}

}  // namespace memfold
