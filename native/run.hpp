// One fold from its arguments: rows in the order of length, a plan, memory, and the team at work.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "engine.hpp"
#include "team.hpp"

namespace memfold {

struct FreeAligned {
    std::align_val_t boundary{alignment};

    void operator()(void* memory) const { ::operator delete(memory, boundary); }
};

using Memory = std::unique_ptr<void, FreeAligned>;

// Memory of a megabyte and more is asked for in pages of two: small ones cost a fault each, and a miss whenever the
// processor has forgotten where one is.
inline Memory allocate(size_t bytes) {
    constexpr size_t page = size_t(2) << 20;
    const std::align_val_t boundary{bytes < page / 2 ? alignment : page};
    Memory memory(::operator new(bytes, boundary), FreeAligned{boundary});
#if defined(__linux__)
    if (bytes >= page / 2) madvise(memory.get(), bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

template <typename Real>
const Functions<Real>& functions_of(const Engine& engine) {
    if constexpr (sizeof(Real) == sizeof(float)) {
        return engine.float32;
    } else {
        return engine.float64;
    }
}

// A layer's weights as the engine reads them.
template <typename Real>
Memory pack(const Engine& engine, const Layer& layer, const Weights<const Real>& weights) {
    const auto& functions = functions_of<Real>(engine);
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

inline Plan without_shares(Plan plan) {
    plan.shares = 1;
    return plan;
}

// Runs the parts of a fold, forward or backward: `part(plan, number, meeting)`, side by side where they meet.
template <typename Part>
void run_parts(const Plan& plan, int directions, int threads, const Part& part) {
    const int blocks = plan.blocks * directions;
    const std::unique_ptr<Barrier[]> barriers(plan.shares > 1 ? new Barrier[size_t(blocks)] : nullptr);
    for (int block = 0; barriers && block < blocks; ++block) barriers[block].open_for(plan.shares);
    struct Job {
        const Plan plan, alone;
        const int blocks;
        Barrier* const barriers;
        const Part& part;
    } job{plan, without_shares(plan), blocks, barriers.get(), part};
    const auto work = [](void* data, int thread, int present) {
        const Job& j = *static_cast<Job*>(data);
        // Shares of one block meet, so they need a thread each; with too few of them every block is folded by one.
        const Plan& own = present >= j.blocks * j.plan.shares ? j.plan : j.alone;
        for (int number = thread; number < j.blocks * own.shares; number += present) {
            void* const place = own.shares > 1 ? &j.barriers[number / own.shares] : nullptr;
            j.part(own, number, Meeting{[](void* barrier) { static_cast<Barrier*>(barrier)->wait(); }, place});
        }
    };
    Team::of_process().run({work, &job}, std::min(threads, blocks * plan.shares));
}

// Runs tasks 0 to count-1, each by whichever thread comes first.
template <typename Task>
void run_tasks(int64_t count, int threads, const Task& task) {
    struct Job {
        const int64_t count;
        const Task& task;
        std::atomic<int64_t> next{0};
    } job{count, task};
    const auto work = [](void* data, int, int) {
        Job& j = *static_cast<Job*>(data);
        for (int64_t number; (number = j.next.fetch_add(1, std::memory_order_relaxed)) < j.count;) j.task(number);
    };
    if (count > 0) Team::of_process().run({work, &job}, int(std::min<int64_t>(threads, count)));
}

template <typename Real>
void run(const Engine& engine, Fold<Real> fold, int threads) {
    const auto& functions = functions_of<Real>(engine);
    const std::vector<int64_t> order = order_of(fold.sequences);
    if (fold.sequences.lengths) fold.sequences.order = order.data();
    const Plan plan = functions.plan(fold, threads);
    const Memory workspace = allocate(
        std::max(functions.workspace_bytes(fold, plan), functions.workspace_bytes(fold, without_shares(plan))));
    run_parts(plan, fold.direction_count, threads, [&](const Plan& own, int part, const Meeting& meeting) {
        functions.fold(fold, own, workspace.get(), part, meeting);
    });
}

template <typename Real>
void run_backward(const Engine& engine, Backward<Real> backward, int threads) {
    const auto& functions = functions_of<Real>(engine);
    Sequences& sequences = backward.fold.sequences;
    const std::vector<int64_t> order = order_of(sequences);
    if (sequences.lengths) sequences.order = order.data();
    backward.steps = sequences.lengths
                         ? std::accumulate(sequences.lengths, sequences.lengths + sequences.batch, int64_t(0))
                         : sequences.time * sequences.batch;
    const Plan plan = functions.plan(backward.fold, threads);
    const Memory workspace = allocate(
        std::max(functions.backward_bytes(backward, plan), functions.backward_bytes(backward, without_shares(plan))));
    const auto run_phase = [&](Phase phase) {
        run_tasks(functions.tasks(backward, phase), threads,
                  [&](int64_t task) { functions.task(backward, workspace.get(), phase, task); });
    };
    run_phase(Phase::prepare);
    run_parts(plan, backward.fold.direction_count, threads, [&](const Plan& own, int part, const Meeting& meeting) {
        functions.fold_backward(backward, own, workspace.get(), part, meeting);
    });
    run_phase(Phase::gradients);
    run_phase(Phase::second_dx);
}

}  // namespace memfold
