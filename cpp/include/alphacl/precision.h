// Compute in float, judge the cancellation, compute again in double: the limits, and the helpers that follow them.
//
// A result of the Laplacian form is a difference of large terms. It is first computed in the type of the data, together
// with the sizes of these terms (Sizes). If a size exceeds a limit (Limits: each below with the error that was
// measured) times the size of the result, the same sum is computed in double; beyond wide_limits, as the sum of the
// differences of all pairs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "alphacl/device.h"
#include "alphacl/importance.h"

namespace alphacl {

/// The size of the result and of what it is a difference of, in one norm.
struct Sizes {
  double minuend;  // the size of Σ_i |D_i| x_i x_iᵀ, which for α ≥ 0 bounds every partial sum
  double terms;    // the root of the summed squares of the β_ij x_i x_jᵀ, β = α + αᵀ; 0 where α ≥ 0
  double result;
};

/// The largest ratios of these sizes to the result. A sum of n terms of random signs loses about ε√n of the root of
/// their summed squares; a long sum of terms of one sign loses less than ε of its value.
struct Limits {
  double minuend, terms;
};

/// Whether a size exceeds its limit. False where anything is NaN, and for 0/0: data without any spread.
ALPHACL_HOST_DEVICE inline bool cancelled(const Sizes& sizes, const Limits& limits) {
  return sizes.minuend > limits.minuend * sizes.result || sizes.terms > limits.terms * sizes.result;
}

/// Whether a result in float is to be computed again: it cancelled, or it left the range of float and may be finite in
/// double.
inline bool lost_in_float(const Sizes& sizes, const Limits& limits) {
  return !std::isfinite(sizes.result) || cancelled(sizes, limits);
}

/// Measured: errors of up to 5e-8 of the minuend in a covariance in float, beside 2e-7 of its own sums.
constexpr Limits single_covariance = {4, 3};
/// The terms of a trace are added up in double.
constexpr Limits single_trace = {10, 3};
/// Gated data is not centred: with few features, errors of 3e-7 of the minuend were measured.
constexpr Limits single_gated_covariance = {3, 3};
/// Gradients: samples of a tight cluster have errors in common, and their sums lose up to 4e-7 of the minuend.
constexpr Limits single_gradient = {3, 2};
/// Products of importances of low rank with signs: a moment in float is off by up to 6e-8 of itself.
constexpr Limits single_product = {8, 8};
/// Products of GatedOperator (minuend: Layer::minuend): rounding leaves about 3e-8 of the minuend, 4e-7 of the result.
constexpr double largest_cancellation_of_products = 14;

/// Returns run(), computed in float; or again(), computed in double, if lost(run()).
template <class Run, class Lost, class Again>
auto in_float_else_double(Run&& run, Lost&& lost, Again&& again) {
  auto single = run();
  if (lost(single)) return again();
  return single;
}

/// For `count` results at once: run(lost) computes all in float and marks those that lost their digits; again(indices)
/// computes the marked ones in double.
template <class Run, class Again>
void each_in_float_else_double(index_t count, Run&& run, Again&& again) {
  std::vector<char> lost(static_cast<std::size_t>(count), 0);  // not vector<bool>: threads write to it
  run(lost);
  std::vector<index_t> indices;
  for (index_t i = 0; i < count; ++i)
    if (lost[static_cast<std::size_t>(i)]) indices.push_back(i);
  if (!indices.empty()) again(indices);
}

/// The limits of a float32 result: `usual`, with a minuend of at most 3 for α = ΦΦᵀ of rank above 1. Centring makes one
/// moment small; the squares of the others are squares of long sums, and a series itself errs by 5e-8.
template <class T>
Limits limits_for(const Importance<T>& alpha, Limits usual) {
  return alpha.factor() != nullptr && alpha.factor()->rank() > 1 ? Limits{3, usual.terms} : usual;
}

/// The limits of the Laplacian form in double, for a result of type S. Sums of nearly equal terms lose up to 1e-15 of
/// their size: beyond 100 times the result that exceeds 1e-13 of it.
template <class S>
constexpr Limits wide_limits = sizeof(S) == 4 ? Limits{1e7, 1e7} : Limits{100, 30};

/// The largest ‖minuend‖²/‖difference‖² of the gradient of a loss, summed in T with a result of type S: sums err by
/// 6e-8 (float) or 1e-16 (double) of the minuend.
template <class T, class S>
constexpr double largest_cancellation_of_gradients =
    sizeof(T) == 4 ? 64 : wide_limits<S>.minuend * wide_limits<S>.minuend;

/// Whether n² pairs at `width` operations each are few enough for a sum over all of them: a second or two.
inline bool few_pairs(index_t n, index_t width) {
  const double size = static_cast<double>(n), each = static_cast<double>(std::max<index_t>(width, 64));
  return size * size * each <= 4e10;
}

/// ‖x‖ of n numbers, even where their squares leave the range of a double.
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

/// The pseudo-random factor ρ_j of sample j: random sign, mean square 1, never small. With g_j = l_j ρ_j, (βg)_i² is on
/// average Σ_j β_ij² l_j².
ALPHACL_HOST_DEVICE inline double random_factor(index_t j) {
  std::uint64_t h = (static_cast<std::uint64_t>(j) + 1) * 0x9E3779B97F4A7C15ull;
  h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9ull;
  const double size = 0.7423 + 0.4949 * static_cast<double>(h >> 40) * 0x1p-24;
  return (h >> 32 & 1) != 0 ? size : -size;
}

/// out_j = ρ_j length_j / L, with ρ_j = random_factor(j) and L the largest length. Returns L; 0 where all lengths are 0
/// or one is not finite.
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
