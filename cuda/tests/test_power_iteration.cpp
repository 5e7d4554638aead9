// power_iteration of kernels: matrices whose eigenvalues are known, both methods, every size of a block.
#include "eigen/power_iteration.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "alphacl/eigen_solve.h"
#include "eigen/block.h"
#include "eigen/square.h"
#include "tests/eigenpairs.h"

namespace {

using alphacl::index_t;
using testing::Array;
using testing::Eigenpairs;
using testing::expect;
using testing::Memory;

// The lower triangle of H D H, H = I − 2 u uᵀ with a unit u, D the eigenvalues; NaN above it.
template <class S>
void plant(const std::vector<double>& eigenvalues, S* a) {
  const std::size_t d = eigenvalues.size();
  std::vector<double> u(d), w(d);
  double square = 0, uwu = 0;
  for (std::size_t i = 0; i < d; ++i) {
    u[i] = 1 + 0.3 * static_cast<double>(i * i % 7);
    square += u[i] * u[i];
  }
  for (std::size_t i = 0; i < d; ++i) {
    u[i] /= std::sqrt(square);
    w[i] = eigenvalues[i] * u[i];
    uwu += u[i] * w[i];
  }
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      const double entry = (i == j ? eigenvalues[i] : 0) - 2 * (u[i] * w[j] + w[i] * u[j]) + 4 * uwu * u[i] * u[j];
      a[i * d + j] = j <= i ? static_cast<S>(entry) : std::numeric_limits<S>::quiet_NaN();
    }
}

// The largest is 1, the second one 1 − gap, the others lie evenly between that and −1/2.
std::vector<double> spectrum(index_t d, double gap) {
  std::vector<double> eigenvalues(static_cast<std::size_t>(d), 1.0);
  for (index_t i = 1; i < d; ++i)
    eigenvalues[static_cast<std::size_t>(i)] =
        1 - gap - (1.5 - gap) * static_cast<double>(i - 1) / static_cast<double>(d);
  return eigenvalues;
}

template <class S>
void run(const Array<S>& a, index_t count, index_t d, const S* v0, alphacl::PowerOptions options, Eigenpairs<S>& found,
         index_t most_bytes = index_t{1} << 30) {
  Memory memory;
  alphacl::cuda::power_iteration<S>({nullptr, memory}, {a.data(), count, d, d * d, d}, {v0, v0 ? count : 0, d, d},
                                    options, found.to(), most_bytes);
  testing::finish();
}

// Of one of the matrices, computed here.
template <class S>
double residual(const S* a, index_t d, const S* v, double value) {
  double square = 0;
  for (index_t i = 0; i < d; ++i) {
    double y = -value * static_cast<double>(v[i]);
    for (index_t j = 0; j < d; ++j)
      y += static_cast<double>(j <= i ? a[i * d + j] : a[j * d + i]) * static_cast<double>(v[j]);
    square += y * y;
  }
  return std::sqrt(square);
}

template <class S>
void test_planted(index_t d, double tol, bool lanczos, const char* how) {
  const index_t count = d < 100 ? 2 : 1;
  const double gap = 0.4;
  const Array<S> a(count * d * d);
  Eigenpairs<S> found(count, d);
  for (index_t b = 0; b < count; ++b) plant(spectrum(d, gap), a.data() + b * d * d);
  run<S>(a, count, d, nullptr, {{tol, 500, lanczos}, 7}, found);
  bool right = true;
  for (index_t b = 0; b < count; ++b) {
    const S* const v = found.eigenvector.data() + b * d;
    index_t peak = 0;
    for (index_t j = 0; j < d; ++j) peak = std::fabs(v[j]) > std::fabs(v[peak]) ? j : peak;
    const double left = residual(a.data() + b * d * d, d, v, static_cast<double>(found.eigenvalue[b]));
    right = right && found.converged[b] && found.n_iter[b] > 1 && found.n_iter[b] < 500 && v[peak] > 0 && left <= tol &&
            std::fabs(left - static_cast<double>(found.residual[b])) <= 1e-6 * left + 1e-13 &&
            std::fabs(static_cast<double>(found.eigenvalue[b]) - 1) <= tol &&
            (d == 1 ? std::isinf(found.gap[b]) : std::fabs(static_cast<double>(found.gap[b]) - gap) <= tol);
  }
  char what[80];  // no std::string, whose compiled part MemorySanitizer does not follow
  std::snprintf(what, sizeof what, "%s, d = %d", how, static_cast<int>(d));
  expect(right, what);
  testing::print_bits(what, found.eigenvector);
  testing::print_bits(what, found.gap);
}

void test_start() {
  const index_t d = 40;
  const Array<double> a(d * d), v0(d);
  Eigenpairs<double> first(1, d), again(1, d);
  plant(spectrum(d, 0.2), a.data());
  run<double>(a, 1, d, nullptr, {{1e-8, 100, true}, 1}, first);
  for (index_t j = 0; j < d; ++j) v0[j] = std::ldexp(first.eigenvector[j], -600);
  run<double>(a, 1, d, v0.data(), {{1e-8, 100, true}, 1}, again);
  expect(again.converged[0] && again.n_iter[0] < first.n_iter[0] - 3, "the answer as a start, at 2^-600 of its size");
  run<double>(a, 1, d, nullptr, {{1e-8, 4, true}, 1}, again);
  expect(!again.converged[0] && again.n_iter[0] <= 8 && again.residual[0] > 1e-8, "too few products are a result");
}

template <class S>
void test_range(int exponent) {
  const index_t d = 33;
  const Array<S> a(2 * d * d);
  Eigenpairs<S> found(2, d);
  plant(spectrum(d, 0.3), a.data());
  for (index_t e = 0; e < d * d; ++e) a[d * d + e] = std::ldexp(a[e], exponent);
  run<S>(a, 2, d, nullptr, {{1e-5, 100, true}, 5}, found);
  Eigenpairs<S> alone(1, d);
  run<S>(a, 1, d, nullptr, {{1e-5, 100, true}, 5}, alone);
  bool same = found.converged[0] && found.converged[1];
  same = same && std::fabs(std::ldexp(found.eigenvalue[1], -exponent) - found.eigenvalue[0]) < S(1e-5);
  for (index_t j = 0; j < d; ++j) same = same && found.eigenvector[j] == alone.eigenvector[j];
  char what[80];
  std::snprintf(what, sizeof what, "entries at 2^%d, and a matrix alone", exponent);
  expect(same, what);
}

void test_not_finite() {
  const index_t d = 5;
  const double wrong[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()};
  const Array<double> a(3 * d * d);
  Eigenpairs<double> found(3, d);
  for (index_t b = 0; b < 3; ++b) plant(spectrum(d, 0.3), a.data() + b * d * d);
  a[3 * d + 1] = wrong[0];
  a[2 * d * d] = wrong[1];
  run<double>(a, 3, d, nullptr, {{1e-8, 100, true}, 5}, found);
  bool right = found.converged[1] && std::fabs(found.eigenvalue[1] - 1) < 1e-8;
  for (const index_t b : {0, 2})
    right = right && !found.converged[b] && found.n_iter[b] == 0 && std::isnan(found.eigenvalue[b]) &&
            std::isnan(found.eigenvector[b * d + 4]) && std::isnan(found.gap[b]) && std::isnan(found.residual[b]);
  expect(right, "matrices that are not finite, beside one that is");
}

// Two at a time, then the fifth one: each with the start vector of its place, or with the v0 of its place.
void test_rounds() {
  const index_t count = 5, d = 33, two = 2 * (d * 64 * 8 + 35 * 64 * 8 + 3 * 64 * 8);
  const Array<double> a(count * d * d), v0(count * d);
  for (index_t b = 0; b < count; ++b) plant(spectrum(d, 0.3 + 0.1 * static_cast<double>(b)), a.data() + b * d * d);
  for (index_t e = 0; e < count * d; ++e) v0[e] = 1 + static_cast<double>(e % 7);
  for (const double* const start : {static_cast<const double*>(nullptr), static_cast<const double*>(v0.data())}) {
    Eigenpairs<double> together(count, d), rounds(count, d), single(count, d);
    run<double>(a, count, d, start, {{1e-9, 100, true}, 5}, together);
    run<double>(a, count, d, start, {{1e-9, 100, true}, 5}, rounds, two);
    run<double>(a, count, d, start, {{1e-9, 100, true}, 5}, single, 1);
    bool same = true;
    for (index_t e = 0; e < count * d; ++e)
      same = same && together.eigenvector[e] == rounds.eigenvector[e] && rounds.eigenvector[e] == single.eigenvector[e];
    for (index_t b = 0; b < count; ++b)
      same = same && rounds.converged[b] && rounds.n_iter[b] == together.n_iter[b] && rounds.gap[b] == single.gap[b];
    expect(same, start == nullptr ? "rounds of matrices, random starts" : "rounds of matrices, given starts");
  }
}

void test_zeros() {
  const index_t d = 34;
  const Array<float> a(d * d);
  Eigenpairs<float> found(1, d);
  for (index_t e = 0; e < d * d; ++e) a[e] = 0;
  run<float>(a, 1, d, nullptr, {{1e-5f, 100, true}, 5}, found);
  expect(found.converged[0] && found.eigenvalue[0] == 0 && found.gap[0] == 0, "a matrix of zeros");
}

__global__ void solve_tridiagonal(const double* alpha, const double* beta, int m, double* out) {
  const alphacl::cuda::TridiagonalTop top = alphacl::cuda::tridiagonal_top(alpha, beta, m, out[0]);
  alphacl::cuda::tridiagonal_vector(alpha, beta, m, top.value, 1e-12, out + 2, out + 2 + m);
  out[0] = top.value;
  out[1] = top.last;
}

// α = 0, β = ½: eigenvalues cos(kπ/(m + 1)), vectors sin(jkπ/(m + 1)).
void test_tridiagonal() {
  const double pi = std::acos(-1.0);
  bool values = true, vectors = true;
  for (const int m : {1, 2, 3, 17, 200}) {
    const Array<double> alpha(static_cast<std::size_t>(m)), beta(static_cast<std::size_t>(m));
    const Array<double> out(2 + 2 * static_cast<std::size_t>(m));
    for (std::size_t j = 0; j < alpha.size(); ++j) alpha[j] = 0, beta[j] = 0.5;
    for (const double guess : {std::numeric_limits<double>::infinity(), 0.9999999, 0.1}) {
      out[0] = guess;
      testing::launch(solve_tridiagonal, 1, 1, 0, alpha.data(), beta.data(), m, out.data());
      values = values && std::fabs(out[0] - std::cos(pi / (m + 1))) < 1e-14;
      for (int j = 0; j < m; ++j)
        vectors = vectors && std::fabs(out[2 + static_cast<std::size_t>(j)] -
                                       std::sqrt(2.0 / (m + 1)) * std::sin((j + 1) * pi / (m + 1))) < 1e-10;
    }
  }
  expect(values, "the largest eigenvalue of a tridiagonal matrix");
  expect(vectors, "its eigenvector");
}

// One eigenvalue at −1, the others within 0.002 of each other at 0: minors fall as 0.001^m, below the range of a
// double.
void test_small_minors() {
  const int m = 200;
  const double pi = std::acos(-1.0), off = 1e-3;
  const Array<double> alpha(m), beta(m), out(2 + 2 * m);
  for (std::size_t j = 0; j < alpha.size(); ++j) alpha[j] = j == 0 ? -1 : 0, beta[j] = j == 0 ? 0 : off;
  out[0] = std::numeric_limits<double>::infinity();
  testing::launch(solve_tridiagonal, 1, 1, 0, alpha.data(), beta.data(), m, out.data());
  expect(std::fabs(out[0] - 2 * off * std::cos(pi / m)) < 1e-14, "minors below the range of a double");
}

constexpr index_t small_basis = 4;

struct SmallBasisShared {
  alphacl::cuda::BlockShared block;
  alphacl::cuda::ProductShared product;
  double scalars[6 * (small_basis + 2)];
};

// storage: small_basis + 2 vectors, vectors: 3, zeros in both.
__global__ void solve_with_small_basis(double* square, index_t d, index_t n, double* storage, double* vectors,
                                       alphacl::PowerOptions options, alphacl::TopEigenpairs<double> out) {
  using Ops = alphacl::cuda::BlockOps<double>;
  using Iteration = alphacl::EigenIteration<double, Ops>;
  using Square = alphacl::cuda::Square<double>;
  using alphacl::cuda::Block;
  auto& s = simt::shared<SmallBasisShared>();
  const Block block(s.block);
  const Square a(square, d, n, s.product);
  Iteration iteration(d, n, small_basis, storage, s.scalars, Ops(block));
  alphacl::EigenSolver<double, double, Iteration, const Square, Block> solver(iteration, a, d, n, vectors, block);
  solver.solve(nullptr, options, 0, 0, out);
}

// A basis of four vectors, so that Lanczos starts again and again from the best vector that it has.
void test_restarts() {
  const index_t d = 33, n = alphacl::cuda::padded(d);
  const Array<double> a(d * d), square(d * n), storage((small_basis + 2) * n), vectors(3 * n);
  for (const Array<double>* array : {&square, &storage, &vectors})
    for (std::size_t e = 0; e < array->size(); ++e) (*array)[e] = 0;
  plant(spectrum(d, 0.4), a.data());
  for (index_t i = 0; i < d; ++i)
    for (index_t j = 0; j < d; ++j) square[i * n + j] = a[i >= j ? i * d + j : j * d + i];
  Eigenpairs<double> found(1, d);
  testing::launch(solve_with_small_basis, 1, 128, sizeof(SmallBasisShared), square.data(), d, n, storage.data(),
                  vectors.data(), alphacl::PowerOptions{{1e-9, 400, true}, 7}, found.to());
  const double left = residual(a.data(), d, found.eigenvector.data(), found.eigenvalue[0]);
  expect(found.converged[0] && found.n_iter[0] > 4 * small_basis && left <= 1e-9 &&
             std::fabs(found.eigenvalue[0] - 1) <= 1e-9 && std::fabs(found.gap[0] - 0.4) <= 1e-9,
         "Lanczos with a basis of four vectors");
  testing::print_bits("Lanczos with a basis of four vectors", found.eigenvector);
}

__global__ void find_peak(const double* values, double* peaks, index_t* places) {
  const alphacl::cuda::Block block(simt::shared<alphacl::cuda::BlockShared>());
  const alphacl::Peak found = block.peak({values[threadIdx.x], static_cast<index_t>(threadIdx.x)});
  peaks[threadIdx.x] = found.value;
  places[threadIdx.x] = found.at;
}

// In every lane of three warps: of two entries of the largest magnitude the first, in all threads.
void test_peak() {
  constexpr unsigned threads = 96;
  const Array<double> values(threads), peaks(threads);
  const Array<index_t> places(threads);
  bool right = true;
  for (unsigned one = 0; one < threads; ++one) {
    const unsigned other = (one * 37 + 11) % threads, first = std::min(one, other);
    for (unsigned t = 0; t < threads; ++t) values[t] = t % 7;
    values[one] = -9;
    values[other] = 9;
    testing::launch(find_peak, 1, threads, sizeof(alphacl::cuda::BlockShared), values.data(), peaks.data(),
                    places.data());
    for (unsigned t = 0; t < threads; ++t) right = right && peaks[t] == values[first] && places[t] == first;
  }
  expect(right, "the first of the largest entries");
}

__global__ void project(const float* q, index_t ld, index_t rows, const float* w, double* h, double* square) {
  const alphacl::cuda::Block block(simt::shared<alphacl::cuda::BlockShared>());
  square[threadIdx.x] = alphacl::cuda::BlockOps<float>(block).project(q, ld, rows, w, h);
}

__global__ void negate(double* s, index_t count, double* out) {
  const alphacl::cuda::Block block(simt::shared<alphacl::cuda::BlockShared>());
  alphacl::cuda::BlockOps<float>(block).negate(s, count);
  out[threadIdx.x] = s[(threadIdx.x + 37) % count];
}

// What another thread has negated is there when the function returns.
void test_negate() {
  const Array<double> s(50), out(64);
  for (std::size_t j = 0; j < s.size(); ++j) s[j] = static_cast<double>(j);
  testing::launch(negate, 1, 64, sizeof(alphacl::cuda::BlockShared), s.data(), index_t{50}, out.data());
  bool right = true;
  for (std::size_t t = 0; t < out.size(); ++t) right = right && out[t] == -static_cast<double>((t + 37) % 50);
  expect(right, "negated numbers");
}

// Bases of sizes around those that warps take together, two warps; exact.
void test_project() {
  const index_t ld = 64, most = 17;
  const Array<float> q(most * ld), w(ld);
  fill_with_integers(q, 20);
  fill_with_integers(w, 21);
  bool right = true;
  for (const index_t rows : {0, 1, 3, 4, 5, 7, 8, 9, 16, 17}) {
    const Array<double> h(most), square(64);
    testing::launch(project, 1, 64, sizeof(alphacl::cuda::BlockShared), q.data(), ld, rows, w.data(), h.data(),
                    square.data());
    for (index_t r = 0; r <= rows; ++r) {
      double sum = 0;
      for (index_t j = 0; j < ld; ++j) sum += double{w[j]} * double{r < rows ? q[r * ld + j] : w[j]};
      for (index_t t = 0; t < 64; ++t) right = right && (r < rows ? h[r] : square[t]) == sum;
    }
  }
  expect(right, "a vector along a basis, and its length");
}

}  // namespace

int main() {
  test_tridiagonal();
  test_small_minors();
  test_peak();
  test_project();
  test_negate();
  for (const index_t d : {1, 2, 3, 33, 65, 129}) test_planted<float>(d, 1e-5, true, "float, Lanczos");
  for (const index_t d : {1, 2, 3, 33, 65, 129, 257}) test_planted<double>(d, 1e-10, true, "double, Lanczos");
  for (const index_t d : {2, 33}) {
    test_planted<float>(d, 1e-7, true, "float in double, Lanczos");
    test_planted<float>(d, 1e-5, false, "float, power");
    test_planted<double>(d, 1e-10, false, "double, power");
  }
  test_restarts();
  test_start();
  test_range<float>(100);
  test_range<float>(-100);
  test_range<double>(900);
  test_range<double>(-900);
  test_not_finite();
  test_rounds();
  test_zeros();
  return testing::failures;
}
