// The activations of a layer: kinds, degrees, gates.
#pragma once

#include <optional>
#include <string>

namespace alphacl {

/// A homogeneous activation: h'(u) u = degree · h(u).
struct Activation {
  enum class Kind { linear, relu, leaky_relu, monomial };
  Kind kind = Kind::relu;
  double parameter = 0;  // slope of a leaky ReLU, exponent of a monomial

  double degree() const { return kind == Kind::monomial ? parameter : 1; }
};

/// The activation of a name, if there is one.
inline std::optional<Activation> activation_named(const std::string& name, double parameter) {
  if (name == "linear") return Activation{Activation::Kind::linear, 0};
  if (name == "relu") return Activation{Activation::Kind::relu, 0};
  if (name == "leaky_relu") return Activation{Activation::Kind::leaky_relu, parameter};
  if (name == "monomial") return Activation{Activation::Kind::monomial, parameter};
  return std::nullopt;
}

/// The gate h'(u) of an activation, in the form that the kernels of nodes take.
struct NodeGate {
  enum class Form {
    one,    // 1
    step,   // 1 for u > 0, else `parameter`
    power,  // q u^(q − 1), q = `parameter`
  };
  Form form;
  double parameter;

  bool constant() const { return form == Form::one; }
  /// Whether h'(u) = 0 for u ≤ 0 (ReLU): then h(u) is 0 as well.
  bool closes() const { return form == Form::step && parameter == 0; }
};

inline NodeGate gate_of(const Activation& h) {
  switch (h.kind) {
    case Activation::Kind::linear:
      return {NodeGate::Form::one, 0};
    case Activation::Kind::relu:
      return {NodeGate::Form::step, 0};
    case Activation::Kind::leaky_relu:
      return {h.parameter == 1 ? NodeGate::Form::one : NodeGate::Form::step, h.parameter};
    default:
      return {h.parameter == 1 ? NodeGate::Form::one : NodeGate::Form::power, h.parameter};
  }
}

}  // namespace alphacl
