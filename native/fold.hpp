// A cell over time.
#pragma once

#include <cstddef>
#include <vector>

#include "cells.hpp"

namespace memfold {

struct Shape {
    std::size_t time, batch, input, hidden;
};

// The weights of one LSTM layer in one direction, gates i f g o, row-major. `bias` is the sum of the two biases.
template <typename Real>
struct LstmWeights {
    const Real* ih;    // (4H, I)
    const Real* hh;    // (4H, H)
    const Real* bias;  // (4H)
};

// Folds an LSTM over x (T, B, I) into y (T, B, H). The state h, c (B, H) is read as the initial and left as the final
// one.
template <typename Real>
void lstm_fold(const Shape& shape, const Real* x, const LstmWeights<Real>& weights, Real* h, Real* c, Real* y) {
    const auto [time, batch, input, hidden] = shape;
    std::vector<Real> pre(4 * hidden);
    for (std::size_t t = 0; t < time; ++t) {
        for (std::size_t b = 0; b < batch; ++b) {
            const Real* x_row = x + (t * batch + b) * input;
            Real* h_row = h + b * hidden;
            for (std::size_t k = 0; k < 4 * hidden; ++k) {
                Real sum = weights.bias[k];
                for (std::size_t j = 0; j < input; ++j) sum += weights.ih[k * input + j] * x_row[j];
                for (std::size_t j = 0; j < hidden; ++j) sum += weights.hh[k * hidden + j] * h_row[j];
                pre[k] = sum;
            }
            lstm_gates(pre.data(), hidden, c + b * hidden, h_row);
            Real* y_row = y + (t * batch + b) * hidden;
            for (std::size_t j = 0; j < hidden; ++j) y_row[j] = h_row[j];
        }
    }
}

}  // namespace memfold
