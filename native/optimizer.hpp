// A step of AdamW over all weights of a network, by the pool's threads. The pieces are the same for any number of them,
// and so are the bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "run.hpp"

namespace memfold {

// What stays the same from step to step.
struct Decay {
    double first, second;  // of the running means of the gradient and of its square
    double epsilon, weights;
};

// What a step is told.
struct Rates {
    double rate;   // of learning
    double scale;  // of the gradient
    double share;  // of the weights in their running average
};

template <typename Real>
class Optimizer {
  public:
    Optimizer(const Engine& engine, const Decay& decay, std::vector<Moved<Real>> tensors, std::vector<int64_t> counts)
        : functions_(functions_of<Real>(engine, false)), decay_(decay), tensors_(std::move(tensors)) {
        for (size_t t = 0; t < tensors_.size(); ++t) {
            for (int64_t from = 0; from < counts[t]; from += piece) {
                pieces_.push_back({t, from, std::min(piece, counts[t] - from)});
            }
        }
    }

    // The Euclidean norm of all gradients; null for a tensor that has none.
    double norm(const std::vector<const Real*>& gradients, int threads) const {
        std::vector<double> squares(pieces_.size());
        by_piece(threads, [&](size_t number, const Piece& p) {
            if (gradients[p.tensor]) squares[number] = functions_.squares(gradients[p.tensor] + p.from, p.count);
        });
        return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
    }

    // Moves the weights, of which each tensor has been moved `steps` times with this one.
    void step(const std::vector<const Real*>& gradients, const std::vector<int64_t>& steps, const Rates& rates,
              int threads) const {
        std::vector<Movement<Real>> movements;
        for (const int64_t count : steps) movements.push_back(movement(rates, double(count)));
        by_piece(threads, [&](size_t, const Piece& p) {
            const Moved<Real>& all = tensors_[p.tensor];
            const Real* gradient = gradients[p.tensor];
            const Moved<Real> part{all.weight + p.from, all.mean + p.from, all.square + p.from, all.average + p.from,
                                   gradient ? gradient + p.from : nullptr};
            functions_.adamw(movements[p.tensor], part, p.count);
        });
    }

    size_t tensors() const { return tensors_.size(); }

  private:
    struct Piece {
        size_t tensor;
        int64_t from, count;
    };

    static constexpr int64_t piece = 8192;        // elements
    static constexpr int64_t worth_a_thread = 4;  // pieces

    Movement<Real> movement(const Rates& rates, double steps) const {
        const double first = 1 - std::pow(decay_.first, steps), second = 1 - std::pow(decay_.second, steps);
        return {Real(rates.scale),
                Real(1 - decay_.first),
                Real(1 - decay_.second),
                Real(rates.rate / first),
                Real(1 / std::sqrt(second)),
                Real(decay_.epsilon),
                Real(1 - rates.rate * decay_.weights),
                Real(rates.share)};
    }

    template <typename Work>
    void by_piece(int threads, const Work& work) const {
        const auto count = int64_t(pieces_.size());
        const Pool::Turn turn(int(std::clamp<int64_t>(count / worth_a_thread, 1, threads)));
        run_tasks(turn, count, [&](int64_t number) { work(size_t(number), pieces_[size_t(number)]); });
    }

    const Functions<Real>& functions_;
    const Decay decay_;
    const std::vector<Moved<Real>> tensors_;
    std::vector<Piece> pieces_;
};

}  // namespace memfold
