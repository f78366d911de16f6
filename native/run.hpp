// One fold from its arguments: rows in the order of length, a plan, memory, and the team at work.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "engine.hpp"
#include "team.hpp"

namespace memfold {

struct FreeAligned {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{alignment}); }
};

using Memory = std::unique_ptr<void, FreeAligned>;

inline Memory allocate(size_t bytes) { return Memory(::operator new(bytes, std::align_val_t{alignment})); }

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
Memory pack(const Engine& engine, const Layer& layer, const Weights<Real>& weights) {
    const auto& functions = functions_of<Real>(engine);
    Memory packed = allocate(functions.packed_bytes(layer));
    functions.pack(layer, weights, packed.get());
    return packed;
}

template <typename Real>
void run(const Engine& engine, Fold<Real> fold, int threads) {
    const auto& functions = functions_of<Real>(engine);
    std::vector<int64_t> order;
    if (fold.lengths) {
        order.resize(size_t(fold.batch));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(),
                         [&](int64_t a, int64_t b) { return fold.lengths[a] > fold.lengths[b]; });
        fold.order = order.data();
    }
    const Plan plan = functions.plan(fold, threads);
    Plan alone = plan;
    alone.shares = 1;
    const Memory workspace =
        allocate(std::max(functions.workspace_bytes(fold, plan), functions.workspace_bytes(fold, alone)));
    const int blocks = plan.blocks * fold.direction_count;
    const std::unique_ptr<Barrier[]> barriers(plan.shares > 1 ? new Barrier[size_t(blocks)] : nullptr);
    for (int block = 0; barriers && block < blocks; ++block) barriers[block].open_for(plan.shares);

    struct Job {
        const Functions<Real>& functions;
        const Fold<Real>& fold;
        const Plan &plan, &alone;
        void* workspace;
        Barrier* barriers;
    } job{functions, fold, plan, alone, workspace.get(), barriers.get()};
    const auto work = [](void* data, int thread, int present) {
        const Job& j = *static_cast<Job*>(data);
        const int wanted = j.plan.blocks * j.plan.shares * j.fold.direction_count;
        // Shares of one block meet, so they need a thread each; with too few of them every block is folded by one.
        const Plan& plan = present >= wanted ? j.plan : j.alone;
        const int parts = plan.blocks * plan.shares * j.fold.direction_count;
        for (int part = thread; part < parts; part += present) {
            void* const place = plan.shares > 1 ? &j.barriers[part / plan.shares] : nullptr;
            const Meeting meeting{[](void* barrier) { static_cast<Barrier*>(barrier)->wait(); }, place};
            j.functions.fold(j.fold, plan, j.workspace, part, meeting);
        }
    };
    Team::of_process().run({work, &job}, std::min(threads, blocks * plan.shares));
}

}  // namespace memfold
