// Binds gated_outer and gated_cov.
#include "alphacl/gated.h"

#include "layer_arguments.h"

namespace alphacl::bindings {
namespace {

template <class T>
void register_for(py::module_& m) {
  using Array = py::array_t<T>;
  m.def(
      "gated_outer",
      [](const Array& x, const Array& omega, Array& out) {
        const View<const T> a = view<T>("x", x), w = view<T>("omega", omega, a.rows);
        T* to = mutable_entries<T>("out", out, {w.cols, a.cols, a.cols});
        if (out.size() == 0) return;
        const Released released;
        gated_outer<T>(a, w, to);
      },
      py::arg("x").noconvert(), py::arg("omega").noconvert(), py::arg("out").noconvert());
  m.def(
      "gated_cov",
      [](const Array& x, const Array& x_aug, const Array& weights, const std::string& name, double parameter,
         const Importance<T>& alpha, Array& out) {
        const LayerArguments<T> given(x, x_aug, weights);
        const Activation h = activation(name, parameter);
        const NodeImportance<T> shared = shared_importance(alpha, given.x);
        T* to = mutable_entries<T>("out", out, {given.weights.rows, given.x.cols, given.x.cols});
        const Released released;
        gated_cov<T>(given.x, given.x_aug, given.weights, h, shared, to);
      },
      py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(), py::arg("activation"),
      py::arg("parameter"), py::arg("alpha"), py::arg("out").noconvert());
  m.def(
      "gated_cov",
      [](const Array& x, const Array& x_aug, const Array& weights, const std::string& name, double parameter,
         const std::optional<Array>& x0, double tau, double tol, Array& out) {
        const LayerArguments<T> given(x, x_aug, weights);
        const Activation h = activation(name, parameter);
        const NodeImportance<T> own = own_importance<T>(x0, tau, tol, given.x);
        T* to = mutable_entries<T>("out", out, {given.weights.rows, given.x.cols, given.x.cols});
        const Released released;
        gated_cov<T>(given.x, given.x_aug, given.weights, h, own, to);
      },
      py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(), py::arg("activation"),
      py::arg("parameter"), py::arg("x0").noconvert(), py::arg("tau"), py::arg("tol"), py::arg("out").noconvert());
}

}  // namespace

void register_gated(py::module_& m) {
  register_for<float>(m);
  register_for<double>(m);
}

}  // namespace alphacl::bindings
