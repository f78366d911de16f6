// One step of a cell: the tiles that multiply and then apply the cell's formula, and the sweep of tiles over all rows
// and panels.
#pragma once

#include <type_traits>

#include "cells.hpp"
#include "panel.hpp"

namespace memfold::MEMFOLD_ISA {

// Elements from one row of the state to the next: whole vectors, and one more so that rows of a power of two do not all
// fall into the same cache sets.
template <typename Real>
constexpr int64_t row_length(int64_t hidden) {
    return (panel_count<Real>(hidden) + 1) * width<Real>;
}

template <typename Real>
MEMFOLD_INLINE void store_units(Real* row, int64_t unit, int64_t hidden, Vec<Real> v) {
    if (unit + width<Real> <= hidden) {
        store(row + unit, v);
    } else {
        store_part(row + unit, v, hidden - unit);
    }
}

template <typename Real>
MEMFOLD_INLINE Vec<Real> load_units(const Real* row, int64_t unit, int64_t hidden) {
    return unit + width<Real> <= hidden ? load<Vec<Real>>(row + unit) : load_part(row + unit, hidden - unit);
}

// A row as products in bfloat16 take it, filled up with zeros to whole vectors.
inline void round_row(const float* row, int64_t count, Rounded* to) {
    for (int64_t k = 0; k < count; k += width<float>) store_rounded(to + k, load_units(row, k, count));
}

// What a step's first pass over the units leaves for the second: what its product multiplies, where its accumulators
// begin, and the opened values.
template <typename Cell, typename Real, typename Format>
struct Between {
    typename Format::Input* input = nullptr;
    Real *begun = nullptr, *opened = nullptr;
    int64_t begun_panel = 0, opened_rows = 0;  // elements from one panel, or one opened value, to the next
    size_t bytes = 0;

    Between() = default;
    Between(int64_t rows, int64_t hidden, void* memory) {
        if constexpr (has_second_pass<Cell>) {
            Arena arena(memory);
            begun_panel = rows * Cell::second_gates * width<Real>;
            opened_rows = rows * row_length<Real>(hidden);
            input = arena.take<typename Format::Input>(opened_rows);
            begun = arena.take<Real>(panel_count<Real>(hidden) * begun_panel);
            opened = arena.take<Real>(Cell::opened * opened_rows);
            bytes = arena.bytes();
        }
    }

    // The same for the rows from `row` on.
    Between from(int64_t row, int64_t row_length) const {
        Between rest = *this;
        if constexpr (has_second_pass<Cell>) {
            rest.input += row * row_length;
            rest.begun += row * Cell::second_gates * width<Real>;
            rest.opened += row * row_length;
        }
        return rest;
    }
};

// How many sums a unit has, and which of them the input product and the hidden product add to: all that a tile knows of
// a cell.
template <int accumulators_of, int input_first_of, int input_gates_of, int hidden_first_of, int hidden_gates_of>
struct Sums {
    static constexpr int accumulators = accumulators_of;
    static constexpr int input_first = input_first_of, input_gates = input_gates_of;
    static constexpr int hidden_first = hidden_first_of, hidden_gates = hidden_gates_of;
};

template <typename Cell>
using SumsOf = Sums<Cell::accumulators, Cell::input_first, Cell::input_gates, Cell::hidden_first, Cell::hidden_gates>;

// What the tiles of one step multiply. Rows are those of the block at hand; `seen` and every state have row_length
// elements from row to row.
template <typename SumsOf, typename RealOf, typename FormatOf>
struct Products {
    using Multiplied = Products;
    using Cell = SumsOf;
    using Real = RealOf;
    using Format = FormatOf;
    using Input = typename Format::Input;
    using V = Vec<Real>;
    // What comes of finished accumulators (rows, panels, Cell::accumulators): see finish_tile.
    using Finish = void(const Products&, int64_t first_panel, int panels, int64_t first_row, int rows, const V* pre);

    const typename Format::Element *input_weights, *hidden_weights;
    int64_t input_panel, hidden_panel;  // elements from one panel to the next
    const Real* bias;
    int64_t input, hidden;
    Finish* finish_rows;
    int64_t row_length = 0;
    const Input* const* x = nullptr;  // a pointer for each row
    const Input* seen = nullptr;      // what the hidden product sees
    Real* projected = nullptr;        // pre-activations of the input, (panel, row, input gates, width)
    int64_t projected_panel = 0;
};

// A tile's end where the formula, F's, stands once for all tiles.
template <typename F>
[[gnu::noinline]] void finish_tile(const typename F::Multiplied& products, int64_t first_panel, int panels,
                                   int64_t first_row, int rows, const typename F::V* pre) {
    const F& f = static_cast<const F&>(products);
    for (int row = 0; row < rows; ++row) {
#pragma GCC unroll 1
        for (int panel = 0; panel < panels; ++panel, pre += F::Multiplied::Cell::accumulators) {
            f.finish(first_panel + panel, first_row + row, pre);
        }
    }
}

// Everything the tiles of one step read and write.
template <typename CellOf, typename RealOf, typename FormatOf>
struct Frame : Products<SumsOf<CellOf>, RealOf, FormatOf> {
    using Base = Products<SumsOf<CellOf>, RealOf, FormatOf>;
    using Cell = CellOf;
    using Formula = CellOf;
    using Real = RealOf;
    using Format = FormatOf;
    using V = Vec<Real>;
    using Base::hidden, Base::row_length;
    static constexpr int states = states_of<Cell>, own_kept = kept_by<Cell> - (states - 1);

    Packed<Cell, Real, Format> packed;
    Settings<Real> settings;
    const Real* h = nullptr;
    Real* state[most_states] = {};  // the new state: h, null where it is not wanted; the others in the old one's place
    typename Format::Input* seen_next = nullptr;  // where the hidden product sees something else than h
    const Real* mask = nullptr;
    Real* const* y = nullptr;  // a pointer for each row, or null
    uint16_t* const* y_rounded = nullptr;
    bool adds = false;  // y is added to
    Real* const* kept = nullptr;
    const Real* const* zones[most_states] = {};
    Between<Cell, Real, Format> between;

    Frame(const Layer& layer, const Options<Real>& options, const void* weights)
        : Frame(layer, options, Packed<Cell, Real, Format>(layer, const_cast<void*>(weights))) {}

    Frame(const Layer& layer, const Options<Real>& options, const Packed<Cell, Real, Format>& weights)
        : Base{weights.input, weights.hidden, weights.input_panel, weights.hidden_panel,
               weights.bias,  layer.input,    layer.hidden,        finish_tile<Frame>},
          packed(weights),
          settings(options) {}

    // How far each of the units at hand keeps its old value of state k.
    MEMFOLD_INLINE V zone(int k, int64_t row, int64_t unit) const {
        return zones[k] ? load_units(zones[k][row], unit, hidden) : settings.zoneout[k];
    }

    // What comes of a row's finished accumulators of one panel.
    MEMFOLD_INLINE void finish(int64_t panel, int64_t row, const V* pre) const {
        if constexpr (has_second_pass<Cell>) {
            open(panel, row, pre);
        } else {
            close(panel, row, pre);
        }
    }

    // The end of the first pass of two.
    MEMFOLD_INLINE void open(int64_t panel, int64_t row, const V* pre) const {
        const int64_t at = row * row_length + panel * width<Real>;
        V values[Cell::opened], seen{};
        if (h) seen = load<V>(h + at);
        if (mask) seen *= load<V>(mask + at);
        Format::store(between.input + at, Cell::template open<Real>(pre, seen, settings, values));
        for (int k = 0; k < Cell::opened; ++k) store(between.opened + k * between.opened_rows + at, values[k]);
        Real* const begun = between.begun + panel * between.begun_panel + row * Cell::second_gates * width<Real>;
        for (int g = 0; g < Cell::second_gates; ++g) store(begun + g * width<Real>, pre[Cell::second_first + g]);
    }

    // The cell's formula.
    MEMFOLD_INLINE void close(int64_t panel, int64_t row, const V* pre) const {
        const int64_t unit_at = panel * width<Real>, at = row * row_length + unit_at;
        V peephole[Cell::peepholes + 1], values[kept_by<Cell>];
        if constexpr (has_second_pass<Cell>) {
            for (int k = 0; k < Cell::opened; ++k) values[k] = load<V>(between.opened + k * between.opened_rows + at);
        }
        const bool peeps = Cell::peepholes > 0 && packed.peephole != nullptr;
        for (int p = 0; peeps && p < Cell::peepholes; ++p) {
            peephole[p] = load<V>(packed.peephole + (panel * Cell::peepholes + p) * width<Real>);
        }
        Unit<Real> before{};
        if (h) before.state[0] = load<V>(h + at);
#pragma GCC unroll 4
        for (int k = 1; k < states; ++k) before.state[k] = load<V>(state[k] + at);
        Unit<Real> unit = before;
        Cell::template step<Real>(pre, peeps ? peephole : nullptr, settings, unit, values);
        if (settings.zones) {
#pragma GCC unroll 4
            for (int k = 0; k < states; ++k) {
                unit.state[k] = zoned<Real>(zone(k, row, unit_at), before.state[k], unit.state[k]);
            }
        }
        const V now = unit.state[0];
        if (state[0]) store(state[0] + at, now);
        if (seen_next) Format::store(seen_next + at, mask ? now * load<V>(mask + at) : now);
#pragma GCC unroll 4
        for (int k = 1; k < states; ++k) {
            values[own_kept + k - 1] = unit.state[k];
            store(state[k] + at, unit.state[k]);
        }
        if (y) store_units(y[row], unit_at, hidden, adds ? now + load_units(y[row], unit_at, hidden) : now);
        if constexpr (Format::rounds) {
            if (y_rounded) {
                const int64_t units = hidden - unit_at;
                uint16_t* const to = y_rounded[row] + unit_at;
                units < width<Real> ? store_narrow(to, now, units) : store_narrow(to, now, width<Real>);
            }
        }
        for (int k = 0; kept && k < kept_by<Cell>; ++k) store_units(kept[row] + k * hidden, unit_at, hidden, values[k]);
    }
};

// The frame of the second pass, beside that of the first. There is no input: its product was made in the first pass,
// and the biases are in it.
template <typename CellOf, typename RealOf, typename FormatOf>
struct SecondFrame : Products<SumsOf<SecondPass<CellOf>>, RealOf, FormatOf> {
    using Base = Products<SumsOf<SecondPass<CellOf>>, RealOf, FormatOf>;
    using Real = RealOf;
    using Format = FormatOf;
    using V = Vec<Real>;
    using First = Frame<CellOf, Real, Format>;
    using Formula = CellOf;

    const First& first;

    explicit SecondFrame(const First& f)
        : Base{nullptr,
               f.packed.second,
               0,
               f.packed.second_panel,
               f.packed.bias,
               0,
               f.hidden,
               finish_tile<SecondFrame>,
               f.row_length,
               nullptr,
               f.between.input,
               f.between.begun,
               f.between.begun_panel},
          first(f) {}

    MEMFOLD_INLINE void finish(int64_t panel, int64_t row, const V* pre) const { first.close(panel, row, pre); }
};

// Whether a cell's formula stands in each of its tiles, two rows at a time, and not once for all of them. It gains up
// to a tenth where a step is a few nanoseconds, and is most of a tile's code: so not for x86-64-v2, processors of
// before 2013, nor for the formats and cells that are rarer. Where it does not, cells of the same sums share their
// tiles.
template <typename F>
constexpr bool has_formula_in_tiles() {
    if constexpr (std::is_same_v<F, typename F::Multiplied> || !std::is_same_v<typename F::Format, Full<float>>) {
        return false;
    } else {
        return !is_rare<typename F::Formula> && (vector_bytes > 16 || registers > 16);
    }
}
template <typename F>
inline constexpr bool formula_in_tiles = has_formula_in_tiles<F>();

// F is the frame that the tile works in: Products, or, where the formula stands in the tile, one that has it.
template <typename F, int Rows, int Panels>
struct Tile {
    using Cell = typename F::Multiplied::Cell;
    using Real = typename F::Real;
    using Format = typename F::Format;
    using Input = typename Format::Input;
    using V = Vec<Real>;
    static constexpr int A = Cell::accumulators, G = Cell::input_gates;
    V acc[Rows][Panels][A];

    MEMFOLD_INLINE void start(const F& f, int64_t first_panel) {
#pragma GCC unroll 8
        for (int panel = 0; panel < Panels; ++panel) {
#pragma GCC unroll 4
            for (int a = 0; a < A; ++a) {
                const V bias = load<V>(f.bias + ((first_panel + panel) * A + a) * width<Real>);
#pragma GCC unroll 8
                for (int row = 0; row < Rows; ++row) acc[row][panel][a] = bias;
            }
        }
    }

    MEMFOLD_INLINE Real* projected(const F& f, int64_t panel, int64_t row) const {
        return f.projected + panel * f.projected_panel + row * (G * width<Real>);
    }

    MEMFOLD_INLINE void multiply_input(const F& f, int64_t first_panel, int64_t first_row) {
        const Input* rows[Rows];
#pragma GCC unroll 8
        for (int row = 0; row < Rows; ++row) rows[row] = f.x[first_row + row];
        multiply<Cell::input_first, G, Real>(Format{}, acc, f.input_weights + first_panel * f.input_panel,
                                             f.input_panel, rows, f.input);
    }

    MEMFOLD_INLINE void multiply_hidden(const F& f, int64_t first_panel, int64_t first_row) {
        const Input* rows[Rows];
#pragma GCC unroll 8
        for (int row = 0; row < Rows; ++row) rows[row] = f.seen + (first_row + row) * f.row_length;
        multiply<Cell::hidden_first, Cell::hidden_gates, Real>(
            Format{}, acc, f.hidden_weights + first_panel * f.hidden_panel, f.hidden_panel, rows, f.hidden);
    }

    // The input product of many rows, kept for later steps.
    static void project(const F& f, int64_t first_panel, int64_t first_row) {
        Tile tile;
        tile.start(f, first_panel);
        tile.multiply_input(f, first_panel, first_row);
#pragma GCC unroll 8
        for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 8
            for (int panel = 0; panel < Panels; ++panel) {
                Real* const to = tile.projected(f, first_panel + panel, first_row + row);
#pragma GCC unroll 4
                for (int g = 0; g < G; ++g) store(to + g * width<Real>, tile.acc[row][panel][Cell::input_first + g]);
            }
        }
    }

    static void step(const F& f, int64_t first_panel, int64_t first_row) {
        Tile tile;
        tile.start(f, first_panel);
        if (f.projected) {
#pragma GCC unroll 8
            for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 8
                for (int panel = 0; panel < Panels; ++panel) {
                    const Real* const from = tile.projected(f, first_panel + panel, first_row + row);
#pragma GCC unroll 4
                    for (int g = 0; g < G; ++g)
                        tile.acc[row][panel][Cell::input_first + g] = load<V>(from + g * width<Real>);
                }
            }
        } else {
            tile.multiply_input(f, first_panel, first_row);
        }
        if constexpr (Cell::hidden_gates > 0) tile.multiply_hidden(f, first_panel, first_row);
        // The accumulators go through memory here, so that the formula's code stands once and not once for each row.
        V pre[Rows][Panels][A];
        __builtin_memcpy(pre, tile.acc, sizeof pre);
        if constexpr (formula_in_tiles<F>) {
            asm volatile("" : : "r"(pre) : "memory");
#pragma GCC unroll 2
            for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 1
                for (int panel = 0; panel < Panels; ++panel) {
                    f.finish(first_panel + panel, first_row + row, pre[row][panel]);
                }
            }
        } else {
            f.finish_rows(f, first_panel, Panels, first_row, Rows, &pre[0][0][0]);
        }
    }
};

// Which of a tile's two functions a sweep runs.
enum class Pass { project, step };

template <Pass pass, int Rows, int Panels, typename F>
MEMFOLD_INLINE void run_tile(const F& f, int64_t panel, int64_t row) {
    if constexpr (Panels * F::Multiplied::Cell::accumulators * Rows <= accumulator_registers) {
        using T = Tile<F, Rows, Panels>;
        pass == Pass::project ? T::project(f, panel, row) : T::step(f, panel, row);
    }
}

template <Pass pass, int Panels, typename F>
inline void run_rows(const F& f, int64_t panel, int64_t row, int64_t rows) {
    static_assert(most_rows == 3 || most_rows == 6);
    switch (rows) {
        case 1:
            return run_tile<pass, 1, Panels>(f, panel, row);
        case 2:
            return run_tile<pass, 2, Panels>(f, panel, row);
        case 3:
            return run_tile<pass, 3, Panels>(f, panel, row);
    }
    if constexpr (most_rows == 6) {
        switch (rows) {
            case 4:
                return run_tile<pass, 4, Panels>(f, panel, row);
            case 5:
                return run_tile<pass, 5, Panels>(f, panel, row);
            case 6:
                return run_tile<pass, 6, Panels>(f, panel, row);
        }
    }
}

// All rows by the panels from `panel` to `end`: as many panels at once as `at_once` allows, then half as many, and so
// on. The rows are divided evenly, so that no tile is left with a single row to wait for.
template <Pass pass, int Panels, typename F>
inline void sweep(const F& f, int64_t panel, int64_t end, int64_t rows, int at_once) {
    if (Panels <= at_once) {
        const int64_t tiles = (rows + most_rows - 1) / most_rows;
        for (; panel + Panels <= end; panel += Panels) {
            for (int64_t tile = 0; tile < tiles; ++tile) {
                const int64_t from = rows * tile / tiles, to = rows * (tile + 1) / tiles;
                run_rows<pass, Panels>(f, panel, from, to - from);
            }
        }
    }
    if constexpr (Panels > 1) {
        if (panel < end) sweep<pass, Panels / 2>(f, panel, end, rows, at_once);
    }
}

// All rows by the panels from `panel` to `end` with the processor's matrix registers: see matrices.hpp.
template <Pass pass, typename F>
void sweep_matrices(const F& f, int64_t panel, int64_t end, int64_t rows);

template <Pass pass, typename F>
inline void sweep(const F& f, int64_t panel, int64_t end, int64_t rows) {
    if (rows == 0) return;
    if constexpr (has_matrices && F::Format::rounds) {
        sweep_matrices<pass, typename F::Multiplied>(f, panel, end, rows);
    } else {
        const int64_t tiles = (rows + most_rows - 1) / most_rows;
        using Tiled = std::conditional_t<pass == Pass::step && formula_in_tiles<F>, F, typename F::Multiplied>;
        using Cell = typename F::Multiplied::Cell;
        sweep<pass, panels_at_once<Cell>(1), Tiled>(f, panel, end, rows,
                                                    panels_at_once<Cell>(int((rows + tiles - 1) / tiles)));
    }
}

}  // namespace memfold::MEMFOLD_ISA
