// The functions of engine.hpp for one precision: from a layer's cell to the templates made for it.
#pragma once

#include "adamw.hpp"
#include "gradient.hpp"
#include "matrices.hpp"
#include "peak.hpp"
#include "plan.hpp"
#include "row_wise.hpp"

namespace memfold::MEMFOLD_ISA::by_cell {

// Calls `visit` with the cell of this kind.
template <typename Visit>
auto with_cell(const Layer& layer, Visit visit) {
    switch (layer.kind) {
#define MEMFOLD_CELL(name, Cell) \
    case Kind::name:             \
        return visit(Cell{});
#include "cells.def"
        case Kind::linear:
            return visit(Linear{});
    }
    __builtin_unreachable();
}

template <typename Real, typename Format>
size_t packed_bytes(const Layer& layer) {
    return with_cell(layer, [&]<typename Cell>(Cell) { return Packed<Cell, Real, Format>(layer, nullptr).bytes; });
}

template <typename Real, typename Format>
void pack(const Layer& layer, const Weights<const Real>& weights, void* packed) {
    with_cell(layer, [&]<typename Cell>(Cell) { MEMFOLD_ISA::pack<Cell, Real, Format>(layer, weights, packed); });
}

template <typename Real, typename Format>
size_t workspace_bytes(const Fold<Real>& f, const Plan& plan) {
    return with_cell(f.layer, [&]<typename Cell>(Cell) {
        return Workspace<Cell, Real, Format>(f, plan, nullptr, 0).bytes * size_t(plan.blocks * f.direction_count);
    });
}

template <typename Real, typename Format>
int64_t fold(const Fold<Real>& f, const Plan& plan, void* workspace, const Span& span, const Meeting& meeting) {
    return with_cell(f.layer, [&]<typename Cell>(Cell) -> int64_t {
        if constexpr (Cell::hidden_gates > 0) {
            return MEMFOLD_ISA::fold<Cell, Real, Format>(f, plan, workspace, span, meeting);
        }
        return span.to;
    });
}

template <typename Real>
int step_parts(const Layer& layer, int64_t rows) {
    return with_cell(layer, [&]<typename Cell>(Cell) { return MEMFOLD_ISA::step_parts<Cell, Real>(layer, rows); });
}

template <typename Real, typename Format>
size_t step_bytes(const Layer& layer, int64_t rows) {
    return with_cell(layer,
                     [&]<typename Cell>(Cell) { return StepSpace<Cell, Real, Format>(layer, rows, nullptr).bytes; });
}

template <typename Real, typename Format>
void begin_step(const Step<Real>& s) {
    with_cell(s.layer, [&]<typename Cell>(Cell) { MEMFOLD_ISA::begin_step<Cell, Real, Format>(s); });
}

template <typename Real, typename Format>
void step(const Step<Real>& s, int part, int parts) {
    with_cell(s.layer, [&]<typename Cell>(Cell) { MEMFOLD_ISA::step<Cell, Real, Format>(s, part, parts); });
}

// As with_cell, for a cell with a hidden product.
template <typename Visit>
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

template <typename Real, typename Format>
size_t backward_bytes(const Backward<Real>& b, const Plan& plan) {
    return with_trained_cell(
        b.fold.layer, [&]<typename Cell>(Cell) { return MEMFOLD_ISA::backward_bytes<Cell, Real, Format>(b, plan); });
}

template <typename Real, typename Format>
int64_t tasks(const Backward<Real>& b, Phase phase) {
    return with_trained_cell(b.fold.layer,
                             [&]<typename Cell>(Cell) { return MEMFOLD_ISA::tasks<Cell, Real, Format>(b, phase); });
}

template <typename Real, typename Format>
void task(const Backward<Real>& b, void* workspace, Phase phase, int64_t number) {
    with_trained_cell(b.fold.layer,
                      [&]<typename Cell>(Cell) { MEMFOLD_ISA::task<Cell, Real, Format>(b, workspace, phase, number); });
}

template <typename Real, typename Format>
int64_t fold_backward(const Backward<Real>& b, const Plan& plan, void* workspace, const Span& span,
                      const Meeting& meeting) {
    return with_trained_cell(b.fold.layer, [&]<typename Cell>(Cell) {
        return MEMFOLD_ISA::fold_backward<Cell, Real, Format>(b, plan, workspace, span, meeting);
    });
}

// What is the same for rounded factors stands with the full precision alone.
template <typename Real, typename Format>
constexpr Functions<Real> with_alike(Functions<Real> functions) {
    if constexpr (!Format::rounds) {
        functions.squares = squares<Real>;
        functions.adamw = adamw<Real>;
        functions.row_bytes = row_bytes<Real>;
        functions.fold_rows = fold_rows<Real>;
        functions.fold_rows_backward = fold_rows_backward<Real>;
    }
    return functions;
}

template <typename Real, typename Format>
inline constexpr Functions<Real> functions = with_alike<Real, Format>({
    packed_bytes<Real, Format>,
    pack<Real, Format>,
    row_length<Real>,
    plan<Real, Format>,
    workspace_bytes<Real, Format>,
    steps<Real>,
    fold<Real, Format>,
    backward_bytes<Real, Format>,
    tasks<Real, Format>,
    task<Real, Format>,
    fold_backward<Real, Format>,
    step_parts<Real>,
    step_bytes<Real, Format>,
    begin_step<Real, Format>,
    step<Real, Format>,
    spend_operations<Format>,
});

}  // namespace memfold::MEMFOLD_ISA::by_cell
