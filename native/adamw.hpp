// AdamW, the gradient's norm before it and the running average of the weights after it, in two passes over them.
#pragma once

#include "engine.hpp"
#include "simd.hpp"

namespace memfold::MEMFOLD_ISA {

// The sum of squares, in four vectors side by side.
template <typename Real>
double squares(const Real* values, int64_t count) {
    constexpr int64_t side_by_side = 4, at_once = side_by_side * width<Real>;
    Vec<Real> sum[side_by_side] = {};
    int64_t k = 0;
    for (; k + at_once <= count; k += at_once) {
#pragma GCC unroll 4
        for (int64_t s = 0; s < side_by_side; ++s) {
            const auto v = load<Vec<Real>>(values + k + s * width<Real>);
            sum[s] = fma(v, v, sum[s]);
        }
    }
    double total = 0;
    for (; k < count; ++k) total += double(values[k]) * double(values[k]);
    for (const auto& lanes : sum) {
        for (int i = 0; i < width<Real>; ++i) total += double(lanes[i]);
    }
    return total;
}

// One vector of weights, of which the first `lanes` are there: Loshchilov & Hutter 2019, algorithm 2.
template <typename Real>
MEMFOLD_INLINE void move(const Movement<Real>& m, const Moved<Real>& at, int64_t lanes) {
    using V = Vec<Real>;
    V weight = load_part(at.weight, lanes);
    if (at.gradient) {
        const V gradient = m.scale * load_part(at.gradient, lanes);
        V mean = load_part(at.mean, lanes), square = load_part(at.square, lanes);
        mean = fma(all(m.new_mean), gradient - mean, mean);
        square = fma(all(m.new_square), gradient * gradient - square, square);
        weight = fma(weight, all(m.kept), -m.step * mean / fma(root(square), all(m.root), all(m.epsilon)));
        store_part(at.mean, mean, lanes);
        store_part(at.square, square, lanes);
        store_part(at.weight, weight, lanes);
    }
    const V average = load_part(at.average, lanes);
    store_part(at.average, fma(all(m.share), weight - average, average), lanes);
}

template <typename Real>
void adamw(const Movement<Real>& movement, const Moved<Real>& to, int64_t count) {
    const Movement<Real> m = movement;  // what is stored cannot change it
    constexpr int64_t lanes = width<Real>;
    const auto from = [&](int64_t k) -> Moved<Real> {
        return {to.weight + k, to.mean + k, to.square + k, to.average + k, to.gradient ? to.gradient + k : nullptr};
    };
    int64_t k = 0;
    for (; k + lanes <= count; k += lanes) move(m, from(k), lanes);
    if (k < count) move(m, from(k), count - k);
}

}  // namespace memfold::MEMFOLD_ISA
