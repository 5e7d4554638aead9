// The scalar formulas of the activations. Private to the core.
#pragma once

#include <cmath>

#include "alphacl/gated.h"

namespace alphacl {

/// h'(u); at 0 a ReLU is closed.
template <class T>
T gate(const Activation& h, T u) {
  switch (h.kind) {
    case Activation::Kind::linear:
      return T(1);
    case Activation::Kind::relu:
      return u > T(0) ? T(1) : (u <= T(0) ? T(0) : u);  // NaN stays
    case Activation::Kind::leaky_relu:
      return u > T(0) ? T(1) : (u <= T(0) ? static_cast<T>(h.parameter) : u);
    default:
      return static_cast<T>(h.parameter) * std::pow(u, static_cast<T>(h.parameter - 1));
  }
}

/// h(u).
template <class T>
T output(const Activation& h, T u) {
  switch (h.kind) {
    case Activation::Kind::monomial:
      return std::pow(u, static_cast<T>(h.parameter));
    default:
      return gate(h, u) * u;
  }
}

}  // namespace alphacl
