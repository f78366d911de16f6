// The binding: arrays in and out, and the choice of instruction set at run time. Shapes are checked in engine.py and
// stream.py, where a message can name them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "isa.hpp"
#include "optimizer.hpp"
#include "run.hpp"
#include "stack.hpp"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace {

using namespace memfold;

const Engine& engine() {
    static const Engine& chosen = []() -> const Engine& {
        const char* name = std::getenv("MEMFOLD_ISA");
        return choose_engine(name ? name : "");
    }();
    return chosen;
}

template <typename Real, size_t Rank>
using Input = nb::ndarray<const Real, nb::ndim<Rank>, nb::c_contig, nb::device::cpu>;
template <typename Real, size_t Rank>
using Output = nb::ndarray<Real, nb::ndim<Rank>, nb::c_contig, nb::device::cpu>;

Kind kind_of(std::string_view cell) {
    for (int kind = 0; kind <= int(Kind::linear); ++kind) {
        if (cell == engine().traits[kind].name) return Kind(kind);
    }
    throw nb::value_error(("the engine has no cell '" + std::string(cell) + "'").c_str());
}

nb::tuple names(const char* const* from, int count) {
    nb::list result;
    for (int k = 0; k < count; ++k) result.append(from[k]);
    return nb::tuple(result);
}

// One direction of a layer, packed for this process's instruction set.
struct PackedLayer {
    Layer layer;
    bool is_double;
    std::shared_ptr<void> memory;
};

template <typename Real>
Real* at(uintptr_t address, int64_t offset = 0) {
    return address ? reinterpret_cast<Real*>(address) + offset : nullptr;
}

// Weights of one direction by address: input, hidden, their biases, peepholes.
using WeightAddresses = std::array<uintptr_t, 5>;

template <typename Real>
Weights<Real> weights_of(const WeightAddresses& a) {
    return {at<Real>(a[0]), at<Real>(a[1]), at<Real>(a[2]), at<Real>(a[3]), at<Real>(a[4])};
}

PackedLayer pack_layer(std::string_view cell, bool is_double, bool half, std::pair<int64_t, int64_t> widths,
                       const WeightAddresses& weights) {
    const Layer layer{kind_of(cell), widths.first, widths.second, weights[4] != 0, half};
    nb::gil_scoped_release unlocked;
    return {layer, is_double,
            is_double ? pack(engine(), layer, weights_of<const double>(weights))
                      : pack(engine(), layer, weights_of<const float>(weights))};
}

// Of each part of the state, h first.
using StateAddresses = std::vector<uintptr_t>;

// What the engine takes of each part of the state of one direction; null for what is not there.
template <typename Real>
void spread(const StateAddresses& from, int64_t offset, Real* (&to)[most_states]) {
    for (size_t k = 0; k < from.size() && k < most_states; ++k) to[k] = at<Real>(from[k], offset);
}

// What a fold, forward or backward, reads and writes, by address; 0 for what is not there. Strides count elements; what
// has none is contiguous, one direction after the other.
struct Call {
    bool reverse;
    std::pair<int64_t, int64_t> size;  // of time and batch, as all pairs here
    uintptr_t x;
    std::pair<int64_t, int64_t> x_strides;
    StateAddresses first;
    uintptr_t y;
    std::pair<int64_t, int64_t> y_strides;
    uintptr_t kept, lengths, resets;
    std::pair<int64_t, int64_t> resets_strides;
    uintptr_t mask;
    StateAddresses zones;
    double clip;
    std::vector<double> zoneout;
    bool y_rounded;  // y is bfloat16, of a layer in bfloat16
};

template <typename Real>
Options<Real> options_of(double clip, const std::vector<double>& zoneout) {
    Options<Real> options{Real(clip), {}};
    for (size_t k = 0; k < zoneout.size() && k < most_states; ++k) options.zoneout[k] = Real(zoneout[k]);
    return options;
}

template <typename Real>
Fold<Real> fold_of(const Call& call, const Layer& layer, int directions) {
    Fold<Real> fold{};
    fold.layer = layer;
    fold.options = options_of<Real>(call.clip, call.zoneout);
    std::tie(fold.sequences.time, fold.sequences.batch) = call.size;
    fold.sequences.lengths = at<int64_t>(call.lengths);
    fold.sequences.resets = {at<bool>(call.resets), call.resets_strides.first, call.resets_strides.second};
    fold.x = {at<Real>(call.x), call.x_strides.first, call.x_strides.second};
    fold.direction_count = directions;
    const int64_t batch = fold.sequences.batch, state = batch * layer.hidden, steps = fold.sequences.time * state;
    const int64_t kept = traits_of(engine(), layer.kind).kept * layer.hidden;  // of one step, row and direction
    for (int d = 0; d < directions; ++d) {
        Direction<Real>& own = fold.directions[d];
        own.reverse = call.reverse || d > 0;
        spread(call.first, d * state, own.first);
        if (call.y_rounded) {
            own.y_rounded = {at<uint16_t>(call.y, d * layer.hidden), call.y_strides.first, call.y_strides.second};
        } else {
            own.y = {at<Real>(call.y, d * layer.hidden), call.y_strides.first, call.y_strides.second};
        }
        own.kept = {at<Real>(call.kept, d * kept), kept * directions * batch, kept * directions};
        own.mask = at<Real>(call.mask, d * state);
        spread(call.zones, d * steps, own.zones);
    }
    return fold;
}

template <typename Real>
void fold_memory(const std::vector<const PackedLayer*>& directions, const Call& call, const StateAddresses& last,
                 int threads) {
    Fold<Real> fold = fold_of<Real>(call, directions.front()->layer, int(directions.size()));
    const int64_t state = fold.sequences.batch * fold.layer.hidden;
    for (int d = 0; d < fold.direction_count; ++d) {
        fold.directions[d].packed = directions[size_t(d)]->memory.get();
        spread(last, d * state, fold.directions[d].last);
    }
    nb::gil_scoped_release unlocked;
    run(engine(), fold, threads);
}

void fold(const std::vector<const PackedLayer*>& directions, const Call& call, const StateAddresses& last,
          int threads) {
    directions.front()->is_double ? fold_memory<double>(directions, call, last, threads)
                                  : fold_memory<float>(directions, call, last, threads);
}

// What a backward pass has besides its fold's call.
struct BackwardCall {
    Kind kind;
    bool is_double, half;
    int64_t input, hidden;
    std::vector<WeightAddresses> weights, gradients;
    uintptr_t dy;
    std::pair<int64_t, int64_t> dy_strides;
    StateAddresses d_last, d_first;
    uintptr_t dx;
    std::pair<int64_t, int64_t> dx_strides;
};

template <typename Real>
void fold_backward_memory(const Call& call, const BackwardCall& own, int threads) {
    const int directions = int(own.weights.size());
    Backward<Real> backward{};
    backward.fold =
        fold_of<Real>(call, {own.kind, own.input, own.hidden, own.weights.front()[4] != 0, own.half}, directions);
    backward.dx = {at<Real>(own.dx), own.dx_strides.first, own.dx_strides.second};
    const int64_t state = backward.fold.sequences.batch * own.hidden;
    for (int d = 0; d < directions; ++d) {
        Derivative<Real>& to = backward.directions[d];
        to.weights = weights_of<const Real>(own.weights[size_t(d)]);
        to.gradient = weights_of<Real>(own.gradients[size_t(d)]);
        to.dy = {at<Real>(own.dy, d * own.hidden), own.dy_strides.first, own.dy_strides.second};
        spread(own.d_last, d * state, to.d_last);
        spread(own.d_first, d * state, to.d_first);
    }
    nb::gil_scoped_release unlocked;
    run_backward(engine(), backward, threads);
}

void fold_backward(const Call& call, std::string_view cell, bool is_double, bool half,
                   std::pair<int64_t, int64_t> widths, const std::vector<WeightAddresses>& weights,
                   const std::vector<WeightAddresses>& gradients, uintptr_t dy, std::pair<int64_t, int64_t> dy_strides,
                   const StateAddresses& d_last, const StateAddresses& d_first, uintptr_t dx,
                   std::pair<int64_t, int64_t> dx_strides, int threads) {
    const BackwardCall own{kind_of(cell), is_double, half,    widths.first, widths.second, weights, gradients, dy,
                           dy_strides,    d_last,    d_first, dx,           dx_strides};
    if (own.kind == Kind::linear) throw nb::value_error("a linear layer has no steps to go back through");
    is_double ? fold_backward_memory<double>(call, own, threads) : fold_backward_memory<float>(call, own, threads);
}

// A fold by rows and what it reads and writes, by address: see RowFold and RowBackward. The caller has checked all of
// it.
struct RowCall {
    std::array<int64_t, 5> size;  // T, B, I, H, P
    bool is_double, half, coupled, reverse;
    const PackedLayer *by_x, *by_h, *projection;
    double clip;
    std::vector<double> zoneout;
    uintptr_t lengths, resets;
    std::pair<int64_t, int64_t> resets_strides, x_strides;
    std::array<uintptr_t, 9> read;   // x, gains of the products of x and h and of the cell, bias, peephole, mask, zones
    std::array<uintptr_t, 3> state;  // h, c, y
    std::array<uintptr_t, 10> kept;  // normed and scale of x and h, then from seen to cell_scale
};

template <typename Real>
RowFold<Real> row_fold_of(const RowCall& call) {
    const auto& read = call.read;
    const auto& kept = call.kept;
    const auto packed = [](const PackedLayer* layer) { return layer ? layer->memory.get() : nullptr; };
    RowFold<Real> f{};
    f.hidden = call.size[3], f.half = call.half;
    f.coupled = call.coupled, f.reverse = call.reverse;
    f.options = options_of<Real>(call.clip, call.zoneout);
    f.sequences.time = call.size[0], f.sequences.batch = call.size[1];
    f.sequences.lengths = at<int64_t>(call.lengths);
    f.sequences.resets = {at<bool>(call.resets), call.resets_strides.first, call.resets_strides.second};
    f.by_x = {call.size[2], packed(call.by_x), at<Real>(read[1]), at<Real>(kept[0]), at<Real>(kept[1])};
    f.by_h = {call.size[4], packed(call.by_h), at<Real>(read[2]), at<Real>(kept[2]), at<Real>(kept[3])};
    f.projection = packed(call.projection);
    f.x = {at<Real>(read[0]), call.x_strides.first, call.x_strides.second};
    f.cell_gain = at<Real>(read[3]), f.bias = at<Real>(read[4]), f.peephole = at<Real>(read[5]);
    f.mask = at<Real>(read[6]), f.zones[0] = at<Real>(read[7]), f.zones[1] = at<Real>(read[8]);
    f.h = at<Real>(call.state[0]), f.c = at<Real>(call.state[1]), f.y = at<Real>(call.state[2]);
    f.seen = at<Real>(kept[4]), f.before = at<Real>(kept[5]), f.gates = at<Real>(kept[6]);
    f.opened = at<Real>(kept[7]), f.cell_normed = at<Real>(kept[8]), f.cell_scale = at<Real>(kept[9]);
    return f;
}

// dy, dh, dc, d_pre, d_by_x, d_by_h, dx, d_output, d_opened.
using RowGradients = std::array<uintptr_t, 9>;

template <typename Real>
void run_row_call(const RowCall& call, const RowGradients* gradients, int threads) {
    const RowFold<Real> f = row_fold_of<Real>(call);
    nb::gil_scoped_release unlocked;
    if (!gradients) {
        run(engine(), f, threads);
        return;
    }
    const auto to = [&](size_t k) { return at<Real>((*gradients)[k]); };
    run_backward(engine(), RowBackward<Real>{f, to(0), to(1), to(2), to(3), to(4), to(5), to(6), to(7), to(8)},
                 threads);
}

void run_rows_of(const RowCall& call, const RowGradients* gradients, int threads) {
    call.is_double ? run_row_call<double>(call, gradients, threads) : run_row_call<float>(call, gradients, threads);
}

// A buffer of this element type whose last axis is contiguous, seen without allocating; `data` is null when the object
// is not one.
template <typename Real>
struct Rows {
    Py_buffer buffer{};
    Real* data = nullptr;
    int64_t stride = 0;  // elements from row to row

    Rows(nb::handle object, int64_t rows, int64_t columns, bool writable) {
        const int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object.ptr(), &buffer, flags) != 0) {
            PyErr_Clear();
            return;
        }
        const auto size = Py_ssize_t(sizeof(Real));
        const bool one_row = buffer.ndim == 1 && rows == 1;
        const char format = sizeof(Real) == sizeof(float) ? 'f' : 'd';
        if ((!one_row && buffer.ndim != 2) || buffer.format[0] != format || buffer.format[1] != 0) return;
        if (!one_row && buffer.shape[0] != rows) return;
        const int last = buffer.ndim - 1;
        if (buffer.shape[last] != columns || (columns > 1 && buffer.strides[last] != size)) return;
        if (!one_row && buffer.strides[0] % size != 0) return;
        stride = one_row ? columns : buffer.strides[0] / size;
        data = static_cast<Real*>(buffer.buf);
    }
    Rows(const Rows&) = delete;
    ~Rows() {
        if (buffer.obj) PyBuffer_Release(&buffer);
    }
};

template <typename Real>
bool product_of(const PackedLayer& linear, nb::handle x, nb::handle y, int64_t rows) {
    const Rows<Real> from(x, rows, linear.layer.input, false), to(y, rows, linear.layer.hidden, true);
    if (!from.data || !to.data) return false;
    nb::gil_scoped_release unlocked;
    product<Real>(engine(), linear.layer, linear.memory.get(), rows, {from.data, 0, from.stride},
                  {to.data, 0, to.stride});
    return true;
}

template <typename Real>
void bind_stack(nb::module_& m, const char* name) {
    using S = Stack<Real>;
    nb::class_<S>(m, name)
        .def(
            "__init__", [](S* self, int64_t streams) { new (self) S(engine(), streams); }, "streams"_a)
        .def("add",
             [](S& self, const PackedLayer& layer, double clip, const std::vector<double>& zoneout) {
                 self.add(layer.layer, options_of<Real>(clip, zoneout), layer.memory);
             })
        .def(
            "step",
            [](S& self, nb::handle x, nb::handle y) {
                const Rows<Real> from(x, self.streams(), self.input(), false),
                    to(y, self.streams(), self.output(), true);
                if (!from.data || !to.data) return false;
                self.step(from.data, from.stride, to.data, to.stride);
                return true;
            },
            "False, and nothing done, when x or y is not an array of the right type, shape and layout.")
        .def(
            "step_rows",
            [](S& self, nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> rows, nb::handle x,
               nb::handle y) {
                const auto n = int64_t(rows.shape(0));
                const Rows<Real> from(x, n, self.input(), false), to(y, n, self.output(), true);
                if (!from.data || !to.data) return false;
                nb::gil_scoped_release unlocked;
                self.step_rows(rows.data(), n, from.data, from.stride, to.data, to.stride);
                return true;
            },
            "As step, of these streams, which the caller has checked: row i of x and y is stream rows[i]'s.")
        .def(
            "get",
            [](const S& self, size_t level, int part, Output<Real, 2> to, int64_t first) {
                self.get(level, part, first, int64_t(to.shape(0)), to.data());
            },
            "level"_a, "part"_a, "to"_a, "first"_a = 0)
        .def(
            "set",
            [](S& self, size_t level, int part, Input<Real, 2> from, int64_t first) {
                self.set(level, part, first, int64_t(from.shape(0)), from.data());
            },
            "level"_a, "part"_a, "values"_a, "first"_a = 0)
        .def("reset", &S::reset);
}

// A tensor's weights, their running means and their average, by address.
using MovedAddresses = std::array<uintptr_t, 4>;

template <typename Real>
std::vector<const Real*> gradients_of(const Optimizer<Real>& optimizer, const std::vector<uintptr_t>& addresses) {
    if (addresses.size() != optimizer.tensors()) throw nb::value_error("a gradient for each tensor, 0 for none");
    std::vector<const Real*> result;
    for (const uintptr_t address : addresses) result.push_back(at<const Real>(address));
    return result;
}

template <typename Real>
void bind_optimizer(nb::module_& m, const char* name) {
    using O = Optimizer<Real>;
    nb::class_<O>(m, name)
        .def(
            "__init__",
            [](O* self, const std::vector<MovedAddresses>& tensors, std::vector<int64_t> counts,
               const std::array<double, 4>& decay) {
                if (tensors.size() != counts.size()) throw nb::value_error("a count for each tensor");
                std::vector<Moved<Real>> moved;
                for (const auto& a : tensors) {
                    moved.push_back({at<Real>(a[0]), at<Real>(a[1]), at<Real>(a[2]), at<Real>(a[3]), nullptr});
                }
                const Decay kept{decay[0], decay[1], decay[2], decay[3]};
                new (self) O(engine(), kept, std::move(moved), std::move(counts));
            },
            "tensors"_a, "counts"_a, "decay"_a,
            "Tensors by address: weights, mean, mean square, average. decay: both betas, epsilon, of the weights.")
        .def(
            "norm",
            [](const O& self, const std::vector<uintptr_t>& gradients, int threads) {
                const auto from = gradients_of(self, gradients);
                nb::gil_scoped_release unlocked;
                return self.norm(from, threads);
            },
            "gradients"_a, "threads"_a, "Of all gradients together, by address, 0 where there is none.")
        .def(
            "step",
            [](const O& self, const std::vector<uintptr_t>& gradients, const std::vector<int64_t>& steps,
               const std::array<double, 3>& rates, int threads) {
                const auto from = gradients_of(self, gradients);
                if (steps.size() != self.tensors()) throw nb::value_error("a number of steps for each tensor");
                nb::gil_scoped_release unlocked;
                self.step(from, steps, {rates[0], rates[1], rates[2]}, threads);
            },
            "gradients"_a, "steps"_a, "rates"_a, "threads"_a,
            "rates: of learning, the gradient's scale, the weights' share in their average.");
}

}  // namespace

NB_MODULE(_engine, m) {
    m.def(
        "cells",
        [] {
            nb::list cells;
            for (int kind = 0; kind < int(Kind::linear); ++kind) {
                const Traits& cell = engine().traits[kind];
                cells.append(nb::make_tuple(cell.name, names(cell.gate_names, cell.gates),
                                            names(cell.state_names, cell.states), names(cell.kept_names, cell.kept),
                                            cell.peepholes));
            }
            return cells;
        },
        "Of each cell of cells.def its name, gates, state, what it keeps of a step, and its number of peepholes.");
    nb::class_<PackedLayer>(m, "Packed");
    m.def("pack", &pack_layer, "cell"_a, "is_double"_a, "half"_a, "widths"_a, "weights"_a,
          "Weights by address, 0 for what is not there: ih, hh, their biases, peepholes.");
    using Pair = std::pair<int64_t, int64_t>;
    nb::class_<Call>(m, "Call", "What a fold reads and writes, by address; the caller has checked it and holds it.")
        .def(
            "__init__",
            [](Call* self, bool reverse, Pair size, uintptr_t x, Pair x_strides, StateAddresses first, uintptr_t y,
               Pair y_strides, uintptr_t kept, uintptr_t lengths, uintptr_t resets, Pair resets_strides, uintptr_t mask,
               StateAddresses zones, double clip, std::vector<double> zoneout, bool y_rounded) {
                new (self) Call{reverse,
                                size,
                                x,
                                x_strides,
                                std::move(first),
                                y,
                                y_strides,
                                kept,
                                lengths,
                                resets,
                                resets_strides,
                                mask,
                                std::move(zones),
                                clip,
                                std::move(zoneout),
                                y_rounded};
            },
            "reverse"_a, "size"_a, "x"_a, "x_strides"_a, "first"_a, "y"_a, "y_strides"_a, "kept"_a, "lengths"_a,
            "resets"_a, "resets_strides"_a, "mask"_a, "zones"_a, "clip"_a, "zoneout"_a, "y_rounded"_a = false);
    m.def("fold", &fold, "directions"_a, "call"_a, "last"_a, "threads"_a);
    m.def("fold_backward", &fold_backward, "call"_a, "cell"_a, "is_double"_a, "half"_a, "widths"_a, "weights"_a,
          "gradients"_a, "dy"_a, "dy_strides"_a, "d_last"_a, "d_first"_a, "dx"_a, "dx_strides"_a, "threads"_a,
          "Weights and where their gradients go: for each direction ih, hh, their biases, peepholes.");
    nb::class_<RowCall>(m, "RowCall", "A fold of an LSTM with layer normalization or a projection; as Call.")
        .def(
            "__init__",
            [](RowCall* self, const std::array<int64_t, 5>& size, const std::array<bool, 4>& kind,
               const PackedLayer* by_x, const PackedLayer* by_h, const PackedLayer* projection, double clip,
               std::vector<double> zoneout, uintptr_t lengths, uintptr_t resets, Pair resets_strides, Pair x_strides,
               const std::array<uintptr_t, 9>& read, const std::array<uintptr_t, 3>& state,
               const std::array<uintptr_t, 10>& kept) {
                new (self) RowCall{size,    kind[0], kind[1],        kind[2],   kind[3],
                                   by_x,    by_h,    projection,     clip,      std::move(zoneout),
                                   lengths, resets,  resets_strides, x_strides, read,
                                   state,   kept};
            },
            "size"_a, "kind"_a, "by_x"_a.none(), "by_h"_a, "projection"_a.none(), "clip"_a, "zoneout"_a, "lengths"_a,
            "resets"_a, "resets_strides"_a, "x_strides"_a, "read"_a, "state"_a, "kept"_a, nb::keep_alive<1, 4>(),
            nb::keep_alive<1, 5>(), nb::keep_alive<1, 6>(),
            "size: T, B, I, H, P. kind: float64, products of bfloat16, coupled, backwards in time. read: x, gains of "
            "the "
            "products of x and h and of the cell, bias, peepholes, mask, zones of h and c. state: h, c, y. kept: of "
            "the "
            "products of x and h the normed and their scale, seen, before, gates, opened, cell_normed, cell_scale.");
    m.def(
        "fold_rows", [](const RowCall& call, int threads) { run_rows_of(call, nullptr, threads); }, "call"_a,
        "threads"_a);
    m.def(
        "fold_rows_backward",
        [](const RowCall& call, const RowGradients& gradients, int threads) { run_rows_of(call, &gradients, threads); },
        "call"_a, "gradients"_a, "threads"_a,
        "The call's packed layers are of the transposed weights. gradients: dy, dh, dc, d_pre, d_by_x, d_by_h, dx, "
        "d_output, d_opened.");
    m.def(
        "product",
        [](const PackedLayer& linear, nb::handle x, nb::handle y, int64_t rows) {
            if (linear.layer.kind != Kind::linear) throw nb::value_error("a product is of a linear layer");
            return linear.is_double ? product_of<double>(linear, x, y, rows) : product_of<float>(linear, x, y, rows);
        },
        "linear"_a, "x"_a, "y"_a, "rows"_a, "False, and nothing done, when x or y has another type, shape or layout.");
    bind_stack<float>(m, "StackFloat");
    bind_stack<double>(m, "StackDouble");
    bind_optimizer<float>(m, "OptimizerFloat");
    bind_optimizer<double>(m, "OptimizerDouble");
    m.def("isa", [] { return engine().isa; });
    m.def("set_step_threads", &Pool::set_step_threads);
    m.def(
        "works_alone", [](int threads) { return Pool::of_process().works_alone(threads); }, "threads"_a,
        "Whether calls on so many threads work on one, since other programs have the cores.");
    m.def("borrow_openmp", [] { Pool::of_process().borrow(); });
    m.def(
        "fingerprint",
        [](const std::vector<std::pair<uintptr_t, size_t>>& arrays) {
            uint64_t result = 0;
            for (const auto& [address, bytes] : arrays) {
                result = result * 0x9e3779b97f4a7c15u + (engine().fingerprint(reinterpret_cast<void*>(address), bytes));
                result = (result ^ result >> 29) + address;
            }
            return result;
        },
        "64 bits that change with any address or byte of these arrays, each (address, bytes).");
    m.def(
        "spend_operations",
        [](int64_t rounds, bool half) {
            nb::gil_scoped_release unlocked;
            return functions_of<float>(engine(), half).spend_operations(rounds);
        },
        "rounds"_a, "half"_a = false,
        "Multiply-adds in registers alone, for as many rounds; returns the number of operations.");
    // The first call chooses the instruction set: a wrong choice is an error of the import, not of some later call.
    engine();
}
