// Weights of pairs times features: the gradients of sums over pairs.
#pragma once

#include "pairs/score_tiles.h"

namespace alphacl {

/// The power of two that weights a and b (null: none) are divided by before they multiply float features: that of the
/// largest, but at most 1. Weights may be as small as a temperature τ, and then such products would not be normal
/// numbers, though the scale 1/τ multiplies their sum.
template <class T>
double unit_of_weights(const double* a, index_t n, const double* b, index_t k) {
  double largest = 0;
  for (index_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(a[i]));
  for (index_t j = 0; b != nullptr && j < k; ++j) largest = std::max(largest, std::abs(b[j]));
  return sizeof(T) == 4 && largest > 0 && largest < 1 ? std::ldexp(1, std::ilogb(largest)) : 1;
}

// Offsets and weights of the rows (or columns), the weights as multiples of `unit`: a pair weighs weight_i ψ'(at_i +
// t_ij), for e^x weight_i e^(t_ij − at_i).
template <class T>
struct PairWeighting {
  Buffer<T> at, weight;
  Buffer<T> low;                   // the rounding error of `at`: offset − at
  Buffer<T> relative;              // weight of e^(t − highest of its block)
  Buffer<double> highest, lowest;  // the largest and least `at` of each block

  void logarithms(index_t n, const double* lse, const double* a, double unit) {
    const index_t height = pair_block(n), blocks = ceil_div(n, height);
    at.resize(n);
    weight.resize(n);
    relative.resize(n);
    highest.resize(blocks);
    lowest.resize(blocks);
    for (index_t b = 0; b < blocks; ++b) {
      double top = -infinity, bottom = infinity;
      for (index_t i = b * height; i < std::min(n, (b + 1) * height); ++i) {
        if (!std::isfinite(lse[i])) continue;
        top = std::max(top, lse[i]);
        bottom = std::min(bottom, lse[i]);
      }
      top = top == -infinity ? 0 : static_cast<double>(static_cast<T>(top));
      highest[b] = top;
      lowest[b] = std::min(bottom, top);
      for (index_t i = b * height; i < std::min(n, (b + 1) * height); ++i) {
        // A sample without partners has the logarithm −inf: no pair to weigh.
        const double own = lse[i] == -infinity ? top : lse[i], w = lse[i] == -infinity ? 0 : a[i] / unit;
        at[i] = static_cast<T>(own);
        weight[i] = static_cast<T>(w * std::exp(static_cast<double>(at[i]) - own));
        relative[i] = static_cast<T>(w * std::exp(top - own));
      }
    }
  }

  void offsets(index_t n, const double* offset, const double* a, double unit) {
    at.resize(n);
    low.resize(n);
    weight.resize(n);
    for (index_t i = 0; i < n; ++i) {
      at[i] = static_cast<T>(offset[i]);
      low[i] = static_cast<T>(offset[i] - static_cast<double>(at[i]));
      weight[i] = static_cast<T>(a[i] / unit);
    }
  }
};

// One e^(t − shift) serves rows and columns of a tile where their logarithms differ by at most this.
template <class T>
constexpr double widest_shared = sizeof(T) == 4 ? 60 : 600;

/// Sums over pairs of weights w_ij times features, as multiples of `unit`.
template <class T>
struct WeightedFeatures {
  double unit;
  Buffer<T> left, right;  // Σ_j w_ij g_j and Σ_i w_ij f_i, rows of width(); from differences, Σ_j w_ij (f_j − f_i)
  Buffer<double> degree;  // Σ_j w_ij; used for one set
  Buffer<double> own;     // Σ_j of the first term of w_ij
};

// rows_i += Σ_j w_ij (f_j − f_i) for the samples i of a tile, or of its transpose.
template <class T>
void apply_differences(const PairTile<T>& tile, const ScoredFeatures<T>& side, index_t i0, index_t j0, bool transposed,
                       T* rows) {
  const index_t m = side.features(), ni = transposed ? tile.nj : tile.ni, nj = transposed ? tile.ni : tile.nj;
  for (index_t i = 0; i < ni; ++i) {
    const T* own = side.given(i0 + i);
    T* row = rows + i * side.width();
    for (index_t j = 0; j < nj; ++j) {
      const T w = tile.weights[transposed ? j * tile.ld_weights + i : i * tile.ld_weights + j];
      if (w == T(0)) continue;
      const T* other = side.given(j0 + j);
      for (index_t k = 0; k < m; ++k) row[k] += w * (other[k] - own[k]);
    }
  }
}

// The weightings of a tile that begins at sample i0 and at j0.
template <class T>
PairWeights<T> weights_at(const PairWeighting<T>& rows, const PairWeighting<T>* cols, index_t i0, index_t j0,
                          bool exponential) {
  PairWeights<T> w{};
  w.row = rows.at.data() + i0;
  if (!exponential) w.row_low = rows.low.data() + i0;
  w.row_weight = rows.weight.data() + i0;
  if (cols == nullptr) return w;
  w.col = cols->at.data() + j0;
  if (!exponential) w.col_low = cols->low.data() + j0;
  w.col_weight = cols->weight.data() + j0;
  return w;
}

template <class T>
WeightedFeatures<T> weighted_products(const ScoreTiles<T>& scores, PairForm form, double unit,
                                      const PairWeighting<T>& rows, const PairWeighting<T>* cols, bool of_right) {
  const index_t n = scores.left().size(), k = scores.right().size();
  const index_t width = scores.left().width();
  const bool one = scores.one_set(), exponential = form == PairForm::exponential;
  WeightedFeatures<T> out;
  out.unit = unit;
  out.left = Buffer<T>(n * width, T(0));
  if (of_right) out.right = Buffer<T>(k * width, T(0));
  out.degree = Buffer<double>(n, 0.0);
  out.own = Buffer<double>(n, 0.0);
  Buffer<double> unused(one ? 0 : k, 0.0);
  PerWorker<Buffer<T>> both;
  scores.for_tiles(form, [&](const PairTile<T>& tile, index_t i0, index_t j0) {
    const bool diagonal = one && i0 == j0;
    PairWeights<T> w = weights_at(rows, cols, i0, j0, exponential);
    T scaled[2 * most_pair_block];
    if (exponential) {
      const index_t bi = i0 / pair_block(n), bj = j0 / pair_block(k);
      double top = rows.highest[bi], bottom = rows.lowest[bi];
      if (cols != nullptr) {
        top = std::max(top, cols->highest[bj]);
        bottom = std::min(bottom, cols->lowest[bj]);
      }
      w.shared = top - bottom <= widest_shared<T>;
      if (w.shared) {
        w.shift = static_cast<T>(top);
        const T of_row = static_cast<T>(std::exp(top - rows.highest[bi]));
        for (index_t i = 0; i < tile.ni; ++i) scaled[i] = of_row * rows.relative[i0 + i];
        w.row_weight = scaled;
        if (cols != nullptr) {
          const T of_col = static_cast<T>(std::exp(top - cols->highest[bj]));
          for (index_t j = 0; j < tile.nj; ++j) scaled[most_pair_block + j] = of_col * cols->relative[j0 + j];
          w.col_weight = scaled + most_pair_block;
        }
      }
    }
    w.sum_i = out.degree.data() + i0;
    w.own_i = out.own.data() + i0;
    if (one && !diagonal) {
      w.sum_j = out.degree.data() + j0;
      w.own_j = out.own.data() + j0;
    }
    pair_kernels<T>().weights(tile, w);
    if (scores.by_differences()) {
      apply_differences(tile, scores.left(), i0, j0, false, out.left.data() + i0 * width);
      if (!diagonal) apply_differences(tile, scores.left(), j0, i0, true, out.left.data() + j0 * width);
      return;
    }
    scores.right().apply(tile.weights, tile.ld_weights, tile.ni, j0, tile.nj, false, out.left.data() + i0 * width);
    if (diagonal || !(one || of_right)) return;
    T* other = one ? out.left.data() : out.right.data();
    scores.left().apply(tile.weights, tile.ld_weights, tile.nj, i0, tile.ni, true, other + j0 * width);
  });
  return out;
}

// grad_i = scale · sum_i; returns Σ_i f_i·sum_i, which is not finite where a sum is not.
template <class T, class S>
double write_rows(const ScoredFeatures<T>& f, const T* sums, double scale, View<S> grad) {
  double total = 0;
  for (index_t i = 0; i < grad.rows; ++i) {
    const T* sum = sums + i * f.width();
    total += kernels<T>().dot(f.row(i), sum, grad.cols);
    read_kernels<T, S>().combine(sum, scale, nullptr, 0, nullptr, 0, grad.cols, grad.row(i));
  }
  return total;
}

// grad_i = scale (Σ_j w_ij f_j − degree_i f_i), centred f; *total = the sum of f_i times what is scaled. False where
// the differences cancel too much.
template <class T, class S>
bool write_differences(const ScoreTiles<T>& scores, const WeightedFeatures<T>& products, double scale, View<S> grad,
                       double* total) {
  double minuend = 0, difference = 0;
  *total = 0;
  for (index_t i = 0; i < grad.rows; ++i) {
    const T *sum = products.left.data() + i * scores.left().width(), *f = scores.left().row(i);
    for (index_t c = 0; c < grad.cols; ++c) {
      const double own = products.degree[i] * static_cast<double>(f[c]), g = static_cast<double>(sum[c]) - own;
      minuend += own * own;
      difference += g * g;
      *total += static_cast<double>(f[c]) * g;
      grad.row(i)[c] = static_cast<S>(scale * g);
    }
  }
  return !(minuend > largest_cancellation_of_gradients<T, S> * difference);
}

// The gradients. False where they cancel too much, or overflow in float although their multiple by a small scale may
// not. of_scale: Σ_ij w_ij t_ij / scale.
template <class T, class S>
bool write(const Pairs<S>& pairs, const ScoreTiles<T>& scores, const WeightedFeatures<T>& products, View<S> left,
           View<S> right, double* of_scale) {
  const double scale = pairs.scale * products.unit;
  double total = 0, other = 0;
  bool kept_digits = true;
  if (pairs.distances && !scores.by_differences()) {
    kept_digits = write_differences(scores, products, scale, left, &total);
  } else {
    total = write_rows(scores.left(), products.left.data(), scale, left);
  }
  if (right.data) other = write_rows(scores.right(), products.right.data(), scale, right);
  *of_scale = products.unit * (scores.one_set() ? 0.5 * total : total);
  return kept_digits && (sizeof(T) == 8 || std::isfinite(total + other));
}

// gradient(scores) returns whether its sums kept their digits; if not, it is called again with more care.
template <class S, class Gradient>
void with_enough_care(const Pairs<S>& pairs, PairForm form, Care care, KeptScores<S> kept, Gradient&& gradient) {
  for (bool done = false; !done;) {
    Care next = care;
    with_scores(pairs, form, care, true, kept, [&](const auto& scores) {
      using T = std::decay_t<decltype(*scores.left().row(0))>;
      done = gradient(scores) || care == Care::differences;
      next = sizeof(T) == 4 ? Care::wide : Care::differences;
      done = done || (next == Care::differences && !few_pairs(pairs.left.rows, pairs.left.cols));
    });
    care = next;
  }
}

// The sums that the gradient of Σ_i a_i rows_i + Σ_j b_j cols_j is made of, for log-sums `rows` and `cols` (null with
// b).
template <class T>
WeightedFeatures<T> products_of_log_sums(const ScoreTiles<T>& scores, const double* rows, const double* cols,
                                         const double* a, const double* b, bool of_right) {
  const index_t n = scores.left().size(), k = scores.right().size();
  const double unit = unit_of_weights<T>(a, n, b, k);
  PairWeighting<T> of_rows, of_cols;
  of_rows.logarithms(n, rows, a, unit);
  const PairWeighting<T>* other = scores.one_set() ? &of_rows : nullptr;
  if (b != nullptr) {
    of_cols.logarithms(k, cols, b, unit);
    other = &of_cols;
  }
  return weighted_products(scores, PairForm::exponential, unit, of_rows, other, of_right);
}

}  // namespace alphacl
