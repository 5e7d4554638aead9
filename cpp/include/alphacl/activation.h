// The activations of a layer: kinds, degrees, gates.
#pragma once

namespace alphacl {

/// A homogeneous activation h, h'(u) u = degree · h(u).
struct Activation {
  enum class Kind { linear, relu, leaky_relu, monomial };
  Kind kind = Kind::relu;
  double parameter = 0;  // slope of a leaky ReLU, exponent of a monomial

  double degree() const { return kind == Kind::monomial ? parameter : 1; }
};

/// h' as the kernels of nodes take it.
struct NodeGate {
  enum class Form {
    one,    // 1
    step,   // 1 for u > 0, else `parameter`
    power,  // q u^(q − 1), q = `parameter`
  };
  Form form;
  double parameter;

  bool constant() const { return form == Form::one; }
  /// Whether a closed gate is 0, and so is the output.
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
