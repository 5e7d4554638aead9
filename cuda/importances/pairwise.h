// The importance of which a struct of a kernel makes the entries, pair by pair.
#pragma once

#include <utility>

#include "importances/importance.h"
#include "importances/pair_laplacian.h"
#include "sums/elementwise.h"

namespace alphacl::cuda {

/// Rows `first` … of α.
template <class T, class Entries>
struct WriteEntries {
  PairFeatures f;
  Entries entries;
  index_t first;
  View<T> out;
  __device__ void operator()(std::int64_t e) const {
    const index_t row = e / f.n;
    const int i = static_cast<int>(first + row), j = static_cast<int>(e % f.n);
    out.data[row * out.stride + j] = static_cast<T>(entries(i, j, f.half_square(i, j)).forth);
  }
};

/// Entries: PairEntry operator()(int i, int j, double half_square) const, on the device.
template <class S, class Entries>
class Pairwise final : public Importance<S> {
 public:
  Pairwise(const PairFeatures& f, const Entries& entries) : Importance<S>(f.n), f_(f), entries_(entries) {}

  void sums(const Stream& on, double* r, double* c) const override {
    const PairOperand<double, double> nothing{nullptr, 0, 0, nullptr, 0};
    multiply_pairs<PairWork::products>(on, f_, entries_, nothing, pair_plan(f_.n, 0), nullptr, r, c);
  }
  void matmul(const Stream& on, View<const S> y, View<S> out) const override {
    const PairOperand<S, S> of{y.data, y.stride, static_cast<int>(y.cols), out.data, out.stride};
    multiply_pairs<PairWork::products>(on, f_, entries_, of, pair_plan(f_.n, y.cols), nullptr, nullptr);
  }
  void laplacian(const Stream& on, const Samples& x, double* l, double* row_sum) const override {
    pair_laplacian<S>(on, f_, entries_, x, l, row_sum, pair_plan(f_.n, x.d));
  }
  void to_dense(const Stream& on, View<S> out) const override {
    for_each(on, "to_dense", index_t{f_.n} * f_.n, WriteEntries<S, Entries>{f_, entries_, 0, out});
  }
  void rows(const Stream& on, index_t first, index_t count, double* out) const override {
    const View<double> to{out, count, f_.n, f_.n};
    for_each(on, "rows", count * f_.n, WriteEntries<double, Entries>{f_, entries_, first, to});
  }

 private:
  PairFeatures f_;
  Entries entries_;
};

template <class S, class Entries>
std::unique_ptr<Importance<S>> pairwise(const PairFeatures& f, const Entries& entries) {
  return std::make_unique<Pairwise<S, Entries>>(f, entries);
}

template <class S>
struct CopyFeatures {
  View<const S> from;
  double* to;
  // A sample that is not finite makes every entry it takes part in NaN: its features all become NaN.
  __device__ void operator()(std::int64_t i) const {
    const S* const row = from.data + i * from.stride;
    double poison = 0;
    for (index_t k = 0; k < from.cols; ++k) poison += static_cast<double>(row[k] - row[k]);
    for (index_t k = 0; k < from.cols; ++k) to[i * from.cols + k] = static_cast<double>(row[k]) + poison;
  }
};

/// A copy of the features in double.
template <class S>
PairFeatures features_in_double(const Stream& on, View<const S> f, Workspace& memory) {
  double* const copy = memory.take<double>(f.rows * f.cols);
  for_each(on, "copy_features", f.rows, CopyFeatures<S>{f, copy});
  return {copy, static_cast<int>(f.rows), static_cast<int>(f.cols)};
}

}  // namespace alphacl::cuda
