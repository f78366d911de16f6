// LSTMs whose steps need all units of a row at once: with layer normalization (Ba, Kiros & Hinton 2016, supplement) or
// a projection of h (Sak, Senior & Beaufays 2014). Products are the engine's; what comes between them goes row by row.
#pragma once

#include "arena.hpp"
#include "cells.hpp"

namespace memfold::MEMFOLD_ISA {

// Calls body(k, lanes) for the vectors of a row of numbers, of which the last may be a part of one.
template <typename Real, typename Body>
MEMFOLD_INLINE void along(int64_t count, const Body& body) {
    int64_t k = 0;
    for (; k + width<Real> <= count; k += width<Real>) body(k, int64_t(width<Real>));
    if (k < count) body(k, count - k);
}

template <typename Real>
MEMFOLD_INLINE Real total(Vec<Real> v) {
    Real sum = 0;
    for (int i = 0; i < width<Real>; ++i) sum += v[i];
    return sum;
}

// Brings a row to mean 0 and variance 1, in place; returns what it was multiplied by.
template <typename Real>
Real normalise(Real* row, int64_t count) {
    using V = Vec<Real>;
    constexpr Real epsilon = Real(1e-5);
    V sum{}, squares{};
    along<Real>(count,
                [&](int64_t k, int64_t lanes) __attribute__((always_inline)) { sum += load_part(row + k, lanes); });
    const V mean = all(total<Real>(sum) / Real(count));
    along<Real>(count, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
        store_part(row + k, load_part(row + k, lanes) - mean, lanes);
        const V off = load_part(row + k, lanes);
        squares = fma(off, off, squares);
    });
    const Real scale = Real(1 / __builtin_sqrt(double(total<Real>(squares) / Real(count) + epsilon)));
    along<Real>(count, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
        store_part(row + k, load_part(row + k, lanes) * scale, lanes);
    });
    return scale;
}

// The gradient by what was normalised, in place of that by the result.
template <typename Real>
void through_normalisation(Real* d, const Real* normed, Real scale, int64_t count) {
    using V = Vec<Real>;
    V sum{}, along_normed{};
    along<Real>(count, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
        const V own = load_part(d + k, lanes);
        sum += own;
        along_normed = fma(own, load_part(normed + k, lanes), along_normed);
    });
    const V mean = all(total<Real>(sum) / Real(count)), slope = all(total<Real>(along_normed) / Real(count));
    along<Real>(count, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
        const V own = load_part(d + k, lanes) - mean;
        store_part(d + k, scale * fma(-load_part(normed + k, lanes), slope, own), lanes);
    });
}

// A packed linear layer, and the rows that it multiplies and makes.
template <typename Real>
struct RowProduct {
    Real *x = nullptr, *y = nullptr;
    int64_t x_row = 0, y_row = 0;

    RowProduct() = default;
    RowProduct(const Functions<Real>& functions, const void* packed, bool half, int64_t input, int64_t output,
               int64_t most_rows, Arena& arena)
        : functions_(&functions), layer_{Kind::linear, input, output, false, half}, packed_(packed) {
        x_row = functions.row_length(input), y_row = functions.row_length(output);
        x = arena.take<Real>(most_rows * x_row), y = arena.take<Real>(most_rows * y_row);
        space_ = arena.take<char>(int64_t(functions.step_bytes(layer_, most_rows)));
    }

    void run(int64_t rows) const {
        if (rows == 0) return;
        const Step<Real> step{layer_, {}, packed_, rows, {x, 0, x_row}, nullptr, {y}, {}, space_, 0};
        functions_->begin_step(step);
        functions_->step(step, 0, 1);
    }

  private:
    const Functions<Real>* functions_ = nullptr;
    Layer layer_{};
    const void* packed_ = nullptr;
    void* space_ = nullptr;
};

// What a thread needs for its rows.
template <typename Real>
struct RowSpace {
    RowProduct<Real> by_x, by_h, projection;
    int64_t* rows;          // those that are not over
    Real *gates, *now, *d;  // of one row
    size_t bytes;

    RowSpace(const Functions<Real>& functions, const RowFold<Real>& f, int64_t most_rows, void* memory, bool backward) {
        Arena arena(memory);
        const int64_t gates_width = gates_of(f) * f.hidden;
        const auto layer = [&](const void* packed, int64_t input, int64_t output) {
            return backward ? RowProduct<Real>(functions, packed, f.half, output, input, most_rows, arena)
                            : RowProduct<Real>(functions, packed, f.half, input, output, most_rows, arena);
        };
        by_x = layer(f.by_x.product, f.by_x.width, gates_width);
        by_h = layer(f.by_h.product, f.by_h.width, gates_width);
        projection = layer(f.projection, f.hidden, f.by_h.width);
        rows = arena.take<int64_t>(most_rows);
        gates = arena.take<Real>(gates_width), now = arena.take<Real>(f.hidden), d = arena.take<Real>(f.hidden);
        bytes = arena.bytes();
    }

    static int64_t gates_of(const RowFold<Real>& f) { return f.coupled ? 3 : 4; }

    // Of the rows `from` to `to` those that step t belongs to.
    int64_t find(const RowFold<Real>& f, int64_t t, int64_t from, int64_t to) const {
        int64_t count = 0;
        for (int64_t b = from; b < to; ++b) {
            if (!f.sequences.lengths || t < f.sequences.lengths[b]) rows[count++] = b;
        }
        return count;
    }
};

template <typename Real>
size_t row_bytes(const Functions<Real>& functions, const RowFold<Real>& f, int64_t rows) {
    const size_t forward = RowSpace<Real>(functions, f, rows, nullptr, false).bytes;
    const size_t backward = RowSpace<Real>(functions, f, rows, nullptr, true).bytes;
    return forward > backward ? forward : backward;
}

// Whether the state of row b is set to 0 before step t.
template <typename Real>
bool is_cut(const RowFold<Real>& f, int64_t t, int64_t b) {
    if (!f.sequences.resets.data) return false;
    if (!f.reverse) return *f.sequences.resets.at(t, b);
    // A cut between t and t + 1. A compiled program may have lengths that nobody has looked at.
    const bool is_there = t + 1 < f.sequences.time && (!f.sequences.lengths || t + 1 < f.sequences.lengths[b]);
    return is_there && *f.sequences.resets.at(t + 1, b);
}

// One row in one step: its arrays, and the formulas between the products.
template <typename Real>
struct Row {
    using V = Vec<Real>;

    const RowFold<Real>& f;
    const Settings<Real>& settings;
    const int64_t b, at;  // row, and row of all steps' rows
    const int64_t H = f.hidden, P = f.by_h.width, G = RowSpace<Real>::gates_of(f) * H,
                  last = RowSpace<Real>::gates_of(f) - 1;
    Real *const h = f.h + b * P, *const c = f.c + b * H;

    // How far the units keep their old value of state k, of which a row is `count` long.
    MEMFOLD_INLINE V zone(int state, int64_t count, int64_t k, int64_t lanes) const {
        const Real* const zones = f.zones[state];
        return zones ? load_part(zones + at * count + k, lanes) : settings.zoneout[state];
    }
    MEMFOLD_INLINE bool zones(int state) const { return f.zones[state] || f.options.zoneout[state] != 0; }

    // The peephole of the gate with this number among those that have one.
    MEMFOLD_INLINE V peephole(int64_t number, int64_t k, int64_t lanes) const {
        return load_part(f.peephole + number * H + k, lanes);
    }
    MEMFOLD_INLINE V peek(V pre, int64_t number, V cell, int64_t k, int64_t lanes) const {
        return f.peephole ? fma(peephole(number, k, lanes), cell, pre) : pre;
    }

    void begin(Real* x, Real* seen) const {
        if (is_cut(f, step(), b)) {
            for (int64_t k = 0; k < P; ++k) h[k] = 0;
            for (int64_t k = 0; k < H; ++k) c[k] = 0;
        }
        __builtin_memcpy(x, f.x.at(step(), b), size_t(f.by_x.width) * sizeof(Real));
        along<Real>(P, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            V own = load_part(h + k, lanes);
            if (f.mask) own *= load_part(f.mask + b * P + k, lanes);
            store_part(seen + k, own, lanes);
            if (f.seen) store_part(f.seen + at * P + k, own, lanes);
        });
    }

    // Normalises a row of `count` numbers, and keeps what the gradient needs of that.
    void normalise_and_keep(Real* values, int64_t count, Real* kept, Real* scales) const {
        const Real scale = normalise(values, count);
        if (!kept) return;
        __builtin_memcpy(kept + at * count, values, size_t(count) * sizeof(Real));
        scales[at] = scale;
    }

    // From the products of x and h to the cell, and to what the output gate lets through.
    void open(Real* from_x, Real* from_h, Real* own_gates, Real* now, Real* through) const {
        Real* const gates = f.gates ? f.gates + at * G : own_gates;
        if (f.by_x.gain) normalise_and_keep(from_x, G, f.by_x.normed, f.by_x.scale);
        if (f.by_h.gain) normalise_and_keep(from_h, G, f.by_h.normed, f.by_h.scale);
        along<Real>(H, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            const auto pre = [&](int64_t gate) __attribute__((always_inline)) {
                const int64_t place = gate * H + k;
                V x = load_part(from_x + place, lanes), sum = load_part(from_h + place, lanes);
                if (f.by_x.gain) x *= load_part(f.by_x.gain + place, lanes);
                if (f.bias) x += load_part(f.bias + place, lanes);
                return f.by_h.gain ? fma(sum, load_part(f.by_h.gain + place, lanes), x) : sum + x;
            };
            const V before = load_part(c + k, lanes);
            const V i = sigmoid<Real>(settings.bound(peek(pre(0), 0, before, k, lanes)));
            const V forget = f.coupled ? Real(1) - i : sigmoid<Real>(settings.bound(peek(pre(1), 1, before, k, lanes)));
            const V g = tanh<Real>(settings.bound(pre(last - 1)));
            const V cell = fma(forget, before, i * g);
            const V o = sigmoid<Real>(settings.bound(peek(pre(last), last - 1, cell, k, lanes)));
            store_part(gates + k, i, lanes);
            if (!f.coupled) store_part(gates + H + k, forget, lanes);
            store_part(gates + (last - 1) * H + k, g, lanes), store_part(gates + last * H + k, o, lanes);
            if (f.before) store_part(f.before + at * H + k, before, lanes);
            store_part(c + k, zones(1) ? zoned<Real>(zone(1, H, k, lanes), before, cell) : cell, lanes);
            store_part(now + k, cell, lanes);
        });
        if (f.cell_gain) normalise_and_keep(now, H, f.cell_normed, f.cell_scale);
        along<Real>(H, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            V shown = load_part(now + k, lanes);
            if (f.cell_gain) shown *= load_part(f.cell_gain + k, lanes);
            shown = tanh<Real>(shown);
            if (f.opened) store_part(f.opened + at * H + k, shown, lanes);
            store_part(through + k, load_part(gates + last * H + k, lanes) * shown, lanes);
        });
    }

    void close(const Real* output) const {
        along<Real>(P, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            V now = load_part(output + k, lanes);
            if (zones(0)) now = zoned<Real>(zone(0, P, k, lanes), load_part(h + k, lanes), now);
            store_part(h + k, now, lanes);
            store_part(f.y + at * P + k, now, lanes);
        });
    }

    int64_t step() const { return at / f.sequences.batch; }
};

template <typename Real>
void fold_rows(const Functions<Real>& functions, const RowFold<Real>& f, void* memory, int64_t from, int64_t to) {
    const RowSpace<Real> space(functions, f, to - from, memory, false);
    const Settings<Real> settings(f.options);
    const RowProduct<Real>&by_x = space.by_x, &by_h = space.by_h, &projection = space.projection;
    for (int64_t s = 0; s < f.sequences.time; ++s) {
        const int64_t t = f.reverse ? f.sequences.time - 1 - s : s;
        const int64_t rows = space.find(f, t, from, to);
        const auto row = [&](int64_t i) {
            return Row<Real>{f, settings, space.rows[i], t * f.sequences.batch + space.rows[i]};
        };
        for (int64_t i = 0; i < rows; ++i) row(i).begin(by_x.x + i * by_x.x_row, by_h.x + i * by_h.x_row);
        by_x.run(rows);
        by_h.run(rows);
        for (int64_t i = 0; i < rows; ++i) {
            row(i).open(by_x.y + i * by_x.y_row, by_h.y + i * by_h.y_row, space.gates, space.now,
                        projection.x + i * projection.x_row);
        }
        if (f.projection) projection.run(rows);
        for (int64_t i = 0; i < rows; ++i) {
            row(i).close(f.projection ? projection.y + i * projection.y_row : projection.x + i * projection.x_row);
        }
    }
}

// The same row backwards. Where dh and dc stand by the state after the step, they do by that before it at the end.
template <typename Real>
struct RowGradient {
    using V = Vec<Real>;

    const RowBackward<Real>& to;
    const Row<Real> row;
    const RowFold<Real>& f = to.fold;
    const int64_t H = f.hidden, P = f.by_h.width, G = row.G, at = row.at;
    Real *const dh = to.dh + row.b * P, *const dc = to.dc + row.b * H;

    // By what the projection gives; in dh what passes the step by zoneout is left.
    void close(Real* d_output) const {
        along<Real>(P, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            V d = load_part(dh + k, lanes);
            if (to.dy) d += load_part(to.dy + at * P + k, lanes);
            V passes{};
            if (row.zones(0)) {
                passes = row.zone(0, P, k, lanes) * d;
                d = (Real(1) - row.zone(0, P, k, lanes)) * d;
            }
            store_part(dh + k, passes, lanes);
            store_part(d_output + k, d, lanes);
            if (to.d_output) store_part(to.d_output + at * P + k, d, lanes);
        });
    }

    // By the pre-activations, and by the products, from that by what the output gate let through.
    void open(const Real* d_through, Real* d_shown, Real* d_by_x, Real* d_by_h) const {
        const Real* const gates = f.gates + at * G;
        const int64_t last = row.last;
        const Settings<Real>& settings = row.settings;
        along<Real>(H, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            const V o = load_part(gates + last * H + k, lanes), shown = load_part(f.opened + at * H + k, lanes);
            V d = load_part(d_through + k, lanes) * o * fma(-shown, shown, all(Real(1)));
            if (f.cell_gain) {
                store_part(to.d_opened + at * H + k, d, lanes);
                d *= load_part(f.cell_gain + k, lanes);
            }
            store_part(d_shown + k, d, lanes);
        });
        if (f.cell_gain) through_normalisation(d_shown, f.cell_normed + at * H, f.cell_scale[at], H);
        Real* const d_pre = to.d_pre + at * G;
        along<Real>(H, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            const auto gate = [&](int64_t q)
                                  __attribute__((always_inline)) { return load_part(gates + q * H + k, lanes); };
            const V i = gate(0), g = gate(last - 1), o = gate(last), before = load_part(f.before + at * H + k, lanes);
            const V d_o =
                load_part(d_through + k, lanes) * load_part(f.opened + at * H + k, lanes) * settings.sigmoid_slope(o);
            V d_cell = load_part(dc + k, lanes), passes{};
            if (row.zones(1)) {
                passes = row.zone(1, H, k, lanes) * d_cell;
                d_cell = (Real(1) - row.zone(1, H, k, lanes)) * d_cell;
            }
            d_cell += load_part(d_shown + k, lanes);
            if (f.peephole) d_cell = fma(row.peephole(last - 1, k, lanes), d_o, d_cell);
            const V forget = f.coupled ? Real(1) - i : gate(1);
            const V d_i = d_cell * (f.coupled ? g - before : g) * settings.sigmoid_slope(i);
            const V d_g = d_cell * i * settings.tanh_slope(g);
            passes = fma(d_cell, forget, passes);
            if (f.peephole) passes = fma(row.peephole(0, k, lanes), d_i, passes);
            if (!f.coupled) {
                const V d_f = d_cell * before * settings.sigmoid_slope(forget);
                if (f.peephole) passes = fma(row.peephole(1, k, lanes), d_f, passes);
                store_part(d_pre + H + k, d_f, lanes);
            }
            store_part(d_pre + k, d_i, lanes);
            store_part(d_pre + (last - 1) * H + k, d_g, lanes), store_part(d_pre + last * H + k, d_o, lanes);
            store_part(dc + k, passes, lanes);
        });
        share(f.by_x, d_by_x, to.d_by_x);
        share(f.by_h, d_by_h, to.d_by_h);
    }

    // By what a product gave, as the next one takes it and, with a normalization, as it is kept.
    void share(const RowShare<Real>& of, Real* d, Real* kept) const {
        const Real* const d_pre = to.d_pre + at * G;
        along<Real>(G, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            const V own = load_part(d_pre + k, lanes);
            store_part(d + k, of.gain ? own * load_part(of.gain + k, lanes) : own, lanes);
        });
        if (!of.gain) return;
        through_normalisation(d, of.normed + at * G, of.scale[at], G);
        __builtin_memcpy(kept + at * G, d, size_t(G) * sizeof(Real));
    }

    void begin(const Real* d_x, const Real* d_seen) const {
        if (to.dx) __builtin_memcpy(to.dx + at * f.by_x.width, d_x, size_t(f.by_x.width) * sizeof(Real));
        const bool cut = is_cut(f, row.step(), row.b);
        along<Real>(P, [&](int64_t k, int64_t lanes) __attribute__((always_inline)) {
            V d = load_part(d_seen + k, lanes);
            if (f.mask) d *= load_part(f.mask + row.b * P + k, lanes);
            store_part(dh + k, cut ? V{} : d + load_part(dh + k, lanes), lanes);
        });
        for (int64_t k = 0; cut && k < H; ++k) dc[k] = 0;
    }
};

template <typename Real>
void fold_rows_backward(const Functions<Real>& functions, const RowBackward<Real>& to, void* memory, int64_t from,
                        int64_t end) {
    const RowFold<Real>& f = to.fold;
    const RowSpace<Real> space(functions, f, end - from, memory, true);
    const Settings<Real> settings(f.options);
    const RowProduct<Real>&by_x = space.by_x, &by_h = space.by_h, &projection = space.projection;
    for (int64_t s = 0; s < f.sequences.time; ++s) {
        const int64_t t = f.reverse ? s : f.sequences.time - 1 - s;
        const int64_t rows = space.find(f, t, from, end);
        const auto row = [&](int64_t i) {
            return RowGradient<Real>{to, {f, settings, space.rows[i], t * f.sequences.batch + space.rows[i]}};
        };
        for (int64_t i = 0; i < rows; ++i) row(i).close(projection.x + i * projection.x_row);
        if (f.projection) projection.run(rows);
        for (int64_t i = 0; i < rows; ++i) {
            const Real* const d_through =
                f.projection ? projection.y + i * projection.y_row : projection.x + i * projection.x_row;
            row(i).open(d_through, space.d, by_x.x + i * by_x.x_row, by_h.x + i * by_h.x_row);
        }
        if (to.dx) by_x.run(rows);
        by_h.run(rows);
        for (int64_t i = 0; i < rows; ++i) row(i).begin(by_x.y + i * by_x.y_row, by_h.y + i * by_h.y_row);
    }
}

}  // namespace memfold::MEMFOLD_ISA
