// h' of an activation, on the device.
#pragma once

#include "alphacl/activation.h"
#include "simt/simt.h"

namespace alphacl::cuda {

// u^n for a whole n ≥ 0, as products.
__device__ inline double whole_power(double u, double n) {
  double result = 1;
  for (double left = n; left >= 1; left = floor(0.5 * left)) {
    if (left - 2 * floor(0.5 * left) == 1) result *= u;
    u *= u;
  }
  return result;
}

/// h'(u).
__device__ inline double gate_value(const NodeGate& gate, double u) {
  const double slope = 1 + (u - u);  // NaN stays
  if (gate.form == NodeGate::Form::step) return u > 0 ? slope : slope * gate.parameter;
  if (gate.form == NodeGate::Form::power) return gate.parameter * whole_power(u, gate.parameter - 1);
  return slope;
}

}  // namespace alphacl::cuda
