// The Laplacian form as a matrix and as its trace, and what of it is lost to cancellation.
#pragma once

#include <cmath>
#include <type_traits>

#include "alphacl/precision.h"
#include "covariance/literal_sums.h"
#include "sums/rows.h"

namespace alphacl::cuda {

/// The samples that are not 0 in x, and in one of the views; lists and their lengths on the device.
struct OpenSamples {
  const int *own, *either, *own_count, *either_count;
  const double* gates;  // N; 0 where x_i is
};

// Rows (x_i, l_i), then (δ_i, −R_i δ_i); `inter` false: the second alone. With `open` the samples of its lists, and one
// row for all others: their x_i are −mean, so their sum is (−mean, Σ_i l_i).
struct FormRows {
  CentredViews views;
  LaplacianForm form;
  bool inter;
  const OpenSamples open = {nullptr, nullptr, nullptr, nullptr, nullptr};
  const double* rest = nullptr;  // Σ_i l_i of closed samples

  FormRows from(int) const { return *this; }
  __device__ bool listed() const { return open.own != nullptr; }
  __device__ int inter_rows() const {
    return !inter ? 0 : listed() ? open.own_count[0] + 1 : static_cast<int>(views.x.n);
  }
  __device__ int rows(int) const {
    return inter_rows() + (listed() ? open.either_count[0] : static_cast<int>(views.x.n));
  }
  __device__ bool is_rest(int row) const { return listed() && row == inter_rows() - 1; }
  __device__ index_t sample(int row) const {
    const int first = inter_rows(), at = row < first ? row : row - first;
    return !listed() ? at : row < first ? open.own[at] : open.either[at];
  }
  __device__ double left(int, int row, int a) const {
    if (is_rest(row)) return -views.x.mean[a];
    return (row < inter_rows() ? views.x.centred : views.delta)[sample(row) * views.x.d + a];
  }
  __device__ double right(int, int row, int b) const {
    if (is_rest(row)) return rest[b];
    const index_t i = sample(row), e = i * views.x.d + b;
    return row < inter_rows() ? form.l[e] : -form.row_sum[i] * views.delta[e];
  }
};

// Rows 1 and l_i of closed samples.
struct ClosedRows {
  const double *gates, *l;
  int n, d;
  ClosedRows from(int) const { return *this; }
  __device__ int rows(int) const { return n; }
  __device__ double left(int, int, int) const { return 1; }
  __device__ double right(int, int row, int b) const {
    return gates[row] == 0 ? l[static_cast<index_t>(row) * d + b] : 0.0;
  }
};

// Per sample: inter_i = x_i · l_i, intra_i = R_i ‖δ_i‖² and size_i = ‖x_i‖ ‖l_i‖.
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

template <class S>
struct Scaled {
  const double* a;
  double scale;
  S* out;
  __device__ void operator()(std::int64_t e) const { out[e] = static_cast<S>(scale * a[e]); }
};

inline PartsOfRow parts_of_rows(const Stream& on, const CentredViews& views, const LaplacianForm& form) {
  const index_t n = views.x.n;
  double* const numbers = on.memory.take<double>(3 * n);
  const PartsOfRow parts{views, form, numbers, numbers + n, numbers + 2 * n};
  for_each(on, "parts_of_row", n, parts);
  return parts;
}

/// Whether anybody asks for digits that are lost: float32 does not, since in double the form keeps the digits of a
/// float up to a ratio of 10^7, and to ask is to wait for the stream; nor where pairs at `width` operations are too
/// many.
template <class S>
bool may_be_mended(index_t n, index_t width) {
  return std::is_same<S, double>::value && few_pairs(n, width);
}

/// Whether the sums over i that gave a result of this size, times 2N², lost digits that differences of all pairs have.
template <class S>
bool lost(const Stream& on, const PartsOfRow& parts, double size) {
  const double minuend = total(on, parts.size, parts.views.x.n, 1.0);
  return cancelled({minuend, 0, size}, wide_limits<S>);
}

/// Rows of the form, of open samples where they are given.
inline FormRows form_rows(const Stream& on, const CentredViews& views, const LaplacianForm& form, bool inter,
                          const OpenSamples* open) {
  if (open == nullptr) return {views, form, inter};
  const int n = static_cast<int>(views.x.n), d = static_cast<int>(views.x.d);
  double* const rest = on.memory.take<double>(d);
  if (inter) gram(on, ClosedRows{open->gates, form.l, n, d}, GramShape{1, d, false, gram_groups(n)}, 1, 1.0, rest);
  return {views, form, inter, *open, rest};
}

/// out (d × d) = 1/(2N²) (Σ_i x_i l_iᵀ − Σ_i R_i δ_i δ_iᵀ), from views of any kind and for results of type S, one of
/// `nodes` that may want all pairs.
template <class S, class A>
void covariance(const Stream& on, const CentredViews& views, const Importance<A>& alpha, S* out,
                const OpenSamples* open = nullptr, index_t nodes = 1) {
  const LaplacianForm form = laplacian_form(on, views, alpha);
  const index_t n = views.x.n, entries = views.x.d * views.x.d;
  const int d = static_cast<int>(views.x.d);
  const double size = static_cast<double>(n);
  double* const sum = on.memory.take<double>(entries);
  const GramShape shape{d, d, true, gram_groups(2 * n)};
  gram(on, form_rows(on, views, form, true, open), shape, 1, 1.0, sum);
  if (may_be_mended<S>(n, std::max<index_t>(entries, 64) * nodes)) {
    double* const squares = on.memory.take<double>(d);
    for_each_row(on, "squared_lengths", d, SquaredLengths{sum, d, squares});
    const double norm = std::sqrt(total(on, squares, d, 1.0));
    if (lost<S>(on, parts_of_rows(on, views, form), norm)) {
      gram(on, form_rows(on, views, form, false, open), shape, 1, 1.0, sum);
      add_literal_covariance(on, views.x, alpha, sum);
    }
  }
  for_each(on, "scaled", entries, Scaled<S>{sum, 1 / (2 * size * size), out});
}

}  // namespace alphacl::cuda
