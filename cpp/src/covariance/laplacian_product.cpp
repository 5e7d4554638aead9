// The product of the samples with the Laplacian of α: the gradients of contrastive_cov, of energy and of eigenvalues.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include "alphacl/contrastive_cov.h"
#include "alphacl/precision.h"
#include "covariance/literal_sums.h"
#include "isa/tables/kernels.h"
#include "packing/samples.h"
#include "runtime/blas.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t most_deltas = index_t{1} << 14;  // numbers of x − x' that are read at once

constexpr index_t chunk = 256;  // rows of a task

// Rows along some vectors v_k, x_i · v_k and δ_i · v_k, in double; read as Samples are, in T.
template <class T>
class Projections {
 public:
  template <class S>
  Projections(const Samples<double>& x, View<const S> vectors)
      : size_(x.size()), features_(vectors.rows), centred_(size_ * features_), deltas_(size_ * features_) {
    const index_t d = x.features(), k = features_;
    Buffer<double> along(k * d);
    for (index_t c = 0; c < k; ++c) std::copy_n(vectors.row(c), d, along.data() + c * d);
    PerWorker<Buffer<double>> blocks;
    const auto task = [&](index_t b, int worker) {
      Buffer<double>& block = blocks[worker];
      block.resize(std::min(chunk, size_) * d);
      const index_t begin = b * chunk, n = std::min(chunk, size_ - begin);
      const auto project = [&](double* out) {
        gemm<double>(Trans::no, Trans::yes, n, k, d, 1, block.data(), d, along.data(), d, 0, out + begin * k, k);
      };
      x.centered(begin, n, nullptr, block.data());
      project(centred_.data());
      x.deltas(begin, n, nullptr, block.data());
      project(deltas_.data());
    };
    parallel_for(ceil_div(size_, chunk), task, workers_for_numbers(size_ * d));
  }

  index_t size() const { return size_; }
  index_t features() const { return features_; }
  void centered(index_t begin, index_t n, std::nullptr_t, T* out) const { copy(centred_, begin, n, out); }
  void deltas(index_t begin, index_t n, std::nullptr_t, T* out) const { copy(deltas_, begin, n, out); }

 private:
  void copy(const Buffer<double>& rows, index_t begin, index_t n, T* out) const {
    for (index_t e = 0; e < n * features_; ++e) out[e] = static_cast<T>(rows[begin * features_ + e]);
  }

  index_t size_, features_;
  Buffer<double> centred_, deltas_;
};

template <class T, class S, class Rows>
Sizes product(const Rows& x, const Importance<T>& alpha, View<S> grad, View<S> grad_aug) {
  const index_t n = x.size(), d = x.features(), chunks = ceil_div(n, chunk);
  // One column more, a random probe: its product estimates the terms of each row of α + αᵀ (precision.h).
  const index_t probed = alpha.nonnegative() ? 0 : 1, q = d + probed;
  const index_t workers = workers_for_numbers(n * q);
  Buffer<T> centred(n * q);
  Buffer<double> near(n * q), length(probed * n), r(n), degree(n);
  const auto centre = [&](index_t c, int) {
    const index_t begin = c * chunk, end = std::min(n, begin + chunk);
    if (!probed) return x.centered(begin, end - begin, nullptr, centred.data() + begin * q);
    for (index_t i = begin; i < end; ++i) {
      T* row = centred.data() + i * q;
      x.centered(i, 1, nullptr, row);
      length[i] = std::sqrt(kernels<T>().dot(row, row, d));
    }
  };
  parallel_for(chunks, centre, workers);
  const double longest = random_probe(length.data(), probed * n, q, centred.data() + d);
  alpha.symmetric_product({centred.data(), n, q, q}, {near.data(), n, q, q}, degree.data(), r.data());
  if (const auto sizes = alpha.sizes())
    sizes->symmetric_product({centred.data() + d, n, 1, q}, {near.data() + d, n, 1, q}, nullptr, nullptr);
  double largest = 0;
  for (index_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(degree[i]));
  const double unit =
      largest > 0 && std::isfinite(largest) ? 1 / largest : 1;  // without it the squares of small α underflow
  Buffer<double> minuend(chunks, 0.0), terms(chunks, 0.0), difference(chunks, 0.0);
  PerWorker<Buffer<T>> deltas;
  const auto subtract = [&](index_t b, int worker) {
    Buffer<T>& delta = deltas[worker];
    const index_t begin = b * chunk, end = std::min(n, begin + chunk);
    const index_t together = std::clamp<index_t>(most_deltas / std::max<index_t>(1, d), 1, end - begin);
    delta.resize(together * d);
    double squares_of_own = 0, squares_of_rest = 0;
    for (index_t i = begin; i < end; ++i) {
      const index_t read = (i - begin) % together;
      if (read == 0) x.deltas(i, std::min(together, end - i), nullptr, delta.data());
      for (index_t k = 0; k < d; ++k) {
        const double own = degree[i] * static_cast<double>(centred[i * q + k]);
        const double inter = own - near[i * q + k];
        const double intra = r[i] * static_cast<double>(delta[read * d + k]);
        const double rest = inter - intra;
        squares_of_own += (unit * own) * (unit * own);
        squares_of_rest += (unit * rest) * (unit * rest);
        grad.row(i)[k] = static_cast<S>(rest);
        grad_aug.row(i)[k] = static_cast<S>(intra);
      }
      if (probed && longest > 0) terms[b] += std::pow(unit * longest * near[i * q + d], 2);
    }
    minuend[b] = squares_of_own;
    difference[b] = squares_of_rest;
  };
  parallel_for(chunks, subtract, workers);
  double sums[3] = {0, 0, 0};
  for (index_t b = 0; b < chunks; ++b) {
    sums[0] += minuend[b];
    sums[1] += terms[b];
    sums[2] += difference[b];
  }
  return {std::sqrt(sums[0]), std::sqrt(sums[1]), std::sqrt(sums[2])};
}

template <class S>
Sizes wide_product(View<const S> x, View<const S> x_aug, const Importance<double>& alpha, View<S> grad,
                   View<S> grad_aug) {
  const Sizes sizes = product<double, S>(SamplesOf<double, S>(x, x_aug), alpha, grad, grad_aug);
  if (cancelled(sizes, wide_limits<S>) && few_pairs(x.rows, x.cols))
    gradient_of_differences(x, x_aug, alpha, grad, grad_aug);
  return sizes;
}

// out_i = Σ_k w_k f_ik v_k.
template <class T, class S>
void spread(const Buffer<T>& f, View<const S> vectors, const double* weights, View<S> out) {
  const index_t k = vectors.rows, d = vectors.cols;
  const auto task = [&](index_t b, int) {
    const index_t begin = b * chunk, n = std::min(chunk, out.rows - begin);
    double factors[chunk];
    for (index_t c = 0; c < k; ++c) {
      for (index_t r = 0; r < n; ++r) factors[r] = weights[c] * static_cast<double>(f[(begin + r) * k + c]);
      kernels<S>().outer(factors, n, vectors.row(c), d, c > 0, out.row(begin), out.stride);
    }
  };
  parallel_for(ceil_div(out.rows, chunk), task, workers_for_numbers(out.rows * d));
}

template <class T, class S>
Sizes along(View<const S> x, View<const S> x_aug, const Importance<T>& alpha, View<const S> vectors,
            const double* weights, View<S> grad, View<S> grad_aug) {
  const Projections<T> f(SamplesOf<double, S>(x, x_aug), vectors);
  const index_t n = f.size(), k = f.features();
  Buffer<T> rest(n * k), intra(n * k);
  const View<T> to_rest = {rest.data(), n, k, k}, to_intra = {intra.data(), n, k, k};
  const Sizes sizes = product<T, T>(f, alpha, to_rest, to_intra);
  if constexpr (std::is_same_v<T, float>) {
    if (lost_in_float(sizes, single_gradient)) return sizes;
  } else {
    if (cancelled(sizes, wide_limits<S>) && few_pairs(n, x.cols)) {
      gradient_of_differences(x, x_aug, alpha, grad, grad_aug);
      for (index_t e = 0; e < n * k; ++e) rest[e] = kernels<S>().dot(grad.row(e / k), vectors.row(e % k), x.cols);
    }
  }
  spread(rest, vectors, weights, grad);
  spread(intra, vectors, weights, grad_aug);
  return sizes;
}

}  // namespace

template <>
void laplacian_product<double>(View<const double> x, View<const double> x_aug, const Importance<double>& alpha,
                               View<double> grad, View<double> grad_aug) {
  wide_product<double>(x, x_aug, alpha, grad, grad_aug);
}

template <>
void laplacian_product<float>(View<const float> x, View<const float> x_aug, const Importance<float>& alpha,
                              View<float> grad, View<float> grad_aug) {
  in_float_else_double([&] { return product<float, float>(SamplesOf<float, float>(x, x_aug), alpha, grad, grad_aug); },
                       [](const Sizes& sizes) { return lost_in_float(sizes, single_gradient); },
                       [&] { return wide_product<float>(x, x_aug, *alpha.widened(), grad, grad_aug); });
}

template <>
void laplacian_along<double>(View<const double> x, View<const double> x_aug, const Importance<double>& alpha,
                             View<const double> vectors, const double* weights, View<double> grad,
                             View<double> grad_aug) {
  along<double>(x, x_aug, alpha, vectors, weights, grad, grad_aug);
}

template <>
void laplacian_along<float>(View<const float> x, View<const float> x_aug, const Importance<float>& alpha,
                            View<const float> vectors, const double* weights, View<float> grad, View<float> grad_aug) {
  in_float_else_double([&] { return along<float>(x, x_aug, alpha, vectors, weights, grad, grad_aug); },
                       [](const Sizes& sizes) { return lost_in_float(sizes, single_gradient); },
                       [&] { return along<double>(x, x_aug, *alpha.widened(), vectors, weights, grad, grad_aug); });
}

}  // namespace alphacl
