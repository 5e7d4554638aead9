// The Gaussian of scalars as a cosine series: how long it is, and when it is the cheapest.
//
//     exp(−Δ²/2) = Σ_{|k| ≤ K} c_k cos(kωΔ) for |Δ| ≤ range,   ω = 2π/period,   c_k = √(2π)/period · exp(−(kω)²/2):
//
// the trapezoid rule on the Fourier integral of the Gaussian. With q = √(2 ln 1/tol) and period = range + q, the
// aliases (at a distance of at least period − range = q) and the terms left out (kω > q) are both below tol. The rank
// is p = 1 + 2K ≈ 1 + (q/π)(range + q).
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>

#include "alphacl/view.h"

namespace alphacl {

/// q, the distance in units of √τ beyond which a Gaussian importance is below tol.
inline double gaussian_reach(double tol) { return std::sqrt(2 * std::log(1 / tol)); }

/// `tol` of an importance that is computed again in double: there the result is small beside the entries' own errors.
constexpr double wide_tolerance = 1e-15;

inline double series_period(double range, double tol) { return range + gaussian_reach(tol); }

/// ω.
inline double series_frequency(double range, double tol) {
  return 2 * 3.14159265358979323846 / series_period(range, tol);
}

/// K, the number of harmonics of the cosine series over `range`.
inline double series_terms(double range, double tol) {
  return std::ceil(gaussian_reach(tol) * series_period(range, tol) / (2 * 3.14159265358979323846));
}

/// Whether one series is the cheapest for n scalars of range `range` √τ. Operations per sample and column: N by tiles,
/// 2p by one series, 4 p_block and one full product more by sorted blocks, which pay from p ≈ 2 p_block + 32 on
/// (measured on two cores). Scalars that are few for their range may all lie far apart, where entries below tol matter.
inline bool series_pays(index_t n, double range, double tol) {
  const double q = gaussian_reach(tol), density = q / 3.14159265358979323846;
  const double rank = 1 + density * (range + q), block_rank = 1 + density * 3 * q;
  return rank <= 2 * block_rank + 32 && 2 * rank <= static_cast<double>(n);
}

/// Refuses a series that is asked for over a range which it would have too many terms for.
inline void check_series_range(double range) {
  constexpr double longest_series = 1e5;
  if (range > longest_series)
    throw std::invalid_argument("method: expected auto, sorted or tiles for features with a range of " +
                                std::to_string(range) + " times the root of tau, got fourier");
}

}  // namespace alphacl
