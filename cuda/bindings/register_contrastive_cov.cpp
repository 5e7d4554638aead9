// Binds contrastive_cov and energy, and the Laplacian products that are their derivatives.
#include "covariance/contrastive_cov.h"

#include "bindings/importance_object.h"

namespace alphacl::cuda::bindings {
namespace {

// Both views and where they lie, checked.
template <class S>
struct Views {
  Tensor first, second;
  View<const S> x, x_aug;
  CurrentStream on;

  Views(const char* name, const py::object& a, const char* name_aug, const py::object& b,
        const ImportanceObject<S>& alpha)
      : first(name, a),
        second(name_aug, b),
        x(view<S>(name, first)),
        x_aug(view<S>(name_aug, second, x.rows, x.cols)),
        on(first) {
    on.check(name_aug, second.device);
    alpha.check(on, x.rows);
  }
};

template <class S>
void register_for(py::module_& m) {
  using Alpha = ImportanceObject<S>;
  m.def(
      "contrastive_cov",
      [](const py::object& x, const py::object& x_aug, const Alpha& alpha, const py::object& out) {
        Views<S> views("x", x, "x_aug", x_aug, alpha);
        const Tensor t("out", out);
        views.on.check("out", t.device);
        S* const to = entries<S>("out", t, {views.x.cols, views.x.cols});
        contrastive_cov<S>(views.on.stream(), views.x, views.x_aug, alpha.get(), to);
      },
      py::arg("x"), py::arg("x_aug"), py::arg("alpha"), py::arg("out"));
  m.def(
      "energy",
      [](const py::object& f, const py::object& f_aug, const Alpha& alpha, const py::object& out) {
        Views<S> views("f", f, "f_aug", f_aug, alpha);
        const Tensor t("out", out);
        views.on.check("out", t.device);
        energy<S>(views.on.stream(), views.x, views.x_aug, alpha.get(), entries<double>("out", t, {1}));
      },
      py::arg("f"), py::arg("f_aug"), py::arg("alpha"), py::arg("out"));
  m.def(
      "laplacian_product",
      [](const py::object& x, const py::object& x_aug, const Alpha& alpha, const py::object& grad,
         const py::object& grad_aug) {
        Views<S> views("x", x, "x_aug", x_aug, alpha);
        const Tensor t("grad", grad), t_aug("grad_aug", grad_aug);
        views.on.check("grad", t.device);
        views.on.check("grad_aug", t_aug.device);
        const View<S> to = mutable_view<S>("grad", t, views.x.rows, views.x.cols);
        const View<S> to_aug = mutable_view<S>("grad_aug", t_aug, views.x.rows, views.x.cols);
        laplacian_product<S>(views.on.stream(), views.x, views.x_aug, alpha.get(), to, to_aug);
      },
      py::arg("x"), py::arg("x_aug"), py::arg("alpha"), py::arg("grad"), py::arg("grad_aug"));
  m.def(
      "laplacian_along",
      [](const py::object& x, const py::object& x_aug, const Alpha& alpha, const py::object& vectors,
         const py::object& weights, const py::object& grad, const py::object& grad_aug) {
        Views<S> views("x", x, "x_aug", x_aug, alpha);
        const Tensor along("vectors", vectors), of_each("weights", weights), t("grad", grad);
        const Tensor t_aug("grad_aug", grad_aug);
        views.on.check("vectors", along.device);
        views.on.check("weights", of_each.device);
        views.on.check("grad", t.device);
        views.on.check("grad_aug", t_aug.device);
        const View<const S> v = view<S>("vectors", along, any, views.x.cols);
        const double* const w = entries<double>("weights", of_each, {v.rows});
        const View<S> to = mutable_view<S>("grad", t, views.x.rows, views.x.cols);
        const View<S> to_aug = mutable_view<S>("grad_aug", t_aug, views.x.rows, views.x.cols);
        laplacian_along<S>(views.on.stream(), views.x, views.x_aug, alpha.get(), v, w, to, to_aug);
      },
      py::arg("x"), py::arg("x_aug"), py::arg("alpha"), py::arg("vectors"), py::arg("weights"), py::arg("grad"),
      py::arg("grad_aug"));
}

}  // namespace

void register_contrastive_cov(py::module_& m) {
  register_for<float>(m);
  register_for<double>(m);
}

}  // namespace alphacl::cuda::bindings
