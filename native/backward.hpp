// A cell backwards in time.
//
// A step's gradients by the accumulators, `d`, come from those of the step after it: one product with the hidden
// weights, transposed, and the cell's derivative on its accumulators, by the same tile as the fold's own steps. Every
// step's d stays, one row for each step of each sequence; gradient.hpp makes the gradients of the weights and of x from
// them all.
#pragma once

#include "fold.hpp"

namespace memfold::MEMFOLD_ISA {

// Vectors side by side in a tile of gradient.hpp.
inline constexpr int gradient_vectors = 4;

// A transposed matrix (inner, columns) is packed as the weights of a linear layer from `inner` to `columns`. Of each
// gate of d there are whole lanes: the units that fill up the last one have zeros.
template <typename Real, typename Format>
using Transposed = Packed<Linear, Real, Format>;

template <typename Cell, typename Format>
Layer transposed_hidden(const Layer& layer) {
    return {Kind::linear, Cell::hidden_gates * whole_lanes<Format>(layer.hidden), layer.hidden, false, layer.half};
}

template <typename Cell, typename Format>
Layer transposed_second(const Layer& layer) {
    return {Kind::linear, Cell::second_gates * whole_lanes<Format>(layer.hidden), layer.hidden, false, layer.half};
}

template <typename Cell, typename Format>
Layer transposed_input(const Layer& layer) {
    return {Kind::linear, Cell::input_gates * whole_lanes<Format>(layer.hidden), layer.input, false, layer.half};
}

// The memory that the backward pass of one direction shares: the transposed weights; d as products take it, `d_row`
// elements from row to row and `d_gate` from gate to gate; and for each row pointers to the x and the state before the
// step, h as its product sees it, and to what the step kept. Rows are in the order of steps, within a step from the
// longest sequence to the shortest, whatever the threads: so the sums over them are the same.
template <typename Cell, typename Real, typename Format>
struct BackwardSpace {
    using Input = typename Format::Input;

    void *hidden, *second = nullptr, *input;  // transposed
    Input *d, *no_d;
    Real *zeros, *h_masked, *second_input = nullptr;
    const Real **x, **state[most_states]{}, **kept, **second_rows = nullptr;  // second_rows: of second_input
    Real** dx;
    int64_t* start;  // of each step's rows
    int64_t d_row, d_gate;
    size_t bytes;

    BackwardSpace(const Backward<Real>& b, void* memory) {
        const Layer& layer = b.fold.layer;
        constexpr int64_t group = gradient_vectors * width<Real>;
        d_gate = whole_lanes<Format>(layer.hidden);
        d_row = (Cell::accumulators * d_gate + group - 1) / group * group + width<Real>;
        Arena arena(memory);
        const auto weights = [&](const Layer& to) {
            return arena.take<char>(int64_t(Transposed<Real, Format>(to, nullptr).bytes));
        };
        hidden = weights(transposed_hidden<Cell, Format>(layer));
        input = b.dx.data ? weights(transposed_input<Cell, Format>(layer)) : nullptr;
        if constexpr (has_second_pass<Cell>) {
            second = weights(transposed_second<Cell, Format>(layer));
            second_input = arena.take<Real>(b.steps * layer.hidden);
            second_rows = arena.take<const Real*>(b.steps);
        }
        d = arena.take<Input>(b.steps * d_row);
        no_d = arena.take<Input>(d_row);
        zeros = arena.take<Real>(layer.hidden);
        h_masked = arena.take<Real>(b.fold.directions[0].mask ? b.steps * layer.hidden : 0);
        x = arena.take<const Real*>(b.steps);
        for (int k = 0; k < states_of<Cell>; ++k) state[k] = arena.take<const Real*>(b.steps);
        kept = arena.take<const Real*>(b.steps);
        dx = arena.take<Real*>(b.dx.data ? b.steps : 0);
        start = arena.take<int64_t>(b.fold.sequences.time + 1);
        bytes = arena.bytes();
    }
};

// The memory of one block: the gradients of the state that reach the step at hand, and for each share pointers to the
// rows at hand.
template <typename Cell, typename Real, typename Format>
struct BackwardBlock {
    using Input = typename Format::Input;

    Real *carry[most_states]{}, *mask;
    const Real **dy{}, **kept{}, **state[most_states]{}, **zones[most_states]{};
    const Real** seen{};  // of the second pass
    const Input **product{}, **second_product{};
    Input** d{};
    Real** second_input{};
    size_t bytes;

    BackwardBlock(const Backward<Real>& b, const Plan& plan, void* memory, int share) {
        const int64_t rows = block_rows(b.fold.sequences, plan);
        const int64_t elements = rows * row_length<Real>(b.fold.layer.hidden);
        Arena arena(memory);
        const int64_t second = has_second_pass<Cell> ? rows : 0;
        for (int k = 0; k < states_of<Cell>; ++k) carry[k] = arena.take<Real>(elements);
        mask = arena.take<Real>(elements);
        for (int s = 0; s < plan.shares; ++s) {
            const auto own_d = arena.take<Input*>(rows);
            const auto own_product = arena.take<const Input*>(rows), own_second = arena.take<const Input*>(second);
            const auto own = arena.take<const Real*>((2 + 2 * states_of<Cell>)*rows + second);
            const auto own_second_input = arena.take<Real*>(second);
            if (s != share) continue;
            d = own_d, product = own_product, dy = own, kept = own + rows;
            for (int k = 0; k < states_of<Cell>; ++k) {
                state[k] = own + (2 + 2 * k) * rows;
                zones[k] = own + (3 + 2 * k) * rows;
            }
            seen = own + (2 + 2 * states_of<Cell>)*rows;
            second_product = own_second, second_input = own_second_input;
        }
        bytes = arena.bytes();
    }
};

// One gate's gradients of a vector of units, of `units` with those that fill up the last lane.
template <typename Format, typename V>
MEMFOLD_INLINE void store_gradient(typename Format::Input* d, int64_t unit, int64_t units, V v) {
    constexpr int64_t whole = sizeof(V) / sizeof(v[0]);
    if (unit + whole <= units) {
        Format::store(d + unit, v);
    } else {
        Format::store_part(d + unit, v, units - unit);
    }
}

// What the tiles of one step backwards read and write: a linear layer's frame, whose product is that of the later
// step's d and the transposed hidden weights, with the derivative of the cell for a formula.
template <typename Cell, typename Real, typename Format>
struct BackwardFrame : Frame<Linear, Real, Format> {
    using Base = Frame<Linear, Real, Format>;
    using Formula = Cell;
    using V = Vec<Real>;
    static constexpr int states = states_of<Cell>, own_kept = kept_by<Cell> - (states - 1);

    Real* carry[most_states] = {};
    const Real *peephole = nullptr, *factor = nullptr;  // factor: the mask on h
    const Real *const *dy = nullptr, *const *kept = nullptr, *const *before[most_states] = {};
    typename Format::Input* const* d = nullptr;  // null before the first step: the carry alone is wanted then
    int64_t d_gate = 0;

    BackwardFrame(const Layer& layer, const Options<Real>& options, const void* transposed)
        : Base(transposed_hidden<Cell, Format>(layer), options, transposed) {
        this->finish_rows = finish_tile<BackwardFrame>;
    }

    MEMFOLD_INLINE void finish(int64_t panel, int64_t row, const V* product) const {
        const int64_t unit_at = panel * width<Real>, at = row * this->row_length + unit_at, hidden = this->hidden;
        V dh = load<V>(carry[0] + at) + (factor ? product[0] * load<V>(factor + at) : product[0]);
        if (!d) return store(carry[0] + at, dh);
        if (dy) dh += load_units(dy[row], unit_at, hidden);
        const bool peeps = Cell::peepholes > 0 && peephole != nullptr;
        V peep[Cell::peepholes + 1], values[kept_by<Cell>], gradient[Cell::accumulators];
        for (int p = 0; peeps && p < Cell::peepholes; ++p) {
            peep[p] = load_units(peephole + p * hidden, unit_at, hidden);
        }
        for (int k = 0; k < own_kept; ++k) values[k] = load_units(kept[row] + k * hidden, unit_at, hidden);
        Unit<Real> old{}, after{}, zone{};  // the state before the step; the gradients by the one after it
        after.state[0] = dh;
#pragma GCC unroll 4
        for (int k = 0; k < states; ++k) {
            old.state[k] = load_units(before[k][row], unit_at, hidden);
            if (k > 0) after.state[k] = load<V>(carry[k] + at);
        }
        Unit<Real> unit = after;
        if (this->settings.zones) {
#pragma GCC unroll 4
            for (int k = 0; k < states; ++k) {
                zone.state[k] = this->zone(k, row, unit_at);
                unit.state[k] = (Real(1) - zone.state[k]) * after.state[k];
            }
        }
        Cell::template derive<Real>(values, old, peeps ? peep : nullptr, this->settings, unit, gradient);
#pragma GCC unroll 4
        for (int k = 0; k < states; ++k) {
            if (this->settings.zones) unit.state[k] = fma(zone.state[k], after.state[k], unit.state[k]);
            store(carry[k] + at, unit.state[k]);
        }
        for (int a = late_accumulators<Cell>(); a < Cell::accumulators; ++a) {
            store_gradient<Format>(d[row] + a * d_gate, unit_at, d_gate, gradient[a]);
        }
    }
};

// The second pass backwards: the product of the later accumulators' d and the transposed weights of the second product
// is the gradient by that product's input, from which those of the first accumulators come.
template <typename Cell, typename Real, typename Format>
struct SecondBackwardFrame : Frame<Linear, Real, Format> {
    using Base = Frame<Linear, Real, Format>;
    using Formula = Cell;
    using V = Vec<Real>;

    Real* carry = nullptr;
    const Real *const *kept = nullptr, *const *seen = nullptr;  // seen: h as the products see it
    const Real* factor = nullptr;                               // the mask on h
    typename Format::Input* const* d = nullptr;
    Real* const* second_input = nullptr;
    int64_t d_gate = 0;

    SecondBackwardFrame(const Layer& layer, const Options<Real>& options, const void* transposed)
        : Base(transposed_second<Cell, Format>(layer), options, transposed) {
        this->finish_rows = finish_tile<SecondBackwardFrame>;
    }

    MEMFOLD_INLINE void finish(int64_t panel, int64_t row, const V* product) const {
        const int64_t unit_at = panel * width<Real>, at = row * this->row_length + unit_at, hidden = this->hidden;
        V values[Cell::opened], gradient[Cell::late];
        for (int k = 0; k < Cell::opened; ++k) values[k] = load_units(kept[row] + k * hidden, unit_at, hidden);
        const V h = load_units(seen[row], unit_at, hidden);
        V input;
        const V dh = Cell::template derive_open<Real>(values, h, product[0], this->settings, gradient, input);
        store(carry + at, load<V>(carry + at) + (factor ? dh * load<V>(factor + at) : dh));
        for (int a = 0; a < Cell::late; ++a) {
            store_gradient<Format>(d[row] + a * d_gate, unit_at, d_gate, gradient[a]);
        }
        store_units(second_input[row], unit_at, hidden, input);
    }
};

// One share of one block, backwards.
template <typename Cell, typename Real, typename Format>
class BackwardShare {
  public:
    BackwardShare(const Backward<Real>& b, int direction, const Plan& plan,
                  const BackwardSpace<Cell, Real, Format>& space, char* memory, int block, const Span& span)
        : backward_(b),
          fold_(b.fold),
          direction_(b.fold.directions[direction]),
          derivative_(b.directions[direction]),
          rows_(b.fold.sequences, direction_.reverse, block, plan.blocks),
          span_(span),
          space_(space),
          block_(b, plan, memory, span.share),
          frame_(b.fold.layer, b.fold.options, space.hidden),
          hidden_(b.fold.layer.hidden),
          panel_(panel_count<Real>(hidden_) * span.share / span.shares),
          panel_end_(panel_count<Real>(hidden_) * (span.share + 1) / span.shares) {
        frame_.row_length = row_length<Real>(hidden_);
        frame_.peephole = derivative_.weights.peephole;
        frame_.d_gate = space_.d_gate;
        frame_.x = block_.product;
        frame_.kept = block_.kept;
        if (derivative_.dy.data) frame_.dy = block_.dy;
        if (direction_.mask) frame_.factor = block_.mask;
        for (int k = 0; k < states; ++k) {
            frame_.carry[k] = block_.carry[k];
            frame_.before[k] = block_.state[k];
            if (!direction_.zones[k]) continue;
            frame_.zones[k] = block_.zones[k];
            frame_.settings.zones = true;
        }
    }

    // Steps are counted from the last one here. Returns the one that comes next.
    int64_t run(const Meeting& meeting) {
        if (span_.from == 0) load_state();
        const int64_t longest = rows_.longest();
        int64_t done = span_.from;
        int64_t later = rows_.running(longest - done, rows_.count);  // rows that have the step after the one at hand
        while (done < span_.to) {
            const int64_t s = longest - 1 - done;
            int64_t active = later;
            while (active < rows_.count && rows_.length(active) > s) ++active;
            step(s, active, later, meeting);
            later = active;
            ++done;
            // What is left after the last step sees the whole of it.
            const bool goes_on = !meeting.meet || meeting.meet(meeting.place);
            if (!goes_on && done < longest) return done;
        }
        if (done < longest) return done;
        if (derivative_.d_first[0] && later > 0) {
            product_with(-1, later, later);
            frame_.d = nullptr;
            sweep<Pass::step>(frame_, panel_, panel_end_, later);
        }
        save_state();
        return done;
    }

  private:
    static constexpr int states = states_of<Cell>;

    const Backward<Real>& backward_;
    const Fold<Real>& fold_;
    const Direction<Real>& direction_;
    const Derivative<Real>& derivative_;
    const Rows rows_;
    const Span& span_;
    const BackwardSpace<Cell, Real, Format>& space_;
    const BackwardBlock<Cell, Real, Format> block_;
    BackwardFrame<Cell, Real, Format> frame_;
    const int64_t hidden_, panel_, panel_end_;

    int64_t first_unit() const { return panel_ * width<Real>; }
    int64_t end_unit() const { return panel_end_ * width<Real> < hidden_ ? panel_end_ * width<Real> : hidden_; }
    size_t unit_bytes() const { return size_t(end_unit() - first_unit()) * sizeof(Real); }
    int64_t row_of(int64_t s, int64_t i) const { return space_.start[s] + rows_.place(i); }

    void load_state() const {
        const size_t bytes = size_t((panel_end_ - panel_) * width<Real>) * sizeof(Real);
        for (int64_t i = 0; i < rows_.count; ++i) {
            const int64_t to = i * frame_.row_length + first_unit(), from = rows_[i] * hidden_ + first_unit();
            const auto load_row = [&](Real* state, const Real* values) {
                __builtin_memset(state + to, 0, bytes);
                if (values) __builtin_memcpy(state + to, values + from, unit_bytes());
            };
            for (int k = 0; k < states; ++k) load_row(block_.carry[k], derivative_.d_last[k]);
            load_row(block_.mask, direction_.mask);
        }
    }

    void save_state() const {
        for (int64_t i = 0; i < rows_.count; ++i) {
            const int64_t from = i * frame_.row_length + first_unit(), to = rows_[i] * hidden_ + first_unit();
            for (int k = 0; k < states; ++k) {
                Real* const first = derivative_.d_first[k];
                if (first) __builtin_memcpy(first + to, block_.carry[k] + from, unit_bytes());
            }
        }
    }

    // What the hidden product of step s gets of the step after it, which the first `later` of the rows have: nothing
    // passes a cut.
    void product_with(int64_t s, int64_t active, int64_t later) {
        for (int64_t i = 0; i < active; ++i) {
            const bool cut = i < later && rows_.cut_before(s + 1, i);
            const bool passes = i < later && !cut;
            block_.product[i] =
                passes ? space_.d + row_of(s + 1, i) * space_.d_row + Cell::hidden_first * space_.d_gate : space_.no_d;
            if (!cut) continue;
            for (Real* carry : block_.carry) {
                if (carry) __builtin_memset(carry + i * frame_.row_length + first_unit(), 0, unit_bytes());
            }
        }
        frame_.input = later > 0 ? Cell::hidden_gates * space_.d_gate : 0;
    }

    void step(int64_t s, int64_t active, int64_t later, const Meeting& meeting) {
        product_with(s, active, later);
        for (int64_t i = 0; i < active; ++i) {
            const int64_t t = rows_.time_at(s, i), row = rows_[i], at = row_of(s, i);
            const int64_t zones = (t * fold_.sequences.batch + row) * hidden_;
            block_.d[i] = space_.d + at * space_.d_row;
            block_.kept[i] = direction_.kept.data ? direction_.kept.at(t, row) : direction_.y.at(t, row);
            if (frame_.dy) block_.dy[i] = derivative_.dy.at(t, row);
            for (int k = 0; k < states; ++k) {
                if (frame_.zones[k]) block_.zones[k][i] = direction_.zones[k] + zones;
            }
            state_before(s, i);
            if (direction_.mask) {
                const Real* const mask = block_.mask + i * frame_.row_length;
                Real* const masked = space_.h_masked + at * hidden_;
                for (int64_t unit = first_unit(); unit < end_unit(); ++unit)
                    masked[unit] = block_.state[0][i][unit] * mask[unit];
            }
            if constexpr (has_second_pass<Cell>) {
                block_.second_product[i] = block_.d[i] + Cell::second_first * space_.d_gate;
                block_.seen[i] = direction_.mask ? space_.h_masked + at * hidden_ : block_.state[0][i];
                block_.second_input[i] = space_.second_input + at * hidden_;
                if (span_.share == 0) space_.second_rows[at] = block_.second_input[i];
            }
            if (span_.share > 0) continue;
            space_.x[at] = fold_.x.at(t, row);
            for (int k = 0; k < states; ++k) space_.state[k][at] = block_.state[k][i];
            if (direction_.mask) space_.state[0][at] = space_.h_masked + at * hidden_;
            space_.kept[at] = block_.kept[i];
            if (backward_.dx.data) space_.dx[at] = backward_.dx.at(t, row);
        }
        frame_.d = block_.d;
        sweep<Pass::step>(frame_, panel_, panel_end_, active);
        if constexpr (has_second_pass<Cell>) {
            if (span_.shares > 1) meeting.meet(meeting.place);  // as forward: no stretch ends here
            sweep<Pass::step>(second_frame(), panel_, panel_end_, active);
        }
    }

    auto second_frame() const {
        SecondBackwardFrame<Cell, Real, Format> frame(fold_.layer, fold_.options, space_.second);
        frame.row_length = frame_.row_length;
        frame.x = block_.second_product;
        frame.carry = block_.carry[0];
        frame.kept = block_.kept;
        frame.seen = block_.seen;
        frame.factor = frame_.factor;
        frame.d = block_.d;
        frame.d_gate = space_.d_gate;
        frame.second_input = block_.second_input;
        return frame;
    }

    void state_before(int64_t s, int64_t i) const {
        for (int k = 0; k < states; ++k) block_.state[k][i] = space_.zeros;
        if (rows_.cut_before(s, i)) return;
        if (s > 0) {
            const int64_t t = rows_.time_at(s - 1, i);
            block_.state[0][i] = direction_.y.at(t, rows_[i]);
            for (int k = 1; k < states; ++k) {
                block_.state[k][i] = direction_.kept.at(t, rows_[i]) + (kept_by<Cell> - states + k) * hidden_;
            }
        } else {
            for (int k = 0; k < states; ++k) {
                if (direction_.first[k]) block_.state[k][i] = direction_.first[k] + rows_[i] * hidden_;
            }
        }
    }
};

template <typename Cell, typename Real, typename Format>
size_t backward_bytes(const Backward<Real>& b, const Plan& plan) {
    const size_t blocks = size_t(plan.blocks) * BackwardBlock<Cell, Real, Format>(b, plan, nullptr, 0).bytes;
    return size_t(b.fold.direction_count) * (BackwardSpace<Cell, Real, Format>(b, nullptr).bytes + blocks);
}

// The memory of one direction; those of its blocks come after the spaces of all directions.
template <typename Cell, typename Real, typename Format>
BackwardSpace<Cell, Real, Format> backward_space(const Backward<Real>& b, void* workspace, int direction) {
    char* const base = static_cast<char*>(workspace);
    return {b, base + size_t(direction) * BackwardSpace<Cell, Real, Format>(b, nullptr).bytes};
}

// What is to be there before the fold backwards in time, in parts: the transposed weights by panels; where each step's
// rows start; dx in the padding.
template <typename Cell, typename Real, typename Format>
class Preparation {
  public:
    Preparation(const Backward<Real>& b, void* workspace, int direction)
        : backward_(b),
          first_direction_(direction == 0),
          space_(backward_space<Cell, Real, Format>(b, workspace, direction)),
          weights_(b.directions[direction].weights) {}

    int64_t tasks() const { return 1 + hidden_panels() + second_panels() + input_panels(); }

    void run(int64_t task) const {
        const Layer &layer = backward_.fold.layer, hidden = transposed_hidden<Cell, Format>(layer);
        if (task == 0) return start();
        task -= 1;
        if (task < hidden_panels()) {
            return transpose({hidden, space_.hidden}, weights_.hidden, hidden, Cell::hidden_gate, task);
        }
        task -= hidden_panels();
        if constexpr (has_second_pass<Cell>) {
            const Layer second = transposed_second<Cell, Format>(layer);
            if (task < second_panels()) {
                return transpose({second, space_.second}, weights_.hidden, second, Cell::second_gate, task);
            }
            task -= second_panels();
        }
        const Layer input = transposed_input<Cell, Format>(layer);
        transpose({input, space_.input}, weights_.input, input, Cell::input_gate, task);
    }

  private:
    const Backward<Real>& backward_;
    const bool first_direction_;
    const BackwardSpace<Cell, Real, Format> space_;
    const Weights<const Real>& weights_;

    int64_t hidden_panels() const { return panel_count<Real>(backward_.fold.layer.hidden); }
    int64_t second_panels() const { return has_second_pass<Cell> ? hidden_panels() : 0; }
    int64_t input_panels() const { return backward_.dx.data ? panel_count<Real>(backward_.fold.layer.input) : 0; }

    void start() const {
        const Sequences& sequences = backward_.fold.sequences;
        const Rows rows(sequences, false, 0, 1);
        int64_t active = rows.count, count = 0;
        for (int64_t s = 0; s < sequences.time; ++s) {
            space_.start[s] = count;
            count += active = rows.running(s, active);
        }
        __builtin_memset(space_.no_d, 0, size_t(space_.d_row) * sizeof(*space_.no_d));
        __builtin_memset(space_.zeros, 0, size_t(backward_.fold.layer.hidden) * sizeof(Real));
        for (int64_t i = 0; backward_.dx.data && first_direction_ && i < rows.count; ++i) {
            for (int64_t t = rows.length(i); t < sequences.time; ++t) {
                __builtin_memset(backward_.dx.at(t, rows[i]), 0, size_t(backward_.fold.layer.input) * sizeof(Real));
            }
        }
    }

    // One panel of columns of the matrix (gates*H, columns), the gates in the order of the accumulators.
    void transpose(const Transposed<Real, Format>& to, const Real* matrix, const Layer& layer, const int* gate_of,
                   int64_t panel) const {
        const int64_t hidden = backward_.fold.layer.hidden, columns = layer.hidden, first = panel * width<Real>;
        const auto row = [&](int64_t k) {
            const int64_t gate = k / space_.d_gate, unit = k % space_.d_gate;
            if (unit >= hidden || k >= layer.input) return Vec<Real>{};
            return load_units(matrix + (gate_of[gate] * hidden + unit) * columns, first, columns);
        };
        auto* const packed = to.input + panel * to.input_panel;
        for (int64_t k = 0; k < whole_blocks<Format>(layer.input); k += Format::depth) {
            if constexpr (Format::rounds) {
                store(packed + k / 2 * width<Real>, paired(row(k), row(k + 1)));
            } else {
                store(packed + k * width<Real>, row(k));
            }
        }
        store(to.bias + first, Vec<Real>{});
    }
};

template <typename Cell, typename Real, typename Format>
int64_t fold_backward(const Backward<Real>& b, const Plan& plan, void* workspace, const Span& span,
                      const Meeting& meeting) {
    const int direction = span.block / plan.blocks;
    const auto space = backward_space<Cell, Real, Format>(b, workspace, direction);
    char* const blocks = static_cast<char*>(workspace) + size_t(b.fold.direction_count) * space.bytes;
    char* const memory = blocks + size_t(span.block) * BackwardBlock<Cell, Real, Format>(b, plan, nullptr, 0).bytes;
    return BackwardShare<Cell, Real, Format>(b, direction, plan, space, memory, span.block % plan.blocks, span)
        .run(meeting);
}

}  // namespace memfold::MEMFOLD_ISA
