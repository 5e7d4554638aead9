// The activations of a layer.
#pragma once

namespace alphacl {

/// A homogeneous activation h, h(u) = h'(u) u / degree.
struct Activation {
  enum class Kind { linear, relu, leaky_relu, monomial };
  Kind kind = Kind::relu;
  double parameter = 0;  // slope of a leaky ReLU, exponent of a monomial
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
};

}  // namespace alphacl
