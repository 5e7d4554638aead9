// The top eigenpair of the tridiagonal matrix T of Lanczos, by one thread: T is small, and both recurrences are chains.
//
// Value: Laguerre's iteration (Wilkinson, The Algebraic Eigenvalue Problem, 7.§26) on p(x) = det(x − T) from above the
// roots, x ← x − m p/(p' + √((m − 1)((m − 1) p'² − m p p''))): it falls monotonically to the largest one, at third
// order. p_j = (x − α_j) p_{j−1} − β_{j−1}² p_{j−2} and its derivatives come from one recurrence without a division.
// Vector: inverse iteration just above the eigenvalue, by (x − T) = L D Lᵀ with positive D, where no sum cancels.
// The CPU's kernels do the same, so that both stop after the same number of products. About 12 m operations a round,
// 4 to 10 rounds; latency 3 fma a row.
#pragma once

#include <cmath>

#include "alphacl/device.h"
#include "simt/simt.h"

namespace alphacl::cuda {

struct TridiagonalTop {
  double value;
  double last;  // the last entry of the unit eigenvector, at most a tenth too large, or 0 where it is not known
};

/// Gershgorin's interval: no eigenvalue lies outside.
struct Spectrum {
  double low, high;
  __device__ double size() const { return larger(-low, high); }
};

__device__ inline Spectrum spectrum_of(const double* alpha, const double* beta, int m) {
  Spectrum all{Numbers<double>::infinity, -Numbers<double>::infinity};
  for (int j = 0; j < m; ++j) {
    const double radius = (j > 0 ? beta[j - 1] : 0) + (j + 1 < m ? beta[j] : 0);
    all.low = smaller(all.low, alpha[j] - radius);
    all.high = larger(all.high, alpha[j] + radius);
  }
  return all;
}

/// p_m and p_{m−1} at x with two derivatives, up to a common factor. Unit and origin of T: see tridiagonal_top.
struct Minors {
  double p = 1, p1 = 0, p2 = 0, q = 0, q1 = 0, q2 = 0;
  bool negative = false;  // whether one of p_1 … p_m was

  __device__ void step(double shift, double square) {
    const double r = fma(shift, p, -(square * q));
    const double r1 = fma(shift, p1, fma(-square, q1, p));
    const double r2 = fma(shift, p2, fma(-square, q2, 2 * p1));
    q = p, q1 = p1, q2 = p2;
    p = r, p1 = r1, p2 = r2;
    negative = negative || p < 0;
  }
  // Only ratios are used: all are brought back when they leave the middle of the range.
  __device__ void rescale() {
    const double magnitude = fabs(p);
    if (magnitude > 1e-60 && magnitude < 1e60) return;
    const double factor = 1 / (magnitude + fabs(q));
    p *= factor, p1 *= factor, p2 *= factor;
    q *= factor, q1 *= factor, q2 *= factor;
  }
};

__device__ inline Minors minors_at(double x, const double* alpha, const double* beta, int m, double middle,
                                   double unit) {
  Minors minors;
  double square = 0;
  for (int j = 0; j < m; ++j) {
    minors.step(x - unit * (alpha[j] - middle), square);
    const double off = unit * beta[j];  // beta[m - 1] is the length of the next vector: there, and not used
    square = off * off;
    if (j % 8 == 7) minors.rescale();
  }
  return minors;
}

/// The largest eigenvalue of the m × m matrix, sought downwards from `guess` if that lies above it, else from
/// Gershgorin's bound. Computed in units of half of Gershgorin's interval about its middle.
[[gnu::noinline]] __device__ inline TridiagonalTop tridiagonal_top(const double* alpha, const double* beta, int m,
                                                                   double guess) {
  const Spectrum bounds = spectrum_of(alpha, beta, m);
  const double middle = 0.5 * bounds.low + 0.5 * bounds.high, half = 0.5 * bounds.high - 0.5 * bounds.low;
  if (!(half > 0)) return {bounds.high, 1};
  const double unit = 1 / half, degree = m;
  double last = 1, x = 1, step = 1;
  bool guessed = guess < bounds.high, near = false;
  if (guessed) x = (guess - middle) * unit;
  for (int round = 0; round < 200 && step > 1e-13 && !near; ++round) {
    const Minors at = minors_at(x, alpha, beta, m, middle, unit);
    if (guessed && at.negative) {  // the guess is not above all roots
      guessed = false;
      x = 1;
      continue;
    }
    guessed = false;
    // At an eigenvalue s_m² = p_{m−1}/p_m'. At a distance δ above it the other eigenvalues λ disturb this, and
    // p p''/p'² = 2δ Σ 1/(x − λ) tells by how much.
    const double inverse = 1 / at.p1, newton = at.p * inverse, others = newton * (at.p2 * inverse);
    const double square = at.q * inverse;
    last = square > 0 ? sqrt(square) : 0;
    if (!(newton >= 0)) break;
    near = others < 1e-3 && others < 0.2 * square;
    if (near) {
      x -= newton * (1 + 0.5 * others);  // Newton's step with the second-order term
    } else {
      const double inside = (degree - 1) * (degree * (1 - others) - 1);
      step = degree * newton / (1 + (inside > 0 ? sqrt(inside) : 0));
      x -= step;
    }
  }
  return {middle + x * half, near ? last : 0};
}

/// s (m) = the unit eigenvector of the eigenvalue `top`, exact in its small entries: one step of inverse iteration, a
/// second one where the residual exceeds `enough` or the last entry is tiny. pivots: m.
[[gnu::noinline]] __device__ inline void tridiagonal_vector(const double* alpha, const double* beta, int m, double top,
                                                            double enough, double* s, double* pivots) {
  constexpr double tiny = 1e-15;
  const double size = spectrum_of(alpha, beta, m).size(), unit = size > 0 ? 1 / size : 0;
  const double above = unit * top + 4 * tiny;
  for (int j = 0; j < m; ++j) {
    const double off = j > 0 ? unit * beta[j - 1] : 0;
    const double pivot = above - unit * alpha[j] - (j > 0 ? off * off * pivots[j - 1] : 0);
    pivots[j] = 1 / (pivot > tiny ? pivot : tiny);
    s[j] = 1;
  }
  double residual = 0;
  for (int round = 0; round < 2 && (round == 0 || residual > enough || s[m - 1] < 1e-8); ++round) {
    for (int j = 1; j < m; ++j) s[j] = fma(unit * beta[j - 1] * pivots[j - 1], s[j - 1], s[j]);
    s[m - 1] *= pivots[m - 1];
    for (int j = m - 2; j >= 0; --j) s[j] = pivots[j] * fma(unit * beta[j], s[j + 1], s[j]);
    double square = 0;
    for (int j = 0; j < m; ++j) square = fma(s[j], s[j], square);
    const double factor = 1 / sqrt(square);
    residual = size * sqrt(static_cast<double>(m)) * factor;  // after the first step, whose right side is m ones
    for (int j = 0; j < m; ++j) s[j] *= factor;
  }
}

}  // namespace alphacl::cuda
