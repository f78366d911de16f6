// The gradients of the weights and of x, from the gradients by the accumulators of all steps.
//
// A weight's gradient is a sum over all rows of d and of x or h: the vector runs along the gates, x or h is broadcast,
// nothing is packed. The work is divided by what is written, never by rows, so that every sum is made by one thread in
// one order.
#pragma once

#include "backward.hpp"

namespace memfold::MEMFOLD_ISA {

inline constexpr int64_t gradient_rows = 256;     // rows whose sum is made in registers
inline constexpr int64_t gradient_groups = 4;     // of vectors along the gates, and columns of x or h, in one task:
inline constexpr int64_t gradient_columns = 192;  // their sums, and the rows at hand, stay in the second-level cache
inline constexpr int64_t dx_rows = 48;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One matrix's gradient as sums over rows: of d's columns from `first` on, `gates` times H, by the columns of `rows`.
template <typename Real>
struct Outer {
    const Real* d;
    int64_t d_row, count;
    const Real* const* rows;
    int64_t inner, hidden;
    const int* gate_of;
    int gates;
    Real *matrix, *bias;

    int64_t gate_parts() const { return ceil_div(gates * hidden, gradient_groups * gradient_vectors * width<Real>); }
    int64_t column_parts() const { return ceil_div(inner, gradient_columns); }
    int64_t tasks() const { return matrix || bias ? gate_parts() * column_parts() : 0; }
};

// sums[k][·] += d's vectors times column `first + k` of the rows, over `count` rows.
template <int Columns, typename Real>
void outer_tile(const Real* d, int64_t d_row, const Real* const* rows, int64_t first, int64_t count, Real* sums) {
    using V = Vec<Real>;
    V acc[Columns][gradient_vectors] = {};
    for (int64_t r = 0; r < count; ++r) {
        const Real* const row = rows[r] + first;
        V vector[gradient_vectors];
#pragma GCC unroll 4
        for (int j = 0; j < gradient_vectors; ++j) vector[j] = load<V>(d + r * d_row + j * width<Real>);
#pragma GCC unroll 8
        for (int k = 0; k < Columns; ++k) {
            const V value = all(row[k]);
#pragma GCC unroll 4
            for (int j = 0; j < gradient_vectors; ++j) acc[k][j] = fma(value, vector[j], acc[k][j]);
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < Columns; ++k) {
#pragma GCC unroll 4
        for (int j = 0; j < gradient_vectors; ++j) {
            Real* const sum = sums + (k * gradient_vectors + j) * width<Real>;
            store(sum, load<V>(sum) + acc[k][j]);
        }
    }
}

template <int Columns, typename Real>
void outer_columns(int64_t columns, const Real* d, int64_t d_row, const Real* const* rows, int64_t first, int64_t count,
                   Real* sums) {
    if constexpr (Columns > 0) {
        if (columns < Columns) return outer_columns<Columns - 1>(columns, d, d_row, rows, first, count, sums);
        outer_tile<Columns>(d, d_row, rows, first, count, sums);
    }
}

// One part of the gates by one part of the columns.
template <typename Real>
void outer(const Outer<Real>& o, int64_t task) {
    using V = Vec<Real>;
    constexpr int64_t group_width = gradient_vectors * width<Real>, part_width = gradient_groups * group_width;
    const int64_t first_gate = task / o.column_parts() * part_width;
    const int64_t from = task % o.column_parts() * gradient_columns;
    const int64_t gate_count = smaller(o.gates * o.hidden - first_gate, part_width);
    const int64_t columns = smaller(o.inner - from, gradient_columns), tiles = ceil_div(columns, most_rows);
    const int64_t groups = ceil_div(gate_count, group_width);
    const bool biases = o.bias && from == 0;
    alignas(vector_bytes) Real sums[gradient_groups][gradient_columns * group_width], bias[part_width] = {};
    for (int64_t g = 0; g < groups; ++g) __builtin_memset(sums[g], 0, size_t(columns * group_width) * sizeof(Real));
    for (int64_t r = 0; r < o.count; r += gradient_rows) {
        const int64_t count = smaller(o.count - r, gradient_rows);
        for (int64_t g = 0; g < groups; ++g) {
            const Real* const d = o.d + r * o.d_row + first_gate + g * group_width;
            for (int64_t tile = 0; o.matrix && tile < tiles; ++tile) {
                const int64_t first = columns * tile / tiles, end = columns * (tile + 1) / tiles;
                outer_columns<most_rows>(end - first, d, o.d_row, o.rows + r, from + first, count,
                                         sums[g] + first * group_width);
            }
            if (!biases) continue;
            V part[gradient_vectors] = {};
            for (int64_t s = 0; s < count; ++s) {
                for (int j = 0; j < gradient_vectors; ++j) part[j] += load<V>(d + s * o.d_row + j * width<Real>);
            }
            for (int j = 0; j < gradient_vectors; ++j) {
                Real* const sum = bias + g * group_width + j * width<Real>;
                store(sum, load<V>(sum) + part[j]);
            }
        }
    }
    // Transposed in small blocks: the sums lie along the gates, the gradient along the columns.
    constexpr int64_t block = 16;
    const auto gate_row = [&](int64_t gate) {
        const int64_t column = first_gate + gate;
        return o.gate_of[column / o.hidden] * o.hidden + column % o.hidden;
    };
    for (int64_t gates = 0; o.matrix && gates < gate_count; gates += block) {
        for (int64_t k = 0; k < columns; k += block) {
            for (int64_t gate = gates; gate < smaller(gates + block, gate_count); ++gate) {
                Real* const row = o.matrix + gate_row(gate) * o.inner + from;
                const Real* const sum = sums[gate / group_width] + gate % group_width;
                for (int64_t c = k; c < smaller(k + block, columns); ++c) row[c] = sum[c * group_width];
            }
        }
    }
    for (int64_t gate = 0; biases && gate < gate_count; ++gate) o.bias[gate_row(gate)] = bias[gate];
}

template <typename Cell, typename Real>
class Gradients {
  public:
    Gradients(const Backward<Real>& b, void* workspace, int direction)
        : backward_(b),
          space_(backward_space<Cell, Real>(b, workspace, direction)),
          derivative_(b.directions[direction]),
          hidden_(b.fold.layer.hidden),
          matrices_{matrix(space_.x, b.fold.layer.input, Cell::input_first, Cell::input_gate, Cell::input_gates,
                           derivative_.gradient.input, derivative_.gradient.input_bias),
                    matrix(space_.state[0], hidden_, Cell::hidden_first, Cell::hidden_gate, Cell::hidden_gates,
                           derivative_.gradient.hidden, derivative_.gradient.hidden_bias),
                    second_matrix()} {}

    int64_t weight_tasks() const {
        int64_t count = peephole_tasks();
        for (const Outer<Real>& o : matrices_) count += o.tasks();
        return count;
    }
    int64_t dx_tasks() const { return backward_.dx.data ? ceil_div(backward_.steps, dx_rows) : 0; }

    void weights(int64_t task) const {
        for (const Outer<Real>& o : matrices_) {
            if (task < o.tasks()) return outer(o, task);
            task -= o.tasks();
        }
        if constexpr (Cell::peepholes > 0) peepholes(task);
    }

    // dx of a few rows, or what this direction adds to it.
    void dx(int64_t task, bool adds) const {
        const Layer layer = transposed_input<Cell>(backward_.fold.layer);
        const int64_t from = task * dx_rows;
        const int64_t count = smaller(backward_.steps - from, dx_rows);
        const Real* rows[dx_rows];
        Real* to[dx_rows];
        for (int64_t i = 0; i < count; ++i) {
            rows[i] = space_.d + (from + i) * space_.d_row + Cell::input_first * hidden_;
            to[i] = space_.dx[from + i];
        }
        Frame<Linear, Real, Full<Real>> frame(layer, {Real(__builtin_inf()), {}}, space_.input);
        frame.x = rows;
        frame.y = to;
        frame.adds = adds;
        sweep<Pass::step>(frame, 0, panel_count<Real>(layer.hidden), count);
    }

  private:
    const Backward<Real>& backward_;
    const BackwardSpace<Cell, Real> space_;
    const Derivative<Real>& derivative_;
    const int64_t hidden_;
    const Outer<Real> matrices_[3];

    Outer<Real> matrix(const Real* const* rows, int64_t inner, int first, const int* gate_of, int gates, Real* gradient,
                       Real* bias) const {
        return {space_.d + first * hidden_,
                space_.d_row,
                backward_.steps,
                rows,
                inner,
                hidden_,
                gate_of,
                gates,
                gradient,
                bias};
    }

    // Nothing for a cell without a second pass.
    Outer<Real> second_matrix() const {
        if constexpr (has_second_pass<Cell>) {
            return matrix(space_.second_rows, hidden_, Cell::second_first, Cell::second_gate, Cell::second_gates,
                          derivative_.gradient.hidden, derivative_.gradient.hidden_bias);
        }
        return {};
    }

    int64_t peephole_tasks() const { return derivative_.gradient.peephole ? panel_count<Real>(hidden_) : 0; }

    // i and f see the cell before the step, o the new one, before zoneout.
    void peepholes(int64_t panel) const {
        using V = Vec<Real>;
        const int64_t unit = panel * width<Real>;
        V sums[Cell::peepholes] = {};
        for (int64_t from = 0; from < backward_.steps; from += gradient_rows) {
            const int64_t end = smaller(from + gradient_rows, backward_.steps);
            V part[Cell::peepholes] = {};
            for (int64_t r = from; r < end; ++r) {
                V values[kept_by<Cell>];
                for (int k = 0; k < kept_by<Cell> - (states_of<Cell> - 1); ++k) {
                    values[k] = load_units(space_.kept[r] + k * hidden_, unit, hidden_);
                }
                const V before = load_units(space_.state[1][r], unit, hidden_);
                const V now = Cell::template cell<Real>(values, before);
                for (int p = 0; p < Cell::peepholes; ++p) {
                    const V d = load_units(space_.d + r * space_.d_row + Cell::peephole_of[p] * hidden_, unit, hidden_);
                    part[p] = fma(d, p == Cell::peepholes - 1 ? now : before, part[p]);
                }
            }
            for (int p = 0; p < Cell::peepholes; ++p) sums[p] += part[p];
        }
        for (int p = 0; p < Cell::peepholes; ++p) {
            store_units(derivative_.gradient.peephole + p * hidden_, unit, hidden_, sums[p]);
        }
    }
};

// Tasks are numbered through the directions.
template <typename Cell, typename Real>
int64_t tasks(const Backward<Real>& b, Phase phase) {
    const int directions = b.fold.direction_count;
    const auto gradients = [&](int direction) { return Gradients<Cell, Real>(b, nullptr, direction); };
    switch (phase) {
        case Phase::prepare:
            return directions * Preparation<Cell, Real>(b, nullptr, 0).tasks();
        case Phase::gradients: {
            int64_t count = gradients(0).dx_tasks();
            for (int d = 0; d < directions; ++d) count += gradients(d).weight_tasks();
            return count;
        }
        case Phase::second_dx:
            return directions > 1 ? gradients(1).dx_tasks() : 0;
    }
    return 0;
}

template <typename Cell, typename Real>
void task(const Backward<Real>& b, void* workspace, Phase phase, int64_t number) {
    const auto gradients = [&](int direction) { return Gradients<Cell, Real>(b, workspace, direction); };
    switch (phase) {
        case Phase::prepare: {
            const int64_t each = Preparation<Cell, Real>(b, nullptr, 0).tasks();
            return Preparation<Cell, Real>(b, workspace, int(number / each)).run(number % each);
        }
        case Phase::gradients:
            for (int d = 0; d < b.fold.direction_count; ++d) {
                const auto own = gradients(d);
                if (number < own.weight_tasks()) return own.weights(number);
                number -= own.weight_tasks();
            }
            return gradients(0).dx(number, false);
        case Phase::second_dx:
            return gradients(1).dx(number, true);
    }
}

}  // namespace memfold::MEMFOLD_ISA
