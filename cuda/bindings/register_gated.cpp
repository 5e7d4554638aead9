// Binds gated_outer and gated_cov.
#include "bindings/layer_tensors.h"
#include "nodes/gated_outer.h"

namespace alphacl::cuda::bindings {
namespace {

template <class S>
void outer(CurrentStream& on, const Tensor& x, const Tensor& omega, const Tensor& out) {
  const View<const S> a = view<S>("x", x), w = view<S>("omega", omega, a.rows);
  S* const to = entries<S>("out", out, {w.cols, a.cols, a.cols});
  if (w.cols > 0 && a.cols > 0) gated_outer<S>(on.stream(), a, w, to);
}

template <class S>
void covariances(LayerTensors<S>& layer, const Activation& h, const NodeImportance<S>& alpha, const py::object& out) {
  const Tensor result("out", out);
  S* const to = entries<S>("out", result, {layer.weights.rows, layer.x.cols, layer.x.cols});
  layer.on.check("out", result.device);
  gated_cov<S>(layer.on.stream(), layer.x, layer.x_aug, layer.weights, h, alpha, to);
}

template <class S>
void register_cov(py::module_& m) {
  m.def(
      "gated_cov",
      [](const py::object& x, const py::object& x_aug, const py::object& weights, const std::string& name,
         double parameter, const ImportanceObject<S>& alpha, const py::object& out) {
        LayerTensors<S> layer(x, x_aug, weights);
        covariances(layer, activation(name, parameter), layer.shared(alpha), out);
      },
      py::arg("x"), py::arg("x_aug"), py::arg("weights"), py::arg("activation"), py::arg("parameter"), py::arg("alpha"),
      py::arg("out"));
}

template <class S>
void own_cov(const py::object& x, const py::object& x_aug, const py::object& weights, const Activation& h,
             const py::object& x0, double tau, double tol, const py::object& out) {
  LayerTensors<S> layer(x, x_aug, weights);
  covariances(layer, h, layer.own(x0, tau, tol), out);
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
         double parameter, const py::object& x0, double tau, double tol, const py::object& out) {
        const bool wide = is_double("x", Tensor("x", x));
        (wide ? own_cov<double> : own_cov<float>)(x, x_aug, weights, activation(name, parameter), x0, tau, tol, out);
      },
      py::arg("x"), py::arg("x_aug"), py::arg("weights"), py::arg("activation"), py::arg("parameter"), py::arg("x0"),
      py::arg("tau"), py::arg("tol"), py::arg("out"));
}

}  // namespace alphacl::cuda::bindings
