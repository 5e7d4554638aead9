// The activations of a layer: kinds, degrees, gates.
#pragma once

namespace alphacl {

/// A homogeneous activation: h'(u) u = degree · h(u).
struct Activation {
  enum class Kind { linear, relu, leaky_relu, monomial };
  Kind kind = Kind::relu;
  double parameter = 0;  // slope of a leaky ReLU, exponent of a monomial

  double degree() const { return kind == Kind::monomial ? parameter : 1; }
};

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
