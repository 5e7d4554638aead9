// Activations by name, as Python gives them.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "alphacl/gated.h"

namespace alphacl::bindings {

inline Activation activation(const std::string& name, double parameter) {
  if (name == "linear") return {Activation::Kind::linear, 0};
  if (name == "relu") return {Activation::Kind::relu, 0};
  if (name == "leaky_relu") return {Activation::Kind::leaky_relu, parameter};
  if (name == "monomial") return {Activation::Kind::monomial, parameter};
  throw pybind11::value_error("activation: expected linear, relu, leaky_relu or monomial, got " + name);
}

}  // namespace alphacl::bindings
