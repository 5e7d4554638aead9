// Binds gated_outer and gated_cov.
#include <cmath>

#include "bindings/importance_object.h"
#include "nodes/gated_cov.h"
#include "nodes/gated_outer.h"

namespace alphacl::cuda::bindings {
namespace {

template <class S>
void outer(CurrentStream& on, const Tensor& x, const Tensor& omega, const Tensor& out) {
  const View<const S> a = view<S>("x", x), w = view<S>("omega", omega, a.rows);
  S* const to = entries<S>("out", out, {w.cols, a.cols, a.cols});
  if (w.cols > 0 && a.cols > 0) gated_outer<S>(on.stream(), a, w, to);
}

Activation activation(const std::string& name, double parameter) {
  if (!std::isfinite(parameter)) refuse("parameter", "a finite number", std::to_string(parameter));
  if (const auto found = activation_named(name, parameter)) return *found;
  throw py::value_error("activation: expected linear, relu, leaky_relu or monomial, got " + name);
}

// Both views, the nodes and the result, checked.
template <class S>
struct Layer {
  Tensor first, second, nodes, result;
  View<const S> x, x_aug, weights;
  S* out;
  CurrentStream on;

  Layer(const py::object& a, const py::object& b, const py::object& w, const py::object& to)
      : first("x", a),
        second("x_aug", b),
        nodes("weights", w),
        result("out", to),
        x(view<S>("x", first)),
        x_aug(view<S>("x_aug", second, x.rows, x.cols)),
        weights(view<S>("weights", nodes, any, x.cols)),
        out(entries<S>("out", result, {weights.rows, x.cols, x.cols})),
        on(first) {
    on.check("x_aug", second.device);
    on.check("weights", nodes.device);
    on.check("out", result.device);
  }
};

template <class S>
void register_cov(py::module_& m) {
  m.def(
      "gated_cov",
      [](const py::object& x, const py::object& x_aug, const py::object& weights, const std::string& name,
         double parameter, const ImportanceObject<S>& alpha, const py::object& out) {
        Layer<S> layer(x, x_aug, weights, out);
        alpha.check(layer.on, layer.x.rows);
        gated_cov<S>(layer.on.stream(), layer.x, layer.x_aug, layer.weights, activation(name, parameter),
                     {&alpha.get()}, layer.out);
      },
      py::arg("x"), py::arg("x_aug"), py::arg("weights"), py::arg("activation"), py::arg("parameter"), py::arg("alpha"),
      py::arg("out"));
}

// tol is that of the CPU: here every entry is exact to rounding.
template <class S>
void own_cov(const py::object& x, const py::object& x_aug, const py::object& weights, const Activation& h,
             const py::object& x0, double tau, const py::object& out) {
  Layer<S> layer(x, x_aug, weights, out);
  NodeImportance<S> alpha{nullptr, tau};
  if (const auto compared = optional_tensor("x0", x0)) {
    layer.on.check("x0", compared->device);
    alpha.x0 = view<S>("x0", *compared, layer.x.rows, layer.x.cols);
  }
  gated_cov<S>(layer.on.stream(), layer.x, layer.x_aug, layer.weights, h, alpha, layer.out);
}

}  // namespace

void register_gated(py::module_& m) {
  m.def(
      "gated_outer",
      [](const py::object& x, const py::object& omega, const py::object& out) {
        const Tensor a("x", x), w("omega", omega), to("out", out);
        CurrentStream on(a);
        on.check("omega", w.device);
        on.check("out", to.device);
        (is_double("x", a) ? outer<double> : outer<float>)(on, a, w, to);
      },
      py::arg("x"), py::arg("omega"), py::arg("out"));
  register_cov<float>(m);
  register_cov<double>(m);
  m.def(
      "gated_cov",
      [](const py::object& x, const py::object& x_aug, const py::object& weights, const std::string& name,
         double parameter, const py::object& x0, double tau, double, const py::object& out) {
        check_positive("tau", tau);
        const bool wide = is_double("x", Tensor("x", x));
        (wide ? own_cov<double> : own_cov<float>)(x, x_aug, weights, activation(name, parameter), x0, tau, out);
      },
      py::arg("x"), py::arg("x_aug"), py::arg("weights"), py::arg("activation"), py::arg("parameter"), py::arg("x0"),
      py::arg("tau"), py::arg("tol"), py::arg("out"));
}

}  // namespace alphacl::cuda::bindings
