// The machine's own limit, to measure the engine against.
#pragma once

#include <type_traits>

#include "panel.hpp"

namespace memfold::MEMFOLD_ISA {

// The same of the matrix registers, four of them with sums.
inline double spend_matrix_operations(int64_t rounds) {
#if defined(__AMX_BF16__) || defined(MEMFOLD_SOFT_AMX)
    shape_matrices({16, 16, 16, 16, 16, 16, 16, 16});
    for (int64_t round = 0; round < rounds; ++round) {
        multiply_matrices<0, 4, 6>();
        multiply_matrices<1, 4, 7>();
        multiply_matrices<2, 5, 6>();
        multiply_matrices<3, 5, 7>();
    }
    release_matrices();
#endif
    return 2.0 * 4 * matrix_rows * matrix_inner * width<float> * double(rounds);
}

// Multiply-adds of a format in registers alone, enough of them side by side to hide their latency. Returns how many
// operations that was, counting a multiply-add as two.
template <typename Format>
double spend_operations(int64_t rounds) {
    using Real = std::conditional_t<Format::rounds, float, typename Format::Input>;
    constexpr int side_by_side = accumulator_registers;
    if constexpr (has_matrices && Format::rounds) return spend_matrix_operations(rounds);
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
