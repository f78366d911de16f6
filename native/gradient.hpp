// The gradients of the weights and of x, from the gradients by the accumulators of all steps.
//
// A weight's gradient is a sum over all rows of d and of x or h: the vector runs along the gates, x or h is broadcast,
// nothing is packed; in bfloat16 two rows at a time are laid out as pairs. The work is divided by what is written,
// never by rows, so that every sum is made by one thread in one order.
#pragma once

#include "backward.hpp"

namespace memfold::MEMFOLD_ISA {

inline constexpr int64_t gradient_rows = 256;     // rows whose sum is made in registers
inline constexpr int64_t gradient_groups = 4;     // of vectors along the gates, and columns of x or h, in one task:
inline constexpr int64_t gradient_columns = 192;  // their sums, and the rows at hand, stay in the second-level cache
inline constexpr int64_t dx_rows = has_matrices ? 64 : 48;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One matrix's gradient as sums over rows: of `gates` gates of d, d_gate columns each, by the columns of `rows`.
template <typename Real, typename Format>
struct Outer {
    const typename Format::Input* d;
    int64_t d_row, d_gate, count;
    const Real* const* rows;
    int64_t inner, hidden;
    const int* gate_of;
    int gates;
    Real *matrix, *bias;

    int64_t gate_parts() const { return ceil_div(gates * d_gate, gradient_groups * gradient_vectors * width<Real>); }
    int64_t column_parts() const { return ceil_div(inner, gradient_columns); }
    int64_t tasks() const { return matrix || bias ? gate_parts() * column_parts() : 0; }
};

template <int Columns, typename Real>
MEMFOLD_INLINE void add_to_sums(const Vec<Real> (&acc)[Columns][gradient_vectors], Real* sums) {
#pragma GCC unroll 8
    for (int k = 0; k < Columns; ++k) {
#pragma GCC unroll 4
        for (int j = 0; j < gradient_vectors; ++j) {
            Real* const sum = sums + (k * gradient_vectors + j) * width<Real>;
            store(sum, load<Vec<Real>>(sum) + acc[k][j]);
        }
    }
}

// Some rows of a group of d's columns, and of the columns of x or h in a task.
template <typename Real, typename Format>
class OuterRows {
  public:
    // `count` rows from `first_row` on, and as many `columns` from `from` on.
    OuterRows(const Outer<Real, Format>& o, int64_t first_row, int64_t count, int64_t from, int64_t)
        : d_(o.d + first_row * o.d_row), d_row_(o.d_row), rows_(o.rows + first_row), from_(from), count_(count) {}

    // The columns of d from `first` on.
    void take_group(int64_t first) { group_ = d_ + first; }

    // sums[k][·] += the group's vectors times column `first + k` of the rows, over all of these.
    template <int Columns>
    void add(int64_t first, Real* sums) const {
        using V = Vec<Real>;
        V acc[Columns][gradient_vectors] = {};
        for (int64_t r = 0; r < count_; ++r) {
            const Real* const row = rows_[r] + from_ + first;
            V vector[gradient_vectors];
#pragma GCC unroll 4
            for (int j = 0; j < gradient_vectors; ++j) vector[j] = load<V>(group_ + r * d_row_ + j * width<Real>);
#pragma GCC unroll 8
            for (int k = 0; k < Columns; ++k) {
                const V value = all(row[k]);
#pragma GCC unroll 4
                for (int j = 0; j < gradient_vectors; ++j) acc[k][j] = fma(value, vector[j], acc[k][j]);
            }
        }
        add_to_sums<Columns, Real>(acc, sums);
    }

    void add_biases(Real* sums) const {
        Vec<Real> part[1][gradient_vectors] = {};
        for (int64_t r = 0; r < count_; ++r) {
            for (int j = 0; j < gradient_vectors; ++j)
                part[0][j] += load<Vec<Real>>(group_ + r * d_row_ + j * width<Real>);
        }
        add_to_sums<1, Real>(part, sums);
    }

  private:
    const Real* d_;
    int64_t d_row_;
    const Real* const* rows_;
    int64_t from_, count_;
    const Real* group_ = nullptr;
};

// d of some rows in bfloat16, two rows side by side in pairs; the row that an odd number of them lacks is 0.
class GroupPairs {
  public:
    GroupPairs(const Rounded* d, int64_t d_row, int64_t count) : d_(d), d_row_(d_row), count_(count) {}

    void take(int64_t first) {
        for (int64_t r = 0; r < count_; r += 2) {
            const Rounded* const even = d_ + r * d_row_ + first;
            for (int j = 0; j < gradient_vectors; ++j) {
                const Rounded* const at = even + j * width<float>;
                group_[r / 2][j] = r + 1 < count_ ? paired(at, at + d_row_) : alone(at);
            }
        }
    }

    int64_t count() const { return (count_ + 1) / 2; }
    const Pairs (&operator[](int64_t pair) const)[gradient_vectors] { return group_[pair]; }
    void clear(int64_t pair) { __builtin_memset(group_[pair], 0, sizeof group_[pair]); }

    void add_biases(float* sums) const {
        alignas(vector_bytes) Rounded ones[2 * width<float>];
        store_pairs(ones, paired(all(1.0f), all(1.0f)));
        Vec<float> part[1][gradient_vectors] = {};
        for (int64_t pair = 0; pair < count(); ++pair) {
            for (int j = 0; j < gradient_vectors; ++j)
                part[0][j] = add_products(part[0][j], factor(ones, 0), unpacked(group_[pair][j]));
        }
        add_to_sums<1, float>(part, sums);
    }

  private:
    const Rounded* d_;
    int64_t d_row_, count_;
    Pairs group_[gradient_rows / 2][gradient_vectors];

    static MEMFOLD_INLINE Pairs alone(const Rounded* even) {
        return paired(Half::load_part(even, width<float>), Vec<float>{});
    }
};

// The vectors of units of two rows of x or h, as pairs; the second row may be missing.
MEMFOLD_INLINE Pairs column_pairs(const Outer<float, Half>& o, int64_t row, bool alone, int64_t from, int64_t k,
                                  int64_t columns) {
    const Vec<float> even = load_units(o.rows[row] + from, k, columns);
    return paired(even, alone ? Vec<float>{} : load_units(o.rows[row + 1] + from, k, columns));
}

#if defined(__AMX_BF16__) || defined(MEMFOLD_SOFT_AMX)
// The same by matrix registers: 16 columns of x or h, which lie along the rows here, by the four vectors of a group.
template <>
class OuterRows<float, Half> {
  public:
    OuterRows(const Outer<float, Half>& o, int64_t first_row, int64_t count, int64_t from, int64_t columns)
        : group_(o.d + first_row * o.d_row, o.d_row, count), blocks_(ceil_div(count, matrix_inner)) {
        shape_matrices({16, 16, 16, 16, 16, 16, 16, 16});
        for (int64_t k = 0; k < columns; k += width<float>) {
            for (int64_t block = 0; block < blocks_; ++block) {
                Pairs pairs[matrix_inner / 2];
                for (int pair = 0; pair < matrix_inner / 2; ++pair) {
                    const int64_t r = block * matrix_inner + 2 * pair;
                    pairs[pair] =
                        r < count ? column_pairs(o, first_row + r, r + 1 == count, from, k, columns) : Pairs{};
                }
                transpose(pairs);
                for (int column = 0; column < matrix_rows; ++column) {
                    store_pairs(x_ + (k + column) * row_length + block * matrix_inner, pairs[column]);
                }
            }
        }
        for (int64_t pair = group_.count(); pair < blocks_ * matrix_inner / 2; ++pair) group_.clear(pair);
    }
    ~OuterRows() { release_matrices(); }
    OuterRows(const OuterRows&) = delete;
    OuterRows& operator=(const OuterRows&) = delete;

    void take_group(int64_t first) { group_.take(first); }

    // sums[k][·] += the group's vectors times column k of the rows, of all columns and over all of these rows.
    void add_all(int64_t columns, float* sums) const {
        constexpr int64_t sum_row = gradient_vectors * vector_bytes;
        for (int64_t k = 0; k < columns; k += matrix_rows, sums += matrix_rows * gradient_vectors * width<float>) {
            each([&](auto j) MEMFOLD_LAMBDA { load_matrix<j>(sums + j * width<float>, sum_row); });
            for (int64_t block = 0; block < blocks_; ++block) {
                load_matrix<4>(x_ + k * row_length + block * matrix_inner, row_length * int64_t(sizeof(Rounded)));
                each([&](auto j) MEMFOLD_LAMBDA {
                    load_matrix<6 + j % 2>(&group_[block * matrix_inner / 2][j], sum_row);
                    multiply_matrices<j, 4, 6 + j % 2>();
                });
            }
            each([&](auto j) MEMFOLD_LAMBDA { store_matrix<j>(sums + j * width<float>, sum_row); });
        }
    }

    void add_biases(float* sums) const { group_.add_biases(sums); }

  private:
    static constexpr int64_t row_length = gradient_rows + 32;  // so that rows do not all fall into the same cache sets

    GroupPairs group_;
    const int64_t blocks_;
    alignas(vector_bytes) Rounded x_[gradient_columns * row_length];  // (column, row)

    template <typename Body>
    static MEMFOLD_INLINE void each(const Body& body) {
        unrolled<0, gradient_vectors>(body);
    }
};
#else
// The same in bfloat16, of pairs of rows.
template <>
class OuterRows<float, Half> {
  public:
    OuterRows(const Outer<float, Half>& o, int64_t first_row, int64_t count, int64_t from, int64_t columns)
        : group_(o.d + first_row * o.d_row, o.d_row, count) {
        for (int64_t r = 0; r < count; r += 2) {
            for (int64_t k = 0; k < columns; k += width<float>) {
                store_pairs(x_ + (r / 2 * most_columns + k) * 2,
                            column_pairs(o, first_row + r, r + 1 == count, from, k, columns));
            }
        }
    }

    void take_group(int64_t first) { group_.take(first); }

    template <int Columns>
    void add(int64_t first, float* sums) const {
        V acc[Columns][gradient_vectors] = {};
        for (int64_t pair = 0; pair < group_.count(); ++pair) {
            const Rounded* const row = x_ + (pair * most_columns + first) * 2;
            Weight vector[gradient_vectors];
#pragma GCC unroll 4
            for (int j = 0; j < gradient_vectors; ++j) vector[j] = unpacked(group_[pair][j]);
#pragma GCC unroll 8
            for (int k = 0; k < Columns; ++k) {
                const Factor value = factor(row, k);
#pragma GCC unroll 4
                for (int j = 0; j < gradient_vectors; ++j) acc[k][j] = add_products(acc[k][j], value, vector[j]);
            }
        }
        add_to_sums<Columns, float>(acc, sums);
    }

    void add_biases(float* sums) const { group_.add_biases(sums); }

  private:
    using V = Vec<float>;
    // So that rows do not all fall into the same cache sets, which the pairs of d take besides.
    static constexpr int64_t most_columns = gradient_columns + 8;

    GroupPairs group_;
    alignas(vector_bytes) Rounded x_[gradient_rows * most_columns];  // (pair of rows, column, 2)
};
#endif

template <int Columns, typename Rows, typename Real>
void outer_columns(int64_t columns, const Rows& rows, int64_t first, Real* sums) {
    if constexpr (Columns > 0) {
        if (columns < Columns) return outer_columns<Columns - 1>(columns, rows, first, sums);
        rows.template add<Columns>(first, sums);
    }
}

// One part of the gates by one part of the columns.
template <typename Real, typename Format>
void outer(const Outer<Real, Format>& o, int64_t task) {
    constexpr int64_t group_width = gradient_vectors * width<Real>, part_width = gradient_groups * group_width;
    const int64_t first_gate = task / o.column_parts() * part_width;
    const int64_t from = task % o.column_parts() * gradient_columns;
    const int64_t gate_count = smaller(o.gates * o.d_gate - first_gate, part_width);
    const int64_t columns = smaller(o.inner - from, gradient_columns), tiles = ceil_div(columns, most_rows);
    const int64_t groups = ceil_div(gate_count, group_width);
    const bool biases = o.bias && from == 0;
    alignas(vector_bytes) Real sums[gradient_groups][gradient_columns * group_width], bias[part_width] = {};
    const int64_t summed = has_matrices ? ceil_div(columns, matrix_rows) * matrix_rows : columns;
    for (int64_t g = 0; g < groups; ++g) __builtin_memset(sums[g], 0, size_t(summed * group_width) * sizeof(Real));
    for (int64_t r = 0; r < o.count; r += gradient_rows) {
        OuterRows<Real, Format> rows(o, r, smaller(o.count - r, gradient_rows), from, o.matrix ? columns : 0);
        for (int64_t g = 0; g < groups; ++g) {
            rows.take_group(first_gate + g * group_width);
            if constexpr (has_matrices && Format::rounds) {
                if (o.matrix) rows.add_all(columns, sums[g]);
            } else {
                for (int64_t tile = 0; o.matrix && tile < tiles; ++tile) {
                    const int64_t first = columns * tile / tiles, end = columns * (tile + 1) / tiles;
                    outer_columns<most_rows>(end - first, rows, first, sums[g] + first * group_width);
                }
            }
            if (biases) rows.add_biases(bias + g * group_width);
        }
    }
    // Transposed in small blocks: the sums lie along the gates, the gradient along the columns.
    constexpr int64_t block = 16;
    const auto gate_row = [&](int64_t gate) {  // -1 of a unit that fills up a lane
        const int64_t gate_at = (first_gate + gate) / o.d_gate, unit = (first_gate + gate) % o.d_gate;
        return unit < o.hidden ? o.gate_of[gate_at] * o.hidden + unit : -1;
    };
    for (int64_t gates = 0; o.matrix && gates < gate_count; gates += block) {
        for (int64_t k = 0; k < columns; k += block) {
            for (int64_t gate = gates; gate < smaller(gates + block, gate_count); ++gate) {
                if (gate_row(gate) < 0) continue;
                Real* const row = o.matrix + gate_row(gate) * o.inner + from;
                const Real* const sum = sums[gate / group_width] + gate % group_width;
                for (int64_t c = k; c < smaller(k + block, columns); ++c) row[c] = sum[c * group_width];
            }
        }
    }
    for (int64_t gate = 0; biases && gate < gate_count; ++gate) {
        if (gate_row(gate) >= 0) o.bias[gate_row(gate)] = bias[gate];
    }
}

template <typename Cell, typename Real, typename Format>
class Gradients {
  public:
    Gradients(const Backward<Real>& b, void* workspace, int direction)
        : backward_(b),
          space_(backward_space<Cell, Real, Format>(b, workspace, direction)),
          derivative_(b.directions[direction]),
          hidden_(b.fold.layer.hidden),
          matrices_{matrix(space_.x, b.fold.layer.input, Cell::input_first, Cell::input_gate, Cell::input_gates,
                           derivative_.gradient.input, derivative_.gradient.input_bias),
                    matrix(space_.state[0], hidden_, Cell::hidden_first, Cell::hidden_gate, Cell::hidden_gates,
                           derivative_.gradient.hidden, derivative_.gradient.hidden_bias),
                    second_matrix()} {}

    int64_t weight_tasks() const {
        int64_t count = peephole_tasks();
        for (const Outer<Real, Format>& o : matrices_) count += o.tasks();
        return count;
    }
    int64_t dx_tasks() const { return backward_.dx.data ? ceil_div(backward_.steps, dx_rows) : 0; }

    void weights(int64_t task) const {
        for (const Outer<Real, Format>& o : matrices_) {
            if (task < o.tasks()) return outer(o, task);
            task -= o.tasks();
        }
        if constexpr (Cell::peepholes > 0) peepholes(task);
    }

    // dx of a few rows, or what this direction adds to it.
    void dx(int64_t task, bool adds) const {
        const Layer layer = transposed_input<Cell, Format>(backward_.fold.layer);
        const int64_t from = task * dx_rows;
        const int64_t count = smaller(backward_.steps - from, dx_rows);
        const typename Format::Input* rows[dx_rows];
        Real* to[dx_rows];
        for (int64_t i = 0; i < count; ++i) {
            rows[i] = space_.d + (from + i) * space_.d_row + Cell::input_first * space_.d_gate;
            to[i] = space_.dx[from + i];
        }
        Frame<Linear, Real, Format> frame(layer, {Real(__builtin_inf()), {}}, space_.input);
        frame.x = rows;
        frame.y = to;
        frame.adds = adds;
        sweep<Pass::step>(frame, 0, panel_count<Real>(layer.hidden), count);
    }

  private:
    const Backward<Real>& backward_;
    const BackwardSpace<Cell, Real, Format> space_;
    const Derivative<Real>& derivative_;
    const int64_t hidden_;
    const Outer<Real, Format> matrices_[3];

    Outer<Real, Format> matrix(const Real* const* rows, int64_t inner, int first, const int* gate_of, int gates,
                               Real* gradient, Real* bias) const {
        return {space_.d + first * space_.d_gate,
                space_.d_row,
                space_.d_gate,
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
    Outer<Real, Format> second_matrix() const {
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
                    const auto* const of_gate = space_.d + r * space_.d_row + Cell::peephole_of[p] * space_.d_gate;
                    const V d = Format::load_part(of_gate + unit, smaller(width<Real>, hidden_ - unit));
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
template <typename Cell, typename Real, typename Format>
int64_t tasks(const Backward<Real>& b, Phase phase) {
    const int directions = b.fold.direction_count;
    const auto gradients = [&](int direction) { return Gradients<Cell, Real, Format>(b, nullptr, direction); };
    switch (phase) {
        case Phase::prepare:
            return directions * Preparation<Cell, Real, Format>(b, nullptr, 0).tasks();
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

template <typename Cell, typename Real, typename Format>
void task(const Backward<Real>& b, void* workspace, Phase phase, int64_t number) {
    const auto gradients = [&](int direction) { return Gradients<Cell, Real, Format>(b, workspace, direction); };
    switch (phase) {
        case Phase::prepare: {
            const int64_t each = Preparation<Cell, Real, Format>(b, nullptr, 0).tasks();
            return Preparation<Cell, Real, Format>(b, workspace, int(number / each)).run(number % each);
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
