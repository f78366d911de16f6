// A cell over time.
#pragma once

#include "tile.hpp"

namespace memfold::MEMFOLD_ISA {

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The rows of one block, as one direction goes through them. With lengths the blocks take turns in the order of length,
// so that each has its share of the long rows and the rows still running are always the first ones; without, a block is
// a run of neighbours. A step is counted from the row's own start.
struct Rows {
    const Sequences& sequences;
    const bool reverse;
    int64_t first, stride, count;

    Rows(const Sequences& s, bool backwards, int64_t block, int64_t blocks)
        : sequences(s),
          reverse(backwards),
          first(s.order ? block : s.batch * block / blocks),
          stride(s.order ? blocks : 1),
          count(s.order ? (s.batch - block + blocks - 1) / blocks : s.batch * (block + 1) / blocks - first) {}

    // Where row i stands among all rows, the longest first, and which row of the batch it is.
    int64_t place(int64_t i) const { return first + i * stride; }
    int64_t operator[](int64_t i) const { return sequences.order ? sequences.order[place(i)] : place(i); }
    int64_t length(int64_t i) const { return sequences.lengths ? sequences.lengths[(*this)[i]] : sequences.time; }
    int64_t longest() const { return count > 0 ? length(0) : 0; }

    // Where in time row i stands at step s.
    int64_t time_at(int64_t s, int64_t i) const { return reverse ? length(i) - 1 - s : s; }

    // Whether the sequence is cut between row i's step s-1 and its step s.
    bool cut_before(int64_t s, int64_t i) const {
        const auto& resets = sequences.resets;
        if (!resets.data) return false;
        if (!reverse) return *resets.at(s, (*this)[i]);
        return s > 0 && *resets.at(length(i) - s, (*this)[i]);
    }

    // How many rows have a step s, when `at_most` had the one before.
    int64_t running(int64_t s, int64_t at_most) const {
        while (at_most > 0 && length(at_most - 1) <= s) --at_most;
        return at_most;
    }
};

// The most rows any block has.
inline int64_t block_rows(const Sequences& s, const Plan& plan) { return (s.batch + plan.blocks - 1) / plan.blocks; }

// The memory of one block: two hidden states in turn and what the hidden product sees of them, where that is something
// else, the other states, and for each share pointers to the rows at hand, and its own x where that is rounded.
template <typename Cell, typename Real, typename Format>
struct Workspace {
    using Input = typename Format::Input;

    Real *h[2], *mask, *state[most_states]{}, *projected;
    Input *seen[2], *rounded{};
    const Input** x{};
    const Real** zones[most_states]{};
    Real **y{}, **kept{};
    uint16_t** y_rounded{};
    Between<Cell, Real, Format> between;
    int64_t projected_panel;
    size_t bytes;

    Workspace(const Fold<Real>& f, const Plan& plan, void* memory, int share) {
        const int64_t rows = block_rows(f.sequences, plan), panels = panel_count<Real>(f.layer.hidden);
        const int64_t elements = rows * row_length<Real>(f.layer.hidden), masked = f.directions[0].mask ? elements : 0;
        const int64_t steps = plan.chunk > 0 ? plan.chunk : 1;
        projected_panel = plan.chunk * rows * Cell::input_gates * width<Real>;
        Arena arena(memory);
        for (Real*& own : h) own = arena.take<Real>(elements);
        for (Input*& own : seen) own = arena.take<Input>(Format::rounds ? elements : masked);
        mask = arena.take<Real>(masked);
        for (int k = 1; k < states_of<Cell>; ++k) state[k] = arena.take<Real>(elements);
        projected = arena.take<Real>(panels * projected_panel);
        const size_t passing = Between<Cell, Real, Format>(rows, f.layer.hidden, nullptr).bytes;
        between = {rows, f.layer.hidden, arena.take<char>(int64_t(passing))};
        for (int s = 0; s < plan.shares; ++s) {
            const auto own_x = arena.take<const Input*>(rows * steps);
            const auto own_rounded =
                arena.take<Input>(Format::rounds ? rows * steps * row_length<Real>(f.layer.input) : 0);
            const auto own_zones = arena.take<const Real*>(states_of<Cell> * rows);
            const auto own_y = arena.take<Real*>(rows), own_kept = arena.take<Real*>(rows);
            const auto own_y_rounded = arena.take<uint16_t*>(rows);
            if (s != share) continue;
            x = own_x, rounded = own_rounded, y = own_y, kept = own_kept, y_rounded = own_y_rounded;
            for (int k = 0; k < states_of<Cell>; ++k) zones[k] = own_zones + k * rows;
        }
        bytes = arena.bytes();
    }
};

// One share of one block: the fold of its rows for its panels of hidden units.
template <typename Cell, typename Real, typename Format>
class Share {
  public:
    Share(const Fold<Real>& f, const Direction<Real>& d, const Plan& plan, char* memory, int block, const Span& span)
        : fold_(f),
          direction_(d),
          plan_(plan),
          rows_(f.sequences, d.reverse, block, plan.blocks),
          span_(span),
          space_(f, plan, memory, span.share),
          frame_(f.layer, f.options, d.packed),
          panel_(panel_count<Real>(f.layer.hidden) * span.share / span.shares),
          panel_end_(panel_count<Real>(f.layer.hidden) * (span.share + 1) / span.shares),
          unit_(smaller(panel_ * width<Real>, f.layer.hidden)),
          unit_end_(smaller(panel_end_ * width<Real>, f.layer.hidden)) {
        frame_.row_length = row_length<Real>(f.layer.hidden);
        frame_.projected_panel = space_.projected_panel;
        frame_.between = space_.between;
        if (direction_.y.data) frame_.y = space_.y;
        if (direction_.y_rounded.data) frame_.y_rounded = space_.y_rounded;
        if (direction_.kept.data) frame_.kept = space_.kept;
        if (direction_.mask) frame_.mask = space_.mask;
        for (int k = 0; k < states; ++k) {
            if (k > 0) frame_.state[k] = space_.state[k];
            if (!direction_.zones[k]) continue;
            frame_.zones[k] = space_.zones[k];
            frame_.settings.zones = true;
        }
    }

    // Returns the step that comes next.
    int64_t run(const Meeting& meeting) {
        if (span_.from == 0) {
            load_state();
            clear_padding();
            if (span_.shares > 1) meeting.meet(meeting.place);
        }
        const int64_t longest = rows_.longest(), chunk = plan_.chunk > 0 ? plan_.chunk : longest;
        // Where the step stands among those of its chunk, whose input product may be there already.
        int64_t s = chunk > 0 ? span_.from - span_.from % chunk : 0, projected = 0;
        int64_t active = rows_.running(s, rows_.count);
        for (; s < span_.from; ++s) projected += active = rows_.running(s, active);
        while (s < span_.to) {
            if (plan_.chunk > 0 && s % chunk == 0) {
                project(s, smaller(s + chunk, longest), active);
                projected = 0;
            }
            active = rows_.running(s, active);
            step(s, active, projected, meeting);
            projected += active;
            if (++s < longest && meeting.meet && !meeting.meet(meeting.place)) return s;
        }
        if (s == longest) save_state();
        return s;
    }

  private:
    static constexpr int states = states_of<Cell>;

    const Fold<Real>& fold_;
    const Direction<Real>& direction_;
    const Plan& plan_;
    const Rows rows_;
    const Span& span_;
    const Workspace<Cell, Real, Format> space_;
    Frame<Cell, Real, Format> frame_;
    const int64_t panel_, panel_end_, unit_, unit_end_;

    template <typename T>
    void clear(T* state, int64_t i) const {
        __builtin_memset(state + i * frame_.row_length + unit_, 0, size_t(unit_end_ - unit_) * sizeof(T));
    }

    void load_state() const {
        const size_t bytes = size_t(unit_end_ - unit_) * sizeof(Real);
        const auto load_row = [&](Real* state, const Real* first, int64_t i, bool cut) {
            Real* const row = state + i * frame_.row_length;
            __builtin_memset(row + panel_ * width<Real>, 0, size_t((panel_end_ - panel_) * width<Real>) * sizeof(Real));
            if (first && !cut) __builtin_memcpy(row + unit_, first + rows_[i] * fold_.layer.hidden + unit_, bytes);
        };
        for (int64_t i = 0; i < rows_.count; ++i) {
            const bool cut = rows_.length(i) > 0 && rows_.cut_before(0, i);
            load_row(space_.h[0], direction_.first[0], i, cut);
            for (int k = 1; k < states; ++k) load_row(space_.state[k], direction_.first[k], i, cut);
            if (direction_.mask) load_row(space_.mask, direction_.mask, i, false);
            if (sees_another()) {
                for (int64_t panel = panel_; panel < panel_end_; ++panel) {
                    const int64_t at = i * frame_.row_length + panel * width<Real>;
                    auto h = load<Vec<Real>>(space_.h[0] + at);
                    if (direction_.mask) h *= load<Vec<Real>>(space_.mask + at);
                    Format::store(space_.seen[0] + at, h);
                }
            }
        }
    }

    // Whether the hidden product sees something else than h.
    bool sees_another() const { return Format::rounds || direction_.mask; }

    // A row of x as the input product takes it, the count-th of those at hand.
    const typename Format::Input* input_of(const Real* x, int64_t count) const {
        if constexpr (Format::rounds) {
            auto* const to = space_.rounded + count * row_length<Real>(fold_.layer.input);
            round_row(x, fold_.layer.input, to);
            return to;
        } else {
            return x;
        }
    }

    void save_state() const {
        const size_t bytes = size_t(unit_end_ - unit_) * sizeof(Real);
        for (int64_t i = 0; i < rows_.count; ++i) {
            const int64_t to = rows_[i] * fold_.layer.hidden + unit_, from = i * frame_.row_length + unit_;
            __builtin_memcpy(direction_.last[0] + to, space_.h[rows_.length(i) % 2] + from, bytes);
            for (int k = 1; k < states; ++k) __builtin_memcpy(direction_.last[k] + to, space_.state[k] + from, bytes);
        }
    }

    void clear_padding() const {
        const size_t bytes = size_t(unit_end_ - unit_) * sizeof(Real);
        for (int64_t i = 0; i < rows_.count; ++i) {
            for (int64_t t = rows_.length(i); t < fold_.sequences.time; ++t) {
                if (direction_.y.data) __builtin_memset(direction_.y.at(t, rows_[i]) + unit_, 0, bytes);
                if (direction_.y_rounded.data) {
                    __builtin_memset(direction_.y_rounded.at(t, rows_[i]) + unit_, 0, bytes / 2);
                }
                for (int k = 0; direction_.kept.data && k < kept_by<Cell>; ++k) {
                    __builtin_memset(direction_.kept.at(t, rows_[i]) + k * fold_.layer.hidden + unit_, 0, bytes);
                }
            }
        }
    }

    // The input product of the steps from `from` to `to`, rows of one step after those of the other.
    void project(int64_t from, int64_t to, int64_t active) {
        int64_t count = 0;
        for (int64_t s = from; s < to; ++s) {
            active = rows_.running(s, active);
            for (int64_t i = 0; i < active; ++i, ++count) {
                space_.x[count] = input_of(fold_.x.at(rows_.time_at(s, i), rows_[i]), count);
            }
        }
        frame_.x = space_.x;
        frame_.projected = space_.projected;
        sweep<Pass::project>(frame_, panel_, panel_end_, count);
    }

    void step(int64_t s, int64_t active, int64_t projected, const Meeting& meeting) {
        for (int64_t i = 0; i < active; ++i) {
            const int64_t t = rows_.time_at(s, i), row = rows_[i];
            if (plan_.chunk == 0) space_.x[i] = input_of(fold_.x.at(t, row), i);
            if (frame_.y) space_.y[i] = direction_.y.at(t, row);
            if (frame_.y_rounded) space_.y_rounded[i] = direction_.y_rounded.at(t, row);
            if (frame_.kept) space_.kept[i] = direction_.kept.at(t, row);
            const int64_t at = (t * fold_.sequences.batch + row) * fold_.layer.hidden;
            for (int k = 0; k < states; ++k) {
                if (frame_.zones[k]) space_.zones[k][i] = direction_.zones[k] + at;
            }
        }
        if (plan_.chunk == 0) frame_.x = space_.x;
        if (plan_.chunk > 0) frame_.projected = space_.projected + projected * (Cell::input_gates * width<Real>);
        frame_.h = space_.h[s % 2];
        frame_.state[0] = space_.h[(s + 1) % 2];
        if constexpr (Format::rounds) {
            frame_.seen = space_.seen[s % 2];
        } else {
            frame_.seen = direction_.mask ? space_.seen[s % 2] : frame_.h;
        }
        if (sees_another()) frame_.seen_next = space_.seen[(s + 1) % 2];
        sweep<Pass::step>(frame_, panel_, panel_end_, active);
        if constexpr (has_second_pass<Cell>) {
            // No stretch ends within a step, whatever the others say here.
            if (span_.shares > 1) meeting.meet(meeting.place);
            sweep<Pass::step>(SecondFrame(frame_), panel_, panel_end_, active);
        }
        for (int64_t i = 0; fold_.sequences.resets.data && i < active; ++i) {
            if (s + 1 >= rows_.length(i) || !rows_.cut_before(s + 1, i)) continue;
            for (int k = 0; k < states; ++k) clear(frame_.state[k], i);
            if (frame_.seen_next) clear(frame_.seen_next, i);
        }
    }
};

// As many as the block's longest row has.
template <typename Real>
int64_t steps(const Fold<Real>& f, const Plan& plan, int block) {
    return Rows(f.sequences, false, block % plan.blocks, plan.blocks).longest();
}

template <typename Cell, typename Real, typename Format>
int64_t fold(const Fold<Real>& f, const Plan& plan, void* workspace, const Span& span, const Meeting& meeting) {
    const Direction<Real>& direction = f.directions[span.block / plan.blocks];
    const size_t bytes = Workspace<Cell, Real, Format>(f, plan, nullptr, 0).bytes;
    char* const memory = static_cast<char*>(workspace) + size_t(span.block) * bytes;
    return Share<Cell, Real, Format>(f, direction, plan, memory, span.block % plan.blocks, span).run(meeting);
}

// Panels of a step that stay together when it is divided: those of one tile.
template <typename Cell>
int64_t panels_together(int64_t rows) {
    return panels_at_once<Cell>(rows < most_rows ? int(rows) : most_rows);
}

template <typename Cell, typename Real>
int step_parts(const Layer& layer, int64_t rows) {
    constexpr int64_t worth_a_part = 32768;  // multiply-adds: a microsecond for one row
    const int64_t operations =
        rows * layer.hidden * (Cell::input_gates * layer.input + Cell::hidden_gates * layer.hidden);
    const int64_t together = panels_together<Cell>(rows);
    const int64_t pieces = (panel_count<Real>(layer.hidden) + together - 1) / together;
    const int64_t worth = operations / worth_a_part, most = pieces < most_step_parts ? pieces : most_step_parts;
    return int(worth < 1 ? 1 : worth < most ? worth : most);
}

// A step's memory: what its passes leave for each other, and its x and h where these are rounded.
template <typename Cell, typename Real, typename Format>
struct StepSpace {
    using Input = typename Format::Input;

    Between<Cell, Real, Format> between;
    Input *x, *seen;
    size_t bytes;

    StepSpace(const Layer& layer, int64_t rows, void* memory) {
        Arena arena(memory);
        const size_t passing = Between<Cell, Real, Format>(rows, layer.hidden, nullptr).bytes;
        between = {rows, layer.hidden, arena.take<char>(int64_t(passing))};
        x = arena.take<Input>(Format::rounds ? rows * row_length<Real>(layer.input) : 0);
        seen = arena.take<Input>(Format::rounds ? rows * row_length<Real>(layer.hidden) : 0);
        bytes = arena.bytes();
    }
};

// What is to be there before the parts of a step.
template <typename Cell, typename Real, typename Format>
void begin_step(const Step<Real>& s) {
    if constexpr (Format::rounds) {
        const StepSpace<Cell, Real, Format> space(s.layer, s.rows, s.space);
        for (int64_t i = 0; i < s.rows; ++i) {
            round_row(s.x.at(0, i), s.layer.input, space.x + i * row_length<Real>(s.layer.input));
            const int64_t at = i * row_length<Real>(s.layer.hidden);
            if (s.h) round_row(s.h + at, s.layer.hidden, space.seen + at);
        }
    }
}

// Part `part` of one pass of a step for many streams. Their rows are taken a few at a time, because pointers to them
// stand on the stack.
template <typename Cell, typename Real, typename Format>
void step(const Step<Real>& s, int part, int parts) {
    constexpr int64_t at_once = 8 * most_rows;
    const int64_t panels = panel_count<Real>(s.layer.hidden), together = panels_together<Cell>(s.rows);
    const int64_t pieces = (panels + together - 1) / together;
    const int64_t panel = pieces * part / parts * together, end = pieces * (part + 1) / parts * together;
    const typename Format::Input* x[at_once];
    Real* y[at_once];
    Frame<Cell, Real, Format> frame(s.layer, s.options, s.packed);
    frame.row_length = row_length<Real>(s.layer.hidden);
    const StepSpace<Cell, Real, Format> space(s.layer, s.rows, s.space);
    frame.x = x;
    if (s.y.data) frame.y = y;
    for (int64_t from = 0; from < s.rows; from += at_once) {
        const int64_t count = s.rows - from < at_once ? s.rows - from : at_once;
        for (int64_t i = 0; i < count; ++i) {
            if constexpr (Format::rounds) {
                x[i] = space.x + (from + i) * row_length<Real>(s.layer.input);
            } else {
                x[i] = s.x.at(0, from + i);
            }
            if (s.y.data) y[i] = s.y.at(0, from + i);
        }
        const auto rows_from = [&](auto* state) { return state ? state + from * frame.row_length : nullptr; };
        frame.h = rows_from(s.h);
        if constexpr (Format::rounds) {
            frame.seen = rows_from(space.seen);
        } else {
            frame.seen = frame.h;
        }
        for (int k = 0; k < states_of<Cell>; ++k) frame.state[k] = rows_from(s.state[k]);
        frame.between = space.between.from(from, frame.row_length);
        const int64_t last = end < panels ? end : panels;
        if constexpr (has_second_pass<Cell>) {
            if (s.pass > 0) {
                sweep<Pass::step>(SecondFrame(frame), panel, last, count);
                continue;
            }
        }
        sweep<Pass::step>(frame, panel, last, count);
    }
}

}  // namespace memfold::MEMFOLD_ISA
