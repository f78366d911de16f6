// One fold from its arguments: rows in the order of length, a plan, memory, and the pool at work.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <numeric>
#include <vector>

#include "chains.hpp"
#include "memory.hpp"
#include "platform.hpp"

namespace memfold {

template <typename Real>
const Functions<Real>& functions_of(const Engine& engine, bool half) {
    if constexpr (sizeof(Real) == sizeof(float)) {
        return half ? *engine.bfloat16 : *engine.float32;
    } else {
        return *engine.float64;
    }
}

inline const Traits& traits_of(const Engine& engine, Kind kind) { return engine.traits[int(kind)]; }

// A layer's weights as the engine reads them.
template <typename Real>
Memory pack(const Engine& engine, const Layer& layer, const Weights<const Real>& weights) {
    const auto& functions = functions_of<Real>(engine, layer.half);
    Memory packed = allocate(functions.packed_bytes(layer));
    functions.pack(layer, weights, packed.get());
    return packed;
}

// The rows from the longest to the shortest.
inline std::vector<int64_t> order_of(const Sequences& sequences) {
    std::vector<int64_t> order;
    if (sequences.lengths) {
        order.resize(size_t(sequences.batch));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(),
                         [&](int64_t a, int64_t b) { return sequences.lengths[a] > sequences.lengths[b]; });
    }
    return order;
}

// Bytes of the second-level cache of one core, or what most have.
inline int64_t cache_bytes() {
    static const int64_t told = told_cache_bytes();
    return told > 0 ? told : int64_t(1) << 20;
}

// How many of the threads a fold is worth: each has some ten microseconds to work.
template <typename Real>
int worth(const Engine& engine, const Fold<Real>& fold, int threads) {
    constexpr int64_t worth_a_thread = 256 << 10;  // multiply-adds of the hidden product and of the input's
    const Layer& layer = fold.layer;
    const int64_t products = traits_of(engine, layer.kind).accumulators * layer.hidden * (layer.input + layer.hidden);
    const int64_t step = fold.direction_count * fold.sequences.batch * products;
    return int(std::clamp<int64_t>(fold.sequences.time * step / worth_a_thread, 1, threads));
}

// Goes along the blocks of a fold, forward or backward, by `stretch(span, meeting)`.
template <typename Steps, typename Stretch>
void run_chains(const Pool::Turn& turn, const Plan& plan, int directions, const Steps& steps, const Stretch& stretch) {
    const auto run = [](const void* data, const Span& span, const Meeting& meeting) {
        return (*static_cast<const Stretch*>(data))(span, meeting);
    };
    Chains(turn, plan, directions, steps, run, &stretch).run();
}

// Runs tasks 0 to count-1, each by whichever thread comes first.
template <typename Task>
void run_tasks(const Pool::Turn& turn, int64_t count, const Task& task) {
    struct Tasks {
        const Pool::Turn& turn;
        const int64_t count;
        const Task& task;
        std::atomic<int64_t> next{0};
    } tasks{turn, count, task};
    const auto work = [](void* data, int seat) {
        Tasks& t = *static_cast<Tasks*>(data);
        while (seat == 0 || !t.turn.busy()) {
            const int64_t number = t.next.fetch_add(1, std::memory_order_relaxed);
            if (number >= t.count) return;
            t.task(number);
        }
    };
    turn.run({work, &tasks}, int(std::min<int64_t>(count, Pool::most_threads)));
}

template <typename Real>
void run(const Engine& engine, Fold<Real> fold, int threads) {
    const auto& functions = functions_of<Real>(engine, fold.layer.half);
    const std::vector<int64_t> order = order_of(fold.sequences);
    if (fold.sequences.lengths) fold.sequences.order = order.data();
    const Pool::Turn turn(worth(engine, fold, threads));
    const Plan plan = functions.plan(fold, turn.threads(), cache_bytes());
    const Memory workspace = allocate(functions.workspace_bytes(fold, plan));
    run_chains(
        turn, plan, fold.direction_count, [&](int block) { return functions.steps(fold, plan, block); },
        [&](const Span& span, const Meeting& meeting) {
            return functions.fold(fold, plan, workspace.get(), span, meeting);
        });
}

// y = W x + b for each row, on the caller's thread.
template <typename Real>
void product(const Engine& engine, const Layer& linear, const void* packed, int64_t rows, Strided<const Real> x,
             Strided<Real> y) {
    const auto& functions = functions_of<Real>(engine, linear.half);
    const Memory state = allocate(size_t(rows * functions.row_length(linear.hidden)) * sizeof(Real));
    const Memory space = allocate(functions.step_bytes(linear, rows));
    const Step<Real> step{linear, {}, packed, rows, x, nullptr, {static_cast<Real*>(state.get())}, y, space.get(), 0};
    functions.begin_step(step);
    functions.step(step, 0, 1);
}

// A fold by rows, or its backward pass, by `work(functions, products, space, from, to)`: each thread has rows of its
// own.
template <typename Real, typename Work>
void run_rows(const Engine& engine, const RowFold<Real>& fold, int threads, const Work& work) {
    constexpr int64_t enough_rows = 4;             // a tile of so many reads its weights slowly enough
    constexpr int64_t worth_a_thread = 256 << 10;  // multiply-adds
    const auto& functions = functions_of<Real>(engine, false);
    const auto& products = functions_of<Real>(engine, fold.half);
    const int64_t batch = fold.sequences.batch, gates = fold.coupled ? 3 : 4;
    const int64_t operations = fold.sequences.time * batch * gates * fold.hidden * (fold.by_x.width + fold.by_h.width);
    const int64_t most = std::max<int64_t>(std::min(batch / enough_rows, operations / worth_a_thread), 1);
    const Pool::Turn turn(int(std::min<int64_t>(most, threads)));
    const int64_t rows = (batch + turn.threads() - 1) / turn.threads();
    const size_t bytes = functions.row_bytes(products, fold, rows);
    const Memory space = allocate(bytes * size_t(turn.threads()));
    run_tasks(turn, turn.threads(), [&](int64_t task) {
        const int64_t from = std::min(task * rows, batch), to = std::min(from + rows, batch);
        work(functions, products, static_cast<char*>(space.get()) + bytes * size_t(task), from, to);
    });
}

template <typename Real>
void run(const Engine& engine, const RowFold<Real>& fold, int threads) {
    run_rows(engine, fold, threads,
             [&](const auto& functions, const auto& products, void* space, int64_t from, int64_t to) {
                 functions.fold_rows(products, fold, space, from, to);
             });
}

template <typename Real>
void run_backward(const Engine& engine, const RowBackward<Real>& backward, int threads) {
    run_rows(engine, backward.fold, threads,
             [&](const auto& functions, const auto& products, void* space, int64_t from, int64_t to) {
                 functions.fold_rows_backward(products, backward, space, from, to);
             });
}

template <typename Real>
void run_backward(const Engine& engine, Backward<Real> backward, int threads) {
    const auto& functions = functions_of<Real>(engine, backward.fold.layer.half);
    Sequences& sequences = backward.fold.sequences;
    const std::vector<int64_t> order = order_of(sequences);
    if (sequences.lengths) sequences.order = order.data();
    backward.steps = sequences.lengths
                         ? std::accumulate(sequences.lengths, sequences.lengths + sequences.batch, int64_t(0))
                         : sequences.time * sequences.batch;
    const Pool::Turn turn(worth(engine, backward.fold, threads));
    const Plan plan = functions.plan(backward.fold, turn.threads(), cache_bytes());
    const Memory workspace = allocate(functions.backward_bytes(backward, plan));
    const auto run_phase = [&](Phase phase) {
        run_tasks(turn, functions.tasks(backward, phase),
                  [&](int64_t task) { functions.task(backward, workspace.get(), phase, task); });
    };
    run_phase(Phase::prepare);
    run_chains(
        turn, plan, backward.fold.direction_count,
        [&](int block) { return functions.steps(backward.fold, plan, block); },
        [&](const Span& span, const Meeting& meeting) {
            return functions.fold_backward(backward, plan, workspace.get(), span, meeting);
        });
    run_phase(Phase::gradients);
    run_phase(Phase::second_dx);
}

}  // namespace memfold
