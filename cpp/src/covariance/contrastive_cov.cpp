// The contrastive covariance C_α[x]: start reading here.
// An importance hands its Laplacian form (alphacl/importance.h) to a sink that adds it up (covariance/gram_sink.h). The
// result is judged (alphacl/precision.h) and, if it lost its digits, computed again in double or from the differences
// of all pairs (covariance/literal_sums.h).
#include "alphacl/contrastive_cov.h"

#include "alphacl/precision.h"
#include "covariance/gram_sink.h"
#include "covariance/literal_sums.h"
#include "packing/samples.h"

namespace alphacl {
namespace {

struct Covariance {
  Buffer<double> matrix;  // d × d
  Sizes sizes;            // Frobenius norms
};

template <class T>
Covariance covariance(const Samples<T>& x, const Importance<T>& alpha) {
  const index_t d = x.features();
  GramSink<T> sink(x, true);
  alpha.laplacian(x, sink);
  Covariance result = {Buffer<double>(d * d), {}};
  const GramNorms norms = sink.finish(1, result.matrix.data());
  result.sizes = {sink.minuend(), norms.terms, norms.total};
  return result;
}

template <class S>
Covariance wide_covariance(View<const S> x, View<const S> x_aug, const Importance<double>& alpha) {
  Covariance wide = covariance<double>(SamplesOf<double, S>(x, x_aug), alpha);
  if (cancelled(wide.sizes, wide_limits<S>) && few_pairs(x.rows, x.cols * x.cols))
    covariance_of_differences(x, x_aug, alpha, wide.matrix.data());
  return wide;
}

Covariance covariance(View<const double> x, View<const double> x_aug, const Importance<double>& alpha) {
  return wide_covariance<double>(x, x_aug, alpha);
}

Covariance covariance(View<const float> x, View<const float> x_aug, const Importance<float>& alpha) {
  return in_float_else_double(
      [&] { return covariance<float>(SamplesOf<float, float>(x, x_aug), alpha); },
      [&](const Covariance& single) { return lost_in_float(single.sizes, limits_for(alpha, single_covariance)); },
      [&] { return wide_covariance<float>(x, x_aug, *alpha.widened()); });
}

}  // namespace

template <class S>
void contrastive_cov(View<const S> x, View<const S> x_aug, const Importance<S>& alpha, View<S> out) {
  const Covariance c = covariance(x, x_aug, alpha);
  const double n = static_cast<double>(x.rows), scale = 1 / (2 * n * n);
  for (index_t a = 0; a < out.rows; ++a)
    for (index_t b = 0; b < out.cols; ++b) out.row(a)[b] = static_cast<S>(scale * c.matrix[a * out.cols + b]);
}

template void contrastive_cov<float>(View<const float>, View<const float>, const Importance<float>&, View<float>);
template void contrastive_cov<double>(View<const double>, View<const double>, const Importance<double>&, View<double>);

}  // namespace alphacl
