// The binding: NumPy arrays in and out. Shapes are checked in engine.py, where a message can name them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "fold.hpp"

namespace nb = nanobind;

namespace {

template <typename Real, std::size_t Rank>
using Input = nb::ndarray<const Real, nb::ndim<Rank>, nb::c_contig, nb::device::cpu>;
template <typename Real, std::size_t Rank>
using Output = nb::ndarray<Real, nb::ndim<Rank>, nb::c_contig, nb::device::cpu>;

template <typename Real>
void lstm_fold(Input<Real, 3> x, Input<Real, 2> weight_ih, Input<Real, 2> weight_hh, Input<Real, 1> bias,
               Output<Real, 2> h, Output<Real, 2> c, Output<Real, 3> y) {
    nb::gil_scoped_release unlocked;
    const memfold::Shape shape{x.shape(0), x.shape(1), x.shape(2), h.shape(1)};
    memfold::lstm_fold<Real>(shape, x.data(), {weight_ih.data(), weight_hh.data(), bias.data()}, h.data(), c.data(),
                             y.data());
}

}  // namespace

NB_MODULE(_engine, m) {
    const char* doc = "Fold an LSTM over x (T, B, I); h and c (B, H) are updated in place and y (T, B, H) is filled.";
    m.def("lstm_fold", &lstm_fold<float>, nb::arg("x").noconvert(), nb::arg("weight_ih").noconvert(),
          nb::arg("weight_hh").noconvert(), nb::arg("bias").noconvert(), nb::arg("h").noconvert(),
          nb::arg("c").noconvert(), nb::arg("y").noconvert(), doc);
    m.def("lstm_fold", &lstm_fold<double>, nb::arg("x").noconvert(), nb::arg("weight_ih").noconvert(),
          nb::arg("weight_hh").noconvert(), nb::arg("bias").noconvert(), nb::arg("h").noconvert(),
          nb::arg("c").noconvert(), nb::arg("y").noconvert(), doc);
}
