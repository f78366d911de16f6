// The binding: arrays in and out, and the choice of instruction set at run time. Shapes are checked in engine.py and
// stream.py, where a message can name them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <optional>
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
    static const Engine& chosen = [] -> const Engine& {
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
PackedLayer pack_layer(int kind, bool half, Input<Real, 2> weight_ih, std::optional<Input<Real, 2>> weight_hh,
                       std::optional<Input<Real, 1>> bias_ih, std::optional<Input<Real, 1>> bias_hh,
                       std::optional<Input<Real, 1>> weight_ph, int64_t hidden) {
    const auto data = [](const auto& array) { return array ? array->data() : nullptr; };
    const Layer layer{Kind(kind), int64_t(weight_ih.shape(1)), hidden, weight_ph.has_value(), half};
    const Weights<Real> weights{weight_ih.data(), data(weight_hh), data(bias_ih), data(bias_hh), data(weight_ph)};
    nb::gil_scoped_release unlocked;
    return {layer, sizeof(Real) == sizeof(double), pack(engine(), layer, weights)};
}

// What a fold reads and writes, by address; 0 for what is not there. Strides count elements.
struct Addresses {
    uintptr_t x, h_first, c_first, h_last, c_last, y, kept, lengths, resets;
    std::pair<int64_t, int64_t> size, x_strides, y_strides, resets_strides;  // of time and batch
};

template <typename Real>
void fold_memory(const std::vector<const PackedLayer*>& directions, bool reverse, const Addresses& at, Real clip,
                 Real zoneout_h, Real zoneout_c, int threads) {
    const auto real = [](uintptr_t address) { return reinterpret_cast<Real*>(address); };
    Fold<Real> call{};
    call.layer = directions.front()->layer;
    call.options = {clip, zoneout_h, zoneout_c};
    std::tie(call.time, call.batch) = at.size;
    call.x = {real(at.x), at.x_strides.first, at.x_strides.second};
    call.lengths = reinterpret_cast<const int64_t*>(at.lengths);
    call.resets = {reinterpret_cast<const bool*>(at.resets), at.resets_strides.first, at.resets_strides.second};
    call.direction_count = int(directions.size());
    const int64_t hidden = call.layer.hidden, state = call.batch * hidden;
    const int64_t kept = kept_values(call.layer.kind) * hidden;  // of one step, row and direction
    for (int d = 0; d < call.direction_count; ++d) {
        Direction<Real>& own = call.directions[d];
        own.packed = directions[size_t(d)]->memory.get();
        own.reverse = reverse || d > 0;
        own.h_first = at.h_first ? real(at.h_first) + d * state : nullptr;
        own.c_first = at.c_first ? real(at.c_first) + d * state : nullptr;
        own.h_last = real(at.h_last) + d * state;
        own.c_last = at.c_last ? real(at.c_last) + d * state : nullptr;
        own.y = {real(at.y) + d * hidden, at.y_strides.first, at.y_strides.second};
        const int64_t all_kept = kept * call.direction_count;
        if (at.kept) own.kept = {real(at.kept) + d * kept, all_kept * call.batch, all_kept};
    }
    nb::gil_scoped_release unlocked;
    run(engine(), call, threads);
}

void fold(const std::vector<const PackedLayer*>& directions, bool reverse, std::pair<int64_t, int64_t> size,
          uintptr_t x, std::pair<int64_t, int64_t> x_strides, uintptr_t h_first, uintptr_t c_first, uintptr_t h_last,
          uintptr_t c_last, uintptr_t y, std::pair<int64_t, int64_t> y_strides, uintptr_t kept, uintptr_t lengths,
          uintptr_t resets, std::pair<int64_t, int64_t> resets_strides, double clip, double zoneout_h, double zoneout_c,
          int threads) {
    const Addresses at{x,      h_first, c_first,   h_last,    c_last,        y, kept, lengths,
                       resets, size,    x_strides, y_strides, resets_strides};
    if (directions.front()->is_double) {
        fold_memory<double>(directions, reverse, at, clip, zoneout_h, zoneout_c, threads);
    } else {
        fold_memory<float>(directions, reverse, at, float(clip), float(zoneout_h), float(zoneout_c), threads);
    }
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

template <typename Real>
void bind_pack(nb::module_& m) {
    m.def("pack", &pack_layer<Real>, "kind"_a, "half"_a, "weight_ih"_a.noconvert(), "weight_hh"_a.noconvert().none(),
          "bias_ih"_a.noconvert().none(), "bias_hh"_a.noconvert().none(), "weight_ph"_a.noconvert().none(), "hidden"_a);
}

}  // namespace

NB_MODULE(_engine, m) {
    nb::class_<PackedLayer>(m, "Packed");
    bind_pack<float>(m);
    bind_pack<double>(m);
    m.def("fold", &fold, "directions"_a, "reverse"_a, "size"_a, "x"_a, "x_strides"_a, "h_first"_a, "c_first"_a,
          "h_last"_a, "c_last"_a, "y"_a, "y_strides"_a, "kept"_a, "lengths"_a, "resets"_a, "resets_strides"_a, "clip"_a,
          "zoneout_h"_a, "zoneout_c"_a, "threads"_a, "Everything by address; the caller has checked it and holds it.");
    bind_stack<float>(m, "StackFloat");
    bind_stack<double>(m, "StackDouble");
    m.def("isa", [] { return engine().isa; });
    m.def("set_step_threads", &Crew::set_threads);
    m.def("borrow_openmp", [] { Team::of_process().borrow(); });
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
