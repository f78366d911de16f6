// Each cell's gates: the formula of one step over a vector of hidden units, and nothing else.
//
// A cell says how many accumulators a unit needs, which of them the input product and the hidden product add to, and
// which of the weights' gates each of these is. Accumulators that both products add to start from the sum of the
// biases. Old values are blended as z*h + (1-z)*n rather than n + z*(h-n): a gate that is wholly open then keeps its
// value to the last bit, over any number of steps.
#pragma once

#include "engine.hpp"
#include "simd.hpp"

namespace memfold::MEMFOLD_ISA {

// What a step knows besides its pre-activations: one row's state of the units at hand, read and written in place.
template <typename Real>
struct Unit {
    Vec<Real> h, c;
};

template <typename Real>
struct Settings {
    Vec<Real> clip, zoneout_h, zoneout_c;
    bool clips, zones;

    explicit Settings(const Options<Real>& o)
        : clip(all(o.clip)),
          zoneout_h(all(o.zoneout_h)),
          zoneout_c(all(o.zoneout_c)),
          clips(o.clip < Real(__builtin_inf())),
          zones(o.zoneout_h != 0 || o.zoneout_c != 0) {}

    MEMFOLD_INLINE Vec<Real> bound(Vec<Real> pre) const { return clips ? at_least(at_most(pre, clip), -clip) : pre; }
};

// The expectation of zoneout: a unit keeps its old value with probability p (Krueger et al. 2017).
template <typename Real>
MEMFOLD_INLINE Vec<Real> zoned(Vec<Real> p, Vec<Real> before, Vec<Real> now) {
    return fma(p, before, (Real(1) - p) * now);
}

// Elman 1990. kept: h.
struct Rnn {
    static constexpr int accumulators = 1, kept = 1, peepholes = 0;
    static constexpr int input_first = 0, input_gates = 1, hidden_first = 0, hidden_gates = 1;
    static constexpr int input_gate[] = {0}, hidden_gate[] = {0};
    static constexpr bool cell_state = false;

    template <bool relu, typename Real>
    static MEMFOLD_INLINE void step_as(const Vec<Real>* pre, const Settings<Real>& s, Unit<Real>& unit,
                                       Vec<Real>* kept) {
        const Vec<Real> z = s.bound(pre[0]);
        const Vec<Real> h = relu ? at_least(z, Vec<Real>{}) : tanh<Real>(z);
        unit.h = s.zones ? zoned<Real>(s.zoneout_h, unit.h, h) : h;
        kept[0] = unit.h;
    }
};

struct RnnTanh : Rnn {
    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>& s, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        step_as<false, Real>(pre, s, unit, kept);
    }
};

struct RnnRelu : Rnn {
    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>& s, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        step_as<true, Real>(pre, s, unit, kept);
    }
};

// LSTM with a forget gate (Gers, Schmidhuber & Cummins 2000) and peepholes where there are weights for them (Gers &
// Schmidhuber 2000): i and f see the old cell, o the new one. kept: i f g o c.
struct Lstm {
    static constexpr int accumulators = 4, kept = 5, peepholes = 3;
    static constexpr int input_first = 0, input_gates = 4, hidden_first = 0, hidden_gates = 4;
    static constexpr int input_gate[] = {0, 1, 2, 3}, hidden_gate[] = {0, 1, 2, 3};
    static constexpr bool cell_state = true;

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>* peephole, const Settings<Real>& s,
                                    Unit<Real>& unit, Vec<Real>* kept) {
        using V = Vec<Real>;
        const V before = unit.c;
        const V i = sigmoid<Real>(s.bound(peephole ? fma(peephole[0], before, pre[0]) : pre[0]));
        const V f = sigmoid<Real>(s.bound(peephole ? fma(peephole[1], before, pre[1]) : pre[1]));
        const V g = tanh<Real>(s.bound(pre[2]));
        const V c = fma(f, before, i * g);
        const V o = sigmoid<Real>(s.bound(peephole ? fma(peephole[2], c, pre[3]) : pre[3]));
        const V h = o * tanh<Real>(c);
        unit.c = s.zones ? zoned<Real>(s.zoneout_c, before, c) : c;
        unit.h = s.zones ? zoned<Real>(s.zoneout_h, unit.h, h) : h;
        kept[0] = i, kept[1] = f, kept[2] = g, kept[3] = o, kept[4] = unit.c;
    }
};

// f = 1 - i: ONNX's input_forget, CIFG of Greff et al. 2017. kept: i g o c.
struct CoupledLstm {
    static constexpr int accumulators = 3, kept = 4, peepholes = 2;
    static constexpr int input_first = 0, input_gates = 3, hidden_first = 0, hidden_gates = 3;
    static constexpr int input_gate[] = {0, 1, 2}, hidden_gate[] = {0, 1, 2};
    static constexpr bool cell_state = true;

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>* peephole, const Settings<Real>& s,
                                    Unit<Real>& unit, Vec<Real>* kept) {
        using V = Vec<Real>;
        const V before = unit.c;
        const V i = sigmoid<Real>(s.bound(peephole ? fma(peephole[0], before, pre[0]) : pre[0]));
        const V g = tanh<Real>(s.bound(pre[1]));
        const V c = fma(i, g, (Real(1) - i) * before);
        const V o = sigmoid<Real>(s.bound(peephole ? fma(peephole[1], c, pre[2]) : pre[2]));
        const V h = o * tanh<Real>(c);
        unit.c = s.zones ? zoned<Real>(s.zoneout_c, before, c) : c;
        unit.h = s.zones ? zoned<Real>(s.zoneout_h, unit.h, h) : h;
        kept[0] = i, kept[1] = g, kept[2] = o, kept[3] = unit.c;
    }
};

// Cho et al. 2014, reset after the product. The new gate's two products stay apart, so there are four accumulators:
// n_x r z n_h. kept: r z n, n_h (the hidden product before the reset gate), h.
struct Gru {
    static constexpr int accumulators = 4, kept = 5, peepholes = 0;
    static constexpr int input_first = 0, input_gates = 3, hidden_first = 1, hidden_gates = 3;
    static constexpr int input_gate[] = {2, 0, 1}, hidden_gate[] = {0, 1, 2};
    static constexpr bool cell_state = false;

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>& s, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        using V = Vec<Real>;
        const V r = sigmoid<Real>(s.bound(pre[1]));
        const V z = sigmoid<Real>(s.bound(pre[2]));
        const V n = tanh<Real>(s.bound(fma(r, pre[3], pre[0])));
        const V h = fma(z, unit.h, (Real(1) - z) * n);
        unit.h = s.zones ? zoned<Real>(s.zoneout_h, unit.h, h) : h;
        kept[0] = r, kept[1] = z, kept[2] = n, kept[3] = pre[3], kept[4] = unit.h;
    }
};

// y = W x + b: the output head of a stream.
struct Linear {
    static constexpr int accumulators = 1, kept = 1, peepholes = 0;
    static constexpr int input_first = 0, input_gates = 1, hidden_first = 0, hidden_gates = 0;
    static constexpr int input_gate[] = {0}, hidden_gate[] = {0};
    static constexpr bool cell_state = false;

    template <typename Real>
    static MEMFOLD_INLINE void step(const Vec<Real>* pre, const Vec<Real>*, const Settings<Real>&, Unit<Real>& unit,
                                    Vec<Real>* kept) {
        unit.h = kept[0] = pre[0];
    }
};

}  // namespace memfold::MEMFOLD_ISA
