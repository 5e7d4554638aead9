// The top eigenpair of a small symmetric tridiagonal matrix T with positive off-diagonal entries.
// Plain loops over plain arrays: the same text serves every backend.
#pragma once

#include <cmath>

#include "alphacl/view.h"

namespace alphacl {

/// ‖T‖_∞, a bound of all eigenvalues. alpha: m diagonal entries, beta: m − 1 off-diagonal ones.
inline double tridiagonal_bound(const double* alpha, const double* beta, index_t m) {
  double bound = 0, before = 0;
  for (index_t j = 0; j < m; ++j) {
    const double after = j + 1 < m ? beta[j] : 0;
    const double sum = std::fabs(alpha[j]) + before + after;
    bound = sum > bound ? sum : bound;
    before = after;
  }
  return bound;
}

/// The largest eigenvalue; `last` is the last entry of its unit eigenvector, good to a few per cent and about 1e-7
/// of 1. Laguerre's iteration from above: it falls monotonically to the largest root of the characteristic polynomial,
/// with the third order. It starts at `guess` if that lies above all roots (then all leading minors are positive), else
/// at the bound. The polynomial comes from its recurrence, which has no division in its chain; with ‖T‖ = 1 it stays
/// below 3^m, so m ≤ 600.
inline double tridiagonal_top(const double* alpha, const double* beta, index_t m, double guess, double* last) {
  const double bound = tridiagonal_bound(alpha, beta, m), unit = bound > 0 ? 1 / bound : 0;
  const double degree = static_cast<double>(m);
  bool guessed = guess * unit < 1;
  double x = guessed ? guess * unit : 1, step = 1;
  *last = 1;
  // `last` belongs to the x before the step: it holds once the step is small beside its square.
  for (int round = 0; round < 60 && step > 1e-13 && (step > 1e-6 || step > 0.05 * *last * *last); ++round) {
    double p = 1, p1 = 0, p2 = 0, q = 0, q1 = 0, q2 = 0, off = 0;  // the last two polynomials and their derivatives
    double least = 1;
    for (index_t j = 0; j < m; ++j) {
      const double shift = x - unit * alpha[j];
      // Brackets: what is known earlier first, for the chain from one minor to the next is what takes the time.
      const double r = shift * p - off * q, r1 = shift * p1 + (p - off * q1), r2 = shift * p2 + (2 * p1 - off * q2);
      q = p, q1 = p1, q2 = p2;
      p = r, p1 = r1, p2 = r2;
      least = r < least ? r : least;
      off = unit * unit * (j + 1 < m ? beta[j] * beta[j] : 0);
    }
    if (guessed && !(least > 0)) {
      guessed = false;
      x = 1;
      continue;
    }
    guessed = false;
    // s_m² = p_{m−1}/p_m' at an eigenvalue.
    *last = p1 > 0 && q > 0 ? std::sqrt(q / p1) : 1;
    if (!(p > 0)) break;
    const double g = p1 / p, h = g * g - p2 / p;
    const double inside = (degree - 1) * (degree * h - g * g);
    step = degree / (g + (inside > 0 ? std::sqrt(inside) : 0));
    x -= step;
  }
  return x * bound;
}

/// The unit eigenvector s (m) of the largest eigenvalue, all of its small entries included: one step of inverse
/// iteration, two where the last entry is tiny, just above the eigenvalue, where every pivot is positive and no sum
/// cancels. pivots: m.
inline void tridiagonal_vector(const double* alpha, const double* beta, index_t m, double top, double* s,
                               double* pivots) {
  // In units of ‖T‖, so that the squares of s stay in the range of numbers.
  constexpr double tiny = 1e-15;
  const double bound = tridiagonal_bound(alpha, beta, m), unit = bound > 0 ? 1 / bound : 0;
  const double above = unit * top + 4 * tiny;
  for (index_t j = 0; j < m; ++j) {
    const double off = j > 0 ? unit * beta[j - 1] : 0;
    const double pivot = above - unit * alpha[j] - (j > 0 ? off * off * pivots[j - 1] : 0);
    pivots[j] = 1 / (pivot > tiny ? pivot : tiny);
    s[j] = 1;
  }
  for (int round = 0; round < 2 && (round == 0 || s[m - 1] < 1e-8); ++round) {
    for (index_t j = 1; j < m; ++j) s[j] += unit * beta[j - 1] * pivots[j - 1] * s[j - 1];
    s[m - 1] *= pivots[m - 1];
    for (index_t j = m - 2; j >= 0; --j) s[j] = pivots[j] * s[j] + pivots[j] * (unit * beta[j]) * s[j + 1];
    double square = 0;
    for (index_t j = 0; j < m; ++j) square += s[j] * s[j];
    const double factor = 1 / std::sqrt(square);
    for (index_t j = 0; j < m; ++j) s[j] *= factor;
  }
}

}  // namespace alphacl
