// Layers on top of each other, folded one step at a time for many streams at once, or for some of them.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "run.hpp"

namespace memfold {

template <typename Real>
class Stack {
  public:
    Stack(const Engine& engine, int64_t streams) : engine_(engine), streams_(streams) {}
    Stack(const Stack&) = delete;

    // The next layer, from the bottom up. Threads that may help with its step start here.
    void add(const Layer& layer, const Options<Real>& options, std::shared_ptr<void> packed) {
        const auto& functions = functions_of<Real>(engine_, layer.half);
        const size_t bytes = size_t(streams_ * functions.row_length(layer.hidden)) * sizeof(Real);
        const int parts = functions.step_parts(layer, streams_);
        const auto zeros = [bytes] {
            Memory memory = allocate(bytes);
            std::memset(memory.get(), 0, bytes);
            return memory;
        };
        const Traits& cell = traits_of(engine_, layer.kind);
        Level level{functions, layer,       options,     std::move(packed),
                    parts,     cell.passes, cell.states, allocate(functions.step_bytes(layer, streams_)),
                    zeros(),   {},          {},          {}};
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
            const Real* const h = level.is_recurrent() ? level.state(0) : nullptr;
            std::swap(level.memory[0], level.h_before);
            Real* state[most_states];
            for (int k = 0; k < level.states; ++k) state[k] = level.state(k);
            run(level, together, level.parts, streams_, below, h, state, y, y_row);
            below = {level.state(0), 0, row_length(level)};
        }
    }

    // One step of n of the streams, no one of them twice: row i of x (n, I) and of y (n, O) is stream rows[i]'s. Their
    // state is gathered, taken a step further and put back; a row's bits are those of step. It allocates only when n is
    // greater than ever before.
    void step_rows(const int64_t* rows, int64_t n, const Real* x, int64_t x_row, Real* y, int64_t y_row) {
        const std::lock_guard<std::mutex> alone(gathering_);
        if (n > gathered_rows_) make_room(n);
        const Pool::Step together(most_parts_);
        Strided<const Real> below{x, 0, x_row};
        for (Level& level : levels_) {
            const int64_t row = row_length(level);
            Real* const h = static_cast<Real*>(level.h_gathered.get());
            Real* state[most_states];
            for (int k = 0; k < level.states; ++k) state[k] = static_cast<Real*>(level.gathered[k].get());
            for (int k = 0; level.is_recurrent() && k < level.states; ++k) {
                copy_rows(rows, n, row, level.state(k), k == 0 ? h : state[k], false);
            }
            const int parts = level.functions.step_parts(level.layer, n);
            run(level, together, parts, n, below, level.is_recurrent() ? h : nullptr, state, y, y_row);
            for (int k = 0; level.is_recurrent() && k < level.states; ++k) {
                copy_rows(rows, n, row, level.state(k), state[k], true);
            }
            below = {state[0], 0, row};
        }
    }

    // Copies one part of the state of one level, (n, H), of streams `first` to `first + n`, out of the stack or into
    // it.
    void get(size_t level, int part, int64_t first, int64_t n, Real* to) const {
        copy(levels_[level], part, first, n, to, nullptr);
    }
    void set(size_t level, int part, int64_t first, int64_t n, const Real* from) {
        copy(levels_[level], part, first, n, nullptr, from);
    }

    void reset(int64_t stream) {
        for (Level& level : levels_) {
            const int64_t row = row_length(level);
            for (int k = 0; k < level.states; ++k) {
                std::memset(level.state(k) + stream * row, 0, size_t(row) * sizeof(Real));
            }
        }
    }

  private:
    struct Level {
        const Functions<Real>& functions;
        Layer layer;
        Options<Real> options;
        std::shared_ptr<void> packed;
        int parts;  // that its step is worth
        int passes, states;
        Memory space;     // of a step
        Memory h_before;  // every unit of a step reads all of it, so the new h is written elsewhere
        Memory memory[most_states];
        Memory h_gathered, gathered[most_states];  // of the streams of step_rows: h before the step, the state after it

        bool is_recurrent() const { return layer.kind != Kind::linear; }
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

    static int64_t row_length(const Level& level) { return level.functions.row_length(level.layer.hidden); }

    // A level's step of so many rows, with rows of y where it is the topmost.
    void run(const Level& level, const Pool::Step& together, int parts, int64_t rows, Strided<const Real> below,
             const Real* h, Real* const* state, Real* y, int64_t y_row) const {
        const bool top = &level == &levels_.back();
        Task task{level.functions,
                  {level.layer,
                   level.options,
                   level.packed.get(),
                   rows,
                   below,
                   h,
                   {},
                   top ? Strided<Real>{y, 0, y_row} : Strided<Real>{nullptr, 0, 0},
                   level.space.get(),
                   0}};
        for (int k = 0; k < level.states; ++k) task.step.state[k] = state[k];
        level.functions.begin_step(task.step);
        for (; task.step.pass < level.passes; ++task.step.pass) together.run({Task::run, &task}, parts);
    }

    void make_room(int64_t rows) {
        for (Level& level : levels_) {
            const size_t bytes = size_t(rows * row_length(level)) * sizeof(Real);
            level.h_gathered = allocate(bytes);
            for (int k = 0; k < level.states; ++k) level.gathered[k] = allocate(bytes);
        }
        gathered_rows_ = rows;
    }

    // Rows of some streams, out of where all are to where they stand together, or back.
    static void copy_rows(const int64_t* rows, int64_t n, int64_t row, Real* all, Real* together, bool back) {
        for (int64_t i = 0; i < n; ++i) {
            Real *const one = all + rows[i] * row, *const gathered = together + i * row;
            std::memcpy(back ? one : gathered, back ? gathered : one, size_t(row) * sizeof(Real));
        }
    }

    void copy(const Level& level, int part, int64_t first, int64_t n, Real* to, const Real* from) const {
        const int64_t row = row_length(level), hidden = level.layer.hidden;
        for (int64_t s = 0; s < n; ++s) {
            Real* const state = level.state(part) + (first + s) * row;
            if (to) std::memcpy(to + s * hidden, state, size_t(hidden) * sizeof(Real));
            if (from) std::memcpy(state, from + s * hidden, size_t(hidden) * sizeof(Real));
        }
    }

    const Engine& engine_;
    const int64_t streams_;
    std::vector<Level> levels_;
    int most_parts_ = 1;  // of any level
    std::mutex gathering_;
    int64_t gathered_rows_ = 0;  // that there is room for
};

}  // namespace memfold
