// A layer as Python gives it: both views, the nodes, the activation and the importance, checked.
#pragma once

#include <cmath>
#include <string>

#include "bindings/importance_object.h"
#include "nodes/gated_cov.h"

namespace alphacl::cuda::bindings {

inline Activation activation(const std::string& name, double parameter) {
  if (!std::isfinite(parameter)) refuse("parameter", "a finite number", std::to_string(parameter));
  if (const auto found = activation_named(name, parameter)) return *found;
  throw py::value_error("activation: expected linear, relu, leaky_relu or monomial, got " + name);
}

template <class S>
struct LayerTensors {
  Tensor first, second, nodes;
  View<const S> x, x_aug, weights;
  CurrentStream on;

  LayerTensors(const py::object& a, const py::object& b, const py::object& w)
      : first("x", a),
        second("x_aug", b),
        nodes("weights", w),
        x(view<S>("x", first)),
        x_aug(view<S>("x_aug", second, x.rows, x.cols)),
        weights(view<S>("weights", nodes, any, x.cols)),
        on(first) {
    on.check("x_aug", second.device);
    on.check("weights", nodes.device);
  }

  NodeImportance<S> shared(const ImportanceObject<S>& alpha) const {
    alpha.check(on, x.rows);
    return {&alpha.get()};
  }
  /// x0: None stands for x. Products and climbs have no `tol`: there every entry is exact to rounding.
  NodeImportance<S> own(const py::object& x0, double tau, double tol = wide_tolerance) const {
    check_positive("tau", tau);
    check_share("tol", tol);
    NodeImportance<S> alpha{nullptr, tau};
    if (const auto compared = optional_tensor("x0", x0)) {
      on.check("x0", compared->device);
      alpha.x0 = view<S>("x0", *compared, x.rows, x.cols);
    }
    alpha.tol = tol;
    return alpha;
  }
};

}  // namespace alphacl::cuda::bindings
