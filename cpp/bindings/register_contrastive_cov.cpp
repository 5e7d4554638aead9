// Binds contrastive_cov and energy, and the Laplacian products that are their derivatives.
#include "alphacl/contrastive_cov.h"

#include "arrays.h"

namespace alphacl::bindings {
namespace {

template <class T>
void register_for(py::module_& m) {
  using Array = py::array_t<T>;
  m.def(
      "contrastive_cov",
      [](const Array& x, const Array& x_aug, const Importance<T>& alpha, Array& out) {
        const View<const T> a = view<T>("x", x), b = view<T>("x_aug", x_aug, a.rows, a.cols);
        check_samples(alpha, a.rows);
        const View<T> to = mutable_view<T>("out", out, a.cols, a.cols);
        const Released released;
        contrastive_cov<T>(a, b, alpha, to);
      },
      py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("alpha"), py::arg("out").noconvert());
  m.def(
      "energy",
      [](const Array& f, const Array& f_aug, const Importance<T>& alpha, py::array_t<double>& out) {
        const View<const T> a = view<T>("f", f), b = view<T>("f_aug", f_aug, a.rows, a.cols);
        check_samples(alpha, a.rows);
        double* to = mutable_entries<double>("out", out, {1});
        const Released released;
        *to = energy<T>(a, b, alpha);
      },
      py::arg("f").noconvert(), py::arg("f_aug").noconvert(), py::arg("alpha"), py::arg("out").noconvert());
  m.def(
      "laplacian_product",
      [](const Array& x, const Array& x_aug, const Importance<T>& alpha, Array& grad, Array& grad_aug) {
        const View<const T> a = view<T>("x", x), b = view<T>("x_aug", x_aug, a.rows, a.cols);
        check_samples(alpha, a.rows);
        const View<T> to = mutable_view<T>("grad", grad, a.rows, a.cols);
        const View<T> to_aug = mutable_view<T>("grad_aug", grad_aug, a.rows, a.cols);
        const Released released;
        laplacian_product<T>(a, b, alpha, to, to_aug);
      },
      py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("alpha"), py::arg("grad").noconvert(),
      py::arg("grad_aug").noconvert());
  m.def(
      "laplacian_along",
      [](const Array& x, const Array& x_aug, const Importance<T>& alpha, const Array& vectors,
         const py::array_t<double>& weights, Array& grad, Array& grad_aug) {
        const View<const T> a = view<T>("x", x), b = view<T>("x_aug", x_aug, a.rows, a.cols);
        check_samples(alpha, a.rows);
        const View<const T> v = view<T>("vectors", vectors, any, a.cols);
        const double* w = entries<double>("weights", weights, {v.rows});
        const View<T> to = mutable_view<T>("grad", grad, a.rows, a.cols);
        const View<T> to_aug = mutable_view<T>("grad_aug", grad_aug, a.rows, a.cols);
        const Released released;
        laplacian_along<T>(a, b, alpha, v, w, to, to_aug);
      },
      py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("alpha"), py::arg("vectors").noconvert(),
      py::arg("weights").noconvert(), py::arg("grad").noconvert(), py::arg("grad_aug").noconvert());
}

}  // namespace

void register_contrastive_cov(py::module_& m) {
  register_for<float>(m);
  register_for<double>(m);
}

}  // namespace alphacl::bindings
