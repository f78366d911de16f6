// The binding: arrays in and out, and the choice of instruction set at run time. Shapes are checked in engine.py and
// stream.py, where a message can name them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "isa.hpp"
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

PackedLayer pack_layer(int kind, bool is_double, bool half, std::pair<int64_t, int64_t> widths,
                       const WeightAddresses& weights) {
    const Layer layer{Kind(kind), widths.first, widths.second, weights[4] != 0, half};
    nb::gil_scoped_release unlocked;
    return {layer, is_double,
            is_double ? pack(engine(), layer, weights_of<const double>(weights))
                      : pack(engine(), layer, weights_of<const float>(weights))};
}

// What a fold, forward or backward, reads and writes, by address; 0 for what is not there. Strides count elements; what
// has none is contiguous, one direction after the other.
struct Call {
    bool reverse;
    std::pair<int64_t, int64_t> size;  // of time and batch, as all pairs here
    uintptr_t x;
    std::pair<int64_t, int64_t> x_strides;
    uintptr_t h_first, c_first, y;
    std::pair<int64_t, int64_t> y_strides;
    uintptr_t kept, lengths, resets;
    std::pair<int64_t, int64_t> resets_strides;
    uintptr_t mask, zones_h, zones_c;
    double clip, zoneout_h, zoneout_c;
};

template <typename Real>
Fold<Real> fold_of(const Call& call, const Layer& layer, int directions) {
    Fold<Real> fold{};
    fold.layer = layer;
    fold.options = {Real(call.clip), Real(call.zoneout_h), Real(call.zoneout_c)};
    std::tie(fold.sequences.time, fold.sequences.batch) = call.size;
    fold.sequences.lengths = at<int64_t>(call.lengths);
    fold.sequences.resets = {at<bool>(call.resets), call.resets_strides.first, call.resets_strides.second};
    fold.x = {at<Real>(call.x), call.x_strides.first, call.x_strides.second};
    fold.direction_count = directions;
    const int64_t batch = fold.sequences.batch, state = batch * layer.hidden, steps = fold.sequences.time * state;
    const int64_t kept = kept_values(layer.kind) * layer.hidden;  // of one step, row and direction
    for (int d = 0; d < directions; ++d) {
        Direction<Real>& own = fold.directions[d];
        own.reverse = call.reverse || d > 0;
        own.h_first = at<Real>(call.h_first, d * state);
        own.c_first = at<Real>(call.c_first, d * state);
        own.y = {at<Real>(call.y, d * layer.hidden), call.y_strides.first, call.y_strides.second};
        own.kept = {at<Real>(call.kept, d * kept), kept * directions * batch, kept * directions};
        own.mask = at<Real>(call.mask, d * state);
        own.zones_h = at<Real>(call.zones_h, d * steps);
        own.zones_c = at<Real>(call.zones_c, d * steps);
    }
    return fold;
}

template <typename Real>
void fold_memory(const std::vector<const PackedLayer*>& directions, const Call& call, uintptr_t h_last,
                 uintptr_t c_last, int threads) {
    Fold<Real> fold = fold_of<Real>(call, directions.front()->layer, int(directions.size()));
    const int64_t state = fold.sequences.batch * fold.layer.hidden;
    for (int d = 0; d < fold.direction_count; ++d) {
        fold.directions[d].packed = directions[size_t(d)]->memory.get();
        fold.directions[d].h_last = at<Real>(h_last, d * state);
        fold.directions[d].c_last = at<Real>(c_last, d * state);
    }
    nb::gil_scoped_release unlocked;
    run(engine(), fold, threads);
}

void fold(const std::vector<const PackedLayer*>& directions, const Call& call, uintptr_t h_last, uintptr_t c_last,
          int threads) {
    directions.front()->is_double ? fold_memory<double>(directions, call, h_last, c_last, threads)
                                  : fold_memory<float>(directions, call, h_last, c_last, threads);
}

// What a backward pass has besides its fold's call.
struct BackwardCall {
    int kind;
    bool is_double;
    int64_t input, hidden;
    std::vector<WeightAddresses> weights, gradients;
    uintptr_t dy;
    std::pair<int64_t, int64_t> dy_strides;
    uintptr_t dh_last, dc_last, dh_first, dc_first, dx;
    std::pair<int64_t, int64_t> dx_strides;
};

template <typename Real>
void fold_backward_memory(const Call& call, const BackwardCall& own, int threads) {
    const int directions = int(own.weights.size());
    Backward<Real> backward{};
    backward.fold =
        fold_of<Real>(call, {Kind(own.kind), own.input, own.hidden, own.weights.front()[4] != 0, false}, directions);
    backward.dx = {at<Real>(own.dx), own.dx_strides.first, own.dx_strides.second};
    const int64_t state = backward.fold.sequences.batch * own.hidden;
    for (int d = 0; d < directions; ++d) {
        Derivative<Real>& to = backward.directions[d];
        to.weights = weights_of<const Real>(own.weights[size_t(d)]);
        to.gradient = weights_of<Real>(own.gradients[size_t(d)]);
        to.dy = {at<Real>(own.dy, d * own.hidden), own.dy_strides.first, own.dy_strides.second};
        to.dh_last = at<Real>(own.dh_last, d * state);
        to.dc_last = at<Real>(own.dc_last, d * state);
        to.dh_first = at<Real>(own.dh_first, d * state);
        to.dc_first = at<Real>(own.dc_first, d * state);
    }
    nb::gil_scoped_release unlocked;
    run_backward(engine(), backward, threads);
}

void fold_backward(const Call& call, int kind, bool is_double, std::pair<int64_t, int64_t> widths,
                   const std::vector<WeightAddresses>& weights, const std::vector<WeightAddresses>& gradients,
                   uintptr_t dy, std::pair<int64_t, int64_t> dy_strides, uintptr_t dh_last, uintptr_t dc_last,
                   uintptr_t dh_first, uintptr_t dc_first, uintptr_t dx, std::pair<int64_t, int64_t> dx_strides,
                   int threads) {
    const BackwardCall own{kind,       is_double, widths.first, widths.second, weights,  gradients, dy,
                           dy_strides, dh_last,   dc_last,      dh_first,      dc_first, dx,        dx_strides};
    is_double ? fold_backward_memory<double>(call, own, threads) : fold_backward_memory<float>(call, own, threads);
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
void bind_stack(nb::module_& m, const char* name) {
    using S = Stack<Real>;
    nb::class_<S>(m, name)
        .def(
            "__init__", [](S* self, int64_t streams) { new (self) S(engine(), streams); }, "streams"_a)
        .def("add", [](S& self, const PackedLayer& layer, Real clip, Real zoneout_h,
                       Real zoneout_c) { self.add(layer.layer, {clip, zoneout_h, zoneout_c}, layer.memory); })
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
        .def("get",
             [](const S& self, size_t level, bool cell, Output<Real, 2> to) { self.get(level, cell, to.data()); })
        .def("set", [](S& self, size_t level, bool cell, Input<Real, 2> from) { self.set(level, cell, from.data()); })
        .def("reset", &S::reset);
}

}  // namespace

NB_MODULE(_engine, m) {
    nb::class_<PackedLayer>(m, "Packed");
    m.def("pack", &pack_layer, "kind"_a, "is_double"_a, "half"_a, "widths"_a, "weights"_a,
          "Weights by address, 0 for what is not there: ih, hh, their biases, peepholes.");
    using Pair = std::pair<int64_t, int64_t>;
    nb::class_<Call>(m, "Call", "What a fold reads and writes, by address; the caller has checked it and holds it.")
        .def(
            "__init__",
            [](Call* self, bool reverse, Pair size, uintptr_t x, Pair x_strides, uintptr_t h_first, uintptr_t c_first,
               uintptr_t y, Pair y_strides, uintptr_t kept, uintptr_t lengths, uintptr_t resets, Pair resets_strides,
               uintptr_t mask, uintptr_t zones_h, uintptr_t zones_c, double clip, double zoneout_h, double zoneout_c) {
                new (self) Call{reverse, size,      x,       x_strides, h_first,   c_first,
                                y,       y_strides, kept,    lengths,   resets,    resets_strides,
                                mask,    zones_h,   zones_c, clip,      zoneout_h, zoneout_c};
            },
            "reverse"_a, "size"_a, "x"_a, "x_strides"_a, "h_first"_a, "c_first"_a, "y"_a, "y_strides"_a, "kept"_a,
            "lengths"_a, "resets"_a, "resets_strides"_a, "mask"_a, "zones_h"_a, "zones_c"_a, "clip"_a, "zoneout_h"_a,
            "zoneout_c"_a);
    m.def("fold", &fold, "directions"_a, "call"_a, "h_last"_a, "c_last"_a, "threads"_a);
    m.def("fold_backward", &fold_backward, "call"_a, "kind"_a, "is_double"_a, "widths"_a, "weights"_a, "gradients"_a,
          "dy"_a, "dy_strides"_a, "dh_last"_a, "dc_last"_a, "dh_first"_a, "dc_first"_a, "dx"_a, "dx_strides"_a,
          "threads"_a, "Weights and where their gradients go: for each direction ih, hh, their biases, peepholes.");
    bind_stack<float>(m, "StackFloat");
    bind_stack<double>(m, "StackDouble");
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
        [](int64_t rounds) {
            nb::gil_scoped_release unlocked;
            return engine().spend_operations(rounds);
        },
        "Multiply-adds in registers alone, for as many rounds; returns the number of operations.");
    // The first call chooses the instruction set: a wrong choice is an error of the import, not of some later call.
    engine();
}
