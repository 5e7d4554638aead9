// Importances whose entries are made pair by pair against double loops, at sizes around those of tiles.
#include "importances/importance.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <vector>

#include "importances/pair_laplacian.h"
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
using alphacl::cuda::PairWork;
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

template <class X, PairWork work>
bool products_are_right(int n, int m, int q, const PairPlan& plan) {
  constexpr bool symmetric = work != PairWork::products, apart = work == PairWork::differences;
  Memory memory;
  const Array<double> f(static_cast<std::size_t>(n) * m), sums(3 * static_cast<std::size_t>(n)), wanted(q);
  fill_with_features(f);
  const int stride = q + 2, out_stride = q + 1;
  const Array<float> numbers(static_cast<std::size_t>(n) * stride);
  const Array<X> x(numbers.size()), out(static_cast<std::size_t>(n) * out_stride);
  fill_with_integers(numbers, 4);
  for (std::size_t e = 0; e < x.size(); ++e) x[e] = numbers[e];
  for (std::size_t e = 0; e < out.size(); ++e) out[e] = 77;
  for (std::size_t e = 0; e < sums.size(); ++e) sums[e] = 77;
  for (int k = 0; k < q; ++k) wanted[k] = k == 0 || (k > 64 && k % 2 == 1) ? 1 : 0;
  // Of β the diagonal is 0, whatever that of α is.
  const Entries entries{apart ? std::numeric_limits<double>::infinity() : 2};
  alphacl::cuda::multiply_pairs<work>(Stream{nullptr, memory}, PairFeatures{f.data(), n, m}, entries,
                                      PairOperand<X, X>{x.data(), stride, q, out.data(), out_stride}, plan,
                                      apart ? wanted.data() : nullptr, sums.data(), sums.data() + n,
                                      sums.data() + 2 * n);
  testing::finish();
  bool right = true;
  for (int i = 0; i < n; ++i) {
    double sum[3] = {77, 77, 77};
    for (int k = 0; k < alphacl::cuda::sums_of(work); ++k) sum[k] = 0;
    std::vector<double> product(static_cast<std::size_t>(q), 0.0);
    for (int j = 0; j < n; ++j) {
      const double t = half_square(f, m, i, j), own = entries.one(i, j, t), other = entries.one(j, i, t);
      const double both = i == j ? 0 : own + other;
      if (!apart) sum[0] += own;
      if (!apart) sum[1] += symmetric ? both : other;
      if (work == PairWork::laplacian) sum[2] += std::fabs(both);
      for (int k = 0; k < q; ++k)
        product[k] += (symmetric ? both : own) * (apart ? x[i * stride + k] - x[j * stride + k] : x[j * stride + k]);
    }
    for (int k = 0; k < 3; ++k) right = right && sums[k * n + i] == sum[k];
    right = right && out[i * out_stride + q] == 77;
    for (int k = 0; k < q; ++k)
      right = right && out[i * out_stride + k] == static_cast<X>(apart && wanted[k] == 0 ? 77 : product[k]);
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
  bool right[4] = {true, true, true, true};
  for (const auto& [n, m, q, plan] : sizes) {
    right[0] = products_are_right<float, PairWork::products>(n, m, q, plan) && right[0];
    if (n < 64) right[1] = products_are_right<double, PairWork::products>(n, m, q, plan) && right[1];
    right[2] = products_are_right<double, PairWork::laplacian>(n, m, q, plan) && right[2];
    right[3] = products_are_right<double, PairWork::differences>(n, m, q, plan) && right[3];
  }
  const PairPlan small = alphacl::cuda::pair_plan(65, 3), large = alphacl::cuda::pair_plan(1 << 20, 64);
  expect(small.run == 1 && small.together == 2 && large.run == 16 && large.together == 1, "plans, by the sizes alone");
  expect(right[0], "products and sums, float");
  expect(right[1], "products and sums, double");
  expect(right[2], "products with both entries of a pair, and three sums");
  expect(right[3], "differences, in some of the columns, an infinite diagonal");
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

// Two clusters far apart, in the first column; in the second one nothing of the kind. The entries between clusters are
// 0.
struct ClusterEntries {
  int n;
  __host__ __device__ double one(int i, int j) const { return (2 * i < n) == (2 * j < n) ? 1.0 / (1 + i + 2 * j) : 0; }
  __device__ PairEntry operator()(int i, int j, double) const { return {one(i, j), one(j, i)}; }
};

// l of these columns of x (n × 2), in memory that holds it.
template <class S>
const double* laplacian_of(Memory& memory, const Array<double>& x, index_t n, index_t first, index_t count) {
  const Array<double> some(n * count);
  for (index_t e = 0; e < n * count; ++e) some[e] = x[e / count * 2 + first + e % count];
  double *const l = memory.take<double>(n * (count + 1)), *const r = l + n * count;
  alphacl::cuda::pair_laplacian<S>(Stream{nullptr, memory}, PairFeatures{nullptr, static_cast<int>(n), 0},
                                   ClusterEntries{static_cast<int>(n)}, {n, count, some.data(), some.data()}, l, r,
                                   PairPlan{1, 2});
  testing::finish();
  return l;
}

// Of products nothing would be left in the first column; the other one has the bits that it has alone.
template <class S>
void test_clusters(double spread) {
  constexpr index_t n = 130;
  Memory memory;
  const Array<double> x(n * 2);
  std::uint64_t seed = 19;
  for (index_t i = 0; i < n; ++i) {
    x[2 * i] = (2 * i < n ? 1 : -1) + spread * next(seed);
    x[2 * i + 1] = next(seed);
  }
  const double *const both = laplacian_of<S>(memory, x, n, 0, 2), *const alone = laplacian_of<S>(memory, x, n, 1, 1);
  const ClusterEntries entries{n};
  bool close_to = true, same = true;
  for (index_t i = 0; i < n; ++i) {
    Real l = 0, size = 0;
    for (index_t j = 0; j < n; ++j) {
      const Real weight = Real{entries.one(i, j)} + entries.one(j, i), apart = Real{x[2 * i]} - x[2 * j];
      l += weight * apart;
      size += std::fabs(weight * apart);
    }
    close_to = close_to && std::fabs(both[2 * i] - l) <= 1e-14L * size;
    same = same && both[2 * i + 1] == alone[i];
  }
  expect(close_to, sizeof(S) == 4 ? "tight clusters, float" : "tight clusters, double");
  expect(same, "a column among others");
}

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
  const int before = memory.waits();
  check<S>(on, *alphacl::cuda::labels<S>(on, labels.data(), n, -1.25, 0.5, memory), alpha, "labels");
  expect(memory.waits() == before + 2, "labels come in one copy and go in one");
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

// Groups of classes: 300 samples have a class of their own, and 40 one of the last.
void test_many_classes() {
  Memory memory;
  const Stream on{nullptr, memory};
  const index_t n = 340;
  const Array<std::int64_t> labels(n);
  std::vector<Real> alpha(n * n);
  for (index_t i = 0; i < n; ++i) labels[i] = (i < 300 ? 7 * i : 7 * 299) % 300;
  for (index_t e = 0; e < n * n; ++e) alpha[e] = labels[e / n] == labels[e % n] ? 0.75L : -0.5L;
  check<double>(on, *alphacl::cuda::labels<double>(on, labels.data(), n, 0.75, -0.5, memory), alpha, "many labels");
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

// The longest series that a test has the time for: phases of 2e-16, times harmonics.
void test_long_series() {
  Memory memory;
  const Stream on{nullptr, memory};
  const index_t n = 5;
  const double range = 2e4, reach = 8.4;
  const Array<double> f(n), one(n * n), out(n * n);
  const double at[n] = {0, 0.1 * range, 0.1 * range + 0.7, range - 1.3, range};
  for (index_t i = 0; i < n; ++i) f[i] = 3 + at[i];
  for (index_t e = 0; e < n * n; ++e) one[e] = e % (n + 1) == 0 ? 1 : 0;
  const auto series = alphacl::cuda::scalar_gaussian<double>(on, {f.data(), n, 1, 1}, 1.0, 1e-15,
                                                             alphacl::cuda::ScalarMethod::series, memory);
  series->matmul(on, {one.data(), n, n, n}, {out.data(), n, n, n});
  testing::finish();
  Real largest = 0;
  for (index_t e = 0; e < n * n; ++e) {
    const Real apart = Real{f[e / n]} - f[e % n];
    largest = std::max(largest, fabsl(out[e] - expl(-apart * apart / 2)));
  }
  expect(series->factor().has_value() && largest <= 2e-16L * reach * range, "errors of a long series");
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
  test_clusters<float>(1e-5);
  test_clusters<double>(1e-2);
  test_row_passes();
  test_kinds<float>(1, 1, 0.5);
  test_kinds<double>(2, 3, 0.5);
  test_kinds<double>(65, 5, 0.3);
  test_kinds<float>(130, 3, 0.3);
  test_kinds<float>(65, 1, 0.02);  // without shifts the sum of the last row would underflow
  test_many_classes();
  test_scalars<float>(31);
  test_scalars<double>(257);
  test_long_series();
  test_not_finite(std::numeric_limits<double>::infinity(), "a sample that is not finite");
  test_not_finite(1e200, "a sample too far away");
  return testing::failures;
}
