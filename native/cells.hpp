// Each cell's gates: the formula of one step, nothing else.
#pragma once

#include <cmath>
#include <cstddef>

namespace memfold {

template <typename Real>
Real sigmoid(Real z) {
    // exp is taken of a non-positive number only, so it cannot overflow.
    const Real e = std::exp(-std::abs(z));
    return (z >= 0 ? Real(1) : e) / (Real(1) + e);
}

// LSTM with a forget gate (Gers, Schmidhuber & Cummins 2000). `pre` holds the pre-activations of one row, i f g o, each
// `hidden` wide; the cell state `c` is updated in place and the hidden state goes to `h`.
template <typename Real>
void lstm_gates(const Real* pre, std::size_t hidden, Real* c, Real* h) {
    for (std::size_t j = 0; j < hidden; ++j) {
        const Real i = sigmoid(pre[j]);
        const Real f = sigmoid(pre[hidden + j]);
        const Real g = std::tanh(pre[2 * hidden + j]);
        const Real o = sigmoid(pre[3 * hidden + j]);
        c[j] = f * c[j] + i * g;
        h[j] = o * std::tanh(c[j]);
    }
}

}  // namespace memfold
