// Float, judge, double: when the Laplacian form has lost so many digits that its result has to be found otherwise.
//
// A result is a difference of terms. It is computed in the type of the data; its size is compared with that of what is
// subtracted (Sizes); beyond a limit (Limits, below, with the error that was measured) the same is computed in double,
// and beyond wide_limits by the differences of all pairs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "alphacl/importance.h"

namespace alphacl {

/// The result and what it is the difference of, in one norm.
struct Sizes {
  double minuend;  // of Σ |D_i| x_i x_iᵀ: where no α_ij is negative, nothing that is added up on the way is larger
  double terms;    // root of the summed squares of the β_ij x_i x_jᵀ, β = α + αᵀ, where they may cancel each other
  double result;
};

/// How many times the result they may be. Sums of n terms of random signs lose about ε√n of the root of their summed
/// squares, long sums of one sign less than ε of what they come to.
struct Limits {
  double minuend, terms;
};

/// False where anything is NaN, and for 0/0: data without any spread.
inline bool cancelled(const Sizes& sizes, const Limits& limits) {
  return sizes.minuend > limits.minuend * sizes.result || sizes.terms > limits.terms * sizes.result;
}

/// Whether a result in float has to be found otherwise: what has left its range may be finite in double.
inline bool lost_in_float(const Sizes& sizes, const Limits& limits) {
  return !std::isfinite(sizes.result) || cancelled(sizes, limits);
}

/// Float left errors of up to 5e-8 of the minuend in a covariance, beside 2e-7 of its own sums.
constexpr Limits single_covariance = {4, 3};
/// A trace adds up in double.
constexpr Limits single_trace = {10, 3};
/// Gated data is not centred, and with few features errors of 3e-7 of the minuend were seen.
constexpr Limits single_gated_covariance = {3, 3};
/// Sums over tight clusters, whose samples have their errors in common, lose up to 4e-7 of the minuend.
constexpr Limits single_gradient = {3, 2};
/// A product with a matrix of a node (Layer::minuend): rounding leaves some 3e-8 of the minuend, 4e-7 of the result.
constexpr double largest_cancellation_of_products = 14;

/// What run() gives in float, or again() in double where lost(it).
template <class Run, class Lost, class Again>
auto in_float_else_double(Run&& run, Lost&& lost, Again&& again) {
  auto single = run();
  if (lost(single)) return again();
  return single;
}

/// The same for each of `count` results: run(lost) says which float lost, again(indices) makes those in double.
template <class Run, class Again>
void each_in_float_else_double(index_t count, Run&& run, Again&& again) {
  std::vector<char> lost(static_cast<std::size_t>(count), 0);  // threads write to it, so no bits
  run(lost);
  std::vector<index_t> indices;
  for (index_t i = 0; i < count; ++i)
    if (lost[static_cast<std::size_t>(i)]) indices.push_back(i);
  if (!indices.empty()) again(indices);
}

/// Those in float32, `usual` unless α = ΦΦᵀ of more than the one moment that the centring makes small: squares of long
/// sums, and a series that errs by 5e-8 itself, leave less.
template <class T>
Limits limits_for(const Importance<T>& alpha, Limits usual) {
  return alpha.factor() != nullptr && alpha.factor()->rank() > 1 ? Limits{3, usual.terms} : usual;
}

/// For the Laplacian form in double, result of type S. Sums of nearly equal terms lose up to 1e-15 of them: beyond 100
/// times the result that is 1e-13 of it.
template <class S>
constexpr Limits wide_limits = sizeof(S) == 4 ? Limits{1e7, 1e7} : Limits{100, 30};

/// The same for α = ΦΦᵀ, or null. Moments of equal samples lose up to 4e-15 of the minuend.
template <class S>
Limits wide_limits_for(const Features<double>* phi) {
  constexpr Limits usual = wide_limits<S>;
  return sizeof(S) == 8 && phi != nullptr && phi->rank() > 1 ? Limits{25, usual.terms} : usual;
}

/// Whether n² pairs of `width` operations each are little enough to be gone through: a second or two.
inline bool few_pairs(index_t n, index_t width) {
  const double size = static_cast<double>(n), each = static_cast<double>(std::max<index_t>(width, 64));
  return size * size * each <= 4e10;
}

/// ‖x‖ of n numbers, also where their squares leave the range of a double.
inline double norm_of(const double* x, index_t n) {
  double square = 0, largest = 0;
  for (index_t e = 0; e < n; ++e) {
    square += x[e] * x[e];
    largest = std::max(largest, std::fabs(x[e]));
  }
  if ((square > 1e-280 && square < 1e280) || largest == 0 || std::isnan(square) || std::isinf(largest))
    return std::sqrt(square);
  double scaled = 0;
  for (index_t e = 0; e < n; ++e) scaled += (x[e] / largest) * (x[e] / largest);
  return largest * std::sqrt(scaled);
}

/// Numbers of random sign and mean square 1, none of them small: (βg)_i² is Σ_j β_ij² l_j² on average, g_j = l_j times
/// the number of sample j.
inline double random_factor(index_t j) {
  std::uint64_t h = (static_cast<std::uint64_t>(j) + 1) * 0x9E3779B97F4A7C15ull;
  h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9ull;
  const double size = 0.7423 + 0.4949 * static_cast<double>(h >> 40) * 0x1p-24;
  return (h >> 32 & 1) != 0 ? size : -size;
}

/// out_j = the factor of j times length_j / the largest length, which is returned: 0 where there is nothing to probe.
template <class T>
double random_probe(const double* length, index_t n, index_t stride, T* out) {
  double largest = 0, poison = 0;
  for (index_t j = 0; j < n; ++j) {
    largest = std::max(largest, length[j]);
    poison += length[j] - length[j];
  }
  if (poison != 0) largest = 0;
  const double scale = largest > 0 ? 1 / largest : 0;
  for (index_t j = 0; j < n; ++j)
    out[j * stride] = static_cast<T>(scale == 0 ? 0 : random_factor(j) * (length[j] * scale));
  return largest;
}

}  // namespace alphacl
