// The binding: arrays in and out, and the choice of instruction set at run time. Shapes are checked in engine.py and
// stream.py, where a message can name them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <optional>

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
template <typename T, size_t Rank>
using View = nb::ndarray<T, nb::ndim<Rank>, nb::device::cpu>;

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

template <typename T>
Strided<T> strided(const View<T, 3>& array) {
    return {array.data(), array.stride(0), array.stride(1)};
}

template <typename Real>
void fold(const std::vector<const PackedLayer*>& directions, bool reverse, View<const Real, 3> x,
          std::optional<Input<Real, 3>> h_first, std::optional<Input<Real, 3>> c_first, Output<Real, 3> h_last,
          std::optional<Output<Real, 3>> c_last, View<Real, 3> y, std::optional<View<Real, 4>> kept,
          std::optional<Input<int64_t, 1>> lengths, std::optional<View<const bool, 2>> resets, Real clip,
          Real zoneout_h, Real zoneout_c, int threads) {
    Fold<Real> call{};
    call.layer = directions.front()->layer;
    call.options = {clip, zoneout_h, zoneout_c};
    call.time = int64_t(x.shape(0));
    call.batch = int64_t(x.shape(1));
    call.x = strided(x);
    if (lengths) call.lengths = lengths->data();
    if (resets) call.resets = {resets->data(), resets->stride(0), resets->stride(1)};
    call.direction_count = int(directions.size());
    const int64_t hidden = call.layer.hidden, state = call.batch * hidden;
    for (int d = 0; d < call.direction_count; ++d) {
        Direction<Real>& own = call.directions[d];
        own.packed = directions[size_t(d)]->memory.get();
        own.reverse = reverse || d > 0;
        own.h_first = h_first ? h_first->data() + d * state : nullptr;
        own.c_first = c_first ? c_first->data() + d * state : nullptr;
        own.h_last = h_last.data() + d * state;
        own.c_last = c_last ? c_last->data() + d * state : nullptr;
        own.y = {y.data() + d * hidden, y.stride(0), y.stride(1)};
        if (kept) own.kept = {kept->data() + d * kept->stride(2), kept->stride(0), kept->stride(1)};
    }
    nb::gil_scoped_release unlocked;
    run(engine(), call, threads);
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
void bind_functions(nb::module_& m) {
    m.def("pack", &pack_layer<Real>, "kind"_a, "half"_a, "weight_ih"_a.noconvert(), "weight_hh"_a.noconvert().none(),
          "bias_ih"_a.noconvert().none(), "bias_hh"_a.noconvert().none(), "weight_ph"_a.noconvert().none(), "hidden"_a);
    m.def("fold", &fold<Real>, "directions"_a, "reverse"_a, "x"_a.noconvert(), "h_first"_a.noconvert().none(),
          "c_first"_a.noconvert().none(), "h_last"_a.noconvert(), "c_last"_a.noconvert().none(), "y"_a.noconvert(),
          "kept"_a.noconvert().none(), "lengths"_a.noconvert().none(), "resets"_a.noconvert().none(), "clip"_a,
          "zoneout_h"_a, "zoneout_c"_a, "threads"_a);
}

}  // namespace

NB_MODULE(_engine, m) {
    nb::class_<PackedLayer>(m, "Packed")
        .def_prop_ro("input_size", [](const PackedLayer& p) { return p.layer.input; })
        .def_prop_ro("hidden_size", [](const PackedLayer& p) { return p.layer.hidden; })
        .def_prop_ro("double", [](const PackedLayer& p) { return p.is_double; });
    bind_functions<float>(m);
    bind_functions<double>(m);
    bind_stack<float>(m, "StackFloat");
    bind_stack<double>(m, "StackDouble");
    m.def("isa", [] { return engine().isa; });
    m.def("borrow_openmp", [] { Team::of_process().borrow(); });
    m.def("fingerprint", [](size_t address, size_t bytes) {
        return engine().fingerprint(reinterpret_cast<const void*>(address), bytes);
    });
    // The first call chooses the instruction set: a wrong choice is an error of the import, not of some later call.
    engine();
}
