// Sums with twice the digits of a double, where terms cancel or, all equal, round alike.
#pragma once

#include "runtime/launch.h"

namespace alphacl::cuda {

/// As runtime/twofold_sum.h of the CPU.
struct TwoDoubles {
  double high = 0, low = 0;
  __device__ void add(double value) {
    const double sum = high + value, taken = sum - high;
    low += (high - (sum - taken)) + (value - taken);
    high = sum;
  }
  __device__ void add_product(double a, double b) {
    const double product = a * b;
    add(product);
    low += fma(a, b, -product);
  }
  /// Where a term or a sum is infinite, `low` is NaN.
  __device__ double value() const { return low - low == 0 ? high + low : high; }
};

}  // namespace alphacl::cuda
