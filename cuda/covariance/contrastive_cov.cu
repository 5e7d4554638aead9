// contrastive_cov, energy, laplacian_product and laplacian_along from the Laplacian form.
#include "covariance/contrastive_cov.h"

#include "covariance/laplacian_sums.h"
#include "sums/two_doubles.h"

namespace alphacl::cuda {
namespace {

template <class S>
struct Gradients {
  CentredViews views;
  LaplacianForm form;
  View<S> grad, grad_aug;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / views.x.d, c = e % views.x.d;
    const double intra = form.row_sum[i] * views.delta[e];
    grad.data[i * grad.stride + c] = static_cast<S>(form.l[e] - intra);
    grad_aug.data[i * grad_aug.stride + c] = static_cast<S>(intra);
  }
};

// raw_ik + raw_i(K+k) = v_k · x_i, k < K, as two doubles: differences of tight clusters keep their digits; and
// delta_ik = v_k · (x_i − x'_i), delta_i(K+k) = 0. A thread a row and vector.
template <class S>
struct Projection {
  View<const S> x, x_aug, vectors;
  double *raw, *delta;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / vectors.rows, k = e % vectors.rows, at = 2 * i * vectors.rows + k;
    const S *own = x.data + i * x.stride, *other = x_aug.data + i * x_aug.stride;
    const S* v = vectors.data + k * vectors.stride;
    TwoDoubles sum;
    double difference = 0;
    for (index_t c = 0; c < x.cols; ++c) {
      const double along = static_cast<double>(v[c]), first = static_cast<double>(own[c]);
      sum.add_product(first, along);
      difference = fma(first - static_cast<double>(other[c]), along, difference);
    }
    raw[at] = sum.high;
    raw[at + vectors.rows] = sum.low;
    delta[at] = difference;
    delta[at + vectors.rows] = 0;
  }
};

// grad_i = Σ_k w_k (l_ik + l_i(K+k) − R_i δ_ik) v_k and grad_aug_i = Σ_k w_k R_i δ_ik v_k, of views along the vectors.
template <class S>
struct Spread {
  CentredViews along;
  LaplacianForm form;
  View<const S> vectors;
  const double* weights;
  View<S> grad, grad_aug;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / vectors.cols, c = e % vectors.cols;
    double inter = 0, intra = 0;
    for (index_t k = 0; k < vectors.rows; ++k) {
      const index_t f = 2 * i * vectors.rows + k;
      const double factor = weights[k] * static_cast<double>(vectors.data[k * vectors.stride + c]);
      const double own = form.row_sum[i] * along.delta[f];
      inter = fma(factor, form.l[f] + form.l[f + vectors.rows] - own, inter);
      intra = fma(factor, own, intra);
    }
    grad.data[i * grad.stride + c] = static_cast<S>(inter);
    grad_aug.data[i * grad_aug.stride + c] = static_cast<S>(intra);
  }
};

}  // namespace

template <class S>
void contrastive_cov(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha, S* out) {
  covariance(on, centred_views(on, x, x_aug), alpha, out);
}

template <class S>
void energy(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha, double* out) {
  const CentredViews views = centred_views(on, x, x_aug);
  const PartsOfRow parts = parts_of_rows(on, views, laplacian_form(on, views, alpha));
  double* const traces = on.memory.take<double>(x.rows);
  const double n = static_cast<double>(x.rows), scale = 1 / (4 * n * n);
  const auto sum = [&] {
    for_each(on, "difference", x.rows, Difference{parts.inter, parts.intra, traces});
    column_sums(on, View<const double>{traces, x.rows, 1, 1}, scale, out);
  };
  sum();
  if (!may_be_mended<S>(x.rows, x.cols) || !lost<S>(on, parts, std::fabs(read_back(on, out)) / scale)) return;
  literal_spread(on, views.x, alpha, parts.inter);
  sum();
}

template <class S>
void laplacian_product(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha, View<S> grad,
                       View<S> grad_aug) {
  const CentredViews views = centred_views(on, x, x_aug);
  const LaplacianForm form = laplacian_form(on, views, alpha);
  for_each(on, "gradients", x.rows * x.cols, Gradients<S>{views, form, grad, grad_aug});
}

template <class S>
void laplacian_along(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha,
                     View<const S> vectors, const double* weights, View<S> grad, View<S> grad_aug) {
  const index_t n = x.rows, k = vectors.rows;
  double* const raw = on.memory.take<double>(4 * n * k);
  for_each(on, "projection", n * k, Projection<S>{x, x_aug, vectors, raw, raw + 2 * n * k});
  const CentredViews along{centred_samples(on, raw, n, 2 * k), raw + 2 * n * k};
  const LaplacianForm form = laplacian_form(on, along, alpha);
  for_each(on, "spread", n * x.cols, Spread<S>{along, form, vectors, weights, grad, grad_aug});
}

template void contrastive_cov<float>(const Stream&, View<const float>, View<const float>, const Importance<float>&,
                                     float*);
template void contrastive_cov<double>(const Stream&, View<const double>, View<const double>, const Importance<double>&,
                                      double*);
template void energy<float>(const Stream&, View<const float>, View<const float>, const Importance<float>&, double*);
template void energy<double>(const Stream&, View<const double>, View<const double>, const Importance<double>&, double*);
template void laplacian_product<float>(const Stream&, View<const float>, View<const float>, const Importance<float>&,
                                       View<float>, View<float>);
template void laplacian_product<double>(const Stream&, View<const double>, View<const double>,
                                        const Importance<double>&, View<double>, View<double>);
template void laplacian_along<float>(const Stream&, View<const float>, View<const float>, const Importance<float>&,
                                     View<const float>, const double*, View<float>, View<float>);
template void laplacian_along<double>(const Stream&, View<const double>, View<const double>, const Importance<double>&,
                                      View<const double>, const double*, View<double>, View<double>);

}  // namespace alphacl::cuda
