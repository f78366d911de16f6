// Layers on top of each other, folded one step at a time for many streams at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "run.hpp"

namespace memfold {

template <typename Real>
class Stack {
  public:
    Stack(const Engine& engine, int64_t streams)
        : engine_(engine), functions_(functions_of<Real>(engine)), streams_(streams) {}
    Stack(const Stack&) = delete;

    // The next layer, from the bottom up. Threads that may help with its step start here.
    void add(const Layer& layer, const Options<Real>& options, std::shared_ptr<void> packed) {
        const size_t bytes = size_t(streams_ * functions_.row_length(layer.hidden)) * sizeof(Real);
        const int parts = functions_.step_parts(layer, streams_);
        const auto zeros = [bytes] {
            Memory memory = allocate(bytes);
            std::memset(memory.get(), 0, bytes);
            return memory;
        };
        const Traits& cell = traits_of(engine_, layer.kind);
        Level level{layer,
                    options,
                    std::move(packed),
                    parts,
                    cell.passes,
                    cell.states,
                    allocate(functions_.step_bytes(layer, streams_)),
                    zeros(),
                    {}};
        for (int k = 0; k < level.states; ++k) level.memory[k] = zeros();
        levels_.push_back(std::move(level));
        most_parts_ = std::max(most_parts_, parts);
        Pool::of_process().start(parts);
    }

    int64_t streams() const { return streams_; }
    int64_t input() const { return levels_.front().layer.input; }
    int64_t output() const { return levels_.back().layer.hidden; }

    // One step of every stream: x (S, I) with rows x_row apart, y (S, O) with rows y_row apart. Allocates nothing.
    void step(const Real* x, int64_t x_row, Real* y, int64_t y_row) {
        const Pool::Step together(most_parts_);
        Strided<const Real> below{x, 0, x_row};
        for (Level& level : levels_) {
            const bool recurrent = level.layer.kind != Kind::linear, top = &level == &levels_.back();
            const int64_t row = functions_.row_length(level.layer.hidden);
            const Real* const h = recurrent ? level.state(0) : nullptr;
            std::swap(level.memory[0], level.h_before);
            Task task{functions_,
                      {level.layer,
                       level.options,
                       level.packed.get(),
                       streams_,
                       below,
                       h,
                       {},
                       top ? Strided<Real>{y, 0, y_row} : Strided<Real>{nullptr, 0, 0},
                       level.between.get(),
                       0}};
            for (int k = 0; k < level.states; ++k) task.step.state[k] = level.state(k);
            for (; task.step.pass < level.passes; ++task.step.pass) together.run({Task::run, &task}, level.parts);
            below = {level.state(0), 0, row};
        }
    }

    // Copies one part of the state of one level, (S, H), out of the stack or into it.
    void get(size_t level, int part, Real* to) const { copy(levels_[level], part, to, nullptr); }
    void set(size_t level, int part, const Real* from) { copy(levels_[level], part, nullptr, from); }

    void reset(int64_t stream) {
        for (Level& level : levels_) {
            const int64_t row = functions_.row_length(level.layer.hidden);
            for (int k = 0; k < level.states; ++k) {
                std::memset(level.state(k) + stream * row, 0, size_t(row) * sizeof(Real));
            }
        }
    }

  private:
    struct Level {
        Layer layer;
        Options<Real> options;
        std::shared_ptr<void> packed;
        int parts;  // that its step is worth
        int passes, states;
        Memory between;   // the passes of a step
        Memory h_before;  // every unit of a step reads all of it, so the new h is written elsewhere
        Memory memory[most_states];

        Real* state(int k) const { return static_cast<Real*>(memory[k].get()); }
    };

    // A level's step as a piece of work.
    struct Task {
        const Functions<Real>& functions;
        Step<Real> step;

        static void run(void* data, int part, int parts) {
            const Task& task = *static_cast<Task*>(data);
            task.functions.step(task.step, part, parts);
        }
    };

    void copy(const Level& level, int part, Real* to, const Real* from) const {
        const int64_t row = functions_.row_length(level.layer.hidden), hidden = level.layer.hidden;
        for (int64_t s = 0; s < streams_; ++s) {
            Real* const state = level.state(part) + s * row;
            if (to) std::memcpy(to + s * hidden, state, size_t(hidden) * sizeof(Real));
            if (from) std::memcpy(state, from + s * hidden, size_t(hidden) * sizeof(Real));
        }
    }

    const Engine& engine_;
    const Functions<Real>& functions_;
    const int64_t streams_;
    std::vector<Level> levels_;
    int most_parts_ = 1;  // of any level
};

}  // namespace memfold
