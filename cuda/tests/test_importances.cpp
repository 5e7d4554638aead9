// Importances whose entries are made pair by pair against double loops, at sizes around those of tiles.
#include "importances/importance.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <vector>

#include "importances/row_passes.h"
#include "tests/testing.h"

namespace {

using alphacl::index_t;
using alphacl::PairForm;
using alphacl::View;
using alphacl::cuda::Importance;
using alphacl::cuda::PairEntry;
using alphacl::cuda::PairFeatures;
using alphacl::cuda::PairOperand;
using alphacl::cuda::PairPlan;
using alphacl::cuda::RowPart;
using alphacl::cuda::RowState;
using alphacl::cuda::Stream;
using testing::Array;
using testing::close;
using testing::expect;
using testing::Memory;
using testing::next;
using Real = long double;

// α_ij = t + (3i + 5j) mod 11 − 4: not symmetric, and exact. `diagonal` is added to α_ii.
struct Entries {
  double diagonal;
  __host__ __device__ double one(int i, int j, double t) const {
    return t + (3 * i + 5 * j) % 11 - 4 + (i == j ? diagonal : 0);
  }
  __device__ PairEntry operator()(int i, int j, double t) const { return {one(i, j, t), one(j, i, t)}; }
};

// Features 0 … 3.
void fill_with_features(const Array<double>& f) {
  std::uint32_t seed = 5;
  for (std::size_t e = 0; e < f.size(); ++e) {
    seed = seed * 1664525u + 1013904223u;
    f[e] = seed >> 30;
  }
}

double half_square(const Array<double>& f, int m, int i, int j) {
  double sum = 0;
  for (int k = 0; k < m; ++k) sum += (f[i * m + k] - f[j * m + k]) * (f[i * m + k] - f[j * m + k]);
  return sum / 2;
}

template <class X, bool laplacian>
bool products_are_right(int n, int m, int q, const PairPlan& plan) {
  Memory memory;
  const Array<double> f(static_cast<std::size_t>(n) * m), r(n), c(n);
  fill_with_features(f);
  const int stride = q + 2, out_stride = q + 1;
  const Array<float> numbers(static_cast<std::size_t>(n) * stride);
  const Array<X> x(numbers.size()), out(static_cast<std::size_t>(n) * out_stride);
  fill_with_integers(numbers, 4);
  for (std::size_t e = 0; e < x.size(); ++e) x[e] = numbers[e];
  for (std::size_t e = 0; e < out.size(); ++e) out[e] = 77;
  // The diagonal takes no part in differences, whatever it is.
  const Entries entries{laplacian ? std::numeric_limits<double>::infinity() : 2};
  alphacl::cuda::multiply_pairs<laplacian>(Stream{nullptr, memory}, PairFeatures{f.data(), n, m}, entries,
                                           PairOperand<X, X>{x.data(), stride, q, out.data(), out_stride}, r.data(),
                                           laplacian ? nullptr : c.data(), plan);
  testing::finish();
  bool right = true;
  for (int i = 0; i < n; ++i) {
    double forth = 0, back = 0;
    std::vector<double> product(static_cast<std::size_t>(q), 0.0);
    for (int j = 0; j < n; ++j) {
      const double t = half_square(f, m, i, j), own = entries.one(i, j, t), other = entries.one(j, i, t);
      forth += own;
      back += other;
      for (int k = 0; k < q; ++k) {
        const double apart = x[i * stride + k] - x[j * stride + k];
        if (!laplacian) product[k] += own * x[j * stride + k];
        if (laplacian && i != j) product[k] += (own + other) * apart;
      }
    }
    right = right && r[i] == forth && (laplacian || c[i] == back) && out[i * out_stride + q] == 77;
    for (int k = 0; k < q; ++k) right = right && out[i * out_stride + k] == static_cast<X>(product[k]);
  }
  if (n == 65 && q == 65) testing::print_bits("products of 65 samples", out);
  return right;
}

void test_products() {
  struct Size {
    int n, m, q;
    PairPlan plan;
  };
  constexpr Size sizes[] = {{1, 1, 1, {1, 1}},    {2, 0, 3, {1, 1}},    {63, 3, 1, {1, 1}},  {64, 16, 64, {1, 1}},
                            {65, 17, 65, {1, 2}}, {129, 3, 65, {2, 1}}, {65, 33, 0, {1, 2}}, {65, 0, 129, {1, 1}},
                            {257, 1, 2, {2, 2}},  {257, 0, 0, {3, 1}},  {257, 2, 1, {16, 5}}};
  bool right[3] = {true, true, true};
  for (const auto& [n, m, q, plan] : sizes) {
    right[0] = products_are_right<float, false>(n, m, q, plan) && right[0];
    if (n < 64) right[1] = products_are_right<double, false>(n, m, q, plan) && right[1];
    right[2] = products_are_right<double, true>(n, m, q, plan) && right[2];
  }
  const PairPlan small = alphacl::cuda::pair_plan(65, 3), large = alphacl::cuda::pair_plan(1 << 20, 64);
  expect(small.run == 1 && small.together == 2 && large.run == 16 && large.together == 1, "plans, by the sizes alone");
  expect(right[0], "products and sums, float");
  expect(right[1], "products and sums, double");
  expect(right[2], "differences and sums, an infinite diagonal");
}

// shift = Σ_j t_ij; value = the first whole number that no t_ij exceeds, sought one pass after the other.
struct CeilingRule {
  __device__ RowPart start(int) const { return {0, 0}; }
  __device__ bool counts(int i, int j) const { return i != j; }
  __device__ void add(const RowState& state, int, double t, RowPart& part) const {
    part.first += t;
    part.second += t > state.value ? 1 : 0;
  }
  __device__ void join(int, RowPart& part, const RowPart& other) const {
    part.first += other.first;
    part.second += other.second;
  }
  __device__ bool update(RowState& state, int, const RowPart& part) const {
    state.shift = part.first;
    if (part.second == 0 || state.value == 100) return false;
    state.value += 1;
    return true;
  }
};

void test_row_passes() {
  constexpr int sizes[][2] = {{1, 3}, {2, 1}, {63, 2}, {64, 0}, {65, 17}, {129, 1}};
  bool right = true;
  for (const auto& size : sizes) {
    Memory memory;
    const int n = size[0], m = size[1];
    const Array<double> f(static_cast<std::size_t>(n) * m);
    fill_with_features(f);
    if (m == 17)
      for (std::size_t e = 0; e < f.size(); ++e) f[e] = f[e] > 1 ? 1 : 0;
    const RowState* const rows =
        alphacl::cuda::row_states(Stream{nullptr, memory}, PairFeatures{f.data(), n, m}, CeilingRule{}, memory);
    testing::finish();
    for (int i = 0; i < n; ++i) {
      double sum = 0, top = 0;
      for (int j = 0; j < n; ++j) {
        if (j == i) continue;
        const double t = half_square(f, m, i, j);
        sum += t;
        top = std::fmax(top, std::ceil(t));
      }
      right = right && rows[i].shift == sum && rows[i].value == top;
    }
  }
  expect(right, "rows that need different numbers of passes");
}

// All that α does, against its entries.
template <class S>
void check(const Stream& on, const Importance<S>& importance, const std::vector<Real>& alpha, const char* what) {
  const index_t n = importance.size(), q = 3, first = n / 2;
  const Real tol = sizeof(S) == 4 ? 1e-6L : 1e-12L;
  const Array<S> y(n * (q + 1)), product(n * (q + 2)), all(n * (n + 1));
  const Array<double> r(n), c(n), row_sum(n), raw(n * q), centred(n * q), l(n * q), some((n - first) * n);
  std::uint64_t seed = 11;
  for (std::size_t e = 0; e < y.size(); ++e) y[e] = static_cast<S>(next(seed));
  Real mean[3] = {};
  for (index_t e = 0; e < n * q; ++e) {
    raw[e] = 1 + next(seed);
    mean[e % q] += raw[e] / static_cast<Real>(n);
  }
  for (index_t e = 0; e < n * q; ++e) centred[e] = static_cast<double>(raw[e] - mean[e % q]);
  importance.sums(on, r.data(), c.data());
  importance.matmul(on, {y.data(), n, q, q + 1}, {product.data(), n, q, q + 2});
  importance.laplacian(on, {n, q, raw.data(), centred.data()}, l.data(), row_sum.data());
  importance.to_dense(on, {all.data(), n, n, n + 1});
  importance.rows(on, first, n - first, some.data());
  testing::finish();
  std::vector<Real> by_row(n, 0), by_column(n, 0), of_y(n * q, 0), of_x(n * q, 0);
  for (index_t i = 0; i < n; ++i)
    for (index_t j = 0; j < n; ++j) {
      const Real entry = alpha[i * n + j], both = entry + alpha[j * n + i];
      by_row[i] += entry;
      by_column[j] += entry;
      for (index_t k = 0; k < q; ++k) {
        of_y[i * q + k] += entry * y[j * (q + 1) + k];
        of_x[i * q + k] += both * (Real{raw[i * q + k]} - raw[j * q + k]);
      }
    }
  const std::vector<Real> rest(alpha.begin() + first * n, alpha.end());
  const bool entries = close(all, n, n + 1, alpha, tol) && close(some, n, n, rest, 1e-12L);
  const bool sums = close(r, 1, 1, by_row, 1e-12L) && close(c, 1, 1, by_column, 1e-12L);
  const bool products = close(product, q, q + 2, of_y, tol);
  const bool differences = close(l, q, q, of_x, 1e-12L) && close(row_sum, 1, 1, by_row, 1e-12L);
  char line[80];  // no std::string, whose compiled part MemorySanitizer does not follow
  std::snprintf(line, sizeof line, "%s, n = %d, %s", what, static_cast<int>(n), sizeof(S) == 4 ? "float" : "double");
  if (!expect(entries && sums && products && differences, line))
    std::printf("entries %d, sums %d, products %d, differences %d\n", entries, sums, products, differences);
  testing::print_bits(line, some);
  testing::print_bits(line, l);
}

// μ of a row of Σ_j [μ − t_j]₊ = τ, from the sorted t.
Real level(std::vector<Real> t, Real tau) {
  std::sort(t.begin(), t.end());
  Real sum = tau, mu = 0;
  for (std::size_t k = 0; k < t.size() && (k == 0 || t[k] < mu); ++k) {
    sum += t[k];
    mu = sum / static_cast<Real>(k + 1);
  }
  return mu;
}

// ψ'.
Real slope(PairForm form, Real x) {
  const Real e = expl(-std::fabs(x)), logistic = x < 0 ? e / (1 + e) : 1 / (1 + e);
  switch (form) {
    case PairForm::hinge:
      return x > 0 ? 1 : 0;
    case PairForm::logistic:
      return e / ((1 + e) * (1 + e));
    case PairForm::softplus:
      return logistic;
    case PairForm::square:
      return std::max(x, 0.0L);
    default:
      return expl(x);
  }
}

template <class S>
void test_kinds(index_t n, index_t m, double tau) {
  Memory memory;
  const Stream on{nullptr, memory};
  const Array<S> f(n * (m + 2));
  std::uint64_t seed = 13;
  for (std::size_t e = 0; e < f.size(); ++e) f[e] = static_cast<S>(next(seed));
  f[(n - 1) * (m + 2)] += 4;
  const View<const S> features{f.data(), n, m, m + 2};
  std::vector<Real> t(n * n, 0), alpha(n * n);
  for (index_t i = 0; i < n; ++i)
    for (index_t j = 0; j < n; ++j)
      for (index_t k = 0; k < m; ++k) {
        const Real apart = Real{f[i * (m + 2) + k]} - f[j * (m + 2) + k];
        t[i * n + j] += apart * apart / 2;
      }
  const auto fill = [&](auto&& entry, bool normalize, Real added = 0) {
    for (index_t i = 0; i < n; ++i) {
      Real sum = 0;
      for (index_t j = 0; j < n; ++j) sum += alpha[i * n + j] = entry(i, j);
      for (index_t j = 0; normalize && j < n && sum > 0; ++j) alpha[i * n + j] /= sum + added;
    }
  };

  fill([&](index_t i, index_t j) { return expl(-t[i * n + j] / tau); }, false);
  check<S>(on, *alphacl::cuda::gaussian<S>(on, features, tau, memory), alpha, "gaussian");
  for (const int p : {2, 3, 4}) {
    const bool normalize = p != 2;
    const auto entry = [&](index_t i, index_t j) { return i == j ? 0.0L : expl(-powl(t[i * n + j], p / 2.0L) / tau); };
    fill(entry, normalize);
    check<S>(on, *alphacl::cuda::direct<S>(on, features, p, tau, {normalize}, memory), alpha,
             p == 2   ? "direct"
             : p == 3 ? "direct, p = 3, normalized"
                      : "direct, p = 4, normalized");
  }
  const auto inverse = [&](index_t i, index_t j) { return powl(powl(t[i * n + j], 1.5L) + tau, -2.5L); };
  fill([&](index_t i, index_t j) { return i == j ? 0.0L : inverse(i, j); }, false);
  check<S>(on, *alphacl::cuda::inverse_distance<S>(on, features, 3, tau, 2.5, {false}, memory), alpha, "inverse");
  if (n % 2 == 0) {
    fill([&](index_t i, index_t j) { return i % (n / 2) == j % (n / 2) ? 0.0L : inverse(i, j); }, true,
         0.25L * (n - 2));
    check<S>(on, *alphacl::cuda::inverse_distance<S>(on, features, 3, tau, 2.5, {true, true, 0.25}, memory), alpha,
             "inverse, normalized, both views");
  }
  std::vector<Real> mu(n);
  for (index_t i = 0; i < n; ++i) {
    std::vector<Real> others;
    for (index_t j = 0; j < n; ++j)
      if (j != i) others.push_back(t[i * n + j]);
    mu[i] = level(others, tau);
  }
  fill([&](index_t i, index_t j) { return i == j ? 0.0L : std::fmax(mu[i] - t[i * n + j], 0.0L) / tau; }, false);
  check<S>(on, *alphacl::cuda::square_regularized<S>(on, features, tau, memory), alpha, "square regularized");

  const Array<double> offset(n), weight(n);
  for (index_t i = 0; i < n; ++i) offset[i] = next(seed), weight[i] = next(seed);
  for (const PairForm form :
       {PairForm::hinge, PairForm::logistic, PairForm::softplus, PairForm::square, PairForm::exponential}) {
    fill([&](index_t i, index_t j) { return i == j ? 0 : weight[i] * slope(form, offset[i] - 0.75L * t[i * n + j]); },
         false);
    check<S>(on, *alphacl::cuda::pair<S>(on, features, 0.75, form, offset.data(), weight.data(), memory), alpha,
             "pair");
  }

  fill([&](index_t i, index_t j) { return Real{f[i * (m + 2)]} + (j == i ? 3 : 0) + f[j] / Real{8}; }, false);
  const Array<S> stored(n * (n + 3));
  for (index_t i = 0; i < n; ++i)
    for (index_t j = 0; j < n; ++j) {
      stored[i * (n + 3) + j] = static_cast<S>(alpha[i * n + j]);
      alpha[i * n + j] = stored[i * (n + 3) + j];
    }
  check<S>(on, *alphacl::cuda::dense<S>({stored.data(), n, n, n + 3}), alpha, "dense");
  for (const bool diagonal : {false, true}) {
    fill([&](index_t i, index_t j) { return i == j && !diagonal ? 0.0L : 1.0L; }, false);
    check<S>(on, *alphacl::cuda::uniform<S>(n, diagonal), alpha, diagonal ? "uniform" : "uniform, no diagonal");
  }
  const Array<std::int64_t> labels(n);
  for (index_t i = 0; i < n; ++i) labels[i] = i % 7 == 0 ? std::numeric_limits<std::int64_t>::min() : i % 3;
  fill([&](index_t i, index_t j) { return labels[i] == labels[j] ? -1.25L : 0.5L; }, false);
  check<S>(on, *alphacl::cuda::labels<S>(on, labels.data(), n, -1.25, 0.5, memory), alpha, "labels");
  const Array<std::int64_t> starts(n + 1), columns(3 * n);
  const Array<S> values(3 * n);
  std::fill(alpha.begin(), alpha.end(), 0.0L);
  for (index_t i = 0; i < n; ++i) {  // row 1 is empty, row 0 has the entries of both; two of three fall on one place
    starts[i + 1] = 3 * (i == 0 ? std::min<index_t>(2, n) : i + 1);
    for (index_t e = 3 * i; e < 3 * i + 3; ++e) {
      columns[e] = e % 3 == 0 ? i : (5 * i + 2) % n;
      values[e] = static_cast<S>(next(seed));
      alpha[(i == 1 ? 0 : i) * n + columns[e]] += values[e];
    }
  }
  starts[0] = 0;
  check<S>(on, *alphacl::cuda::sparse<S>(on, {starts.data(), columns.data(), values.data(), n, 3 * n}, memory), alpha,
           "sparse");

  const auto product = [&](index_t i, index_t j) {
    Real sum = 0;
    for (index_t k = 0; k < m; ++k) sum += Real{f[i * (m + 2) + k]} * f[j * (m + 2) + k];
    return sum;
  };
  fill(product, false);
  check<S>(on, *alphacl::cuda::low_rank<S>(features, nullptr), alpha, "low rank");
  const Array<double> signs(m);
  for (index_t k = 0; k < m; ++k) signs[k] = k % 2 == 0 ? -0.75 - static_cast<double>(k) : 2;
  const auto signed_product = [&](index_t i, index_t j) {
    Real sum = 0;
    for (index_t k = 0; k < m; ++k) sum += signs[k] * (Real{f[i * (m + 2) + k]} * f[j * (m + 2) + k]);
    return sum;
  };
  fill(signed_product, false);
  check<S>(on, *alphacl::cuda::low_rank<S>(features, signs.data()), alpha, "low rank, signed");
}

// Scalars by their series, where it is asked for or pays: all that α does, and who has a factor.
template <class S>
void test_scalars(index_t n) {
  using Method = alphacl::cuda::ScalarMethod;
  Memory memory;
  const Stream on{nullptr, memory};
  const double tau = 0.25;
  const Array<S> f(n * 2), far(n);
  std::uint64_t seed = 17;
  for (std::size_t e = 0; e < f.size(); ++e) f[e] = static_cast<S>(3 + next(seed));
  for (std::size_t e = 0; e < far.size(); ++e) far[e] = static_cast<S>(9 * static_cast<double>(e));
  const View<const S> scalars{f.data(), n, 1, 2}, apart{far.data(), n, 1, 1};
  std::vector<Real> alpha(n * n);
  for (index_t e = 0; e < n * n; ++e) {
    const Real difference = Real{f[e / n * 2]} - f[e % n * 2];
    alpha[e] = expl(-difference * difference / (2 * tau));
  }
  const auto made = [&](View<const S> of, Method method, double tol) {
    return alphacl::cuda::scalar_gaussian<S>(on, of, tau, tol, method, memory);
  };
  const double tol = 1e-6;
  check<S>(on, *made(scalars, Method::series, tol), alpha, "scalars, a series");
  check<S>(on, *made(scalars, Method::automatic, 1e-20), alpha, "scalars");
  const bool series = made(scalars, Method::series, tol)->factor().has_value();
  const bool pays = made(scalars, Method::automatic, tol)->factor().has_value() == (n > 100);
  const bool exact = !made(scalars, Method::pairs, tol)->factor() && !made(apart, Method::automatic, tol)->factor();
  far[n / 2] = std::numeric_limits<S>::quiet_NaN();
  const bool none = !made(apart, Method::series, tol)->factor();
  bool refused = false;
  try {
    far[n / 2] = static_cast<S>(1e6);
    made(apart, Method::series, tol);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  expect(series && pays && exact && none && refused, "who has a series");
}

// Entries of a sample that is not finite, or too far for a double, are NaN, its own included where it is not finite.
// Where rows are divided by their sums or projected, one such entry makes the others NaN.
void test_not_finite(double value, const char* what) {
  Memory memory;
  const Stream on{nullptr, memory};
  const index_t n = 65, m = 3;
  const Array<double> f(n * m), all(n * n), one(n), three(n);
  const Array<float> numbers(n * m);
  fill_with_integers(numbers, 6);
  for (std::size_t e = 0; e < f.size(); ++e) f[e] = numbers[e];
  f[n * m - 1] = value;
  for (index_t i = 0; i < n; ++i) one[i] = 1, three[i] = 3;
  const View<const double> features{f.data(), n, m, m};
  const bool finite = std::isfinite(value);
  const auto holds = [&](const Importance<double>& alpha, double diagonal, bool rows) {
    alpha.to_dense(on, {all.data(), n, n, n});
    testing::finish();
    bool right = true;
    for (index_t i = 0; i < n; ++i)
      for (index_t j = 0; j < n; ++j) {
        const bool wild = (i == n - 1 || j == n - 1) && !(finite && i == j), nan = wild || (rows && i != j);
        right = right && std::isnan(all[i * n + j]) == nan && (i != j || nan || all[i * n + j] == diagonal);
      }
    return right;
  };
  bool right = holds(*alphacl::cuda::square_regularized<double>(on, features, 9.0, memory), 0, true);
  if (!finite) {
    right = holds(*alphacl::cuda::gaussian<double>(on, features, 9.0, memory), 1, false) && right;
    right = holds(*alphacl::cuda::direct<double>(on, features, 2.0, 9.0, {false}, memory), 0, false) && right;
    right = holds(*alphacl::cuda::direct<double>(on, features, 3.0, 9.0, {true}, memory), 0, true) && right;
    for (const PairForm form : {PairForm::hinge, PairForm::square, PairForm::softplus})
      right =
          holds(*alphacl::cuda::pair<double>(on, features, 1.0, form, three.data(), one.data(), memory), 0, false) &&
          right;
  }
  expect(right, what);
}

}  // namespace

int main() {
  test_products();
  test_row_passes();
  test_kinds<float>(1, 1, 0.5);
  test_kinds<double>(2, 3, 0.5);
  test_kinds<double>(65, 5, 0.3);
  test_kinds<float>(130, 3, 0.3);
  test_kinds<float>(65, 1, 0.02);  // without shifts the sum of the last row would underflow
  test_scalars<float>(31);
  test_scalars<double>(257);
  test_not_finite(std::numeric_limits<double>::infinity(), "a sample that is not finite");
  test_not_finite(1e200, "a sample too far away");
  return testing::failures;
}
