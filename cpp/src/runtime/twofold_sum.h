// Sums in two doubles, where terms cancel or, all equal, round alike. Private to the core.
#pragma once

#include <cmath>

namespace alphacl {

/// A sum with twice the digits of a double (Ogita, Rump and Oishi 2005, "Accurate sum and dot product").
struct TwofoldSum {
  double high = 0, low = 0;
  void add(double a) {
    const double next = high + a, added = next - high;
    low += (high - (next - added)) + (a - added);
    high = next;
  }
  void add_product(double a, double b) {
    const double product = a * b;
    low += std::fma(a, b, -product);
    add(product);
  }
  double value() const { return std::isfinite(low) ? high + low : high; }
};

}  // namespace alphacl
