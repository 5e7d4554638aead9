// Activations and the nodes' own importance, as Python gives them.
#pragma once

#include <pybind11/stl.h>

#include <cmath>
#include <optional>
#include <string>

#include "alphacl/gated.h"
#include "arrays.h"

namespace alphacl::bindings {

inline Activation activation(const std::string& name, double parameter) {
  if (!std::isfinite(parameter)) refuse("parameter", "a finite number", std::to_string(parameter));
  if (const auto found = activation_named(name, parameter)) return *found;
  throw py::value_error("activation: expected linear, relu, leaky_relu or monomial, got " + name);
}

/// Both views and the nodes.
template <class T>
struct LayerArguments {
  View<const T> x, x_aug, weights;
  LayerArguments(const py::array_t<T>& of_x, const py::array_t<T>& of_x_aug, const py::array_t<T>& of_weights)
      : x(view<T>("x", of_x)),
        x_aug(view<T>("x_aug", of_x_aug, x.rows, x.cols)),
        weights(view<T>("weights", of_weights, any, x.cols)) {}
};

template <class T>
NodeImportance<T> shared_importance(const Importance<T>& alpha, View<const T> x) {
  check_samples(alpha, x.rows);
  return {&alpha};
}

/// x0: None stands for x.
template <class T>
NodeImportance<T> own_importance(const std::optional<py::array_t<T>>& x0, double tau, double tol, View<const T> x) {
  check_positive("tau", tau);
  check_share("tol", tol);
  return {nullptr, tau, tol, x0 ? view<T>("x0", *x0, x.rows, x.cols) : View<const T>{nullptr, 0, 0, 0}};
}

}  // namespace alphacl::bindings
