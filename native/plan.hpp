// How a fold is laid out over threads and time.
#pragma once

#include "panel.hpp"

namespace memfold::MEMFOLD_ISA {

// With four rows or more for every thread, each thread folds rows of its own and makes the input product within the
// step: a tile of four rows reads its weights slowly enough for the second-level cache. With fewer, the threads share
// the hidden units, as long as a step is worth a meeting; and the input product of many steps is made in advance, where
// the steps stand for the rows that the batch lacks. So it is for a few rows whose weights are too large for that
// cache. Matrix registers take 16 rows in the time of one, and it is the reading of weights that limits them: so
// threads divide the rows when each has as many.
template <typename Real, typename Format>
Plan plan(const Fold<Real>& f, int threads, int64_t cache_bytes) {
    constexpr bool by_matrices = has_matrices && Format::rounds;
    constexpr int64_t few_rows = by_matrices ? matrix_rows : 12;
    constexpr int64_t worth_a_meeting = 8192;    // multiply-adds of a share's hidden product in a pass
    constexpr int64_t worth_a_change = 2 << 20;  // of the steps after which another thread may go on: some 40 us
    const auto between = [](int64_t low, int64_t value, int64_t high) {
        return value < low ? low : value > high ? high : value;
    };
    const Traits& cell = traits[int(f.layer.kind)];
    const int64_t hidden = f.layer.hidden, gates = cell.gates;
    const int64_t team = between(1, threads / f.direction_count, threads);
    const int64_t weights = gates * hidden * (f.layer.input + hidden);
    const int64_t weight_bytes = sizeof(typename Format::Element) / Format::depth;
    const int64_t enough_rows = by_matrices ? matrix_rows : 4;
    const int64_t blocks = between(1, f.sequences.batch / enough_rows, team);
    const int64_t rows = (f.sequences.batch + blocks - 1) / blocks;
    const int64_t panels = (hidden + width<Real> - 1) / width<Real>;
    const int64_t useful =
        between(1, rows * gates * hidden * hidden / (worth_a_meeting * cell.passes), panels > 1 ? panels : 1);
    const int64_t shares = between(1, team / blocks, useful);
    const bool too_large = weights / shares * weight_bytes > cache_bytes;
    const bool in_advance = (rows < (by_matrices ? few_rows : enough_rows) || (rows < few_rows && too_large)) &&
                            f.layer.input >= width<Real>;
    return {int(blocks), int(shares), in_advance ? 64 / between(1, rows, 64) : 0,
            between(1, worth_a_change / between(1, rows * weights, worth_a_change), worth_a_change)};
}

}  // namespace memfold::MEMFOLD_ISA
