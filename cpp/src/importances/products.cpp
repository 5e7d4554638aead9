// ProductImportance: the Laplacian form from products.
#include "importances/products.h"

#include <cmath>

#include "alphacl/precision.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t chunk = 256;

// rows (n × q, q ≥ d): the centred samples, with room for q − d columns behind them.
template <class T>
Buffer<T> centred_rows(const Samples<T>& x, index_t q) {
  const index_t n = x.size();
  Buffer<T> rows(n * q);
  parallel_for(ceil_div(n, chunk), [&](index_t b, int) {
    for (index_t i = b * chunk; i < std::min(n, (b + 1) * chunk); ++i) x.centered(i, 1, nullptr, rows.data() + i * q);
  });
  return rows;
}

// out (n × d) = factor · the first d of the q columns of `from`.
template <class T>
Buffer<T> scaled(const Buffer<double>& from, index_t n, index_t d, index_t q, double factor) {
  Buffer<T> out(n * d);
  parallel_for(ceil_div(n, chunk), [&](index_t b, int) {
    for (index_t i = b * chunk; i < std::min(n, (b + 1) * chunk); ++i)
      for (index_t k = 0; k < d; ++k) out[i * d + k] = static_cast<T>(factor * from[i * q + k]);
  });
  return out;
}

}  // namespace

template <class T>
void ProductImportance<T>::laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const {
  const index_t n = x.size(), d = x.features();
  const Buffer<T> rows = centred_rows(x, d);
  const View<const T> centred{rows.data(), n, d, d};
  Buffer<double> l(n * d), row_sum(n), terms(n);
  this->row_sums(row_sum.data());
  differences(centred, {l.data(), n, d, d});
  // The sink subtracts 2 x_i y_iᵀ. A rounding of x_i, of y_i or of their product is one of the size of x_i l_iᵀ.
  const Buffer<T> y = scaled<T>(l, n, d, d, -0.5);
  const auto sizes = absolute();
  if (sizes) sizes->differences(centred, {l.data(), n, d, d});
  const Buffer<T> bound = scaled<T>(l, n, d, d, 1);
  parallel_for(ceil_div(n, chunk), [&](index_t b, int) {
    for (index_t i = b * chunk; i < std::min(n, (b + 1) * chunk); ++i)
      terms[i] = sink.length(rows.data() + i * d) * sink.length(bound.data() + i * d);
  });
  const Buffer<double> none(n, 0.0);
  sink.tiles(0, n, nullptr, none.data(), row_sum.data(), {y.data(), n, d, d});
  sink.terms(norm_of(terms.data(), n));
}

template <class T>
void ProductImportance<T>::products(const Samples<T>& x, LaplacianSink<T>& sink) const {
  const index_t n = x.size(), d = x.features(), probed = this->nonnegative() ? 0 : 1, q = d + probed;
  const Buffer<T> rows = centred_rows(x, q);
  Buffer<double> near(n * q), length(probed * n);
  for (index_t i = 0; i < probed * n; ++i) length[i] = sink.length(rows.data() + i * q);
  const double longest = random_probe(length.data(), probed * n, q, rows.data() + d);
  this->symmetric_product({rows.data(), n, q, q}, {near.data(), n, q, q}, nullptr, nullptr);
  const Buffer<T> y = scaled<T>(near, n, d, q, 0.5);
  const Buffer<double> none(n, 0.0);
  sink.tiles(0, n, nullptr, none.data(), none.data(), {y.data(), n, d, d});
  if (longest == 0) return;
  for (index_t i = 0; i < n; ++i) length[i] *= near[i * q + d];
  sink.terms(longest * norm_of(length.data(), n));
}

template class ProductImportance<float>;
template class ProductImportance<double>;

}  // namespace alphacl
