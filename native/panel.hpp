// Packed weights, and the register tile that multiplies them.
//
// A panel holds the weights of one vector's width of hidden units: for every inner index k, one vector for each gate.
// The tile multiplies a few rows by a few panels; each accumulator runs over the whole inner dimension by itself, so
// what a row gets does not depend on which other rows or panels are in its tile.
#pragma once

#include "arena.hpp"
#include "cells.hpp"

namespace memfold::MEMFOLD_ISA {

// Three quarters of the registers accumulate; the rest hold weights and the broadcast input.
inline constexpr int accumulator_registers = registers * 3 / 4;
inline constexpr int most_rows = accumulator_registers / 4;

// Panels in a tile of `rows` rows: few rows need several panels to cover the latency of the multiply-add.
template <typename Cell>
constexpr int panels_at_once(int rows) {
    int panels = 8 / (Cell::accumulators > 2 ? 4 : 1);
    while (panels > 1 && panels * Cell::accumulators * rows > accumulator_registers) panels /= 2;
    return panels;
}

// How weights are stored: `Element`s, of which one lane holds `depth` successive inner indices.
template <typename Real>
struct Full {
    using Element = Real;
    static constexpr int depth = 1;
};

// bfloat16: two inner indices share a 32-bit lane, the even one in the lower half. Unpacking is a shift or a mask.
struct Half {
    using Element = uint32_t;
    static constexpr int depth = 2;
};

// The nearest bfloat16, ties to even, as the upper half of a float.
inline uint32_t half_bits(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (bits | 0x00400000) >> 16;  // NaN stays NaN
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

template <typename Real>
constexpr int64_t panel_count(int64_t hidden) {
    return (hidden + width<Real> - 1) / width<Real>;
}

template <typename Real, typename Format>
constexpr int64_t panel_elements(int64_t inner, int gates) {
    return (inner + Format::depth - 1) / Format::depth * gates * width<Real>;
}

// Where the parts of one layer's packed weights are.
template <typename Cell, typename Real, typename Format>
struct Packed {
    using Element = typename Format::Element;

    int64_t input_panel, hidden_panel, second_panel = 0;  // elements from one panel to the next
    Element *input, *hidden, *second = nullptr;           // second: of the second pass, where the cell has one
    Real *bias, *peephole;                                // (panels, accumulators, width), (panels, peepholes, width)
    size_t bytes;

    Packed(const Layer& layer, void* memory)
        : input_panel(panel_elements<Real, Format>(layer.input, Cell::input_gates)),
          hidden_panel(panel_elements<Real, Format>(layer.hidden, Cell::hidden_gates)) {
        const int64_t panels = panel_count<Real>(layer.hidden);
        Arena arena(memory);
        input = arena.take<Element>(panels * input_panel);
        hidden = arena.take<Element>(panels * hidden_panel);
        if constexpr (has_second_pass<Cell>) {
            second_panel = panel_elements<Real, Format>(layer.hidden, Cell::second_gates);
            second = arena.take<Element>(panels * second_panel);
        }
        bias = arena.take<Real>(panels * Cell::accumulators * width<Real>);
        peephole = layer.peephole ? arena.take<Real>(panels * Cell::peepholes * width<Real>) : nullptr;
        bytes = arena.bytes();
    }
};

template <typename Real>
inline void put(Full<Real>, Real* panel, int64_t k, int gates, int gate, int lane, Real weight) {
    panel[(k * gates + gate) * width<Real> + lane] = weight;
}

inline void put(Half, uint32_t* panel, int64_t k, int gates, int gate, int lane, float weight) {
    panel[(k / 2 * gates + gate) * width<float> + lane] |= half_bits(weight) << (k % 2 ? 16 : 0);
}

// Weights (gates*H, inner) of the `gates` gates named, into panels that were zero: blocks of as many inner indices as a
// vector has lanes, so that what is written stays in the first-level cache.
template <typename Real, typename Format>
inline void pack_matrix(const Real* weights, int64_t hidden, int64_t inner, const int* gate_of, int gates,
                        typename Format::Element* packed) {
    constexpr int64_t block = 16;
    for (int64_t first = 0; first < hidden; first += width<Real>) {
        const int lanes = int(hidden - first < width<Real> ? hidden - first : width<Real>);
        auto* const panel = packed + first / width<Real> * panel_elements<Real, Format>(inner, gates);
        for (int gate = 0; gate < gates; ++gate) {
            for (int64_t from = 0; from < inner; from += block) {
                const int64_t to = from + block < inner ? from + block : inner;
                for (int lane = 0; lane < lanes; ++lane) {
                    const Real* const row = weights + (gate_of[gate] * hidden + first + lane) * inner;
                    for (int64_t k = from; k < to; ++k) put(Format{}, panel, k, gates, gate, lane, row[k]);
                }
            }
        }
    }
}

template <typename Cell, typename Real, typename Format>
inline void pack(const Layer& layer, const Weights<const Real>& weights, void* memory) {
    const Packed<Cell, Real, Format> packed(layer, memory);
    __builtin_memset(memory, 0, packed.bytes);
    pack_matrix<Real, Format>(weights.input, layer.hidden, layer.input, Cell::input_gate, Cell::input_gates,
                              packed.input);
    if (Cell::hidden_gates > 0) {
        pack_matrix<Real, Format>(weights.hidden, layer.hidden, layer.hidden, Cell::hidden_gate, Cell::hidden_gates,
                                  packed.hidden);
    }
    if constexpr (has_second_pass<Cell>) {
        pack_matrix<Real, Format>(weights.hidden, layer.hidden, layer.hidden, Cell::second_gate, Cell::second_gates,
                                  packed.second);
    }
    for (int64_t unit = 0; unit < layer.hidden; ++unit) {
        const int64_t panel = unit / width<Real>, lane = unit % width<Real>;
        const auto add = [&](const Real* bias, int first, const int* gate_of, int gates) {
            for (int gate = 0; bias && gate < gates; ++gate) {
                Real* vector = packed.bias + (panel * Cell::accumulators + first + gate) * width<Real>;
                vector[lane] += bias[gate_of[gate] * layer.hidden + unit];
            }
        };
        add(weights.input_bias, Cell::input_first, Cell::input_gate, Cell::input_gates);
        add(weights.hidden_bias, Cell::hidden_first, Cell::hidden_gate, Cell::hidden_gates);
        if constexpr (has_second_pass<Cell>) {
            add(weights.hidden_bias, Cell::second_first, Cell::second_gate, Cell::second_gates);
        }
        for (int p = 0; layer.peephole && p < Cell::peepholes; ++p) {
            packed.peephole[(panel * Cell::peepholes + p) * width<Real> + lane] =
                weights.peephole[p * layer.hidden + unit];
        }
    }
}

// acc[row][panel][first + gate] += rows[row][k] * panel's weight of that gate, over k.
template <int first, int gates, typename Real, int Rows, int Panels, int Accumulators>
MEMFOLD_INLINE void accumulate(Vec<Real> (&acc)[Rows][Panels][Accumulators], const Vec<Real> (&weight)[Panels][gates],
                               const Real* const (&rows)[Rows], int64_t k) {
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
        const Vec<Real> x = all(rows[row][k]);
#pragma GCC unroll 8
        for (int panel = 0; panel < Panels; ++panel) {
#pragma GCC unroll 4
            for (int gate = 0; gate < gates; ++gate) {
                Vec<Real>& sum = acc[row][panel][first + gate];
                sum = fma(x, weight[panel][gate], sum);
            }
        }
    }
}

template <int first, int gates, typename Real, int Rows, int Panels, int Accumulators>
MEMFOLD_INLINE void multiply(Full<Real>, Vec<Real> (&acc)[Rows][Panels][Accumulators], const Real* panels,
                             int64_t panel_stride, const Real* const (&rows)[Rows], int64_t inner) {
    for (int64_t k = 0; k < inner; ++k) {
        Vec<Real> weight[Panels][gates];
#pragma GCC unroll 8
        for (int panel = 0; panel < Panels; ++panel) {
#pragma GCC unroll 4
            for (int gate = 0; gate < gates; ++gate) {
                weight[panel][gate] = load<Vec<Real>>(panels + panel * panel_stride + (k * gates + gate) * width<Real>);
            }
        }
        accumulate<first, gates, Real>(acc, weight, rows, k);
    }
}

template <int first, int gates, typename Real, int Rows, int Panels, int Accumulators>
MEMFOLD_INLINE void multiply(Half, Vec<float> (&acc)[Rows][Panels][Accumulators], const uint32_t* panels,
                             int64_t panel_stride, const float* const (&rows)[Rows], int64_t inner) {
    Vec<float> even[Panels][gates], odd[Panels][gates];
    const auto unpack = [&](int64_t pair) __attribute__((always_inline)) {
#pragma GCC unroll 8
        for (int panel = 0; panel < Panels; ++panel) {
#pragma GCC unroll 4
            for (int gate = 0; gate < gates; ++gate) {
                const auto both =
                    load<Vectors<float>::Bits>(panels + panel * panel_stride + (pair * gates + gate) * width<float>);
                even[panel][gate] = Vec<float>(both << 16);
                odd[panel][gate] = Vec<float>(both & 0xffff0000u);
            }
        }
    };
    for (int64_t pair = 0; pair < inner / 2; ++pair) {
        unpack(pair);
        accumulate<first, gates, float>(acc, even, rows, 2 * pair);
        accumulate<first, gates, float>(acc, odd, rows, 2 * pair + 1);
    }
    if (inner % 2 != 0) {
        unpack(inner / 2);
        accumulate<first, gates, float>(acc, even, rows, inner - 1);
    }
}

}  // namespace memfold::MEMFOLD_ISA
