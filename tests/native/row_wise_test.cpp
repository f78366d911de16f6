// Folds by rows without Python: layer normalisation and projections, each gradient against the difference of a loss.
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "checking.hpp"
#include "run.hpp"

namespace {

using namespace memfold;

// A fold by rows, whose loss is y and the last state along a random direction.
struct RowCase {
    static constexpr int64_t time = 5;
    int64_t batch, inputs, units, width, gates;
    bool normal;
    std::vector<double> by_x, by_h, projection, gains[3], bias, peephole, mask, zones;
    std::vector<double> read[3], direction[3];  // x, h and c; dy, dh and dc
    std::vector<int64_t> lengths;
    std::vector<char> resets;
    RowFold<double> fold{};

    RowCase(std::mt19937& random, int64_t rows, int64_t hidden, bool normalised, bool projected, bool coupled,
            bool ragged)
        : batch(rows),
          inputs(1 + hidden % 20),
          units(hidden),
          width(projected ? (hidden + 1) / 2 : hidden),
          gates(coupled ? 3 : 4),
          normal(normalised) {
        const auto numbers = [&](int64_t count, int64_t inner = 1) {
            std::normal_distribution<double> normal_numbers(0, 1 / std::sqrt(double(inner)));
            std::vector<double> result(static_cast<size_t>(count));
            for (double& value : result) value = normal_numbers(random);
            return result;
        };
        by_x = numbers(gates * units * inputs, inputs), by_h = numbers(gates * units * width, width);
        if (projected) projection = numbers(width * units, units);
        for (int k = 0; k < 3 && normal; ++k) gains[k] = numbers(k < 2 ? gates * units : units);
        bias = numbers(gates * units), peephole = numbers((gates - 1) * units);
        read[0] = numbers(time * batch * inputs), read[1] = numbers(batch * width), read[2] = numbers(batch * units);
        direction[0] = numbers(time * batch * width), direction[1] = numbers(batch * width);
        direction[2] = numbers(batch * units);
        const auto gain = [&](int k) { return normal ? gains[k].data() : nullptr; };
        fold.hidden = units, fold.coupled = coupled, fold.reverse = ragged;
        fold.by_x.width = inputs, fold.by_x.gain = gain(0), fold.by_h.width = width, fold.by_h.gain = gain(1);
        fold.cell_gain = gain(2), fold.bias = bias.data(), fold.peephole = peephole.data();
        fold.options = {ragged ? 2.0 : std::numeric_limits<double>::infinity(), {ragged ? 0.25 : 0.0, 0.5}};
        fold.sequences.time = time, fold.sequences.batch = batch;
        fold.x = {read[0].data(), batch * inputs, inputs};
        if (!ragged) return;
        mask = numbers(batch * width), zones = numbers(time * batch * width);
        for (double& zone : zones) zone = zone > 0;
        for (int64_t b = 0; b < batch; ++b) lengths.push_back(int64_t(random() % size_t(time + 1)));
        for (int64_t i = 0; i < time * batch; ++i) resets.push_back(random() % 4 == 0);
        fold.sequences.lengths = lengths.data();
        fold.sequences.resets = {reinterpret_cast<const bool*>(resets.data()), batch, 1};
        fold.mask = mask.data(), fold.zones[0] = zones.data();
    }
    RowCase(const RowCase&) = delete;

    // A matrix (rows, columns) as the engine reads it, or its transposed one; nothing of none.
    static Memory packed(const Engine& engine, const std::vector<double>& matrix, int64_t rows, int64_t columns,
                         bool backward) {
        if (matrix.empty()) return {};
        std::vector<double> turned(matrix.size());
        for (int64_t i = 0; i < rows * columns; ++i)
            turned[size_t(i % columns * rows + i / columns)] = matrix[size_t(i)];
        const Layer layer{Kind::linear, backward ? rows : columns, backward ? columns : rows, false, false};
        return pack<double>(engine, layer, {(backward ? turned : matrix).data(), nullptr, nullptr, nullptr, nullptr});
    }

    // Runs work(fold) on the fold with its products, or their transposed ones, and with what it keeps.
    template <typename Work>
    void with_products(const Engine& engine, bool backward, std::vector<double>* kept, const Work& work) const {
        const Memory x = packed(engine, by_x, gates * units, inputs, backward);
        const Memory h = packed(engine, by_h, gates * units, width, backward);
        const Memory output = packed(engine, projection, width, units, backward);
        RowFold<double> f = fold;
        f.by_x.product = x.get(), f.by_h.product = h.get(), f.projection = output.get();
        if (kept) {
            const int64_t G = gates * units, sizes[] = {G, 1, G, 1, width, units, G, units, units, 1};
            double** const to[] = {&f.by_x.normed, &f.by_x.scale, &f.by_h.normed, &f.by_h.scale,  &f.seen,
                                   &f.before,      &f.gates,      &f.opened,      &f.cell_normed, &f.cell_scale};
            for (int k = 0; k < 10; ++k) {
                kept[k].resize(size_t(time * batch * sizes[k]));
                *to[k] = kept[k].data();
            }
        }
        work(f);
    }

    // What the gradient needs goes into `kept` where that is given.
    double loss(const Engine& engine, int threads, std::vector<double>* kept = nullptr) const {
        std::vector<double> h = read[1], c = read[2], y(size_t(time * batch * width));
        with_products(engine, false, kept, [&](RowFold<double>& f) {
            f.h = h.data(), f.c = c.data(), f.y = y.data();
            run(engine, f, threads);
        });
        double sum = 0;
        const std::vector<double>* const results[] = {&y, &h, &c};
        for (int k = 0; k < 3; ++k) {
            for (size_t i = 0; i < results[k]->size(); ++i) sum += (*results[k])[i] * direction[k][i];
        }
        return sum;
    }

    // The gradients by what is read.
    std::array<std::vector<double>, 3> gradients(const Engine& engine, int threads) const {
        std::vector<double> kept[10], d_pre[3], d_output(size_t(time * batch * width)),
            d_opened(size_t(time * batch * units));
        for (auto& d : d_pre) d.resize(size_t(time * batch * gates * units));
        loss(engine, threads, kept);
        std::array<std::vector<double>, 3> result{std::vector<double>(read[0].size()), direction[1], direction[2]};
        const auto where = [](bool there, std::vector<double>& to) { return there ? to.data() : nullptr; };
        with_products(engine, true, kept, [&](RowFold<double>& f) {
            const RowBackward<double> b{f,
                                        direction[0].data(),
                                        result[1].data(),
                                        result[2].data(),
                                        d_pre[0].data(),
                                        where(normal, d_pre[1]),
                                        where(normal, d_pre[2]),
                                        result[0].data(),
                                        where(!projection.empty(), d_output),
                                        where(normal, d_opened)};
            run_backward(engine, b, threads);
        });
        return result;
    }
};

void test_rows(const Engine& engine) {
    std::mt19937 random(6);
    std::normal_distribution<double> normal;
    for (const int64_t batch : {0, 1, 9}) {
        for (const int64_t units : {2, 17, 70}) {
            for (int which = 0; which < 16; ++which) {
                RowCase rows(random, batch, units, which & 1, which & 2, which & 4, which & 8);
                const auto gradients = rows.gradients(engine, 1);
                check(rows.gradients(engine, 4) == gradients, "threads change no row's gradient");
                std::vector<double> direction[3];
                double along = 0;
                for (size_t k = 0; k < 3; ++k) {
                    for (const double g : gradients[k]) {
                        direction[k].push_back(normal(random));
                        along += g * direction[k].back();
                    }
                }
                const auto moved = [&](double by) {
                    for (int k = 0; k < 3; ++k) {
                        for (size_t i = 0; i < direction[k].size(); ++i) rows.read[k][i] += by * direction[k][i];
                    }
                };
                constexpr double step = 1e-6;
                moved(step);
                const double above = rows.loss(engine, 3);
                moved(-2 * step);
                const double difference = (above - rows.loss(engine, 3)) / (2 * step);
                check(std::fabs(difference - along) < 1e-4 * (1 + std::fabs(along)),
                      "a row's gradient is the difference");
            }
        }
    }
}

}  // namespace

int main() { return with_every_engine("folds by rows", test_rows); }
