// Packs features for scores and for products.
#include "packing/scored_features.h"

#include <limits>

namespace alphacl {

template <class T>
template <class S>
void ScoredFeatures<T>::fill(View<const S> f, const double* shift, Scoring scoring, FeaturesFor use, index_t workers) {
  const Kernels<T>& kernel = kernels<T>();
  const index_t panel = kernel.panel;
  n_ = f.rows;
  m_ = f.cols;
  const bool copied = !std::is_same_v<T, S> || shift != nullptr;
  if (copied) copy_.resize(n_ * m_);
  rows_ = {copy_.data(), n_, m_, m_};
  if constexpr (std::is_same_v<T, S>) {
    if (!copied) rows_ = f;
  }
  half_.resize(n_);
  const index_t groups = ceil_div(n_, panel);
  differences_ = scoring == Scoring::differences;
  const bool given = differences_ || scoring == Scoring::settled;
  const bool halves = scoring != Scoring::products && !differences_;
  if (given) given_.resize(n_ * m_);
  if (use.scores) samples_.resize(groups * panel * m_);
  if (use.products) packed_.resize(n_, m_);
  const Buffer<double> zero(copied ? m_ : 0, 0.0);
  const index_t task = ceil_div(128, panel);  // panels of one
  const auto pack = [&](index_t c, int) {
    for (index_t g = c * task; g < std::min(groups, (c + 1) * task); ++g) {
      const index_t count = std::min(panel, n_ - g * panel);
      for (index_t r = 0; r < count; ++r) {
        const index_t i = g * panel + r;
        if (copied) read_kernels<T, S>().center_row(f.row(i), shift ? shift : zero.data(), m_, copy_.data() + i * m_);
        const T* row = rows_.row(i);
        half_[i] = halves ? static_cast<T>(0.5 * kernel.dot(row, row, m_)) : T(0);
        if (use.products) kernel.pack_row(row, nullptr, T(1), T(1), m_, packed_.rows(i), {});
      }
      for (index_t i = g * panel; given && i < g * panel + count; ++i) {
        for (index_t k = 0; k < m_; ++k) given_[i * m_ + k] = static_cast<T>(f.row(i)[k]);
        for (index_t k = 0; use.scores && differences_ && k < m_; ++k) samples_[k * n_ + i] = given_[i * m_ + k];
      }
      if (!use.scores || differences_) continue;
      const View<const T> rows = {rows_.row(g * panel), count, m_, rows_.stride};
      kernel.pack_columns(rows, samples_.data() + g * panel * m_);
    }
  };
  parallel_for(ceil_div(groups, task), pack, workers);
}

template <class T>
void ScoredFeatures<T>::products(index_t i0, index_t ni, const ScoredFeatures& right, index_t j0, index_t nj, T* out,
                                 index_t ld) const {
  const Kernels<T>& kernel = kernels<T>();
  const index_t panel = kernel.panel, count = ceil_div(nj, panel);
  if constexpr (std::is_same<T, double>::value) {  // distance_precision asks for differences in double only
    if (differences_) {
      const double *rows = given_.data() + i0 * m_, *columns = right.samples_.data() + j0;
      difference_kernels().negative_half_distance(rows, ni, m_, columns, right.n_, nj, out, ld);
      return;
    }
  }
  for (index_t i = 0; i < ni; ++i) std::fill_n(out + i * ld, count * panel, T(0));
  for (index_t k = 0; k < m_; k += chain_features) {
    const Panels<const T> columns = {right.samples_.data() + j0 * m_ + k * panel, m_, count};
    const LeftTile<T> rows = {row(i0) + k, rows_.stride, ni, std::min(chain_features, m_ - k)};
    kernel.multiply_tile(rows, columns, out, ld, nullptr);
  }
}

template <class T>
NearPairs ScoredFeatures<T>::near_pairs(index_t workers) const {
  constexpr double roundings = 8.0 * std::numeric_limits<T>::epsilon();
  constexpr double infinite = std::numeric_limits<double>::infinity();
  const index_t panel = kernels<T>().panel, task = ceil_div(128, panel) * panel, tasks = ceil_div(n_, task);
  Buffer<double> errors(tasks, 0.0), far(tasks, 0.0), near(tasks, 0.0), pairs(tasks, 0.0);
  const auto of_task = [&](index_t c, int) {
    T tile[most_panel * most_panel];
    for (index_t i0 = c * task; i0 < std::min(n_, (c + 1) * task); i0 += panel) {
      const index_t count = std::min(panel, n_ - i0);
      products(i0, count, *this, i0, count, tile, most_panel);
      for (index_t i = 0; i < count; ++i) {
        for (index_t j = 0; j < count; ++j) {
          const T halves = *half(i0 + i) + *half(i0 + j), distance = halves - tile[i * most_panel + j];
          near[c] += i != j && distance < static_cast<T>(near_doubt) * halves ? 1 : 0;
          if (i != j) continue;
          const double error = distance == distance ? std::abs(static_cast<double>(distance)) : infinite;
          errors[c] = std::max(errors[c], error);
          far[c] = std::max(far[c], (1 - near_doubt) * error - roundings * near_doubt * static_cast<double>(halves));
        }
      }
      pairs[c] += static_cast<double>(count * (count - 1));
    }
  };
  parallel_for(tasks, of_task, workers);
  NearPairs found = {0, 0, 0};
  double all = 0;
  for (index_t c = 0; c < tasks; ++c) {
    found.error = std::max(found.error, errors[c]);
    found.far = std::max(found.far, far[c]);
    found.share += near[c];
    all += pairs[c];
  }
  found.share /= std::max(all, 1.0);
  return found;
}

template <class T>
void ScoredFeatures<T>::apply(const T* tile, index_t ld, index_t ni, index_t j0, index_t n, bool transposed,
                              T* out) const {
  const Kernels<T>& kernel = kernels<T>();
  if (transposed) {
    kernel.multiply_transposed({tile, ld, ni, n}, packed_.read(j0), out, width());
  } else {
    kernel.multiply_tile({tile, ld, ni, n}, packed_.read(j0), out, width(), nullptr);
  }
}

template class ScoredFeatures<float>;
template class ScoredFeatures<double>;
template void ScoredFeatures<float>::fill<float>(View<const float>, const double*, Scoring, FeaturesFor, index_t);
template void ScoredFeatures<double>::fill<float>(View<const float>, const double*, Scoring, FeaturesFor, index_t);
template void ScoredFeatures<double>::fill<double>(View<const double>, const double*, Scoring, FeaturesFor, index_t);

}  // namespace alphacl
