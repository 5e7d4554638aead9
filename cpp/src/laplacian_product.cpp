#include <algorithm>

#include "alphacl/contrastive_cov.h"
#include "alphacl/kernels.h"
#include "alphacl/threads.h"

namespace alphacl {
namespace {

// Beyond this ratio of the squared minuend to the squared difference the work is done in double.
constexpr double largest_cancellation = 64;

template <class T, class S>
bool product(const Samples<T>& x, const Importance<T>& alpha, View<S> grad, View<S> grad_aug) {
  const index_t n = x.size(), d = x.features(), chunk = 256, chunks = ceil_div(n, chunk);
  Buffer<T> centred(n * d), near(n * d), far;
  parallel_for(chunks, [&](index_t c, int) {
    x.centered(c * chunk, std::min(chunk, n - c * chunk), nullptr, centred.data() + c * chunk * d);
  });
  const View<const T> from = {centred.data(), n, d, d};
  alpha.matmul(from, {near.data(), n, d, d});
  Buffer<double> r(n), c(n);
  alpha.row_sums(r.data());
  const bool symmetric = alpha.symmetric();
  if (!symmetric) {
    far.resize(n * d);
    alpha.matmul_transposed(from, {far.data(), n, d, d});
    alpha.col_sums(c.data());
  }
  Buffer<double> minuend(chunks, 0.0), difference(chunks, 0.0);
  PerWorker<Buffer<T>> deltas;
  parallel_for(chunks, [&](index_t b, int worker) {
    Buffer<T>& delta = deltas[worker];
    delta.resize(d);
    for (index_t i = b * chunk; i < std::min(n, (b + 1) * chunk); ++i) {
      x.deltas(i, 1, nullptr, delta.data());
      const double degree = r[i] + (symmetric ? r[i] : c[i]);
      for (index_t k = 0; k < d; ++k) {
        const index_t e = i * d + k;
        const double other = static_cast<double>(near[e]) + static_cast<double>(symmetric ? near[e] : far[e]);
        const double own = degree * static_cast<double>(centred[e]), inter = own - other;
        const double intra = r[i] * static_cast<double>(delta[k]);
        minuend[b] += own * own;
        difference[b] += inter * inter;
        grad.row(i)[k] = static_cast<S>(inter - intra);
        grad_aug.row(i)[k] = static_cast<S>(intra);
      }
    }
  });
  double above = 0, below = 0;
  for (index_t b = 0; b < chunks; ++b) {
    above += minuend[b];
    below += difference[b];
  }
  return !(above > largest_cancellation * below);
}

}  // namespace

template <>
void laplacian_product<double>(View<const double> x, View<const double> x_aug, const Importance<double>& alpha,
                               View<double> grad, View<double> grad_aug) {
  product<double, double>(SamplesOf<double, double>(x, x_aug), alpha, grad, grad_aug);
}

template <>
void laplacian_product<float>(View<const float> x, View<const float> x_aug, const Importance<float>& alpha,
                              View<float> grad, View<float> grad_aug) {
  if (product<float, float>(SamplesOf<float, float>(x, x_aug), alpha, grad, grad_aug)) return;
  product<double, float>(SamplesOf<double, float>(x, x_aug), *alpha.widened(), grad, grad_aug);
}

}  // namespace alphacl
