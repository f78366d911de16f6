// Each cell's gates: the formula of one step over a vector of hidden units, and nothing else.
//
// A cell says how many accumulators a unit needs, which of them the input product and the hidden product add to, and
// which of the weights' gates each of these is. Accumulators that both products add to start from the sum of the
// biases. A cell with a product of what its own gates give has a second pass over the units, which begins when all of
// them are through the first: see GruResetBefore. Old values are blended as z*h + (1-z)*n rather than n + z*(h-n): a
// gate that is wholly open then keeps its value to the last bit, over any number of steps.
#pragma once

#include <type_traits>

#include "engine.hpp"
#include "simd.hpp"

namespace memfold::MEMFOLD_ISA {

// What a step knows besides its pre-activations: one row's state of the units at hand, which it replaces by the new
// one. A cell names the parts it has.
template <typename Real>
struct Unit {
    Vec<Real> state[most_states];
};

// How many names stand in a cell's list of them.
template <size_t count>
constexpr int count_of(const char* const (&)[count]) {
    return int(count);
}

template <typename Real>
struct Settings {
    Vec<Real> clip, zoneout[most_states];
    bool clips, zones = false;

    explicit Settings(const Options<Real>& o) : clip(all(o.clip)), clips(o.clip < Real(__builtin_inf())) {
        for (int k = 0; k < most_states; ++k) {
            zoneout[k] = all(o.zoneout[k]);
            zones = zones || o.zoneout[k] != 0;
        }
    }

    MEMFOLD_INLINE Vec<Real> bound(Vec<Real> pre) const { return clips ? at_least(at_most(pre, clip), -clip) : pre; }

    // The derivative of a gate by its pre-activation, from the gate's value: 0 where the value is that of the bound.
    MEMFOLD_INLINE Vec<Real> sigmoid_slope(Vec<Real> v) const {
        const Vec<Real> slope = v * (Real(1) - v);
        return clips ? within(v, sigmoid<Real>(-clip), sigmoid<Real>(clip), slope) : slope;
    }
    MEMFOLD_INLINE Vec<Real> tanh_slope(Vec<Real> v) const {
        const Vec<Real> slope = fma(-v, v, all(Real(1)));
        return clips ? within(v, tanh<Real>(-clip), tanh<Real>(clip), slope) : slope;
    }
    // Of a pre-activation, because one that is the bound itself passes: a unit that repeats its clipped value stays
    // there.
    MEMFOLD_INLINE Vec<Real> relu_slope(Vec<Real> pre) const {
        const Vec<Real> slope = pre > Vec<Real>{} ? all(Real(1)) : Vec<Real>{};
        return pre > clip ? Vec<Real>{} : slope;
    }

  private:
    static MEMFOLD_INLINE Vec<Real> within(Vec<Real> v, Vec<Real> low, Vec<Real> high, Vec<Real> slope) {
        const Vec<Real> below = v > low ? slope : Vec<Real>{};
        return v < high ? below : Vec<Real>{};
    }
};

// The expectation of zoneout: a unit keeps its old value with probability p (Krueger et al. 2017).
template <typename Real>
MEMFOLD_INLINE Vec<Real> zoned(Vec<Real> p, Vec<Real> before, Vec<Real> now) {
    return fma(p, before, (Real(1) - p) * now);
}

// The derivatives of a step, `derive`, get what the step kept, the state before it, and the gradients of the loss by
// the new state; they give those by the accumulators, `d`, and leave in `unit` what reaches the state before by another
// way than the hidden product.

// Elman 1990. Of relu the pre-activation is kept; without clip and zoneout the output serves as well.
struct Rnn {
    enum State { h };
    static constexpr const char *gate_names[] = {"h"}, *state_names[] = {"h"};
    static constexpr int accumulators = 1, peepholes = 0;
    static constexpr int input_first = 0, input_gates = 1, hidden_first = 0, hidden_gates = 1;
    static constexpr int input_gate[] = {0}, hidden_gate[] = {0};
};

struct RnnTanh : Rnn {
    static constexpr const char* kept_names[] = {"h"};

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>& s, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        unit.state[h] = kept[0] = tanh<Real>(s.bound(pre[0]));
    }

    template <typename Real>
    static MEMFOLD_INLINE void derive(const Vec<Real>* kept, const Unit<Real>&, const Vec<Real>*,
                                      const Settings<Real>& s, Unit<Real>& unit, Vec<Real>* d) {
        d[0] = unit.state[h] * s.tanh_slope(kept[0]);
        unit.state[h] = Vec<Real>{};
    }
};

struct RnnRelu : Rnn {
    static constexpr const char* kept_names[] = {"pre"};

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>& s, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        kept[0] = pre[0];
        unit.state[h] = at_least(s.bound(pre[0]), Vec<Real>{});
    }

    template <typename Real>
    static MEMFOLD_INLINE void derive(const Vec<Real>* kept, const Unit<Real>&, const Vec<Real>*,
                                      const Settings<Real>& s, Unit<Real>& unit, Vec<Real>* d) {
        d[0] = unit.state[h] * s.relu_slope(kept[0]);
        unit.state[h] = Vec<Real>{};
    }
};

// LSTM with a forget gate (Gers, Schmidhuber & Cummins 2000) and peepholes where there are weights for them (Gers &
// Schmidhuber 2000): i and f see the old cell, o the new one.
struct Lstm {
    enum State { h, c };
    static constexpr const char *gate_names[] = {"i", "f", "g", "o"}, *state_names[] = {"h", "c"},
                                *kept_names[] = {"i", "f", "g", "o", "c"};
    static constexpr int accumulators = 4, peepholes = 3;
    static constexpr int input_first = 0, input_gates = 4, hidden_first = 0, hidden_gates = 4;
    static constexpr int input_gate[] = {0, 1, 2, 3}, hidden_gate[] = {0, 1, 2, 3};
    static constexpr int peephole_of[] = {0, 1, 3};  // the accumulator that each peephole adds to, o's the last

    template <typename Real>
    static MEMFOLD_INLINE Vec<Real> cell(const Vec<Real>* kept, Vec<Real> before) {
        return fma(kept[1], before, kept[0] * kept[2]);
    }

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>* peephole, const Settings<Real>& s,
                                    Unit<Real>& unit, Vec<Real>* kept) {
        using V = Vec<Real>;
        const V before = unit.state[c];
        const V i = kept[0] = sigmoid<Real>(s.bound(peephole ? fma(peephole[0], before, pre[0]) : pre[0]));
        const V f = kept[1] = sigmoid<Real>(s.bound(peephole ? fma(peephole[1], before, pre[1]) : pre[1]));
        const V g = kept[2] = tanh<Real>(s.bound(pre[2]));
        const V now = unit.state[c] = fma(f, before, i * g);
        const V o = kept[3] = sigmoid<Real>(s.bound(peephole ? fma(peephole[2], now, pre[3]) : pre[3]));
        unit.state[h] = o * tanh<Real>(now);
    }

    template <typename Real>
    static MEMFOLD_INLINE void derive(const Vec<Real>* kept, const Unit<Real>& before, const Vec<Real>* peephole,
                                      const Settings<Real>& s, Unit<Real>& unit, Vec<Real>* d) {
        using V = Vec<Real>;
        const V i = kept[0], f = kept[1], g = kept[2], o = kept[3],
                shown = tanh<Real>(cell<Real>(kept, before.state[c]));
        d[3] = unit.state[h] * shown * s.sigmoid_slope(o);
        V dc = fma(unit.state[h] * o, fma(-shown, shown, all(Real(1))), unit.state[c]);
        if (peephole) dc = fma(peephole[2], d[3], dc);
        d[0] = dc * g * s.sigmoid_slope(i);
        d[1] = dc * before.state[c] * s.sigmoid_slope(f);
        d[2] = dc * i * s.tanh_slope(g);
        unit.state[c] = dc * f;
        if (peephole) unit.state[c] = fma(peephole[0], d[0], fma(peephole[1], d[1], unit.state[c]));
        unit.state[h] = V{};
    }
};

// f = 1 - i: ONNX's input_forget, CIFG of Greff et al. 2017.
struct CoupledLstm {
    enum State { h, c };
    static constexpr const char *gate_names[] = {"i", "g", "o"}, *state_names[] = {"h", "c"},
                                *kept_names[] = {"i", "g", "o", "c"};
    static constexpr int accumulators = 3, peepholes = 2;
    static constexpr int input_first = 0, input_gates = 3, hidden_first = 0, hidden_gates = 3;
    static constexpr int input_gate[] = {0, 1, 2}, hidden_gate[] = {0, 1, 2};
    static constexpr int peephole_of[] = {0, 2};

    template <typename Real>
    static MEMFOLD_INLINE Vec<Real> cell(const Vec<Real>* kept, Vec<Real> before) {
        return fma(kept[0], kept[1], (Real(1) - kept[0]) * before);
    }

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>* peephole, const Settings<Real>& s,
                                    Unit<Real>& unit, Vec<Real>* kept) {
        using V = Vec<Real>;
        const V before = unit.state[c];
        const V i = kept[0] = sigmoid<Real>(s.bound(peephole ? fma(peephole[0], before, pre[0]) : pre[0]));
        const V g = kept[1] = tanh<Real>(s.bound(pre[1]));
        const V now = unit.state[c] = fma(i, g, (Real(1) - i) * before);
        const V o = kept[2] = sigmoid<Real>(s.bound(peephole ? fma(peephole[1], now, pre[2]) : pre[2]));
        unit.state[h] = o * tanh<Real>(now);
    }

    template <typename Real>
    static MEMFOLD_INLINE void derive(const Vec<Real>* kept, const Unit<Real>& before, const Vec<Real>* peephole,
                                      const Settings<Real>& s, Unit<Real>& unit, Vec<Real>* d) {
        using V = Vec<Real>;
        const V i = kept[0], g = kept[1], o = kept[2], shown = tanh<Real>(cell<Real>(kept, before.state[c]));
        d[2] = unit.state[h] * shown * s.sigmoid_slope(o);
        V dc = fma(unit.state[h] * o, fma(-shown, shown, all(Real(1))), unit.state[c]);
        if (peephole) dc = fma(peephole[1], d[2], dc);
        d[0] = dc * (g - before.state[c]) * s.sigmoid_slope(i);
        d[1] = dc * i * s.tanh_slope(g);
        unit.state[c] = dc * (Real(1) - i);
        if (peephole) unit.state[c] = fma(peephole[0], d[0], unit.state[c]);
        unit.state[h] = V{};
    }
};

// Cho et al. 2014, reset after the product. The new gate's two products stay apart, so there are four accumulators:
// n_x r z n_h. hidden_n is the hidden product before the reset gate.
struct Gru {
    enum State { h };
    static constexpr const char *gate_names[] = {"r", "z", "n"}, *state_names[] = {"h"},
                                *kept_names[] = {"r", "z", "n", "hidden_n"};
    static constexpr int accumulators = 4, peepholes = 0;
    static constexpr int input_first = 0, input_gates = 3, hidden_first = 1, hidden_gates = 3;
    static constexpr int input_gate[] = {2, 0, 1}, hidden_gate[] = {0, 1, 2};

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>& s, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        using V = Vec<Real>;
        const V r = kept[0] = sigmoid<Real>(s.bound(pre[1]));
        const V z = kept[1] = sigmoid<Real>(s.bound(pre[2]));
        const V n = kept[2] = tanh<Real>(s.bound(fma(r, pre[3], pre[0])));
        kept[3] = pre[3];
        unit.state[h] = fma(z, unit.state[h], (Real(1) - z) * n);
    }

    template <typename Real>
    static MEMFOLD_INLINE void derive(const Vec<Real>* kept, const Unit<Real>& before, const Vec<Real>*,
                                      const Settings<Real>& s, Unit<Real>& unit, Vec<Real>* d) {
        using V = Vec<Real>;
        const V r = kept[0], z = kept[1], n = kept[2];
        d[0] = unit.state[h] * (Real(1) - z) * s.tanh_slope(n);
        d[1] = d[0] * kept[3] * s.sigmoid_slope(r);
        d[2] = unit.state[h] * (before.state[h] - n) * s.sigmoid_slope(z);
        d[3] = d[0] * r;
        unit.state[h] = unit.state[h] * z;
    }
};

// Cho et al. 2014, reset before the product. What R_n multiplies is r * h, of which every unit needs all: so the new
// gate's product waits for a second pass over the units.
//
// The first pass has the accumulators that the hidden product adds to: `open` makes values of them, `opened` in number
// and the first of those kept, and the second product's input. The accumulators from `second_first` on have the input
// product and the biases by then, and `step` gets them, finished, with the opened values. Backwards `derive` comes
// first, for all accumulators but the first `late` ones, which the second product's input was made of; those are
// `derive_open`'s, from the gradient by that input.
struct GruResetBefore {
    enum State { h };
    static constexpr const char *gate_names[] = {"r", "z", "n"}, *state_names[] = {"h"},
                                *kept_names[] = {"r", "z", "n"};
    static constexpr int accumulators = 3, peepholes = 0;
    static constexpr int input_first = 0, input_gates = 3, hidden_first = 0, hidden_gates = 2;
    static constexpr int second_first = 2, second_gates = 1, opened = 2, late = 1;
    static constexpr int input_gate[] = {0, 1, 2}, hidden_gate[] = {0, 1}, second_gate[] = {2};

    // `seen` is h as the products see it.
    template <typename Real>
    static MEMFOLD_INLINE Vec<Real> open(const Vec<Real>* pre, Vec<Real> seen, const Settings<Real>& s,
                                         Vec<Real>* kept) {
        kept[0] = sigmoid<Real>(s.bound(pre[0]));
        kept[1] = sigmoid<Real>(s.bound(pre[1]));
        return kept[0] * seen;
    }

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>& s, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        const Vec<Real> z = kept[1], n = kept[2] = tanh<Real>(s.bound(pre[0]));
        unit.state[h] = fma(z, unit.state[h], (Real(1) - z) * n);
    }

    template <typename Real>
    static MEMFOLD_INLINE void derive(const Vec<Real>* kept, const Unit<Real>& before, const Vec<Real>*,
                                      const Settings<Real>& s, Unit<Real>& unit, Vec<Real>* d) {
        const Vec<Real> z = kept[1], n = kept[2];
        d[1] = unit.state[h] * (before.state[h] - n) * s.sigmoid_slope(z);
        d[2] = unit.state[h] * (Real(1) - z) * s.tanh_slope(n);
        unit.state[h] = unit.state[h] * z;
    }

    // Returns the gradient by `seen`, and gives the second product's input once more.
    template <typename Real>
    static MEMFOLD_INLINE Vec<Real> derive_open(const Vec<Real>* kept, Vec<Real> seen, Vec<Real> by_input,
                                                const Settings<Real>& s, Vec<Real>* d, Vec<Real>& input) {
        d[0] = by_input * seen * s.sigmoid_slope(kept[0]);
        input = kept[0] * seen;
        return by_input * kept[0];
    }
};

// y = W x + b: the output head of a stream.
struct Linear {
    enum State { h };
    static constexpr const char *gate_names[] = {"y"}, *state_names[] = {"y"}, *kept_names[] = {"y"};
    static constexpr int accumulators = 1, peepholes = 0;
    static constexpr int input_first = 0, input_gates = 1, hidden_first = 0, hidden_gates = 0;
    static constexpr int input_gate[] = {0}, hidden_gate[] = {0};

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>&, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        unit.state[h] = kept[0] = pre[0];
    }
};

template <typename Cell>
inline constexpr int states_of = count_of(Cell::state_names);
template <typename Cell>
inline constexpr int kept_by = count_of(Cell::kept_names);

// What fewer people use: not worth most of the library's size.
template <typename Cell>
inline constexpr bool is_rare = std::is_same_v<Cell, CoupledLstm> || std::is_same_v<Cell, GruResetBefore>;

template <typename Cell>
inline constexpr bool has_second_pass = requires { Cell::second_gates; };

// How many of its first accumulators get their gradients in the second pass backwards.
template <typename Cell>
constexpr int late_accumulators() {
    if constexpr (has_second_pass<Cell>) return Cell::late;
    return 0;
}

// The second pass as the tile sees it: accumulators that begin as the first pass left them, and their product.
template <typename Cell>
struct SecondPass {
    static constexpr int accumulators = Cell::second_gates, peepholes = 0;
    static constexpr int input_first = 0, input_gates = accumulators, hidden_first = 0, hidden_gates = accumulators;
};

template <typename Cell>
constexpr Traits traits_of(const char* name) {
    static_assert(states_of<Cell> <= most_states && count_of(Cell::gate_names) == Cell::input_gates);
    return {name,
            Cell::input_gates,
            Cell::accumulators,
            Cell::peepholes,
            states_of<Cell>,
            kept_by<Cell>,
            has_second_pass<Cell> ? 2 : 1,
            Cell::gate_names,
            Cell::state_names,
            Cell::kept_names};
}

// By Kind.
inline constexpr Traits traits[] = {
#define MEMFOLD_CELL(name, Cell) traits_of<Cell>(#name),
#include "cells.def"
    traits_of<Linear>("linear"),
};

}  // namespace memfold::MEMFOLD_ISA
