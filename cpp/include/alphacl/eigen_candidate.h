// Start vectors, the evaluation of a candidate, and results of power_iteration, for a thread or for a team of threads.
//
// A Team shares the work on vectors: each of its threads takes the entries rank(), rank() + size(), … Sums and peaks
// come back to all of them, with the same bits. A function returns when its arrays can be read by the whole team.
#pragma once

#include <cmath>
#include <cstdint>

#include "alphacl/power_iteration.h"

namespace alphacl {

/// The entry of largest magnitude of a vector, the first of them; at: its index, 0 and any for a vector of zeros.
struct Peak {
  double value;
  index_t at;
};

ALPHACL_HOST_DEVICE inline Peak higher(Peak a, Peak b) {
  const double x = std::fabs(a.value), y = std::fabs(b.value);
  return y > x || (y == x && b.at < a.at) ? b : a;
}

/// A thread without a team.
struct Alone {
  ALPHACL_HOST_DEVICE static constexpr index_t rank() { return 0; }
  ALPHACL_HOST_DEVICE static constexpr index_t size() { return 1; }
  ALPHACL_HOST_DEVICE double sum(double part) const { return part; }
  ALPHACL_HOST_DEVICE Peak peak(Peak mine) const { return mine; }
  ALPHACL_HOST_DEVICE void wait() const {}
};

ALPHACL_HOST_DEVICE inline std::uint64_t mixed(std::uint64_t z) {  // splitmix64
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Uniform in [−1, 1), a function of (seed, matrix, which) and of the position alone; never all 0.
template <class T, class Team>
ALPHACL_HOST_DEVICE_CALL void random_start(const Team& team, std::uint64_t seed, index_t matrix, int which, index_t d,
                                           index_t ld, T* v) {
  constexpr std::uint64_t golden = 0x9e3779b97f4a7c15u;
  const std::uint64_t state = mixed(
      mixed(seed + golden) + golden * (2 * static_cast<std::uint64_t>(matrix) + static_cast<std::uint64_t>(which) + 1));
  for (index_t j = team.rank(); j < d; j += team.size()) {
    const std::uint64_t bits = mixed(state + golden * (static_cast<std::uint64_t>(j) + 1));
    v[j] = static_cast<T>(static_cast<double>(static_cast<std::int64_t>(bits) | 1) * 0x1p-63);
  }
  for (index_t j = d + team.rank(); j < ld; j += team.size()) v[j] = T(0);
  team.wait();
}

/// v0 scaled to a largest magnitude of 1, so that no square of it underflows.
template <class T, class S, class Team>
ALPHACL_HOST_DEVICE_CALL void given_start(const Team& team, const S* v0, index_t d, index_t ld, T* v) {
  Peak found{0, d};
  for (index_t j = team.rank(); j < d; j += team.size()) found = higher(found, {static_cast<double>(v0[j]), j});
  const double peak = std::fabs(team.peak(found).value);
  for (index_t j = team.rank(); j < d; j += team.size()) v[j] = static_cast<T>(static_cast<double>(v0[j]) / peak);
  for (index_t j = d + team.rank(); j < ld; j += team.size()) v[j] = T(0);
  team.wait();
}

/// x = the candidate with length 1 and the precision of S. The first of its entries of largest magnitude is positive:
/// the sign is chosen after the rounding, which makes ties.
template <class S, class T, class X, class Team>
ALPHACL_HOST_DEVICE_CALL void rounded_unit(const Team& team, const T* candidate, index_t d, X* x) {
  double square = 0;
  for (index_t j = team.rank(); j < d; j += team.size())
    square += static_cast<double>(candidate[j]) * static_cast<double>(candidate[j]);
  square = team.sum(square);
  const double factor = 1 / std::sqrt(square > 0 ? square : 1);
  Peak found{0, d};
  for (index_t j = team.rank(); j < d; j += team.size()) {
    x[j] = static_cast<X>(static_cast<S>(static_cast<double>(candidate[j]) * factor));
    found = higher(found, {static_cast<double>(x[j]), j});
  }
  if (team.peak(found).value < 0)
    for (index_t j = team.rank(); j < d; j += team.size()) x[j] = -x[j];
  team.wait();
}

struct Judgement {
  double exact;     // xᵀy / xᵀx
  double value;     // `exact` rounded to S
  double residual;  // ‖y − value · x‖
  double size;      // ‖y‖
};

/// The Rayleigh quotient of x and its residual; y: the product of x.
template <class S, class X, class Team>
ALPHACL_HOST_DEVICE_CALL Judgement judgement(const Team& team, const X* x, const X* y, index_t d) {
  double xy = 0, xx = 0, yy = 0;
  for (index_t j = team.rank(); j < d; j += team.size()) {
    const double a = static_cast<double>(x[j]), b = static_cast<double>(y[j]);
    xy += a * b;
    xx += a * a;
    yy += b * b;
  }
  xy = team.sum(xy), xx = team.sum(xx), yy = team.sum(yy);
  Judgement made{xx > 0 ? xy / xx : 0, 0, 0, std::sqrt(yy)};
  made.value = static_cast<double>(static_cast<S>(made.exact));
  double square = 0;
  for (index_t j = team.rank(); j < d; j += team.size()) {
    const double r = static_cast<double>(y[j]) - made.value * static_cast<double>(x[j]);
    square += r * r;
  }
  made.residual = std::sqrt(team.sum(square));
  return made;
}

/// y −= (apartᵀ y) apart.
template <class X, class Team>
ALPHACL_HOST_DEVICE_CALL void take_apart(const Team& team, const X* apart, index_t d, X* y) {
  double along = 0;
  for (index_t j = team.rank(); j < d; j += team.size())
    along += static_cast<double>(apart[j]) * static_cast<double>(y[j]);
  along = team.sum(along);
  for (index_t j = team.rank(); j < d; j += team.size()) y[j] -= static_cast<X>(along * static_cast<double>(apart[j]));
  team.wait();
}

/// λ1 − λ2, and 0 where rounding alone makes it negative. It stays negative where the start had no part in the top.
ALPHACL_HOST_DEVICE inline double gap_between(double first, double second, double allowed) {
  const double gap = first - second;
  return gap < 0 && gap >= -allowed ? 0 : gap;
}

/// Written by the caller alone, whatever the team.
template <class S>
ALPHACL_HOST_DEVICE void no_eigenpair(index_t b, index_t d, std::int64_t products, const TopEigenpairs<S>& out) {
  out.eigenvalue[b] = out.residual[b] = Numbers<S>::nan;
  for (index_t j = 0; j < d; ++j) out.eigenvector[b * d + j] = Numbers<S>::nan;
  if (out.gap != nullptr) out.gap[b] = Numbers<S>::nan;
  out.n_iter[b] = products;
  out.converged[b] = false;
}

}  // namespace alphacl
