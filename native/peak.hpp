// The machine's own limit, to measure the engine against.
#pragma once

#include <type_traits>

#include "panel.hpp"

namespace memfold::MEMFOLD_ISA {

// Multiply-adds of a format in registers alone, enough of them side by side to hide their latency. Returns how many
// operations that was, counting a multiply-add as two.
template <typename Format>
double spend_operations(int64_t rounds) {
    using Real = std::conditional_t<Format::rounds, float, typename Format::Input>;
    constexpr int side_by_side = accumulator_registers;
    Vec<Real> sum[side_by_side];
    for (int i = 0; i < side_by_side; ++i) sum[i] = all(Real(1));
    if constexpr (Format::rounds) {
        const Rounded zeros[2] = {};
        const Factor factors = factor(zeros, 0);
        const Weight weights = unpacked(paired(all(0.999f), all(0.999f)));
        for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
            for (int i = 0; i < side_by_side; ++i) sum[i] = add_products(sum[i], factors, weights);
        }
    } else {
        const Vec<Real> factor = all(Real(0.999)), term = all(Real(0.001));
        for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
            for (int i = 0; i < side_by_side; ++i) sum[i] = fma(sum[i], factor, term);
        }
    }
    Real total = 0;
    for (int i = 0; i < side_by_side; ++i) total += sum[i][0];
    asm volatile("" : : "m"(total));
    return 2.0 * Format::depth * width<Real> * side_by_side * double(rounds);
}

}  // namespace memfold::MEMFOLD_ISA
