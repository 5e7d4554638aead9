// Binds gated_outer.
#include "nodes/gated_outer.h"

#include "bindings/tensors.h"

namespace alphacl::cuda::bindings {
namespace {

template <class S>
void outer(CurrentStream& on, const Tensor& x, const Tensor& omega, const Tensor& out) {
  const View<const S> a = view<S>("x", x), w = view<S>("omega", omega, a.rows);
  S* const to = entries<S>("out", out, {w.cols, a.cols, a.cols});
  if (w.cols > 0 && a.cols > 0) gated_outer<S>(on.stream(), a, w, to);
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
}

}  // namespace alphacl::cuda::bindings
