// The sweep of a step over all rows and panels where the processor has matrix registers.
//
// Four registers hold sums, of 16 rows by 16 units each: with 16 rows or fewer, those of four accumulators or panels;
// with more, two of 16 rows each by two, so that weights are read once for 32 rows.
#pragma once

#include "tile.hpp"

namespace memfold::MEMFOLD_ISA {

#if defined(__AMX_BF16__) || defined(MEMFOLD_SOFT_AMX)

// Up to 16 rows, or with two RowTiles up to 32, by a few panels.
template <Pass pass, typename F, int RowTiles>
class MatrixBlock {
    using Cell = typename F::Cell;
    static constexpr int A = Cell::accumulators, G = Cell::input_gates, W = width<float>;
    static constexpr int at_once = 4 / RowTiles;  // registers side by side
    static constexpr int first_input = 4, first_weights = 6;

  public:
    static constexpr int most_panels = A >= at_once ? 1 : at_once / A;

    void take(const F& f, int64_t first_row, int rows) {
        f_ = &f, first_row_ = first_row, rows_ = rows, upper_ = (rows + RowTiles - 1) / RowTiles;
        unrolled<0, RowTiles>([&](auto tile) MEMFOLD_LAMBDA {
            const int64_t from = first_row + tile * upper_;
            const int count = tile > 0 ? rows - upper_ : upper_;
            if (pass == Pass::project || !f.projected) {
                x_[tile].take(f.x + from, count, f.input);
            }
            if constexpr (pass == Pass::step && Cell::hidden_gates > 0) {
                seen_[tile].take(f.seen + from * f.row_length, f.row_length, count, f.hidden);
            }
        });
    }

    void shape() const {
        const auto upper = uint8_t(upper_), lower = uint8_t(RowTiles > 1 ? rows_ - upper_ : upper_);
        shape_matrices({upper, upper, lower, lower, upper, lower, matrix_rows, matrix_rows});
    }

    // As many panels from `panel` on.
    template <int Panels>
    void run(int64_t panel) {
        if constexpr (pass == Pass::project) {
            project<Cell::input_first, Panels>(panel);
        } else {
            alignas(vector_bytes) float sums[RowTiles * matrix_rows * Panels * A * W];
            step<0, Panels>(panel, sums);
            f_->finish_rows(*f_, panel, Panels, first_row_, rows_, reinterpret_cast<const Vec<float>*>(sums));
        }
    }

  private:
    const F* f_ = nullptr;
    int64_t first_row_ = 0;
    int rows_ = 0, upper_ = 0;  // upper: rows of the first of two tiles
    MatrixInput x_[RowTiles], seen_[RowTiles];

    // Calls the body with each register of sums: its number, the row tile, and its panel and accumulator among those at
    // hand.
    template <int Count, int Panels, typename Body>
    MEMFOLD_INLINE void each(const Body& body) const {
        unrolled<0, RowTiles>([&](auto tile) MEMFOLD_LAMBDA {
            unrolled<0, Panels * Count>([&](auto column) MEMFOLD_LAMBDA {
                body(std::integral_constant<int, tile * at_once + column>{}, tile,
                     std::integral_constant<int, column / Count>{}, std::integral_constant<int, column % Count>{});
            });
        });
    }

    MEMFOLD_INLINE float* projected(int64_t panel, int tile, int gate) const {
        return f_->projected + panel * f_->projected_panel + ((first_row_ + tile * upper_) * G + gate) * W;
    }

    // The accumulators from First on of some panels begin at the bias.
    template <int First, int Count, int Panels>
    MEMFOLD_INLINE void begin(int64_t panel) const {
        each<Count, Panels>([&](auto sums, auto, auto p, auto a)
                                MEMFOLD_LAMBDA { load_matrix<sums>(f_->bias + ((panel + p) * A + First + a) * W, 0); });
    }

    // To those of them that this product has: of `Gates` gates from accumulator First_gate on.
    template <int First, int Count, int Panels, int First_gate, int Gates>
    MEMFOLD_INLINE void multiply(MatrixInput (&input)[RowTiles], const uint32_t* weights, int64_t panel_stride) {
        constexpr int begin = First > First_gate ? First : First_gate;
        constexpr int end = First + Count < First_gate + Gates ? First + Count : First_gate + Gates;
        if constexpr (begin < end) {
            const int64_t blocks = input[0].blocks();
            for (int64_t block = 0; block < blocks; ++block) {
                unrolled<0, RowTiles>([&](auto tile)
                                          MEMFOLD_LAMBDA { input[tile].template load<first_input + tile>(block); });
                const uint32_t* const at = weights + block * (matrix_inner / 2 * Gates * W);
                unrolled<0, Panels*(end - begin)>([&](auto number) MEMFOLD_LAMBDA {
                    constexpr int p = number / (end - begin), a = begin + number % (end - begin);
                    constexpr int column = p * Count + a - First, own = first_weights + number % 2;
                    load_matrix<own>(at + p * panel_stride + (a - First_gate) * W, Gates * matrix_row_bytes);
                    unrolled<0, RowTiles>([&](auto tile) MEMFOLD_LAMBDA {
                        multiply_matrices<tile * at_once + column, first_input + tile, own>();
                    });
                });
            }
        }
    }

    // The input product of many rows, kept for later steps.
    template <int First, int Panels>
    void project(int64_t panel) {
        constexpr int end = Cell::input_first + G, Count = end - First < at_once ? end - First : at_once;
        if constexpr (Count > 0) {
            begin<First, Count, Panels>(panel);
            multiply<First, Count, Panels, Cell::input_first, G>(x_, f_->input_weights + panel * f_->input_panel,
                                                                 f_->input_panel);
            each<Count, Panels>([&](auto sums, auto tile, auto p, auto a) MEMFOLD_LAMBDA {
                store_matrix<sums>(projected(panel + p, tile, First + a - Cell::input_first), G * matrix_row_bytes);
            });
            project<First + Count, Panels>(panel);
        }
    }

    // Finished accumulators as (rows, panels, accumulators, width).
    template <int First, int Panels>
    MEMFOLD_INLINE void step(int64_t panel, float* to) {
        constexpr int Count = A - First < at_once ? A - First : at_once;
        if constexpr (Count > 0) {
            if (f_->projected) {
                each<Count, Panels>([&](auto sums, auto tile, auto p, auto a) MEMFOLD_LAMBDA {
                    constexpr int gate = First + a - Cell::input_first;
                    if constexpr (gate >= 0 && gate < G) {
                        load_matrix<sums>(projected(panel + p, tile, gate), G * matrix_row_bytes);
                    } else {
                        load_matrix<sums>(f_->bias + ((panel + p) * A + First + a) * W, 0);
                    }
                });
            } else {
                begin<First, Count, Panels>(panel);
                multiply<First, Count, Panels, Cell::input_first, G>(x_, f_->input_weights + panel * f_->input_panel,
                                                                     f_->input_panel);
            }
            if constexpr (Cell::hidden_gates > 0) {
                multiply<First, Count, Panels, Cell::hidden_first, Cell::hidden_gates>(
                    seen_, f_->hidden_weights + panel * f_->hidden_panel, f_->hidden_panel);
            }
            each<Count, Panels>([&](auto sums, auto tile, auto p, auto a) MEMFOLD_LAMBDA {
                store_matrix<sums>(to + (tile * upper_ * Panels * A + p * A + First + a) * W,
                                   Panels * A * matrix_row_bytes);
            });
            step<First + Count, Panels>(panel, to);
        }
    }
};

// The panels outside, so that their weights are still in the first-level cache for the next rows.
template <int Panels, typename Block>
inline void sweep_blocks(Block* blocks, int count, int64_t panel, int64_t end) {
    for (; panel + Panels <= end; panel += Panels) {
        for (int number = 0; number < count; ++number) {
            if (count > 1) blocks[number].shape();
            blocks[number].template run<Panels>(panel);
        }
    }
    if constexpr (Panels > 1) {
        if (panel < end) sweep_blocks<Panels / 2>(blocks, count, panel, end);
    }
}

template <int RowTiles, Pass pass, typename F>
inline void sweep_rows(const F& f, int64_t panel, int64_t end, int64_t rows) {
    constexpr int64_t most_rows = RowTiles * matrix_rows;
    constexpr int at_once = RowTiles > 1 ? 4 : 1;
    using Block = MatrixBlock<pass, F, RowTiles>;
    const int64_t count = (rows + most_rows - 1) / most_rows;
    for (int64_t first = 0; first < count; first += at_once) {
        Block blocks[at_once];
        const int here = int(count - first < at_once ? count - first : at_once);
        for (int number = 0; number < here; ++number) {
            const int64_t from = rows * (first + number) / count, to = rows * (first + number + 1) / count;
            blocks[number].take(f, from, int(to - from));
        }
        blocks[0].shape();
        sweep_blocks<Block::most_panels>(blocks, here, panel, end);
    }
}

template <Pass pass, typename F>
void sweep_matrices(const F& f, int64_t panel, int64_t end, int64_t rows) {
    if (rows > matrix_rows) {
        sweep_rows<2, pass>(f, panel, end, rows);
    } else {
        sweep_rows<1, pass>(f, panel, end, rows);
    }
    release_matrices();
}

#endif

}  // namespace memfold::MEMFOLD_ISA
