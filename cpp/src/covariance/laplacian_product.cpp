// The product of the samples with the Laplacian of α: the gradients of contrastive_cov and energy.
#include <algorithm>
#include <cmath>

#include "alphacl/contrastive_cov.h"
#include "alphacl/precision.h"
#include "covariance/literal_sums.h"
#include "isa/tables/kernels.h"
#include "packing/samples.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t most_deltas = index_t{1} << 14;  // numbers of x − x' that are read at once

template <class T, class S>
Sizes product(const Samples<T>& x, const Importance<T>& alpha, View<S> grad, View<S> grad_aug) {
  const index_t n = x.size(), d = x.features(), chunk = 256, chunks = ceil_div(n, chunk);
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

}  // namespace alphacl
