// Random calls into the engine, to be run under the sanitizers (.ci/run, make sanitize): folds of every cell, option,
// precision and direction, their gradients, and streams. Arrays end where the call says, so that the address sanitizer
// sees whatever is read or written beyond. Threads must change no bit, and steps must give those of a fold.
//
// That it sees was tried: with one element too many in store_units the first seed ends in a heap-buffer-overflow there,
// and pool_test under the thread sanitizer in a data race where the parts of a step are announced without release.
//
//     fuzz_engine CALLS [SEED]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "isa.hpp"
#include "run.hpp"
#include "stack.hpp"

namespace {

using namespace memfold;

std::atomic<long> calls{0}, wrong{0};

constexpr Kind every_cell[] = {
#define MEMFOLD_CELL(name, Cell) Kind::name,
#include "cells.def"
};

struct Dice {
    std::mt19937_64 random;

    bool in(int many) { return random() % size_t(many) == 0; }
    int64_t up_to(int64_t most) { return int64_t(random() % uint64_t(most + 1)); }
    template <typename T, size_t N>
    T one_of(const T (&values)[N]) {
        return values[random() % N];
    }
};

template <typename Real>
using Array = std::vector<Real>;

template <typename Real>
Array<Real> numbers(Dice& dice, int64_t count, double scale = 1, bool strange = false) {
    constexpr Real odd[] = {Real(0),
                            Real(-0.0),
                            std::numeric_limits<Real>::infinity(),
                            std::numeric_limits<Real>::quiet_NaN(),
                            std::numeric_limits<Real>::max(),
                            std::numeric_limits<Real>::denorm_min()};
    Array<Real> result(static_cast<size_t>(count));
    for (auto& value : result) value = Real(scale * (double(dice.random() % 2001) / 1000 - 1));
    if (strange && count > 0) result[dice.random() % result.size()] = dice.one_of(odd);
    return result;
}

// Null for what has no elements, which a call may be given for what is not there.
template <typename Real>
Real* address(Array<Real>& array) {
    return array.empty() ? nullptr : array.data();
}

template <typename Real>
bool same_bits(const Array<Real>& one, const Array<Real>& other) {
    return one.empty() || std::memcmp(one.data(), other.data(), one.size() * sizeof(Real)) == 0;
}

template <typename Real>
struct Matrices {
    Array<Real> input, hidden, input_bias, hidden_bias, peephole;

    Matrices() = default;
    Matrices(Dice& dice, const Traits& cell, int64_t inputs, int64_t units, bool bias, bool peep, bool strange) {
        const double scale = 1 / std::sqrt(double(units + inputs + 1));
        input = numbers<Real>(dice, cell.gates * units * inputs, scale, strange);
        hidden = numbers<Real>(dice, cell.gates * units * units, scale);
        if (bias && !dice.in(4)) input_bias = numbers<Real>(dice, cell.gates * units);
        if (bias) hidden_bias = numbers<Real>(dice, cell.gates * units);
        if (peep) peephole = numbers<Real>(dice, cell.peepholes * units);
    }

    // Where the gradients of these go; of some none is asked for.
    Matrices gradients(Dice& dice) const {
        Matrices result;
        const auto some = [&](const Array<Real>& of) { return Array<Real>(dice.in(4) ? 0 : of.size()); };
        result.input = some(input), result.hidden = some(hidden), result.input_bias = some(input_bias);
        result.hidden_bias = some(hidden_bias), result.peephole = some(peephole);
        return result;
    }

    Weights<Real> mutables() {
        return {address(input), address(hidden), address(input_bias), address(hidden_bias), address(peephole)};
    }
    Weights<const Real> weights() {
        const auto w = mutables();
        return {w.input, w.hidden, w.input_bias, w.hidden_bias, w.peephole};
    }
};

// A random fold with all that it reads and writes.
template <typename Real>
struct Call {
    const Engine& engine;
    Dice& dice;
    Traits cell;
    Fold<Real> fold{};
    Matrices<Real> matrices[2];
    Memory packed[2];
    Array<Real> x, y, kept, first[2][most_states], last[2][most_states], mask[2], zones[2][most_states];
    Array<uint16_t> y_rounded;
    Array<int64_t> lengths;
    Array<char> resets;

    Call(const Engine& engine, Dice& dice, bool large) : engine(engine), dice(dice) {
        constexpr int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33};
        const Kind kind = dice.one_of(every_cell);
        cell = traits_of(engine, kind);
        const int64_t time = large ? 1 + dice.up_to(20) : dice.up_to(5), batch = dice.up_to(large ? 20 : 6);
        const int64_t inputs = dice.one_of(sizes), units = large ? 60 + dice.up_to(120) : dice.one_of(sizes);
        const bool strange = dice.in(20), peep = cell.peepholes > 0 && dice.in(2), bias = !dice.in(3);
        const bool half = sizeof(Real) == sizeof(float) && dice.in(4);
        const int directions = dice.in(3) ? 2 : 1;
        fold.layer = {kind, inputs, units, peep, half};
        constexpr double clips[] = {0.1, 1, 3};
        fold.options.clip = dice.in(3) ? Real(dice.one_of(clips)) : std::numeric_limits<Real>::infinity();
        for (int k = 0; k < cell.states; ++k) fold.options.zoneout[k] = dice.in(3) ? Real(dice.up_to(100)) / 100 : 0;
        fold.sequences = {time, batch, nullptr, nullptr, {nullptr, 0, 0}};
        if (dice.in(2)) {
            for (int64_t b = 0; b < batch; ++b) lengths.push_back(dice.up_to(time));
            lengths.reserve(1);  // an empty batch has an address too
            fold.sequences.lengths = lengths.data();
        }
        if (dice.in(3)) {
            resets.resize(size_t(time * batch));
            for (auto& cut : resets) cut = dice.in(4);
            fold.sequences.resets = {reinterpret_cast<const bool*>(address(resets)), batch, 1};
        }
        // Time or batch comes first, and rows may lie apart.
        const int64_t x_row = inputs + (dice.in(3) ? dice.up_to(3) : 0);
        const int64_t y_row = directions * units + (dice.in(3) ? dice.up_to(3) : 0);
        const auto spanned = [&](int64_t row, int64_t width) {
            return time * batch == 0 ? 0 : (time * batch - 1) * row + width;
        };
        x = numbers<Real>(dice, spanned(x_row, inputs), 1, strange);
        y.resize(size_t(spanned(y_row, directions * units)));
        fold.x = dice.in(2) ? Strided<const Real>{address(x), x_row, time * x_row}
                            : Strided<const Real>{address(x), batch * x_row, x_row};
        const Strided<Real> all_y = dice.in(2) ? Strided<Real>{address(y), y_row, time * y_row}
                                               : Strided<Real>{address(y), batch * y_row, y_row};
        const int64_t width = cell.kept * units;
        if (dice.in(2)) kept.resize(size_t(time * batch * directions * width));
        const bool rounds = half && kept.empty() && dice.in(2);  // y
        if (rounds) y_rounded.resize(y.size());
        const bool begins = dice.in(2), masked = dice.in(4), zoned = dice.in(4), reverse = dice.in(2);
        fold.direction_count = directions;
        for (int d = 0; d < directions; ++d) {
            matrices[d] = Matrices<Real>(dice, cell, inputs, units, bias, peep, strange);
            Direction<Real>& own = fold.directions[d];
            own.reverse = directions == 2 ? d == 1 : reverse;
            for (int k = 0; k < cell.states; ++k) {
                if (begins) first[d][k] = numbers<Real>(dice, batch * units);
                last[d][k].resize(size_t(batch * units));
                own.first[k] = address(first[d][k]);
                own.last[k] = address(last[d][k]);
                if (zoned) {
                    zones[d][k] = numbers<Real>(dice, time * batch * units);
                    for (auto& zone : zones[d][k]) zone = zone > 0 ? 1 : 0;
                }
                own.zones[k] = address(zones[d][k]);
            }
            if (masked) mask[d] = numbers<Real>(dice, batch * units);
            own.mask = address(mask[d]);
            own.y = {all_y.data ? all_y.data + d * units : nullptr, all_y.time, all_y.batch};
            if (rounds) {
                own.y_rounded = {address(y_rounded) ? y_rounded.data() + d * units : nullptr, all_y.time, all_y.batch};
                own.y = {};
            }
            own.kept = {kept.empty() ? nullptr : kept.data() + d * width, batch * directions * width,
                        directions * width};
            packed[d] = pack(engine, fold.layer, matrices[d].weights());
            ++calls;
            own.packed = packed[d].get();
        }
    }

    int some_threads() { return int(2 + dice.up_to(3)); }

    void run(int threads) {
        memfold::run(engine, fold, threads);
        ++calls;
    }

    // All bits that a fold has written.
    Array<char> written() const {
        Array<char> result;
        const auto add = [&](const auto& array) {
            const char* const bytes = reinterpret_cast<const char*>(array.data());
            result.insert(result.end(), bytes, bytes + array.size() * sizeof(array[0]));
        };
        add(y), add(y_rounded), add(kept);
        for (const auto& of_direction : last) {
            for (const auto& state : of_direction) add(state);
        }
        return result;
    }

    void derive() {
        if (kept.empty() || y.empty()) return;
        Backward<Real> backward{};
        backward.fold = fold;
        const int64_t row = fold.layer.input, states = fold.sequences.batch * fold.layer.hidden;
        Array<Real> dx(dice.in(4) ? 0 : size_t(fold.sequences.time * fold.sequences.batch * row));
        Array<Real> dy, d_last[2][most_states], d_first[2][most_states];
        Matrices<Real> gradients[2];
        backward.dx = {address(dx), fold.sequences.batch * row, row};
        if (!dice.in(4)) dy = numbers<Real>(dice, int64_t(y.size()));
        for (int d = 0; d < fold.direction_count; ++d) {
            Derivative<Real>& own = backward.directions[d];
            own.weights = matrices[d].weights();
            gradients[d] = matrices[d].gradients(dice);
            own.gradient = gradients[d].mutables();
            const Strided<Real>& to = fold.directions[d].y;
            own.dy = {dy.empty() ? nullptr : dy.data() + d * fold.layer.hidden, to.time, to.batch};
            for (int k = 0; k < cell.states; ++k) {
                if (!dice.in(4)) d_last[d][k] = numbers<Real>(dice, states);
                if (!dice.in(4)) d_first[d][k].resize(size_t(states));
                own.d_last[k] = address(d_last[d][k]);
                own.d_first[k] = address(d_first[d][k]);
            }
        }
        run_backward(engine, backward, 1);
        const auto alone = dx;
        run_backward(engine, backward, some_threads());
        calls += 2;
        if (!same_bits(alone, dx)) {
            ++wrong;
            std::printf("threads change the gradient of x: %s\n", cell.name);
        }
    }

    void test() {
        run(1);
        const auto alone = written();
        run(some_threads());
        if (written() != alone) {
            ++wrong;
            std::printf("threads change a fold: %s\n", cell.name);
        }
        derive();
    }
};

// A step of all streams in some calls, each of some of them in any order: what one call of all gives.
template <typename Real>
int64_t step_in_parts(Dice& dice, Stack<Real>& stack, const Real* x, int64_t x_row, Real* y, int64_t y_row) {
    std::vector<int64_t> order(size_t(stack.streams()));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t k = stack.streams() - 1; k > 0; --k) std::swap(order[size_t(k)], order[size_t(dice.up_to(k))]);
    int64_t calls = 0;
    for (int64_t from = 0, n; from < stack.streams(); from += n, ++calls) {
        n = 1 + dice.up_to(stack.streams() - 1 - from);
        Array<Real> given(size_t(n * stack.input())), found(size_t(n * stack.output()));
        for (int64_t i = 0; i < n; ++i) {
            std::copy_n(x + order[size_t(from + i)] * x_row, stack.input(), given.begin() + i * stack.input());
        }
        stack.step_rows(order.data() + from, n, given.data(), stack.input(), found.data(), stack.output());
        for (int64_t i = 0; i < n; ++i) {
            std::copy_n(found.begin() + i * stack.output(), stack.output(), y + order[size_t(from + i)] * y_row);
        }
    }
    return calls;
}

// Layers and a head, one step after another; the lowest layer's outputs are those of a fold.
template <typename Real>
void test_stream(const Engine& engine, Dice& dice, bool large) {
    const int64_t streams = 1 + dice.up_to(large ? 3 : 8), steps = 1 + dice.up_to(5);
    const int layers = int(1 + dice.up_to(2));
    Stack<Real> stack(engine, streams);
    int64_t inputs = 1 + dice.up_to(large ? 150 : 20);
    const int64_t first_inputs = inputs;
    std::vector<int64_t> widths;
    std::vector<Traits> cells;
    std::vector<Matrices<Real>> matrices;
    Layer lowest{};
    Options<Real> options{};
    for (int k = 0; k < layers; ++k) {
        const Kind kind = dice.one_of(every_cell);
        const Traits cell = traits_of(engine, kind);
        const int64_t units = 1 + dice.up_to(large ? 200 : 34);
        const bool peep = cell.peepholes > 0 && dice.in(2);
        const Layer layer{kind, inputs, units, peep, sizeof(Real) == sizeof(float) && dice.in(4)};
        Options<Real> own{dice.in(2) ? Real(1) : std::numeric_limits<Real>::infinity(), {}};
        for (int s = 0; s < cell.states; ++s) own.zoneout[s] = dice.in(3) ? Real(0.25) : 0;
        matrices.emplace_back(dice, cell, inputs, units, !dice.in(3), peep, dice.in(30));
        stack.add(layer, own, std::shared_ptr<void>(pack(engine, layer, matrices.back().weights())));
        if (k == 0) lowest = layer, options = own;
        widths.push_back(units);
        cells.push_back(cell);
        inputs = units;
    }
    const bool head = dice.in(2);
    if (head) {
        const int64_t outputs = 1 + dice.up_to(20);
        Array<Real> weight = numbers<Real>(dice, outputs * inputs), bias = numbers<Real>(dice, outputs);
        const Layer layer{Kind::linear, inputs, outputs, false, false};
        stack.add(layer, {std::numeric_limits<Real>::infinity(), {}},
                  std::shared_ptr<void>(
                      pack<Real>(engine, layer, {weight.data(), nullptr, dice.in(2) ? bias.data() : nullptr, {}, {}})));
        inputs = outputs;
    }
    calls += layers + head;
    const int64_t row = first_inputs + dice.up_to(3), y_row = inputs + dice.up_to(3);
    Array<Real> x = numbers<Real>(dice, steps * streams * row), whole;
    bool undisturbed = true;
    for (int64_t t = 0; t < steps; ++t) {
        Array<Real> y(size_t((streams - 1) * y_row + inputs));
        const Real* const x_t = x.data() + t * streams * row;
        if (dice.in(2)) {
            stack.step(x_t, row, y.data(), y_row), ++calls;
        } else {
            calls += step_in_parts(dice, stack, x_t, row, y.data(), y_row);
        }
        for (int64_t s = 0; s < streams; ++s) {
            whole.insert(whole.end(), y.begin() + s * y_row, y.begin() + s * y_row + inputs);
        }
        const size_t level = dice.random() % size_t(layers);
        const int part = int(dice.random() % size_t(cells[level].states));
        const int64_t first = dice.up_to(streams - 1), some = 1 + dice.up_to(streams - 1 - first);
        Array<Real> state(size_t(some * widths[level]));
        if (dice.in(6)) stack.get(level, part, first, some, state.data()), ++calls;
        if (dice.in(6)) stack.set(level, part, first, some, state.data()), ++calls, undisturbed = false;
        if (dice.in(6)) stack.reset(dice.up_to(streams - 1)), ++calls, undisturbed = false;
    }
    if (layers > 1 || head || !undisturbed) return;
    Fold<Real> fold{};
    fold.layer = lowest, fold.options = options;
    fold.sequences = {steps, streams, nullptr, nullptr, {nullptr, 0, 0}};
    fold.x = {x.data(), streams * row, row};
    fold.direction_count = 1;
    Array<Real> expected(whole.size()), last[most_states];
    const Memory packed = pack(engine, lowest, matrices[0].weights());
    fold.directions[0].packed = packed.get();
    fold.directions[0].y = {expected.data(), streams * inputs, inputs};
    for (int k = 0; k < cells[0].states; ++k) {
        last[k].resize(size_t(streams * inputs));
        fold.directions[0].last[k] = last[k].data();
    }
    run(engine, fold, 1);
    calls += 2;
    if (!same_bits(expected, whole)) {
        ++wrong;
        std::printf("steps are no fold: %s\n", cells[0].name);
    }
}

template <typename Real>
void test(const Engine& engine, Dice& dice) {
    const bool large = dice.in(200);
    if (dice.in(3)) {
        test_stream<Real>(engine, dice, large);
    } else {
        Call<Real>(engine, dice, large).test();
    }
}

void test_some(unsigned long seed, long until) {
    Dice dice{std::mt19937_64(seed)};
#ifdef MEMFOLD_ONLY
    const std::vector<const Engine*> engines{&MEMFOLD_ONLY::engine};
#else
    const auto engines = usable_engines();
#endif
    while (calls < until && wrong == 0) {
        const Engine& engine = *engines[dice.random() % engines.size()];
        dice.in(2) ? test<float>(engine, dice) : test<double>(engine, dice);
        if (dice.in(100)) Pool::set_step_threads(int(1 + dice.up_to(3)));
    }
}

}  // namespace

int main(int count, char** given) {
    const long most = count > 1 ? std::atol(given[1]) : 100'000;
    const unsigned long seed = count > 2 ? std::strtoul(given[2], nullptr, 10) : 0;
    Pool::ask_always();
    test_some(seed, most / 2);
    // The rest by several callers at once.
    std::vector<std::thread> callers;
    for (unsigned long k = 1; k <= 3; ++k) callers.emplace_back(test_some, seed + 1000 * k, most);
    for (auto& caller : callers) caller.join();
    std::printf("fuzz: %ld calls from seed %lu, %s\n", calls.load(), seed, wrong == 0 ? "right" : "wrong");
    return wrong == 0 ? 0 : 1;
}
