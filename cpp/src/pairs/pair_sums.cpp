// Sums over pairs of ψ of their score, and their gradients.
#include "alphacl/pair_sums.h"

#include <cmath>
#include <limits>

#include "alphacl/precision.h"
#include "packing/samples.h"
#include "packing/scored_features.h"

namespace alphacl {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// The tiles of scores of one problem, computed in T.
template <class T>
class ScoreTiles {
 public:
  template <class S>
  ScoreTiles(const Pairs<S>& pairs, const double* shift, Scoring scoring, double doubt, bool products)
      : scale_(static_cast<T>(pairs.scale)),
        ceiling_(pairs.distances ? T(0) : static_cast<T>(inf)),
        doubt_(static_cast<T>(doubt)),
        scoring_(scoring),
        one_set_(pairs.right.data == nullptr),
        skip_(pairs.skip_diagonal) {
    left_.fill(pairs.left, shift, scoring, products);
    if (!one_set_) right_.fill(pairs.right, nullptr, Scoring::products, products);
  }

  const ScoredFeatures<T>& left() const { return left_; }
  const ScoredFeatures<T>& right() const { return one_set_ ? left_ : right_; }
  bool one_set() const { return one_set_; }
  /// Whether scores and sums come from f_i − f_j, with the features as given.
  bool by_differences() const { return scoring_ == Scoring::differences; }

  struct Work {
    Buffer<T> tile, scratch;
  };

  /// body(tile, i0, j0) for every tile of scores, those of a round in parallel. One set: of two mirrored tiles one is
  /// made; tiles on the diagonal are whole.
  template <class Body>
  void for_tiles(PairForm form, Body&& body) const {
    const index_t n = left_.size(), k = right().size();
    const index_t height = pair_block(n), width = pair_block(k);
    PerWorker<Work> works;
    for_block_pairs(ceil_div(n, height), one_set_ ? 0 : ceil_div(k, width), [&](const BlockPair& pair, int worker) {
      Work& work = works[worker];
      work.tile.resize(most_pair_block * pair_stride);
      work.scratch.resize(4 * most_pair_block);
      const index_t i0 = pair.left * height, ni = std::min(height, n - i0);
      const index_t j0 = pair.right * width, nj = std::min(width, k - j0);
      left_.products(i0, ni, right(), j0, nj, work.tile.data(), pair_stride);
      PairTile<T> tile;
      tile.tile = work.tile.data();
      tile.ld = pair_stride;
      tile.ni = ni;
      tile.nj = nj;
      tile.half_i = left_.half(i0);
      tile.half_j = right().half(j0);
      tile.scale = scale_;
      tile.ceiling = ceiling_;
      const index_t diagonal = i0 - j0, half = n / 2;
      tile.skip[0] = one_set_ || skip_ ? diagonal : nj;
      tile.skip[1] = one_set_ && skip_ ? diagonal + half : tile.skip[0];
      tile.skip[2] = one_set_ && skip_ ? diagonal - half : tile.skip[0];
      tile.first = -ni;
      tile.form = form;
      tile.scratch = work.scratch.data();
      const bool settled = scoring_ == Scoring::settled;
      tile.given_i = settled ? left_.given(i0) : nullptr;
      tile.given_j = settled ? left_.given(j0) : nullptr;
      tile.features = left_.features();
      tile.doubt = doubt_;
      body(tile, i0, j0);
    });
  }

 private:
  T scale_, ceiling_, doubt_;
  Scoring scoring_;
  bool one_set_, skip_;
  ScoredFeatures<T> left_, right_;
};

// Offsets and weights of the rows (or columns): a pair weighs weight_i ψ'(at_i + t_ij), for e^x weight_i e^(t_ij −
// at_i).
template <class T>
struct PairWeighting {
  Buffer<T> at, weight;
  Buffer<T> low;                   // the rounding error of `at`: offset − at
  Buffer<T> relative;              // weight of e^(t − highest of its block)
  Buffer<double> highest, lowest;  // the largest and least `at` of each block

  void logarithms(index_t n, const double* lse, const double* a) {
    const index_t height = pair_block(n), blocks = ceil_div(n, height);
    at.resize(n);
    weight.resize(n);
    relative.resize(n);
    highest.resize(blocks);
    lowest.resize(blocks);
    for (index_t b = 0; b < blocks; ++b) {
      double top = -inf, bottom = inf;
      for (index_t i = b * height; i < std::min(n, (b + 1) * height); ++i) {
        if (!std::isfinite(lse[i])) continue;
        top = std::max(top, lse[i]);
        bottom = std::min(bottom, lse[i]);
      }
      top = top == -inf ? 0 : static_cast<double>(static_cast<T>(top));
      highest[b] = top;
      lowest[b] = std::min(bottom, top);
      for (index_t i = b * height; i < std::min(n, (b + 1) * height); ++i) {
        // A sample without partners has the logarithm −inf: no pair to weigh.
        const double own = lse[i] == -inf ? top : lse[i], w = lse[i] == -inf ? 0 : a[i];
        at[i] = static_cast<T>(own);
        weight[i] = static_cast<T>(w * std::exp(static_cast<double>(at[i]) - own));
        relative[i] = static_cast<T>(w * std::exp(top - own));
      }
    }
  }

  void offsets(index_t n, const double* offset, const double* a) {
    at.resize(n);
    low.resize(n);
    weight.resize(n);
    for (index_t i = 0; i < n; ++i) {
      at[i] = static_cast<T>(offset[i]);
      low[i] = static_cast<T>(offset[i] - static_cast<double>(at[i]));
      weight[i] = static_cast<T>(a[i]);
    }
  }
};

// One e^(t − shift) serves rows and columns of a tile where their logarithms differ by at most this.
template <class T>
constexpr double widest_shared = sizeof(T) == 4 ? 60 : 600;

/// Sums over pairs of weights w_ij times features.
template <class T>
struct WeightedFeatures {
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
      const T w = transposed ? tile.tile[j * tile.ld + i] : tile.tile[i * tile.ld + j];
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
WeightedFeatures<T> weighted_products(const ScoreTiles<T>& scores, PairForm form, const PairWeighting<T>& rows,
                                      const PairWeighting<T>* cols) {
  const index_t n = scores.left().size(), k = scores.right().size();
  const index_t width = scores.left().width();
  const bool one = scores.one_set(), exponential = form == PairForm::exponential;
  WeightedFeatures<T> out;
  out.left = Buffer<T>(n * width, T(0));
  if (!one) out.right = Buffer<T>(k * width, T(0));
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
    scores.right().apply(tile.tile, tile.ld, tile.ni, j0, tile.nj, false, out.left.data() + i0 * width);
    if (diagonal) return;
    T* other = one ? out.left.data() : out.right.data();
    scores.left().apply(tile.tile, tile.ld, tile.nj, i0, tile.ni, true, other + j0 * width);
  });
  return out;
}

template <class T>
void log_sums(const ScoreTiles<T>& scores, double* rows, double* cols) {
  const index_t n = scores.left().size(), k = scores.right().size();
  const T lowest = -static_cast<T>(inf);
  const bool one = scores.one_set();
  Buffer<T> peak(n, lowest), col_peak(cols ? k : 0, lowest);
  Buffer<double> sum(n, 0.0), col_sum(cols ? k : 0, 0.0);
  scores.for_tiles(PairForm::exponential, [&](const PairTile<T>& tile, index_t i0, index_t j0) {
    PairLogSums<T> out = {peak.data() + i0, nullptr, sum.data() + i0, nullptr};
    if (one && i0 != j0) {
      out.col_peak = peak.data() + j0;
      out.col_sum = sum.data() + j0;
    } else if (cols) {
      out.col_peak = col_peak.data() + j0;
      out.col_sum = col_sum.data() + j0;
    }
    pair_kernels<T>().log_sums(tile, out);
  });
  // log 0 of a sample without partners is −inf.
  const auto logarithm = [](T top, double of) { return of == 0 ? -inf : static_cast<double>(top) + std::log(of); };
  for (index_t i = 0; i < n; ++i) rows[i] = logarithm(peak[i], sum[i]);
  for (index_t j = 0; cols && j < k; ++j) cols[j] = logarithm(col_peak[j], col_sum[j]);
}

template <class T>
void sums(const ScoreTiles<T>& scores, PairForm form, const double* offset, double* rows) {
  const index_t n = scores.left().size();
  const bool one = scores.one_set();
  Buffer<T> at(n);
  for (index_t i = 0; i < n; ++i) {
    at[i] = static_cast<T>(offset[i]);
    rows[i] = 0;
  }
  scores.for_tiles(form, [&](const PairTile<T>& tile, index_t i0, index_t j0) {
    PairSums<T> out = {at.data() + i0, nullptr, rows + i0, nullptr};
    if (one && i0 != j0) {
      out.col = at.data() + j0;
      out.col_sum = rows + j0;
    }
    pair_kernels<T>().sums(tile, out);
  });
}

struct Spread {
  Buffer<double> mean;
  double largest;  // the largest ‖f − mean‖²
};

template <class S>
Spread spread(View<const S> f) {
  Spread found = {Buffer<double>(f.cols), 0};
  row_mean(f, found.mean.data());
  Buffer<double> row(f.cols);
  for (index_t i = 0; i < f.rows; ++i) {
    read_kernels<double, S>().center_row(f.row(i), found.mean.data(), f.cols, row.data());
    found.largest = std::max(found.largest, kernels<double>().dot(row.data(), row.data(), f.cols));
  }
  return found;
}

// How rounding is met. usual: as the scores require. wide: all in double. settled: distances near a kink from
// differences. differences: all from differences.
enum class Care { usual, wide, settled, differences };

// wide where float would round an offset too much, else usual.
template <class S>
Care care_of(const double* offset, index_t n) {
  double largest = 0;
  for (index_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(offset[i]));
  return offset_precision<S>(largest) ? Care::wide : Care::usual;
}

// The largest ‖f‖; inf where float cannot hold it.
template <class S>
double longest(View<const S> f) {
  const index_t chunk = 1024, chunks = ceil_div(f.rows, chunk);
  Buffer<double> squares(chunks, 0.0);
  parallel_for(chunks, [&](index_t c, int) {
    for (index_t i = c * chunk; i < std::min(f.rows, (c + 1) * chunk); ++i)
      squares[c] = std::max(squares[c], kernels<S>().dot(f.row(i), f.row(i), f.cols));
  });
  return std::sqrt(*std::max_element(squares.data(), squares.data() + chunks));
}

// Calls body with tiles of scores in a type that is exact enough. gradient: features are packed for products too.
template <class S, class Body>
void with_scores(const Pairs<S>& pairs, PairForm form, Care care, bool gradient, Body&& body) {
  Spread centre{Buffer<double>(), 0};
  Precision precision = {care != Care::usual || has_kink(form), Scoring::products};
  if (pairs.distances) {
    centre = spread(pairs.left);
    if (has_kink(form)) {
      precision.scoring = care == Care::settled ? Scoring::settled : Scoring::distances;
    } else {
      const Precision enough = distance_precision<S>(centre.largest, pairs.scale);
      precision = {precision.wide || enough.wide, enough.scoring};
    }
    if (care == Care::differences) precision.scoring = Scoring::differences;
  } else if (sizeof(S) == 4 && !precision.wide) {
    const double left = longest(pairs.left), right = pairs.right.data ? longest(pairs.right) : left;
    precision.wide = product_precision<S>(left, right, pairs.scale);
  }
  const double* mean = pairs.distances ? centre.mean.data() : nullptr;
  const double doubt = gradient && form == PairForm::hinge ? side_doubt : kink_doubt<S>;
  if (precision.wide || !std::isfinite(static_cast<float>(pairs.scale))) {
    body(ScoreTiles<double>(pairs, mean, precision.scoring, doubt, gradient));
  } else {
    body(ScoreTiles<S>(pairs, mean, precision.scoring, doubt, gradient));
  }
}

// grad_i = scale (Σ_j w_ij f_j − degree_i f_i), centred f. False where the sums cancel too much, or overflow in float
// although their multiple by a small scale may not. of_scale: Σ_ij w_ij t_ij / scale.
template <class T, class S>
bool write(const Pairs<S>& pairs, const ScoreTiles<T>& scores, const WeightedFeatures<T>& products, View<S> left,
           View<S> right, double* of_scale) {
  const index_t m = left.cols, width = scores.left().width();
  double minuend = 0, difference = 0, total = 0, poison = 0;
  for (index_t i = 0; i < left.rows; ++i) {
    const T *sum = products.left.data() + i * width, *f = scores.left().row(i);
    const double degree = pairs.distances && !scores.by_differences() ? products.degree[i] : 0;
    for (index_t c = 0; c < m; ++c) {
      const double own = degree * static_cast<double>(f[c]), g = static_cast<double>(sum[c]) - own;
      minuend += own * own;
      difference += g * g;
      total += static_cast<double>(f[c]) * g;
      left.row(i)[c] = static_cast<S>(pairs.scale * g);
    }
  }
  for (index_t j = 0; right.data && j < right.rows; ++j)
    for (index_t c = 0; c < m; ++c) {
      const double g = static_cast<double>(products.right[j * width + c]);
      poison += g - g;
      right.row(j)[c] = static_cast<S>(pairs.scale * g);
    }
  *of_scale = scores.one_set() ? 0.5 * total : total;
  if (sizeof(T) == 4 && !std::isfinite(difference + poison)) return false;
  return !(minuend > largest_cancellation_of_gradients<T, S> * difference);
}

// gradient(scores) returns whether its sums kept their digits; if not, it is called again with more care.
template <class S, class Gradient>
void with_enough_care(const Pairs<S>& pairs, PairForm form, Care care, Gradient&& gradient) {
  for (bool done = false; !done;) {
    Care next = care;
    with_scores(pairs, form, care, true, [&](const auto& scores) {
      using T = std::decay_t<decltype(*scores.left().row(0))>;
      done = gradient(scores) || care == Care::differences;
      next = sizeof(T) == 4 ? Care::wide : Care::differences;
      done = done || (next == Care::differences && !few_pairs(pairs.left.rows, pairs.left.cols));
    });
    care = next;
  }
}

// Whether the sums of [offset − d²]₊ are all so small that the errors of products show.
template <class S, class T>
bool too_small(const Pairs<S>& pairs, const ScoreTiles<T>& scores, const double* rows) {
  const index_t n = scores.left().size();
  double halves = 0, errors = 0, squares = 0;
  for (index_t i = 0; i < n; ++i) halves += static_cast<double>(*scores.left().half(i));
  for (index_t i = 0; i < n; ++i) {
    const double error = static_cast<double>(n) * static_cast<double>(*scores.left().half(i)) + halves;
    errors += error * error;
    squares += rows[i] * rows[i];
  }
  return kink_doubt<S> * std::abs(pairs.scale) * std::sqrt(errors) > std::sqrt(squares);
}

}  // namespace

template <class S>
void pair_log_sums(const Pairs<S>& pairs, double* rows, double* cols) {
  with_scores(pairs, PairForm::exponential, Care::usual, false,
              [&](const auto& scores) { log_sums(scores, rows, cols); });
}

template <class S>
void pair_sums(const Pairs<S>& pairs, PairForm form, const double* offset, double* rows) {
  const bool squared = form == PairForm::square, kink = has_kink(form);
  const Care care = squared ? Care::settled : care_of<S>(offset, pairs.left.rows);
  bool again = false;
  with_scores(pairs, form, care, false, [&](const auto& scores) {
    sums(scores, form, offset, rows);
    again = kink && !squared && pairs.distances && too_small(pairs, scores, rows);
  });
  if (!again) return;
  with_scores(pairs, form, Care::settled, false, [&](const auto& scores) { sums(scores, form, offset, rows); });
}

template <class S>
double pair_log_sums_gradient(const Pairs<S>& pairs, const double* rows, const double* cols, const double* a,
                              const double* b, View<S> left, View<S> right) {
  double of_scale = 0;
  with_enough_care(pairs, PairForm::exponential, Care::usual, [&](const auto& scores) {
    using T = std::decay_t<decltype(*scores.left().row(0))>;
    PairWeighting<T> of_rows, of_cols;
    of_rows.logarithms(scores.left().size(), rows, a);
    const PairWeighting<T>* other = scores.one_set() ? &of_rows : nullptr;
    if (b != nullptr) {
      of_cols.logarithms(scores.right().size(), cols, b);
      other = &of_cols;
    }
    const WeightedFeatures<T> products = weighted_products(scores, PairForm::exponential, of_rows, other);
    return write(pairs, scores, products, left, right, &of_scale);
  });
  return of_scale;
}

template <class S>
double pair_sums_gradient(const Pairs<S>& pairs, PairForm form, const double* offset, const double* a, View<S> left,
                          View<S> right, double* offsets) {
  double of_scale = 0;
  const Care care = has_kink(form) ? Care::settled : care_of<S>(offset, pairs.left.rows);
  with_enough_care(pairs, form, care, [&](const auto& scores) {
    using T = std::decay_t<decltype(*scores.left().row(0))>;
    PairWeighting<T> side;
    side.offsets(scores.left().size(), offset, a);
    const WeightedFeatures<T> products = weighted_products(scores, form, side, scores.one_set() ? &side : nullptr);
    std::copy_n(products.own.data(), scores.left().size(), offsets);
    return write(pairs, scores, products, left, right, &of_scale);
  });
  return of_scale;
}

#define ALPHACL_PAIRS(S)                                                                                           \
  template void pair_log_sums<S>(const Pairs<S>&, double*, double*);                                               \
  template double pair_log_sums_gradient<S>(const Pairs<S>&, const double*, const double*, const double*,          \
                                            const double*, View<S>, View<S>);                                      \
  template void pair_sums<S>(const Pairs<S>&, PairForm, const double*, double*);                                   \
  template double pair_sums_gradient<S>(const Pairs<S>&, PairForm, const double*, const double*, View<S>, View<S>, \
                                        double*);
ALPHACL_PAIRS(float)
ALPHACL_PAIRS(double)
#undef ALPHACL_PAIRS

}  // namespace alphacl
