// contrastive_cov, energy and laplacian_product from the Laplacian form.
#include "covariance/contrastive_cov.h"

#include "covariance/laplacian_sums.h"

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

}  // namespace alphacl::cuda
