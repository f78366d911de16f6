// The optimiser without Python, against the formula in double precision.
#include "optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "checking.hpp"

namespace {

using namespace memfold;

bool near(double found, double expected, double tolerance) {
    return std::abs(found - expected) <= tolerance * std::max(1.0, std::abs(expected));
}

// A step of AdamW on tensors of many sizes against the formula in double, and the same bits by any number of threads.
template <typename Real>
void test_adamw(const Engine& engine) {
    std::mt19937 random(5);
    std::normal_distribution<double> normal;
    const std::vector<int64_t> counts{1, 7, 8192, 70'001, 0};
    struct Tensors {
        std::vector<Real> weight, mean, square, average, gradient;
    };
    std::vector<Tensors> before;
    for (const int64_t count : counts) {
        Tensors t;
        for (auto* values : {&t.weight, &t.mean, &t.square, &t.average, &t.gradient}) {
            for (int64_t k = 0; k < count; ++k) values->push_back(Real(normal(random)));
        }
        for (Real& value : t.square) value = std::abs(value);
        before.push_back(std::move(t));
    }
    const std::vector<int64_t> steps{1, 2, 3, 40, 5};
    const Decay decay{0.9, 0.999, 1e-8, 0.01};
    const Rates rates{0.02, 0.5, 0.1};
    std::vector<Tensors> first;
    for (const int threads : {1, 3}) {
        std::vector<Tensors> now = before;
        std::vector<Moved<Real>> moved;
        std::vector<const Real*> gradients;
        for (Tensors& t : now) {
            moved.push_back({t.weight.data(), t.mean.data(), t.square.data(), t.average.data(), nullptr});
            gradients.push_back(t.gradient.data());
        }
        gradients[1] = nullptr;
        const Optimizer<Real> optimizer(engine, decay, std::move(moved), counts);
        double squares = 0;
        for (const size_t t : {0, 2, 3}) {
            for (const Real g : before[t].gradient) squares += double(g) * double(g);
        }
        check(near(optimizer.norm(gradients, threads), std::sqrt(squares), 1e-6), "the norm of all gradients");
        optimizer.step(gradients, steps, rates, threads);
        if (threads == 1) first = now;
        for (size_t t = 0; t < counts.size(); ++t) {
            const auto made = double(steps[t]);
            for (size_t k = 0; k < size_t(counts[t]); ++k) {
                const Tensors& old = before[t];
                double weight = double(old.weight[k]);
                if (t != 1) {
                    const double g = rates.scale * double(old.gradient[k]);
                    const double mean = 0.9 * double(old.mean[k]) + 0.1 * g;
                    const double square = 0.999 * double(old.square[k]) + 0.001 * g * g;
                    const double root = std::sqrt(square / (1 - std::pow(0.999, made))) + 1e-8;
                    weight -= rates.rate * 0.01 * weight + rates.rate * mean / (1 - std::pow(0.9, made)) / root;
                }
                const double average = double(old.average[k]) + rates.share * (weight - double(old.average[k]));
                check(near(double(now[t].weight[k]), weight, 1e-5), "a weight moves by the formula");
                check(near(double(now[t].average[k]), average, 1e-5), "and its average after it");
            }
            check(now[t].weight == first[t].weight && now[t].average == first[t].average &&
                      now[t].mean == first[t].mean && now[t].square == first[t].square,
                  "by any number of threads the bits of a step are the same");
        }
    }
}

}  // namespace

int main() {
    return with_every_engine("optimiser", [](const Engine& engine) {
        test_adamw<float>(engine);
        test_adamw<double>(engine);
    });
}
