// The machine's own limit, to measure the engine against.
#pragma once

#include "panel.hpp"

namespace memfold::MEMFOLD_ISA {

// Multiply-adds in registers alone, enough of them side by side to hide their latency. Returns how many operations that
// was, counting a multiply-add as two.
inline double spend_operations(int64_t rounds) {
    constexpr int side_by_side = accumulator_registers;
    Vec<float> sum[side_by_side], factor = all(0.999f), term = all(0.001f);
    for (int i = 0; i < side_by_side; ++i) sum[i] = all(1.0f);
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
        for (int i = 0; i < side_by_side; ++i) {
            sum[i] = fma(sum[i], factor, term);
        }
    }
    float total = 0;
    for (int i = 0; i < side_by_side; ++i) total += sum[i][0];
    asm volatile("" : : "m"(total));
    return 2.0 * width<float> * side_by_side * double(rounds);
}

}  // namespace memfold::MEMFOLD_ISA
