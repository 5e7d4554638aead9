// contrastive_cov, energy and laplacian_product from the Laplacian form.
#include "covariance/contrastive_cov.h"

#include "covariance/views.h"
#include "runtime/read_back.h"

namespace alphacl::cuda {
namespace {

// Rows (x_i, l_i), then (δ_i, −R_i δ_i).
struct FormRows {
  CentredViews views;
  LaplacianForm form;
  FormRows from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(2 * views.n); }
  __device__ double left(int, int row, int a) const {
    return row < views.n ? views.x[row * views.d + a] : views.delta[(row - views.n) * views.d + a];
  }
  __device__ double right(int, int row, int b) const {
    if (row < views.n) return form.l[row * views.d + b];
    const index_t i = row - views.n;
    return -form.row_sum[i] * views.delta[i * views.d + b];
  }
};

// x_i · l_i − R_i ‖δ_i‖².
struct TraceOfRow {
  CentredViews views;
  LaplacianForm form;
  double* out;
  __device__ void operator()(std::int64_t i) const {
    double inter = 0, intra = 0;
    for (index_t e = i * views.d; e < (i + 1) * views.d; ++e) {
      inter = fma(views.x[e], form.l[e], inter);
      intra = fma(views.delta[e], views.delta[e], intra);
    }
    out[i] = inter - form.row_sum[i] * intra;
  }
};

template <class S>
struct Gradients {
  CentredViews views;
  LaplacianForm form;
  View<S> grad, grad_aug;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / views.d, c = e % views.d;
    const double intra = form.row_sum[i] * views.delta[e];
    grad.data[i * grad.stride + c] = static_cast<S>(form.l[e] - intra);
    grad_aug.data[i * grad_aug.stride + c] = static_cast<S>(intra);
  }
};

}  // namespace

template <class S>
void contrastive_cov(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha, S* out) {
  const CentredViews views = centred_views(on, x, x_aug);
  const LaplacianForm form = laplacian_form(on, views, alpha);
  const int d = static_cast<int>(x.cols);
  const double n = static_cast<double>(x.rows);
  gram(on, FormRows{views, form}, GramShape{d, d, true, gram_groups(2 * x.rows)}, 1, 1 / (2 * n * n), out);
}

template <class S>
double energy(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha) {
  const CentredViews views = centred_views(on, x, x_aug);
  const LaplacianForm form = laplacian_form(on, views, alpha);
  double* const traces = on.memory.take<double>(x.rows);
  double* const total = on.memory.take<double>(1);
  for_each(on, "trace_of_row", x.rows, TraceOfRow{views, form, traces});
  const double n = static_cast<double>(x.rows);
  const View<const double> column{traces, x.rows, 1, 1};
  gram(on, RowsAlone<double>{column}, GramShape{1, 1, false, gram_groups(x.rows)}, 1, 1 / (4 * n * n), total);
  double found = 0;
  read_back(on, total, 1, &found);
  return found;
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
template double energy<float>(const Stream&, View<const float>, View<const float>, const Importance<float>&);
template double energy<double>(const Stream&, View<const double>, View<const double>, const Importance<double>&);
template void laplacian_product<float>(const Stream&, View<const float>, View<const float>, const Importance<float>&,
                                       View<float>, View<float>);
template void laplacian_product<double>(const Stream&, View<const double>, View<const double>,
                                        const Importance<double>&, View<double>, View<double>);

}  // namespace alphacl::cuda
