// Centred samples: the shift of the data, and rows of both views as kernels read them.
#include "packing/samples.h"

#include <algorithm>
#include <cmath>

#include "isa/tables/kernels.h"
#include "runtime/threads.h"

namespace alphacl {

namespace {
constexpr index_t numbers_together = 256;  // of rows that are read as one
}

double row_factor(index_t r) {
  const double turns = 0.6180339887498949 * static_cast<double>(r);
  return 0.75 + 0.75 * (turns - std::floor(turns));
}

template <class S>
void row_mean(View<const S> x, double* mean, index_t step) {
  const index_t d = x.cols;
  constexpr index_t most_groups = 64, rows_per_group = 256;
  const index_t rows = ceil_div(x.rows, step);
  const index_t groups = std::max<index_t>(1, std::min(most_groups, rows / rows_per_group));
  Buffer<double> sums(groups * d, 0.0);
  const auto add = kernels<S>().add_offsets;
  const auto of_group = [&](index_t g, int) {
    for (index_t i = rows * g / groups; i < rows * (g + 1) / groups; ++i)
      add(x.row(i * step), x.row(0), d, sums.data() + g * d);
  };
  parallel_for(groups, of_group, workers_for_numbers(rows * d));
  for (index_t j = 0; j < d; ++j) {
    double sum = 0;
    for (index_t g = 0; g < groups; ++g) sum += sums[g * d + j];
    mean[j] = static_cast<double>(x.row(0)[j]) + sum / static_cast<double>(rows);
  }
}

template <class T>
const T* row_factors() {
  static const Buffer<T> factors = [] {
    Buffer<T> made(gram_chunk);
    for (index_t r = 0; r < gram_chunk; ++r) made[r] = static_cast<T>(row_factor(r));
    return made;
  }();
  return factors.data();
}

void nth_number(double* x, index_t k, index_t count) {
  std::nth_element(x, x + k, x + count, [](double a, double b) { return a < b || (std::isnan(b) && !std::isnan(a)); });
}

template <class S>
void shorten(View<const S> x, double* mean) {
  constexpr index_t most_rows = 64;
  const index_t rows = std::min(most_rows, x.rows);
  double deviations[most_rows];
  for (index_t j = 0; j < x.cols; ++j) {
    for (index_t r = 0; r < rows; ++r)
      deviations[r] = std::fabs(static_cast<double>(x.row(r * x.rows / rows)[j]) - mean[j]);
    nth_number(deviations, rows / 2, rows);
    const double median = deviations[rows / 2];
    if (!(median > 0) || !std::isfinite(median) || !std::isfinite(mean[j])) continue;
    const double unit = std::ldexp(1.0, std::max(std::ilogb(median) - 3, -1000));
    mean[j] = std::nearbyint(mean[j] / unit) * unit;
  }
}

template <class T, class S>
SamplesOf<T, S>::SamplesOf(View<const S> x, View<const S> x_aug)
    : Samples<T>(x.rows, x.cols),
      x_(x),
      x_aug_(x_aug),
      together_(x.stride == x.cols && x_aug.stride == x.cols
                    ? std::max<index_t>(1, numbers_together / std::max<index_t>(1, x.cols))
                    : 1),
      shift_(together_ * x.cols),
      narrow_shift_(x.cols),
      same_(gram_chunk, T(1)) {
  // Any vector near the data will do: of many rows every eighth is read.
  row_mean(x, shift_.data(), std::clamp<index_t>(x.rows / 1024, 1, 8));
  shorten(x, shift_.data());
  // Rounded to T, the shift is subtracted in T without a second rounding.
  for (index_t j = 0; j < x.cols; ++j) shift_[j] = narrow_shift_[j] = static_cast<T>(shift_[j]);
  for (index_t e = x.cols; e < shift_.size(); ++e) shift_[e] = shift_[e - x.cols];
}

template <class T, class S>
void SamplesOf<T, S>::centered(index_t begin, index_t n, const index_t* order, T* out) const {
  const auto read = read_kernels<T, S>().center_row;
  const index_t together = order ? 1 : together_;
  for (index_t r = begin; r < begin + n; r += together, out += together * x_.cols)
    read(x_.row(order ? order[r] : r), shift_.data(), std::min(together, begin + n - r) * x_.cols, out);
}

template <class T, class S>
void SamplesOf<T, S>::deltas(index_t begin, index_t n, const index_t* order, T* out) const {
  const auto read = read_kernels<T, S>().delta_row;
  const index_t together = order ? 1 : together_;
  for (index_t r = begin; r < begin + n; r += together, out += together * x_.cols) {
    const index_t i = order ? order[r] : r;
    read(x_.row(i), x_aug_.row(i), std::min(together, begin + n - r) * x_.cols, out);
  }
}

template <class T, class S>
void SamplesOf<T, S>::pack(const PackedViews<T>& q) const {
  read_kernels<T, S>().pack_views({x_.data, x_aug_.data, x_.stride, x_aug_.stride, narrow_shift_.data(), q.rows, q.a,
                                   q.b, q.c, q.e, same_.data(), row_factors<T>(), q.n, x_.cols, q.u, q.v, q.plain});
}

template const float* row_factors<float>();
template const double* row_factors<double>();
template void shorten<float>(View<const float>, double*);
template void shorten<double>(View<const double>, double*);
template void row_mean<float>(View<const float>, double*, index_t);
template void row_mean<double>(View<const double>, double*, index_t);
template class SamplesOf<float, float>;
template class SamplesOf<double, float>;
template class SamplesOf<double, double>;

}  // namespace alphacl
