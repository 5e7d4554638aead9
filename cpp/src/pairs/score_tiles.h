// Tiles of the scores of pairs, in a type that is exact enough.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "alphacl/pair_sums.h"
#include "alphacl/precision.h"
#include "packing/block_pairs.h"
#include "packing/samples.h"
#include "packing/scored_features.h"

namespace alphacl {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Scores between one pass over the tiles and the next: memory for kept_scores() of them, which the first pass fills.
// Null: every pass computes them.
template <class T>
struct KeptScores {
  T* scores = nullptr;
  bool filled = false;
};

// How many threads the pairs are worth.
template <class S>
index_t workers_for(const Pairs<S>& pairs) {
  const double n = static_cast<double>(pairs.left.rows);
  const double count = pairs.right.data == nullptr ? n * n / 2 : n * static_cast<double>(pairs.right.rows);
  return workers_for(count, pairs.left.cols);
}

// The tiles of scores of one problem, computed in T.
template <class T>
class ScoreTiles {
 public:
  template <class S>
  ScoreTiles(const Pairs<S>& pairs, const double* shift, Scoring scoring, double doubt, bool products,
             KeptScores<T> kept)
      : scale_(static_cast<T>(pairs.scale)),
        ceiling_(pairs.distances ? T(0) : static_cast<T>(infinity)),
        doubt_(static_cast<T>(doubt)),
        scoring_(scoring),
        one_set_(pairs.right.data == nullptr),
        skip_(pairs.skip_diagonal),
        workers_(workers_for(pairs)),
        kept_(kept) {
    const FeaturesFor use = {!kept.filled, products};
    left_.fill(pairs.left, shift, scoring, use, workers_);
    if (!one_set_) right_.fill(pairs.right, nullptr, Scoring::products, use, workers_);
  }

  /// Replaces the scoring by what it turns out to be for these features; false where these tiles cannot have it.
  bool measure(double scale, Precision* precision) {
    *precision = measured_precision(*precision, left_, scale, workers_);
    scoring_ = precision->scoring;
    return !precision->wide;
  }
  /// Whether a pass over the tiles leaves, or has found, their scores in the memory for them.
  bool keeps_scores() const { return kept_.scores != nullptr; }
  const ScoredFeatures<T>& left() const { return left_; }
  const ScoredFeatures<T>& right() const { return one_set_ ? left_ : right_; }
  bool one_set() const { return one_set_; }
  /// Whether scores and sums come from f_i − f_j, with the features as given.
  bool by_differences() const { return scoring_ == Scoring::differences; }

  struct Work {
    Buffer<T> tile, scratch;
  };

  /// body(tile, i0, j0) for every tile of scores, in parallel, those of a row or a column of tiles in turn. One set: of
  /// two mirrored tiles one is made; tiles on the diagonal are whole. What the body writes into a tile whose scores are
  /// kept stays there.
  template <class Body>
  void for_tiles(PairForm form, Body&& body) const {
    const index_t n = left_.size(), k = right().size();
    const index_t height = pair_block(n), width = pair_block(k), columns = ceil_div(k, width);
    const index_t stride = pair_stride(width);
    PerWorker<Work> works;
    const auto of_blocks = [&](const BlockPair& pair, int worker) {
      Work& work = works[worker];
      work.tile.resize(height * stride);
      work.scratch.resize(4 * width);
      const index_t i0 = pair.left * height, ni = std::min(height, n - i0);
      const index_t j0 = pair.right * width, nj = std::min(width, k - j0);
      PairTile<T> tile;
      tile.tile = tile.weights = work.tile.data();
      tile.ld = tile.ld_weights = stride;
      tile.scored = kept_.filled;
      if (kept_.scores != nullptr) {
        const index_t before =
            one_set_ ? pair.right * (pair.right + 1) / 2 + pair.left : pair.left * columns + pair.right;
        tile.tile = kept_.scores + before * height * stride;
      }
      if (!tile.scored) left_.products(i0, ni, right(), j0, nj, tile.tile, tile.ld);
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
      tile.given_i = left_.settled_from(scoring_, i0);
      tile.given_j = left_.settled_from(scoring_, j0);
      tile.features = left_.features();
      tile.doubt = doubt_;
      body(tile, i0, j0);
    };
    for_block_pairs(ceil_div(n, height), one_set_ ? 0 : columns, workers_, of_blocks);
  }

 private:
  T scale_, ceiling_, doubt_;
  Scoring scoring_;
  bool one_set_, skip_;
  index_t workers_;
  KeptScores<T> kept_;
  ScoredFeatures<T> left_, right_;
};

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
double longest(View<const S> f, index_t workers) {
  const index_t chunk = 1024, chunks = ceil_div(f.rows, chunk);
  Buffer<double> squares(chunks, 0.0);
  const auto of_chunk = [&](index_t c, int) {
    for (index_t i = c * chunk; i < std::min(f.rows, (c + 1) * chunk); ++i)
      squares[c] = std::max(squares[c], kernels<S>().dot(f.row(i), f.row(i), f.cols));
  };
  parallel_for(chunks, of_chunk, workers);
  return std::sqrt(*std::max_element(squares.data(), squares.data() + chunks));
}

// Calls body with tiles of scores in a type that is exact enough. gradient: features are packed for products too. kept:
// used where the scores are of type S and from products as they come.
template <class S, class Body>
void with_scores(const Pairs<S>& pairs, PairForm form, Care care, bool gradient, KeptScores<S> kept, Body&& body) {
  Spread centre{Buffer<double>(), 0};
  Precision precision = {care != Care::usual || has_kink(form), Scoring::products};
  if (pairs.distances) {
    centre = spread(pairs.left);
    if (has_kink(form)) {
      precision.scoring = care == Care::settled ? Scoring::settled : Scoring::distances;
    } else {
      const Precision enough = distance_precision<S>(centre.largest, pairs.scale, pairs.left.cols);
      const bool more = sizeof(S) == 4 && precision.wide && !enough.wide;  // double makes up for what float would lose
      precision = {precision.wide || enough.wide, more ? Scoring::distances : enough.scoring};
    }
    if (care == Care::differences) precision.scoring = Scoring::differences;
  } else if (sizeof(S) == 4 && !precision.wide && !kept.filled) {  // kept scores are of type S
    const index_t workers = workers_for(pairs);
    const auto length = [&](View<const S> f) { return pairs.longest > 0 ? pairs.longest : longest(f, workers); };
    const double left = length(pairs.left), right = pairs.right.data ? length(pairs.right) : left;
    precision.wide = product_precision<S>(left, right, pairs.scale);
  }
  const double* mean = pairs.distances ? centre.mean.data() : nullptr;
  const double doubt = doubt_of<S>(precision.scoring, gradient && form == PairForm::hinge);
  if (!precision.wide && std::isfinite(static_cast<float>(pairs.scale))) {
    ScoreTiles<S> scores(pairs, mean, precision.scoring, doubt, gradient, kept);
    if (scores.measure(pairs.scale, &precision)) return body(scores);
  }
  body(ScoreTiles<double>(pairs, mean, precision.scoring, doubt, gradient, {}));
}

}  // namespace alphacl
