// Packed weights, and the register tile that multiplies them.
//
// A panel holds the weights of one vector's width of hidden units: for every inner index k, one vector for each gate.
// The tile multiplies a few rows by a few panels; each accumulator runs over the whole inner dimension by itself, so
// what a row gets does not depend on which other rows or panels are in its tile.
#pragma once

#include "amx.hpp"
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

// How the factors of a product are stored: weights as `Element`s, of which one lane holds `depth` successive inner
// indices, in blocks of `block` indices that zeros fill up, and the rows they multiply as `Input`s.
template <typename Real>
struct Full {
    using Element = Real;
    using Input = Real;
    static constexpr int depth = 1, block = 1;
    static constexpr bool rounds = false;

    static MEMFOLD_INLINE void store(Input* to, Vec<Real> v) { MEMFOLD_ISA::store(to, v); }
    static MEMFOLD_INLINE void store_part(Input* to, Vec<Real> v, int64_t count) {
        MEMFOLD_ISA::store_part(to, v, count);
    }
    static MEMFOLD_INLINE Vec<Real> load_part(const Input* from, int64_t count) {
        return MEMFOLD_ISA::load_part(from, count);
    }
};

// bfloat16, the sums in float32.
struct Half {
    using Element = uint32_t;
    using Input = Rounded;
    static constexpr int depth = 2, block = has_matrices ? matrix_inner : depth;
    static constexpr bool rounds = true;

    static MEMFOLD_INLINE void store(Input* to, Vec<float> v) { store_rounded(to, v); }
    static MEMFOLD_INLINE void store_part(Input* to, Vec<float> v, int64_t count) { store_rounded_part(to, v, count); }
    static MEMFOLD_INLINE Vec<float> load_part(const Input* from, int64_t count) {
        return load_rounded_part(from, count);
    }
};

// So many inner indices with those that fill up the last lane.
template <typename Format>
constexpr int64_t whole_lanes(int64_t inner) {
    return (inner + Format::depth - 1) / Format::depth * Format::depth;
}

template <typename Real>
constexpr int64_t panel_count(int64_t hidden) {
    return (hidden + width<Real> - 1) / width<Real>;
}

template <typename Format>
constexpr int64_t whole_blocks(int64_t inner) {
    return (inner + Format::block - 1) / Format::block * Format::block;
}

template <typename Real, typename Format>
constexpr int64_t panel_elements(int64_t inner, int gates) {
    return whole_blocks<Format>(inner) / Format::depth * gates * width<Real>;
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

// Weights (gates*H, inner) of the `gates` gates named, into panels that were zero: blocks of as many inner indices as a
// vector has lanes, so that what is written stays in the first-level cache.
template <typename Real>
inline void pack_matrix(Full<Real>, const Real* weights, int64_t hidden, int64_t inner, const int* gate_of, int gates,
                        Real* packed) {
    constexpr int64_t block = 16;
    for (int64_t first = 0; first < hidden; first += width<Real>) {
        const int lanes = int(hidden - first < width<Real> ? hidden - first : width<Real>);
        Real* const panel = packed + first / width<Real> * panel_elements<Real, Full<Real>>(inner, gates);
        for (int gate = 0; gate < gates; ++gate) {
            for (int64_t from = 0; from < inner; from += block) {
                const int64_t to = from + block < inner ? from + block : inner;
                for (int lane = 0; lane < lanes; ++lane) {
                    const Real* const row = weights + (gate_of[gate] * hidden + first + lane) * inner;
                    for (int64_t k = from; k < to; ++k) panel[(k * gates + gate) * width<Real> + lane] = row[k];
                }
            }
        }
    }
}

inline void pack_matrix(Half, const float* weights, int64_t hidden, int64_t inner, const int* gate_of, int gates,
                        uint32_t* packed) {
    constexpr int64_t block = 2 * width<float>;
    for (int64_t first = 0; first < hidden; first += width<float>) {
        const int lanes = int(hidden - first < width<float> ? hidden - first : width<float>);
        uint32_t* const panel = packed + first / width<float> * panel_elements<float, Half>(inner, gates);
        for (int gate = 0; gate < gates; ++gate) {
            for (int64_t from = 0; from < inner; from += block) {
                const int64_t count = inner - from < block ? inner - from : block;
                for (int lane = 0; lane < lanes; ++lane) {
                    const float* const row = weights + (gate_of[gate] * hidden + first + lane) * inner + from;
                    const Pairs pairs = pairs_of(row, count);
                    for (int64_t pair = 0; pair < (count + 1) / 2; ++pair) {
                        panel[((from / 2 + pair) * gates + gate) * width<float> + lane] = pairs[pair];
                    }
                }
            }
        }
    }
}

template <typename Cell, typename Real, typename Format>
inline void pack(const Layer& layer, const Weights<const Real>& weights, void* memory) {
    const Packed<Cell, Real, Format> packed(layer, memory);
    __builtin_memset(memory, 0, packed.bytes);
    pack_matrix(Format{}, weights.input, layer.hidden, layer.input, Cell::input_gate, Cell::input_gates, packed.input);
    if (Cell::hidden_gates > 0) {
        pack_matrix(Format{}, weights.hidden, layer.hidden, layer.hidden, Cell::hidden_gate, Cell::hidden_gates,
                    packed.hidden);
    }
    if constexpr (has_second_pass<Cell>) {
        pack_matrix(Format{}, weights.hidden, layer.hidden, layer.hidden, Cell::second_gate, Cell::second_gates,
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
                             int64_t panel_stride, const Rounded* const (&rows)[Rows], int64_t inner) {
    for (int64_t pair = 0; pair < (inner + 1) / 2; ++pair) {
        Weight weight[Panels][gates];
#pragma GCC unroll 8
        for (int panel = 0; panel < Panels; ++panel) {
#pragma GCC unroll 4
            for (int gate = 0; gate < gates; ++gate) {
                weight[panel][gate] =
                    unpacked(load<Pairs>(panels + panel * panel_stride + (pair * gates + gate) * width<float>));
            }
        }
#pragma GCC unroll 8
        for (int row = 0; row < Rows; ++row) {
            const Factor x = factor(rows[row], pair);
#pragma GCC unroll 8
            for (int panel = 0; panel < Panels; ++panel) {
#pragma GCC unroll 4
                for (int gate = 0; gate < gates; ++gate) {
                    Vec<float>& sum = acc[row][panel][first + gate];
                    sum = add_products(sum, x, weight[panel][gate]);
                }
            }
        }
    }
}

}  // namespace memfold::MEMFOLD_ISA
