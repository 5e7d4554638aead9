// Sums over pairs and their gradients against their definition in long double, at sizes around those of tiles.
#include <algorithm>
#include <cmath>
#include <vector>

#include "pairs/pair_sums.h"
#include "runtime/copies.h"
#include "tests/testing.h"

namespace {

using alphacl::index_t;
using alphacl::PairForm;
using alphacl::Pairs;
using alphacl::View;
using testing::Array;
using testing::expect;
using testing::Memory;
using testing::next;
using Real = long double;

enum class Way { within, halves, distances, distances_halves, two_sets, no_diagonal };
constexpr Way ways[] = {Way::within,           Way::halves,   Way::distances,
                        Way::distances_halves, Way::two_sets, Way::no_diagonal};

// A way of pairing, features with strided rows, room for results, and what they ought to be.
template <class S>
struct Problem {
  index_t n, k, m;
  Way way;
  bool one_set;
  Array<S> left, right, to_left, to_right;
  Array<double> a, b, rows, cols, offsets, of_scale;
  Pairs<S> pairs;
  std::vector<Real> t, grad_left, grad_right;
  std::vector<bool> counts;
  std::uint64_t seed = 7;

  Problem(index_t samples, index_t others, index_t features, Way how, double far)
      : n(samples),
        k(how < Way::two_sets ? n : others),
        m(features),
        way(how),
        one_set(how < Way::two_sets),
        left(n * (m + 3)),
        right(k * m),
        to_left(n * (m + 1)),
        to_right(k * m),
        a(n),
        b(std::max(n, k)),  // also the offsets of rows
        rows(n),
        cols(k),
        offsets(n),
        of_scale(1) {
    for (std::size_t i = 0; i < left.size(); ++i) left[i] = static_cast<S>(next(seed));
    for (std::size_t i = 0; i < right.size(); ++i) right[i] = static_cast<S>(next(seed));
    for (index_t c = 0; c < m; ++c) left[(n - 1) * (m + 3) + c] += static_cast<S>(far);
    for (index_t i = 0; i < n; ++i) a[i] = next(seed);
    for (std::size_t j = 0; j < b.size(); ++j) b[j] = next(seed);
    const bool distances = way == Way::distances || way == Way::distances_halves;
    const bool halves = way == Way::halves || way == Way::distances_halves;
    pairs = {{left.data(), n, m, m + 3}, {nullptr, 0, 0, 0}, 0.5, distances, halves || way == Way::no_diagonal};
    if (!one_set) pairs.right = {right.data(), k, m, m};
    for (index_t i = 0; i < n; ++i)
      for (index_t j = 0; j < k; ++j) {
        Real score = 0;
        for (index_t c = 0; c < m; ++c) {
          const Real apart = f(i, c) - g(j, c);
          score += distances ? -apart * apart / 2 : f(i, c) * g(j, c);
        }
        t.push_back(score / 2);
        counts.push_back(!((i == j && way != Way::two_sets) || (halves && std::abs(i - j) == n / 2)));
      }
  }

  Real f(index_t i, index_t c) const { return left[i * (m + 3) + c]; }
  Real g(index_t j, index_t c) const { return one_set ? f(j, c) : right[j * m + c]; }
  View<S> left_gradient() const { return {to_left.data(), n, m, m + 1}; }
  View<S> right_gradient() const { return one_set ? View<S>{nullptr, 0, 0, 0} : View<S>{to_right.data(), k, m, m}; }

  // log Σ_j e^t_ij of row i, or of column i.
  Real log_sum(index_t i, bool column) const {
    Real peak = -HUGE_VAL, sum = 0;
    for (int pass = 0; pass < 2; ++pass)
      for (index_t j = 0; j < (column ? n : k); ++j) {
        const index_t e = column ? j * k + i : i * k + j;
        if (!counts[e]) continue;
        if (pass == 0) peak = std::max(peak, t[e]);
        if (pass == 1) sum += expl(t[e] - peak);
      }
    return sum == 0 ? peak : peak + logl(sum);
  }

  // The gradients of Σ_ij w_ij t_ij; returns that with respect to the scale.
  template <class Weight>
  Real differentiate(Weight&& weight) {
    grad_left.assign(n * m, 0);
    grad_right.assign(k * m, 0);
    Real scale = 0;
    for (index_t i = 0; i < n; ++i)
      for (index_t j = 0; j < k; ++j) {
        if (!counts[i * k + j]) continue;
        const Real w = weight(i, j), half = w / 2;
        scale += w * 2 * t[i * k + j];
        for (index_t c = 0; c < m; ++c) {
          if (pairs.distances) {
            grad_left[i * m + c] += half * (g(j, c) - f(i, c));
            grad_left[j * m + c] += half * (f(i, c) - g(j, c));
          } else {
            grad_left[i * m + c] += half * g(j, c);
            (one_set ? grad_left : grad_right)[j * m + c] += half * f(i, c);
          }
        }
      }
    return scale;
  }

  // ‖ours − truth‖ ≤ tol ‖truth‖ of numbers that lie `stride` apart by rows of `width`.
  template <class T>
  bool close(const Array<T>& ours, index_t width, index_t stride, const std::vector<Real>& truth, Real tol) const {
    Real off = 0, size = 0;
    for (std::size_t e = 0; e < truth.size(); ++e) {
      const Real mine = ours[e / width * stride + e % width];
      if (std::isinf(truth[e]) && mine == truth[e]) continue;
      off += (mine - truth[e]) * (mine - truth[e]);
      size += truth[e] * truth[e];
    }
    return off <= tol * tol * size;
  }
  bool gradients_are_close() const {
    Real largest = 0;
    for (const Real score : t) largest = std::max(largest, std::fabs(score));
    const Real tol = sizeof(S) == 4 ? 1e-6L : 1e-13L + largest * 0x1p-50L;  // what the rounding of a score means
    return close(to_left, m, m + 1, grad_left, tol) && (one_set || close(to_right, m, m, grad_right, tol));
  }

  bool log_sums() {
    Memory memory;
    const alphacl::cuda::Stream on{nullptr, memory};
    double* const c = one_set ? nullptr : cols.data();
    alphacl::cuda::pair_log_sums<S>(on, pairs, rows.data(), c);
    alphacl::cuda::pair_log_sums_gradient<S>(on, pairs, rows.data(), c, a.data(), one_set ? nullptr : b.data(),
                                             left_gradient(), right_gradient(), of_scale.data());
    const double scale = alphacl::cuda::read_back(on, of_scale.data());
    std::vector<Real> by_row, by_column;
    for (index_t i = 0; i < n; ++i) by_row.push_back(log_sum(i, false));
    for (index_t j = 0; j < k; ++j) by_column.push_back(log_sum(j, true));
    const Real of = differentiate([&](index_t i, index_t j) {
      const Real score = t[i * k + j], by_left = a[i] * expl(score - by_row[i]);
      return one_set ? by_left : by_left + b[j] * expl(score - by_column[j]);
    });
    return close(rows, 1, 1, by_row, 1e-14L) && (one_set || close(cols, 1, 1, by_column, 1e-14L)) &&
           gradients_are_close() && std::fabs(scale - of) <= 1e-12L * std::fabs(of) + 1e-13L;
  }

  bool sums(PairForm form) {
    Memory memory;
    const alphacl::cuda::Stream on{nullptr, memory};
    alphacl::cuda::pair_sums<S>(on, pairs, form, b.data(), rows.data());
    alphacl::cuda::pair_sums_gradient<S>(on, pairs, form, b.data(), a.data(), left_gradient(), right_gradient(),
                                         offsets.data(), of_scale.data());
    const double scale = alphacl::cuda::read_back(on, of_scale.data());
    std::vector<Real> values(n, 0), slopes(n, 0);
    const Real of = differentiate([&](index_t i, index_t j) {
      const Real x = b[i] + t[i * k + j], part = std::max(x, 0.0L), e = expl(-std::fabs(x));
      const Real logistic = x < 0 ? e / (1 + e) : 1 / (1 + e);
      const bool hinge = form == PairForm::hinge, square = form == PairForm::square, soft = form == PairForm::softplus;
      values[i] += hinge ? part : square ? part * part / 2 : soft ? part + log1pl(e) : logistic;
      const Real slope = hinge ? (x > 0 ? 1 : 0) : square ? part : soft ? logistic : e / ((1 + e) * (1 + e));
      slopes[i] += a[i] * slope;
      return a[i] * slope;
    });
    return close(rows, 1, 1, values, 1e-14L) && close(offsets, 1, 1, slopes, 1e-13L) && gradients_are_close() &&
           std::fabs(scale - of) <= 1e-12L * std::fabs(of) + 1e-13L;
  }

  void print_bits(const char* what) const {
    testing::print_bits(what, rows);
    testing::print_bits(what, of_scale);
  }
  void print_gradients(const char* what) const {
    Array<S> packed(n * m);  // the gaps between rows are nobody's
    for (index_t e = 0; e < n * m; ++e) packed[e] = to_left[e / m * (m + 1) + e % m];
    testing::print_bits(what, packed);
    if (!one_set) testing::print_bits(what, to_right);
  }
};

template <class S>
void test_sizes(const char* log_sums, const char* sums, const char* far) {
  constexpr index_t sizes[][3] = {{1, 1, 1},     {2, 31, 2},   {31, 2, 5},  {33, 64, 17}, {64, 65, 64}, {65, 63, 66},
                                  {129, 130, 3}, {66, 130, 0}, {3, 66, 70}, {5, 66, 256}, {5, 3, 323}};
  bool right[3] = {true, true, true};
  for (const Way way : ways)
    for (const auto& size : sizes) {
      const bool halves = way == Way::halves || way == Way::distances_halves;
      // Products alone have blocks of many columns; a distance of many features has no small score.
      if (size[2] > 66 && (way == Way::distances || way == Way::distances_halves)) continue;
      const index_t n = size[0] + (halves ? size[0] % 2 : 0), k = size[1];
      if (way != Way::two_sets && n == 1 && k == 1) continue;  // no pair, no gradient
      Problem<S> p(n, std::max<index_t>(k, way == Way::no_diagonal ? 2 : 1), size[2], way, 0);
      right[0] = p.log_sums() && right[0];
      for (const PairForm form : {PairForm::hinge, PairForm::logistic, PairForm::softplus, PairForm::square})
        if (n < 64 || form == PairForm::softplus) right[1] = p.sums(form) && right[1];
      if (size[2] > 256) p.print_gradients(sums);
      if (n != 65) continue;
      p.print_bits(sums);
      Problem<S> apart(n, k, size[2], way, 30);
      right[2] = apart.log_sums() && right[2];
      apart.print_bits(far);
    }
  expect(right[0], log_sums);
  expect(right[1], sums);
  expect(right[2], far);
}

// The log-sums of one set and their gradient, for weights of 1.
struct OneSet {
  Problem<double> p;
  double scale = 0;

  OneSet(index_t n, Way way) : p(n, n, 3, way, 0) {
    for (index_t i = 0; i < n; ++i) p.a[i] = 1;
  }
  void run() {
    Memory memory;
    const alphacl::cuda::Stream on{nullptr, memory};
    alphacl::cuda::pair_log_sums<double>(on, p.pairs, p.rows.data(), nullptr);
    alphacl::cuda::pair_log_sums_gradient<double>(on, p.pairs, p.rows.data(), nullptr, p.a.data(), nullptr,
                                                  p.left_gradient(), p.right_gradient(), p.of_scale.data());
    scale = alphacl::cuda::read_back(on, p.of_scale.data());
  }
  bool gradient_is_finite() const {
    bool finite = true;
    for (index_t e = 0; e < p.n * p.m; ++e) finite = finite && std::isfinite(p.to_left[e / p.m * (p.m + 1) + e % p.m]);
    return finite;
  }
};

void test_extremes() {
  OneSet alone(1, Way::within);
  alone.run();
  expect(alone.p.rows[0] == -HUGE_VAL && alone.gradient_is_finite() && alone.scale == 0, "a sample without a pair");
  alone.p.left[0] = NAN;
  alone.run();
  expect(std::isnan(alone.p.rows[0]) && std::isnan(alone.scale), "NaN of a pair that is left out comes out");

  OneSet product(65, Way::within);  // its product with itself is infinite, and left out
  product.p.left[64 * 6] = 1e200;
  product.run();
  expect(std::isfinite(product.scale) && product.gradient_is_finite(), "a score that overflows, and is left out");
  OneSet distance(65, Way::distances);
  distance.p.left[64 * 6] = 1e200;
  distance.run();
  expect(distance.p.rows[64] == -HUGE_VAL && std::isfinite(distance.p.rows[0]) && distance.gradient_is_finite(),
         "scores of minus infinity");
}

}  // namespace

int main() {
  test_extremes();
  test_sizes<float>("log-sums of float features", "sums of float features", "a float sample far away");
  test_sizes<double>("log-sums of double features", "sums of double features", "a double sample far away");
  return testing::failures;
}
