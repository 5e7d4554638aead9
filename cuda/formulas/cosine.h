// cos θ and sin θ in double, for kernels: the same bits from every compiler, no library behind them.
#pragma once

#include "simt/simt.h"

namespace alphacl::cuda {

struct CosineSine {
  double cosine, sine;
};

/// |θ| ≤ π. Taylor series at q = θ/2 after |θ| > π/2 is folded to π − |θ|, and a doubling by 1 − cos, which keeps its
/// digits. Errors below 4e-16.
__device__ inline CosineSine cosine_sine(double theta) {
  const double size = fabs(theta), sign = theta < 0 ? -1 : 1;
  const bool folded = size > 0x1.921fb54442d18p+0;
  const double near = folded ? (0x1.921fb54442d18p+1 - size) + 0x1.1a62633145c07p-53 : size;
  const double q = 0.5 * near, square = q * q;
  // sin q = q + q³ s: the first term left out, q^17/17!, is 5e-17 of q at π/4.
  double s = -1.0 / 1307674368000;
  s = fma(s, square, 1.0 / 6227020800);
  s = fma(s, square, -1.0 / 39916800);
  s = fma(s, square, 1.0 / 362880);
  s = fma(s, square, -1.0 / 5040);
  s = fma(s, square, 1.0 / 120);
  s = fma(s, square, -1.0 / 6);
  s = fma(s * square, q, q);
  // 1 − cos q = q² v.
  double v = -1.0 / 20922789888000;
  v = fma(v, square, 1.0 / 87178291200);
  v = fma(v, square, -1.0 / 479001600);
  v = fma(v, square, 1.0 / 3628800);
  v = fma(v, square, -1.0 / 40320);
  v = fma(v, square, 1.0 / 720);
  v = fma(v, square, -1.0 / 24);
  v = fma(v, square, 0.5) * square;
  const double cosine = fma(-2 * s, s, 1.0);
  return {folded ? -cosine : cosine, sign * (2 * s * (1 - v))};
}

}  // namespace alphacl::cuda
