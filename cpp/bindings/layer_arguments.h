// Activations and the nodes' own importance, as Python gives them.
#pragma once

#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "alphacl/gated.h"
#include "arrays.h"

namespace alphacl::bindings {

inline Activation activation(const std::string& name, double parameter) {
  if (name == "linear") return {Activation::Kind::linear, 0};
  if (name == "relu") return {Activation::Kind::relu, 0};
  if (name == "leaky_relu") return {Activation::Kind::leaky_relu, parameter};
  if (name == "monomial") return {Activation::Kind::monomial, parameter};
  throw py::value_error("activation: expected linear, relu, leaky_relu or monomial, got " + name);
}

/// x0: None stands for x.
template <class T>
NodeImportance<T> own_importance(const std::optional<py::array_t<T>>& x0, double tau, double tol) {
  return {nullptr, tau, tol, x0 ? view<T>(*x0) : View<const T>{nullptr, 0, 0, 0}};
}

}  // namespace alphacl::bindings
