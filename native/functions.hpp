// The functions of engine.hpp for one element type: from a layer's cell to the templates made for it.
#pragma once

#include "gradient.hpp"
#include "plan.hpp"

namespace memfold::MEMFOLD_ISA::by_cell {

// Calls `visit` with the cell of this kind and the format its weights are packed in.
template <typename Real, typename Visit>
auto with_cell(const Layer& layer, Visit visit) {
    const auto with_format = [&](auto cell) {
        if constexpr (sizeof(Real) == sizeof(float)) {
            if (layer.half) return visit(cell, Half{});
        }
        return visit(cell, Full<Real>{});
    };
    switch (layer.kind) {
#define MEMFOLD_CELL(name, Cell) \
    case Kind::name:             \
        return with_format(Cell{});
#include "cells.def"
        case Kind::linear:
            return with_format(Linear{});
    }
    __builtin_unreachable();
}

template <typename Real>
size_t packed_bytes(const Layer& layer) {
    return with_cell<Real>(layer, [&]<typename Cell, typename Format>(Cell, Format) {
        return Packed<Cell, Real, Format>(layer, nullptr).bytes;
    });
}

template <typename Real>
void pack(const Layer& layer, const Weights<const Real>& weights, void* packed) {
    with_cell<Real>(layer, [&]<typename Cell, typename Format>(Cell, Format) {
        MEMFOLD_ISA::pack<Cell, Real, Format>(layer, weights, packed);
    });
}

template <typename Real>
size_t workspace_bytes(const Fold<Real>& f, const Plan& plan) {
    return with_cell<Real>(f.layer, [&]<typename Cell, typename Format>(Cell, Format) {
        return Workspace<Cell, Real>(f, plan, nullptr, 0).bytes * size_t(plan.blocks * f.direction_count);
    });
}

template <typename Real>
int64_t fold(const Fold<Real>& f, const Plan& plan, void* workspace, const Span& span, const Meeting& meeting) {
    return with_cell<Real>(f.layer, [&]<typename Cell, typename Format>(Cell, Format) -> int64_t {
        if constexpr (Cell::hidden_gates > 0) {
            return MEMFOLD_ISA::fold<Cell, Real, Format>(f, plan, workspace, span, meeting);
        }
        return span.to;
    });
}

template <typename Real>
int step_parts(const Layer& layer, int64_t rows) {
    return with_cell<Real>(layer, [&]<typename Cell, typename Format>(Cell, Format) {
        return MEMFOLD_ISA::step_parts<Cell, Real>(layer, rows);
    });
}

template <typename Real>
size_t step_bytes(const Layer& layer, int64_t rows) {
    return with_cell<Real>(layer, [&]<typename Cell, typename Format>(Cell, Format) {
        return MEMFOLD_ISA::step_bytes<Cell, Real>(layer, rows);
    });
}

template <typename Real>
void step(const Step<Real>& s, int part, int parts) {
    with_cell<Real>(s.layer, [&]<typename Cell, typename Format>(Cell, Format) {
        MEMFOLD_ISA::step<Cell, Real, Format>(s, part, parts);
    });
}

// As with_cell, for a cell with a hidden product; training knows no bfloat16.
template <typename Real, typename Visit>
auto with_trained_cell(const Layer& layer, Visit visit) {
    switch (layer.kind) {
#define MEMFOLD_CELL(name, Cell) \
    case Kind::name:             \
        return visit(Cell{});
#include "cells.def"
        case Kind::linear:
            break;
    }
    __builtin_unreachable();
}

template <typename Real>
size_t backward_bytes(const Backward<Real>& b, const Plan& plan) {
    return with_trained_cell<Real>(
        b.fold.layer, [&]<typename Cell>(Cell) { return MEMFOLD_ISA::backward_bytes<Cell, Real>(b, plan); });
}

template <typename Real>
int64_t tasks(const Backward<Real>& b, Phase phase) {
    return with_trained_cell<Real>(b.fold.layer,
                                   [&]<typename Cell>(Cell) { return MEMFOLD_ISA::tasks<Cell, Real>(b, phase); });
}

template <typename Real>
void task(const Backward<Real>& b, void* workspace, Phase phase, int64_t number) {
    with_trained_cell<Real>(b.fold.layer,
                            [&]<typename Cell>(Cell) { MEMFOLD_ISA::task<Cell, Real>(b, workspace, phase, number); });
}

template <typename Real>
int64_t fold_backward(const Backward<Real>& b, const Plan& plan, void* workspace, const Span& span,
                      const Meeting& meeting) {
    return with_trained_cell<Real>(b.fold.layer, [&]<typename Cell>(Cell) {
        return MEMFOLD_ISA::fold_backward<Cell, Real>(b, plan, workspace, span, meeting);
    });
}

template <typename Real>
inline constexpr Functions<Real> functions = {
    packed_bytes<Real>,  pack<Real>,       row_length<Real>,     plan<Real>,  workspace_bytes<Real>,
    steps<Real>,         fold<Real>,       backward_bytes<Real>, tasks<Real>, task<Real>,
    fold_backward<Real>, step_parts<Real>, step_bytes<Real>,     step<Real>,
};

}  // namespace memfold::MEMFOLD_ISA::by_cell
