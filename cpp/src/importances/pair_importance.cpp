// Importances α_ij = a_i ψ'(offset_i − scale · ½‖f_i − f_j‖²): those of pair losses, and the square-regularised one.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "alphacl/pair_sums.h"
#include "importances/tiled.h"
#include "packing/samples.h"
#include "packing/scored_features.h"

namespace alphacl {
namespace {

struct Slope {
  double scale;
  PairForm form;
};

// Offset and weight of every row: α_ij = a_i ψ'(low_i + (high_i + t_ij)).
struct Weights {
  std::vector<double> high, low, a;
  bool of_settled = false;  // the offsets were found from settled distances, and have to meet the same ones

  explicit Weights(index_t n) : high(index(n)), low(index(n)), a(index(n)) {}
  Weights(const double* offset, const double* weight, index_t n)
      : high(offset, offset + n), low(index(n)), a(weight, weight + n) {}

  Weights restricted(const index_t* rows, index_t n) const {
    Weights part(n);
    for (std::size_t i = 0; i < index(n); ++i) {
      part.high[i] = high[index(rows[i])];
      part.low[i] = low[index(rows[i])];
      part.a[i] = a[index(rows[i])];
    }
    part.of_settled = of_settled;
    return part;
  }

 private:
  static std::size_t index(index_t i) { return static_cast<std::size_t>(i); }
};

// Packed features with the offsets and weights of their rows, in the type S of the scores.
template <class S>
struct WeightedRows {
  ScoredFeatures<S> side;
  Buffer<S> at, low, weight;

  template <class F>
  void fill(View<const F> f, const double* mean, Scoring scoring, const Slope& slope, const Weights& weights) {
    side.fill(f, mean, scoring, {true, false});
    at.resize(f.rows);
    low.resize(f.rows);
    weight.resize(f.rows);
    for (index_t i = 0; i < f.rows; ++i) {
      const std::size_t k = static_cast<std::size_t>(i);
      const double o = weights.high[k], w = weights.a[k];
      at[i] = static_cast<S>(o);
      low[i] = static_cast<S>(weights.low[k]);
      weight[i] = static_cast<S>(w);
      if (slope.form != PairForm::exponential) continue;
      // For e^x the tile subtracts a logarithm, −offset rounded to S. The rounding goes into the weight.
      at[i] = static_cast<S>(-o);
      weight[i] = std::isfinite(o) ? static_cast<S>(w * std::exp(static_cast<double>(at[i]) + o)) : S(0);
      if (!std::isfinite(o)) at[i] = std::isnan(o) ? at[i] : S(0);
      if (std::isnan(o)) weight[i] = at[i];
    }
  }
};

template <class T, class F>
class PairImportance final : public TiledImportance<T> {
 public:
  PairImportance(View<const F> features, const Slope& slope, Weights weights)
      : TiledImportance<T>(features.rows),
        features_(features),
        slope_(slope),
        weights_(std::move(weights)),
        mean_(static_cast<std::size_t>(features.cols)) {
    Buffer<double> row(features.cols);
    row_mean(features, mean_.data());
    double largest = 0;
    for (index_t i = 0; i < features.rows; ++i) {
      read_kernels<double, F>().center_row(features.row(i), mean_.data(), features.cols, row.data());
      const double square = kernels<double>().dot(row.data(), row.data(), features.cols);
      finite_ = finite_ && std::isfinite(square);
      largest = std::max(largest, square);
    }
    Precision precision = distance_precision<T>(largest, slope.scale, features.cols);
    if (has_kink(slope.form)) {
      precision.wide = true;
      if (weights_.of_settled || precision.scoring != Scoring::differences) precision.scoring = Scoring::settled;
    }
    wide_ = sizeof(T) == 4 && precision.wide;
    scoring_ = precision.scoring;
    fill();
    if (wide_ || scoring_ != Scoring::near) return;
    precision = measured_precision(precision, in_t_.side, slope.scale, all_workers);
    wide_ = sizeof(T) == 4 && precision.wide;
    scoring_ = precision.scoring;
    if (!precision.wide) return;
    in_t_ = {};
    fill();
  }

  std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const override {
    return std::unique_ptr<Importance<T>>(new PairImportance(*this, rows, n));
  }

  std::unique_ptr<Importance<double>> widened() const override {
    return std::make_unique<PairImportance<double, F>>(features_, slope_, weights_);
  }

 protected:
  void tile(const Tile& w, T* out, index_t ld, TileScratch<T>& scratch) const override {
    make(w, {out, ld, -w.ni, false}, {}, scratch);
  }
  bool half_tile(const Tile& w, T* out, index_t ld, const TileSums<T>& sums, TileScratch<T>& scratch) const override {
    make(w, {out, ld, w.i0 - w.j0 + 1, true}, sums, scratch);
    for (index_t i = 0; sums.probe != nullptr && i < w.ni; ++i)
      sums.probed[w.i0 + i] += kernels<T>().dot(out + i * ld, sums.probe + w.j0, w.nj);
    return true;
  }
  bool symmetric() const override { return false; }
  bool nonnegative() const override {
    return std::all_of(weights_.a.begin(), weights_.a.end(), [](double a) { return a >= 0; });
  }
  bool keeps_row_sums() const override { return true; }
  void row_sums_of(index_t begin, index_t end, const double*, double* row_sum) const override {
    // With N = 1 no tile is made.
    if (!finite_) std::fill(row_sum + begin, row_sum + end, std::numeric_limits<double>::quiet_NaN());
  }

 private:
  // Part of `whole`, centred and scored like it: every α_ij has the same bits, and cancels what the degrees of the
  // whole are sums of. Its own widened() would be centred anew: widen the whole.
  PairImportance(const PairImportance& whole, const index_t* rows, index_t n)
      : TiledImportance<T>(n),
        slope_(whole.slope_),
        weights_(whole.weights_.restricted(rows, n)),
        mean_(whole.mean_),
        scoring_(whole.scoring_),
        finite_(whole.finite_),
        wide_(whole.wide_),
        part_(n * whole.features_.cols) {
    const index_t m = whole.features_.cols;
    for (index_t i = 0; i < n; ++i) std::copy_n(whole.features_.row(rows[i]), m, part_.data() + i * m);
    features_ = {part_.data(), n, m, m};
    fill();
  }

  void fill() {
    if (wide_) {
      in_double_.fill(features_, mean_.data(), scoring_, slope_, weights_);
    } else {
      in_t_.fill(features_, mean_.data(), scoring_, slope_, weights_);
    }
  }

  void make(const Tile& w, const TileOut<T>& out, const TileSums<T>& sums, TileScratch<T>& scratch) const {
    if (wide_) {
      fill_tile(in_double_, w, out, sums, scratch.wide);
    } else {
      fill_tile(in_t_, w, out, sums, scratch.narrow);
    }
  }

  template <class S>
  void fill_tile(const WeightedRows<S>& rows, const Tile& w, const TileOut<T>& out, const TileSums<T>& sums,
                 Buffer<S>& scratch) const {
    // Panels begin at multiples of their width: the product starts `lead` columns early.
    const index_t panel = kernels<S>().panel, lead = w.j0 % panel;
    const index_t stride = ceil_div(w.nj + lead, panel) * panel + 16;
    scratch.resize(w.ni * stride + 4 * w.nj);
    rows.side.products(w.i0, w.ni, rows.side, w.j0 - lead, w.nj + lead, scratch.data(), stride);
    PairTile<S> tile;
    tile.tile = tile.weights = scratch.data() + lead;
    tile.ld = tile.ld_weights = stride;
    tile.scored = false;
    tile.ni = w.ni;
    tile.nj = w.nj;
    tile.half_i = rows.side.half(w.i0);
    tile.half_j = rows.side.half(w.j0);
    tile.scale = static_cast<S>(slope_.scale);
    tile.ceiling = S(0);
    std::fill_n(tile.skip, 3, w.i0 - w.j0);
    tile.first = out.first;
    tile.form = slope_.form;
    tile.scratch = scratch.data() + w.ni * stride;
    tile.given_i = rows.side.settled_from(scoring_, w.i0);
    tile.given_j = rows.side.settled_from(scoring_, w.j0);
    tile.features = rows.side.features();
    tile.doubt = static_cast<S>(doubt_of<F>(scoring_, slope_.form == PairForm::hinge));
    PairWeights<S> weights{};
    weights.row = rows.at.data() + w.i0;
    weights.row_low = rows.low.data() + w.i0;
    weights.row_weight = rows.weight.data() + w.i0;
    // Always there: distances near the kink of either sample are settled, so that an entry has the same bits in every
    // tile.
    weights.col = rows.at.data() + w.j0;
    weights.col_low = rows.low.data() + w.j0;
    if (out.both) weights.col_weight = rows.weight.data() + w.j0;
    if (sums.degree != nullptr) {
      weights.sum_i = sums.degree + w.i0;
      weights.sum_j = sums.degree + w.j0;
      weights.own_i = sums.row_sum + w.i0;
      weights.own_j = sums.row_sum + w.j0;
    }
    pair_kernels<S>().weights(tile, weights);
    for (index_t i = 0; i < w.ni; ++i)
      for (index_t j = 0; j < w.nj; ++j) out.data[i * out.ld + j] = static_cast<T>(tile.weights[i * stride + j]);
  }

  View<const F> features_;
  Slope slope_;
  Weights weights_;
  std::vector<double> mean_;
  Scoring scoring_;
  bool finite_ = true, wide_ = false;
  WeightedRows<T> in_t_;
  WeightedRows<double> in_double_;
  Buffer<F> part_;  // the features of a part
};

// The threshold μ = least + above, `least` being the least q of the row: so nothing cancels for small τ.
struct Threshold {
  double least, above;
};

// μ with Σ_j [μ − q_j]₊ = τ, by Michelot's active sets: q_j ≥ μ are dropped until none is left to drop. Overwrites q.
Threshold threshold(double* q, index_t n, double tau) {
  double least = std::numeric_limits<double>::infinity();
  for (index_t j = 0; j < n; ++j) {
    if (std::isnan(q[j])) return {q[j], q[j]};
    least = std::min(least, q[j]);
  }
  // μ ≤ least + τ, so q_j beyond that take no part.
  index_t active = 0;
  for (index_t j = 0; j < n; ++j)
    if (q[j] - least < tau) q[active++] = q[j] - least;
  for (;;) {
    double sum = tau;
    for (index_t j = 0; j < active; ++j) sum += q[j];
    const double mu = sum / static_cast<double>(active);
    index_t kept = 0;
    for (index_t j = 0; j < active; ++j)
      if (q[j] < mu) q[kept++] = q[j];
    if (kept == active || kept == 0) return {least, mu};
    active = kept;
  }
}

// The threshold of sample i. row: its products with all n samples, overwritten. scratch: n.
Threshold threshold_of(const ScoredFeatures<double>& side, index_t i, double tau, double doubt, double* row,
                       double* scratch) {
  const index_t n = side.size();
  if (n == 1) return {0, 0};
  const double half = *side.half(i);
  for (index_t j = 0; j < n; ++j) {
    const double square = (half + *side.half(j)) - row[j];
    row[j] = square < 0 ? 0 : square;
  }
  std::copy_n(row, n, scratch);
  scratch[i] = scratch[n - 1];  // the sample itself is no partner
  const Threshold near = threshold(scratch, n - 1, tau);
  const double mu = near.least + near.above;
  // The tiles compute distances near μ from differences, so μ must be that of these distances. Further ones take no
  // part.
  index_t count = 0;
  for (index_t j = 0; j < n; ++j) {
    const double above = row[j] - mu, within = doubt * (half + *side.half(j));
    if (j == i || above >= within) continue;
    scratch[count++] =
        above > -within ? difference_kernels().half_square(side.given(i), side.given(j), side.features()) : row[j];
  }
  return threshold(scratch, count, tau);
}

template <class S>
Weights simplex_weights(View<const S> f, double tau) {
  const index_t n = f.rows;
  Buffer<double> mean(f.cols);
  row_mean(f, mean.data());
  ScoredFeatures<double> side;
  side.fill(f, mean.data(), Scoring::settled, {true, false});
  const index_t stride = ceil_div(n, 64) * 64, height = std::clamp<index_t>((index_t{1} << 18) / stride, 1, 64);
  Weights weights(n);
  weights.of_settled = true;
  PerWorker<Buffer<double>> rows;
  parallel_for(ceil_div(n, height), [&](index_t b, int worker) {
    Buffer<double>& q = rows[worker];
    q.resize((height + 1) * stride);
    const index_t i0 = b * height, ni = std::min(height, n - i0);
    side.products(i0, ni, side, 0, n, q.data(), stride);
    for (index_t i = 0; i < ni; ++i) {
      const std::size_t k = static_cast<std::size_t>(i0 + i);
      const Threshold mu =
          threshold_of(side, i0 + i, tau, kink_doubt<S>, q.data() + i * stride, q.data() + height * stride);
      weights.high[k] = mu.least;
      weights.low[k] = mu.above;
      weights.a[k] = 1 / tau;
    }
  });
  return weights;
}

}  // namespace

template <class T, class S>
std::unique_ptr<Importance<T>> pair_importance(View<const S> f, double scale, PairForm form, const double* offset,
                                               const double* a) {
  return std::make_unique<PairImportance<T, S>>(f, Slope{scale, form}, Weights(offset, a, f.rows));
}

template <class T, class S>
std::unique_ptr<Importance<T>> simplex_importance(View<const S> f, double tau) {
  // [μ − d²]₊ is the slope of ½[·]₊².
  return std::make_unique<PairImportance<T, S>>(f, Slope{1, PairForm::square}, simplex_weights(f, tau));
}

#define ALPHACL_PAIR_IMPORTANCE(T, S)                                                                           \
  template std::unique_ptr<Importance<T>> pair_importance<T, S>(View<const S>, double, PairForm, const double*, \
                                                                const double*);                                 \
  template std::unique_ptr<Importance<T>> simplex_importance<T, S>(View<const S>, double);
ALPHACL_PAIR_IMPORTANCE(float, float)
ALPHACL_PAIR_IMPORTANCE(double, double)
#undef ALPHACL_PAIR_IMPORTANCE

}  // namespace alphacl
