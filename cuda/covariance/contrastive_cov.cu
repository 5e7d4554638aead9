// contrastive_cov, energy and laplacian_product from the Laplacian form.
#include "covariance/contrastive_cov.h"

#include <cmath>
#include <type_traits>

#include "alphacl/precision.h"
#include "covariance/literal_sums.h"

namespace alphacl::cuda {
namespace {

// Rows (x_i, l_i), then (δ_i, −R_i δ_i); `inter` false: the second alone.
struct FormRows {
  CentredViews views;
  LaplacianForm form;
  bool inter;
  FormRows from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>((inter ? 2 : 1) * views.x.n); }
  __device__ bool is_inter(int row) const { return inter && row < views.x.n; }
  __device__ index_t sample(int row) const { return inter && row >= views.x.n ? row - views.x.n : row; }
  __device__ double left(int, int row, int a) const {
    return (is_inter(row) ? views.x.centred : views.delta)[sample(row) * views.x.d + a];
  }
  __device__ double right(int, int row, int b) const {
    const index_t i = sample(row), e = i * views.x.d + b;
    return is_inter(row) ? form.l[e] : -form.row_sum[i] * views.delta[e];
  }
};

// Per sample: inter_i = x_i · l_i (null: not wanted), intra_i = R_i ‖δ_i‖² and size_i = ‖x_i‖ ‖l_i‖.
struct PartsOfRow {
  CentredViews views;
  LaplacianForm form;
  double *inter, *intra, *size;
  __device__ void operator()(std::int64_t i) const {
    double product = 0, delta = 0, x = 0, l = 0;
    for (index_t e = i * views.x.d; e < (i + 1) * views.x.d; ++e) {
      product = fma(views.x.centred[e], form.l[e], product);
      delta = fma(views.delta[e], views.delta[e], delta);
      x = fma(views.x.centred[e], views.x.centred[e], x);
      l = fma(form.l[e], form.l[e], l);
    }
    inter[i] = product;
    intra[i] = form.row_sum[i] * delta;
    size[i] = sqrt(x) * sqrt(l);
  }
};

struct Difference {
  const double *a, *b;
  double* out;
  __device__ void operator()(std::int64_t e) const { out[e] = a[e] - b[e]; }
};

struct Square {
  const double* a;
  double* out;
  __device__ void operator()(std::int64_t e) const { out[e] = a[e] * a[e]; }
};

template <class S>
struct Scaled {
  const double* a;
  double scale;
  S* out;
  __device__ void operator()(std::int64_t e) const { out[e] = static_cast<S>(scale * a[e]); }
};

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

// Both views, the form over them, and the parts of its trace.
struct Prepared {
  CentredViews views;
  LaplacianForm form;
  PartsOfRow parts;
};

template <class S>
Prepared prepared(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha) {
  const CentredViews views = centred_views(on, x, x_aug);
  const LaplacianForm form = laplacian_form(on, views, alpha);
  double* const parts = on.memory.take<double>(3 * x.rows);
  const PartsOfRow of{views, form, parts, parts + x.rows, parts + 2 * x.rows};
  for_each(on, "parts_of_row", x.rows, of);
  return {views, form, of};
}

// Whether the sums over i that gave a result of this size, times 2N², lost digits that differences of all pairs have.
template <class S>
bool lost(const Stream& on, const Prepared& p, double size) {
  const double minuend = total(on, p.parts.size, p.views.x.n, 1.0);
  return cancelled({minuend, 0, size}, wide_limits<S>) && few_pairs(p.views.x.n, p.views.x.d * p.views.x.d);
}

}  // namespace

// float32 does not ask what cancelled: in double the form keeps the digits of a float up to a ratio of 10^7, and a
// question would wait for the stream.

template <class S>
void contrastive_cov(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha, S* out) {
  const Prepared p = prepared(on, x, x_aug, alpha);
  const index_t entries = x.cols * x.cols;
  const int d = static_cast<int>(x.cols);
  const double n = static_cast<double>(x.rows);
  double* const sum = on.memory.take<double>(entries);
  gram(on, FormRows{p.views, p.form, true}, GramShape{d, d, true, gram_groups(2 * x.rows)}, 1, 1.0, sum);
  if (std::is_same<S, double>::value) {
    double* const squares = on.memory.take<double>(entries);
    for_each(on, "square", entries, Square{sum, squares});
    if (lost<S>(on, p, std::sqrt(total(on, squares, entries, 1.0)))) {
      gram(on, FormRows{p.views, p.form, false}, GramShape{d, d, true, gram_groups(x.rows)}, 1, 1.0, sum);
      add_literal_covariance(on, p.views.x, alpha, sum);
    }
  }
  for_each(on, "scaled", entries, Scaled<S>{sum, 1 / (2 * n * n), out});
}

template <class S>
double energy(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha) {
  const Prepared p = prepared(on, x, x_aug, alpha);
  double* const traces = on.memory.take<double>(x.rows);
  const double n = static_cast<double>(x.rows), scale = 1 / (4 * n * n);
  for_each(on, "difference", x.rows, Difference{p.parts.inter, p.parts.intra, traces});
  const double found = total(on, traces, x.rows, 1.0);
  if (!std::is_same<S, double>::value || !lost<S>(on, p, std::fabs(found))) return scale * found;
  literal_spread(on, p.views.x, alpha, p.parts.inter);
  for_each(on, "difference", x.rows, Difference{p.parts.inter, p.parts.intra, traces});
  return scale * total(on, traces, x.rows, 1.0);
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
