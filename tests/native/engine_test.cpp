// The engine without Python: run under the sanitizers (.ci/run, make sanitize), and for NEON under qemu.
// Every instruction set of the machine folds random layers and is compared with a plain loop in double precision.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>
#include <random>
#include <thread>
#include <vector>

#include "checking.hpp"
#include "run.hpp"
#include "stack.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

namespace {

std::atomic<long> allocations{0};

#if defined(_WIN32)
void* aligned(std::size_t unit, std::size_t bytes) { return _aligned_malloc(bytes, unit); }
void free_aligned(void* memory) { _aligned_free(memory); }
#else
void* aligned(std::size_t unit, std::size_t bytes) {
    return std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit + unit);
}
void free_aligned(void* memory) { std::free(memory); }
#endif

}  // namespace

// Counted, so that a test can tell that a step allocates nothing. Not inlined: GCC would take a new that it sees
// through and a delete that it does not for a mismatch.
#define MEMFOLD_COUNTED __attribute__((noinline))
MEMFOLD_COUNTED void* operator new(std::size_t bytes) {
    ++allocations;
    if (void* memory = std::malloc(bytes)) return memory;
    throw std::bad_alloc();
}
MEMFOLD_COUNTED void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(bytes);
}
MEMFOLD_COUNTED void* operator new(std::size_t bytes, std::align_val_t alignment) {
    ++allocations;
    const auto unit = std::size_t(alignment);
    if (void* memory = aligned(unit, (bytes + unit - 1) / unit * unit + unit)) return memory;
    throw std::bad_alloc();
}
MEMFOLD_COUNTED void operator delete(void* memory) noexcept { std::free(memory); }
MEMFOLD_COUNTED void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
MEMFOLD_COUNTED void operator delete(void* memory, std::align_val_t) noexcept { free_aligned(memory); }
MEMFOLD_COUNTED void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { free_aligned(memory); }

namespace {

using namespace memfold;

constexpr Kind every_cell[] = {
#define MEMFOLD_CELL(name, Cell) Kind::name,
#include "cells.def"
};

// A random call and everything it reads and writes.
template <typename Real>
struct Call {
    Fold<Real> fold{};
    Traits traits;
    std::vector<Real> input, hidden, input_bias, hidden_bias, peephole, x, h0, c0, h, c, y, kept;
    std::vector<int64_t> lengths;
    std::vector<char> resets;

    Call(const Engine& engine, std::mt19937& random, Kind kind, int64_t time, int64_t batch, int64_t inputs,
         int64_t units, bool ragged, bool half = false)
        : traits(traits_of(engine, kind)) {
        const int gates = traits.gates;
        const auto numbers = [&](int64_t count, double scale = 1) {
            std::normal_distribution<double> normal(0, scale);
            std::vector<Real> result(static_cast<size_t>(count));
            for (auto& value : result) value = Real(normal(random));
            return result;
        };
        const double scale = 1 / std::sqrt(double(units));
        input = numbers(gates * units * inputs, scale), hidden = numbers(gates * units * units, scale);
        input_bias = numbers(gates * units), hidden_bias = numbers(gates * units);
        peephole = numbers(traits.peepholes * units);
        x = numbers(time * batch * inputs), h0 = numbers(batch * units), c0 = numbers(batch * units);
        h = c = std::vector<Real>(size_t(batch * units));
        y.resize(size_t(time * batch * units));
        kept.resize(size_t(time * batch * traits.kept * units));
        fold.layer = {kind, inputs, units, traits.peepholes > 0, half};
        fold.options = {ragged ? Real(2) : std::numeric_limits<Real>::infinity(), {Real(ragged ? 0.25 : 0)}};
        fold.sequences.time = time, fold.sequences.batch = batch;
        fold.x = {x.data(), batch * inputs, inputs};
        if (ragged) {
            for (int64_t b = 0; b < batch; ++b) lengths.push_back(int64_t(random() % size_t(time + 1)));
            for (int64_t i = 0; i < time * batch; ++i) resets.push_back(random() % 4 == 0);
            fold.sequences.lengths = lengths.data();
            fold.sequences.resets = {reinterpret_cast<const bool*>(resets.data()), batch, 1};
        }
        fold.direction_count = 1;
        fold.directions[0] = {nullptr,
                              ragged && random() % 2 == 0,
                              {h0.data(), c0.data()},
                              {h.data(), c.data()},
                              {y.data(), batch * units, units},
                              {},
                              {kept.data(), batch * traits.kept * units, traits.kept * units},
                              nullptr,
                              {}};
    }

    Weights<const Real> weights() const {
        return {input.data(), hidden.data(), input_bias.data(), hidden_bias.data(),
                peephole.empty() ? nullptr : peephole.data()};
    }

    void run(const Engine& engine, int threads) {
        const Memory packed = pack(engine, fold.layer, weights());
        fold.directions[0].packed = packed.get();
        memfold::run(engine, fold, threads);
    }
};

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

// The same by plain loops: one row's outputs and final state.
template <typename Real>
void expected_row(const Call<Real>& call, int64_t b, std::vector<double>& y, std::vector<double>& h) {
    const auto& f = call.fold;
    const int64_t units = f.layer.hidden, inputs = f.layer.input;
    const bool reverse = f.directions[0].reverse;
    const int64_t length = f.sequences.lengths ? f.sequences.lengths[b] : f.sequences.time;
    std::vector<double> c(static_cast<size_t>(units));
    h.resize(size_t(units));
    for (int64_t u = 0; u < units; ++u) h[size_t(u)] = call.h0[size_t(b * units + u)];
    for (int64_t u = 0; u < units; ++u) c[size_t(u)] = call.c0[size_t(b * units + u)];
    y.assign(size_t(f.sequences.time * units), 0);
    const auto clip = [&](double z) {
        return std::fmax(-double(f.options.clip), std::fmin(double(f.options.clip), z));
    };
    for (int64_t s = 0; s < length; ++s) {
        const int64_t t = reverse ? length - 1 - s : s;
        const int64_t cut = reverse ? t + 1 : t;
        if (f.sequences.resets.data && cut < length && *f.sequences.resets.at(cut, b)) {
            h.assign(size_t(units), 0);
            c.assign(size_t(units), 0);
        }
        const auto before = h;
        const auto row_times = [&](int64_t row, const auto& value_of) {
            double sum = call.hidden_bias[size_t(row)];
            for (int64_t k = 0; k < units; ++k) sum += double(call.hidden[size_t(row * units + k)]) * value_of(k);
            return sum;
        };
        for (int64_t u = 0; u < units; ++u) {
            double from_x[4], from_h[4];
            for (int g = 0; g < call.traits.gates; ++g) {
                const int64_t row = g * units + u;
                from_x[g] = call.input_bias[size_t(row)];
                from_h[g] = row_times(row, [&](int64_t k) { return before[size_t(k)]; });
                for (int64_t k = 0; k < inputs; ++k) {
                    from_x[g] += double(call.input[size_t(row * inputs + k)]) * double(*(f.x.at(t, b) + k));
                }
            }
            const auto pre = [&](int g, double peep = 0) { return clip(from_x[g] + from_h[g] + peep); };
            const auto peep = [&](int p, double value) { return double(call.peephole[size_t(p * units + u)]) * value; };
            const double old = before[size_t(u)], old_c = c[size_t(u)];
            double now = 0, cell = old_c;
            switch (f.layer.kind) {
                case Kind::rnn_tanh:
                    now = std::tanh(pre(0));
                    break;
                case Kind::rnn_relu:
                    now = std::fmax(pre(0), 0);
                    break;
                case Kind::gru: {
                    const double r = sigmoid(pre(0)), z = sigmoid(pre(1));
                    now = (1 - z) * std::tanh(clip(from_x[2] + r * from_h[2])) + z * old;
                    break;
                }
                case Kind::gru_reset_before: {
                    const auto kept_of = [&](int64_t k) {  // r * h of unit k
                        double r = call.input_bias[size_t(k)];
                        for (int64_t j = 0; j < inputs; ++j) {
                            r += double(call.input[size_t(k * inputs + j)]) * double(*(f.x.at(t, b) + j));
                        }
                        r += row_times(k, [&](int64_t j) { return before[size_t(j)]; });
                        return sigmoid(clip(r)) * before[size_t(k)];
                    };
                    const double z = sigmoid(pre(1));
                    now = (1 - z) * std::tanh(clip(from_x[2] + row_times(2 * units + u, kept_of))) + z * old;
                    break;
                }
                case Kind::lstm:
                case Kind::coupled_lstm: {
                    const bool coupled = f.layer.kind == Kind::coupled_lstm;
                    const int last = coupled ? 2 : 3;
                    const double i = sigmoid(pre(0, peep(0, old_c)));
                    const double forget = coupled ? 1 - i : sigmoid(pre(1, peep(1, old_c)));
                    cell = forget * old_c + i * std::tanh(pre(last - 1));
                    now = sigmoid(pre(last, peep(last - 1, cell))) * std::tanh(cell);
                    break;
                }
                case Kind::linear:
                    break;
            }
            const double p = double(f.options.zoneout[0]);
            h[size_t(u)] = p * old + (1 - p) * now;
            c[size_t(u)] = cell;
            y[size_t(t * units + u)] = h[size_t(u)];
        }
    }
}

template <typename Real>
void compare(const Call<Real>& call, const char* what) {
    const int64_t units = call.fold.layer.hidden;
    const double tolerance = call.fold.layer.half ? 0.1 : sizeof(Real) == 4 ? 1e-4 : 1e-12;
    double worst = 0;
    for (int64_t b = 0; b < call.fold.sequences.batch; ++b) {
        std::vector<double> y, h;
        expected_row(call, b, y, h);
        for (int64_t t = 0; t < call.fold.sequences.time; ++t) {
            for (int64_t u = 0; u < units; ++u) {
                const double ours = *(call.fold.directions[0].y.at(t, b) + u);
                worst = std::fmax(worst, std::fabs(ours - y[size_t(t * units + u)]) / (1 + std::fabs(ours)));
            }
        }
        for (int64_t u = 0; u < units; ++u) {
            const double ours = call.h[size_t(b * units + u)];
            worst = std::fmax(worst, std::fabs(ours - h[size_t(u)]) / (1 + std::fabs(ours)));
        }
    }
    check(worst < tolerance, what);
}

template <typename Real>
void test_folds(const Engine& engine, bool half = false) {
    std::mt19937 random(1);
    for (const Kind kind : every_cell) {
        for (const int64_t batch : {0, 1, 2, 7, 13}) {
            for (const int64_t units : {1, 17, 33}) {
                for (const bool ragged : {false, true}) {
                    Call<Real> call(engine, random, kind, 5, batch, 1 + units % 20, units, ragged, half);
                    call.run(engine, 1);
                    compare(call, "a fold follows the plain loops");
                    const auto alone = call.y;
                    call.run(engine, 3);
                    check(call.y == alone, "threads change nothing");
                }
            }
        }
    }
    for (const Kind kind : {Kind::lstm, Kind::gru_reset_before}) {
        Call<Real> wide(engine, random, kind, 6, 1, 8, 200, false, half);
        wide.run(engine, 1);
        compare(wide, "a fold by shares follows the plain loops");
        const auto alone = wide.y;
        wide.run(engine, 4);
        check(wide.y == alone, "shares change nothing");
    }
}

// Of everything that a call reads, in the order of `read`: what a loss has that moves by dy and dh.
template <typename Real>
struct Gradients {
    std::vector<Real> of[8];

    static auto read(Call<Real>& call) {
        return std::array{&call.x,      &call.h0,         &call.c0,          &call.input,
                          &call.hidden, &call.input_bias, &call.hidden_bias, &call.peephole};
    }

    Gradients(const Engine& engine, Call<Real>& call, const std::vector<Real>& dy, const std::vector<Real>& dh,
              int threads) {
        for (int k = 0; k < 8; ++k) of[k].resize(read(call)[size_t(k)]->size());
        const auto [batch, units] = std::pair(call.fold.sequences.batch, call.fold.layer.hidden);
        Backward<Real> b{};
        b.fold = call.fold;
        b.dx = {of[0].data(), batch * call.fold.layer.input, call.fold.layer.input};
        b.directions[0] = {
            call.weights(),
            {dy.data(), batch * units, units},
            {dh.data()},
            {of[1].data(), call.traits.states > 1 ? of[2].data() : nullptr},
            {of[3].data(), of[4].data(), of[5].data(), of[6].data(), of[7].empty() ? nullptr : of[7].data()}};
        run_backward(engine, b, threads);
    }
};

// The gradient along a random direction of everything a fold reads, against the difference of the loss there.
void test_backward(const Engine& engine) {
    std::mt19937 random(4);
    std::normal_distribution<double> normal;
    for (const Kind kind : every_cell) {
        if (kind == Kind::rnn_relu) continue;  // a difference across its corner is no derivative
        for (const int64_t batch : {0, 1, 9}) {
            for (const int64_t units : {1, 17, 70}) {
                for (const bool ragged : {false, true}) {
                    Call<double> call(engine, random, kind, 5, batch, 1 + units % 20, units, ragged);
                    std::vector<double> dy, dh;
                    for (size_t i = 0; i < call.y.size(); ++i) dy.push_back(normal(random));
                    for (size_t i = 0; i < call.h.size(); ++i) dh.push_back(normal(random));
                    const auto loss = [&] {
                        call.run(engine, 3);
                        double sum = 0;
                        for (size_t i = 0; i < dy.size(); ++i) sum += call.y[i] * dy[i];
                        for (size_t i = 0; i < dh.size(); ++i) sum += call.h[i] * dh[i];
                        return sum;
                    };
                    loss();
                    const Gradients<double> gradient(engine, call, dy, dh, 1);
                    check(Gradients<double>(engine, call, dy, dh, 4).of[4] == gradient.of[4],
                          "threads change no gradient");
                    double along = 0;
                    std::vector<double> direction[8];
                    for (int k = 0; k < 8; ++k) {
                        for (const double g : gradient.of[k]) {
                            direction[k].push_back(normal(random));
                            along += g * direction[k].back();
                        }
                    }
                    const auto moved = [&](double by) {
                        for (int k = 0; k < 8; ++k) {
                            auto& values = *Gradients<double>::read(call)[size_t(k)];
                            for (size_t i = 0; i < values.size(); ++i) values[i] += by * direction[k][i];
                        }
                    };
                    constexpr double step = 1e-6;
                    moved(step);
                    const double above = loss();
                    moved(-2 * step);
                    const double difference = (above - loss()) / (2 * step);
                    check(std::fabs(difference - along) < 1e-4 * (1 + std::fabs(along)),
                          "a gradient is the difference");
                }
            }
        }
    }
}

// Small whole numbers, whose products and sums every precision has exactly: bfloat16 gives what float64 gives.
void test_whole_numbers(const Engine& engine) {
    std::mt19937 random(5);
    const auto whole = [&](int most) { return int(random() % size_t(2 * most + 1)) - most; };
    for (const int64_t batch : {1, 2, 9}) {
        for (const int64_t units : {1, 17, 70}) {
            const int64_t time = 3, inputs = 1 + units % 20;
            Call<double> exact(engine, random, Kind::rnn_relu, time, batch, inputs, units, false);
            Call<float> half(engine, random, Kind::rnn_relu, time, batch, inputs, units, false, true);
            for (double& weight : exact.hidden) weight = 0;  // but for one a row, so that h stays below 256
            for (int64_t u = 0; u < units; ++u) exact.hidden[size_t(u * units + (u + 1) % units)] = whole(1);
            std::vector<double> dy(exact.y.size()), dh(exact.h.size());
            for (auto* values : {&exact.input, &exact.input_bias, &exact.hidden_bias, &exact.x, &exact.h0, &dy, &dh}) {
                for (double& value : *values) value = whole(2);
            }
            for (size_t k = 0; k < 8; ++k) {
                const auto& from = *Gradients<double>::read(exact)[k];
                std::copy(from.begin(), from.end(), Gradients<float>::read(half)[k]->begin());
            }
            exact.run(engine, 1), half.run(engine, 2);
            const auto same = [](const std::vector<float>& found, const std::vector<double>& expected) {
                return std::equal(found.begin(), found.end(), expected.begin(), expected.end());
            };
            check(same(half.y, exact.y) && same(half.h, exact.h), "whole numbers fold exactly in bfloat16");
            const Gradients<double> expected(engine, exact, dy, dh, 1);
            const Gradients<float> found(engine, half, {dy.begin(), dy.end()}, {dh.begin(), dh.end()}, 2);
            for (int k = 0; k < 8; ++k) check(same(found.of[k], expected.of[k]), "and so do their gradients");
        }
    }
}

void test_many_callers(const Engine& engine) {
    std::vector<std::thread> callers;
    std::atomic<int> wrong{0};
    for (unsigned seed = 0; seed < 6; ++seed) {
        callers.emplace_back([&, seed] {
            std::mt19937 random(seed);
            Call<float> call(engine, random, Kind::lstm, 9, 5, 8, 70, true);
            call.run(engine, 1);
            const auto alone = call.y;
            for (int round = 0; round < 30; ++round) {
                call.run(engine, 1 + round % 4);
                if (call.y != alone) ++wrong;
            }
        });
    }
    for (auto& caller : callers) caller.join();
    check(wrong == 0, "many callers get what each gets alone");
}

// Streams that step whenever they have something give what they give together.
void test_steps_of_some(const Engine& engine, const Call<float>& below, const Call<float>& above) {
    Stack<float> stack(engine, 3);
    for (const auto* call : {&below, &above}) {
        stack.add(call->fold.layer, call->fold.options,
                  std::shared_ptr<void>(pack(engine, call->fold.layer, call->weights())));
    }
    const std::vector<std::vector<int64_t>> turns{{2},    {0, 2}, {1, 0, 2}, {2},   {1, 2, 0},
                                                  {0, 1}, {1, 0}, {1, 2},    {0, 1}};
    std::vector<int64_t> seen(3);
    std::vector<float> x, y, whole(6 * 3 * 21);
    for (const auto& rows : turns) {
        x.clear();
        for (const int64_t row : rows) {
            const float* const from = below.fold.x.at(seen[size_t(row)], row);
            x.insert(x.end(), from, from + 5);
        }
        y.assign(rows.size() * 21, 0);
        stack.step_rows(rows.data(), int64_t(rows.size()), x.data(), 5, y.data(), 21);
        for (size_t i = 0; i < rows.size(); ++i) {
            const int64_t t = seen[size_t(rows[i])]++;
            std::copy_n(y.data() + i * 21, 21, whole.data() + (t * 3 + rows[i]) * 21);
        }
    }
    check(seen == std::vector<int64_t>(3, 6), "every stream has taken all steps");
    check(whole == above.y, "steps of some are the fold of the whole");
}

void test_steps(const Engine& engine) {
    std::mt19937 random(2);
    Call<float> below(engine, random, Kind::gru, 6, 3, 5, 19, false),
        above(engine, random, Kind::lstm, 6, 3, 19, 21, false);
    for (auto* call : {&below, &above}) {
        for (auto& first : call->fold.directions[0].first) first = nullptr;
    }
    above.fold.x = {below.y.data(), 3 * 19, 19};
    below.run(engine, 1);
    above.run(engine, 1);
    Stack<float> stack(engine, 3);
    for (const auto* call : {&below, &above}) {
        stack.add(call->fold.layer, call->fold.options,
                  std::shared_ptr<void>(pack(engine, call->fold.layer, call->weights())));
    }
    std::vector<float> y(3 * 21), whole;
    whole.reserve(6 * 3 * 21);
    const long before = allocations;
    for (int64_t t = 0; t < 6; ++t) {
        stack.step(below.fold.x.at(t, 0), 5, y.data(), 21);
        whole.insert(whole.end(), y.begin(), y.end());
    }
    check(allocations == before, "a step allocates nothing");
    check(whole == above.y, "steps are the fold of the whole");
    test_steps_of_some(engine, below, above);
}

// Two layers wide enough to be divided, stepped until helpers have had the time to come; the last outputs.
struct WideStack {
    Call<float> below, above;
    Stack<float> stack;
    std::vector<float> y;

    explicit WideStack(const Engine& engine, unsigned seed = 4, int64_t streams = 2)
        : WideStack(engine, std::mt19937(seed), streams) {}

    std::vector<float> steps(int count) {
        const int64_t streams = stack.streams();
        std::vector<float> whole;
        whole.reserve(size_t(count) * y.size());
        for (int step = 0; step < count; ++step) {
            stack.step(below.x.data() + step % 6 * streams * 90, 90, y.data(), 170);
            whole.insert(whole.end(), y.begin(), y.end());
        }
        return whole;
    }

  private:
    WideStack(const Engine& engine, std::mt19937 random, int64_t streams)
        : below(engine, random, Kind::lstm, 6, streams, 90, 150, false),
          above(engine, random, Kind::gru, 6, streams, 150, 170, false),
          stack(engine, streams),
          y(size_t(streams * 170)) {
        for (const auto* call : {&below, &above}) {
            stack.add(call->fold.layer, call->fold.options,
                      std::shared_ptr<void>(pack(engine, call->fold.layer, call->weights())));
        }
    }
};

void test_divided_steps(const Engine& engine) {
    Pool::set_step_threads(1);
    const auto alone = WideStack(engine).steps(200);
    for (const int threads : {2, 3}) {
        Pool::set_step_threads(threads);
        WideStack together(engine);
        const long before = allocations;
        const auto steps = together.steps(200);
        check(allocations == before + 1, "a divided step allocates nothing");  // the one is that of the result
        check(steps == alone, "helpers change nothing");
    }
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (unsigned seed = 0; seed < 4; ++seed) {
        callers.emplace_back([&] { wrong += WideStack(engine).steps(200) != alone; });
    }
    for (auto& caller : callers) caller.join();
    check(wrong == 0, "streams of many threads get what each gets alone");
    Pool::set_step_threads(1);
}

void test_fork(const Engine& engine) {
#if defined(__unix__) && !defined(__SANITIZE_THREAD__)
    std::mt19937 random(3);
    Call<float> call(engine, random, Kind::lstm, 9, 16, 8, 70, false);
    call.run(engine, 2);
    const auto parents = call.y;
    Pool::set_step_threads(2);
    const auto steps = WideStack(engine).steps(200);
    WideStack stack(engine);
    const pid_t child = fork();
    if (child == 0) {
        call.run(engine, 2);
        _exit(call.y == parents && stack.steps(200) == steps ? 0 : 1);
    }
    Pool::set_step_threads(1);
    int status = 1;
    waitpid(child, &status, 0);
    check(status == 0, "a forked child folds and steps with threads of its own");
#else
    (void)engine;
#endif
}

void test_fingerprint(const Engine& engine) {
    std::vector<unsigned char> data(5000, 7);
    const uint64_t whole = engine.fingerprint(data.data(), data.size());
    for (size_t i = 0; i < data.size(); i += 3) {
        data[i] ^= 1;
        check(engine.fingerprint(data.data(), data.size()) != whole, "any bit changes the fingerprint");
        data[i] ^= 1;
        check(engine.fingerprint(data.data(), i) != whole, "so does the length");
    }
    check(engine.fingerprint(data.data(), data.size()) == whole, "the same bytes have the same fingerprint");
}

void test_x86_level() {
#if defined(__x86_64__) && defined(__linux__)
    __builtin_cpu_init();
    const int level = x86_level();
    check((level >= 2) == bool(__builtin_cpu_supports("sse4.2")), "the compiler's library has the same level 2");
    check((level >= 3) == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")), "and level 3");
    check((level >= 4) == (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")), "and level 4");
#endif
}

}  // namespace

// With any argument the test of fork is left out: qemu's user mode does not survive one beside threads.
int main(int count, char**) {
    test_x86_level();
    return with_every_engine("folds", [count](const Engine& engine) {
        test_folds<float>(engine);
        test_folds<double>(engine);
        test_folds<float>(engine, true);
        test_backward(engine);
        test_whole_numbers(engine);
        test_many_callers(engine);
        test_steps(engine);
        test_divided_steps(engine);
        if (count == 1) test_fork(engine);
        test_fingerprint(engine);
    });
}
