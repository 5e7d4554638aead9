// Importances a_i ψ'(offset_i − scale · ½‖f_i − f_j‖²): those of pair losses, and the square-regularised one.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "alphacl/pairs.h"
#include "alphacl/samples.h"
#include "pair_scores.h"
#include "tiled.h"

namespace alphacl {
namespace {

struct Kernel {
  double scale;
  PairForm form;
};

// Features and what weighs their rows, in the type S of the scores.
template <class S>
struct Rows {
  PairSide<S> side;
  Buffer<S> at, weight;

  template <class F>
  void fill(View<const F> f, const double* mean, Scoring scoring, const Kernel& kernel,
            const std::vector<double>& offset, const std::vector<double>& a) {
    side.fill(f, mean, scoring, false);
    at.resize(f.rows);
    weight.resize(f.rows);
    for (index_t i = 0; i < f.rows; ++i) {
      const double o = offset[static_cast<std::size_t>(i)], w = a[static_cast<std::size_t>(i)];
      at[i] = static_cast<S>(o);
      weight[i] = static_cast<S>(w);
      if (kernel.form != PairForm::exponential) continue;
      // The kernel subtracts logarithms. Their rounding goes into the weight.
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
  PairImportance(View<const F> features, const Kernel& kernel, std::vector<double> offset, std::vector<double> a)
      : TiledImportance<T>(features.rows),
        features_(features),
        kernel_(kernel),
        offset_(std::move(offset)),
        a_(std::move(a)) {
    Buffer<double> mean(features.cols), row(features.cols);
    row_mean(features, mean.data());
    double largest = 0;
    for (index_t i = 0; i < features.rows; ++i) {
      read_kernels<double, F>().center_row(features.row(i), mean.data(), features.cols, row.data());
      const double square = kernels<double>().dot(row.data(), row.data(), features.cols);
      finite_ = finite_ && std::isfinite(square);
      largest = std::max(largest, square);
    }
    // A step of ψ' asks for the side of the threshold that the truth is on.
    const Precision precision = distance_precision<T>(largest, kernel.scale);
    wide_ = sizeof(T) == 4 && (kernel.form == PairForm::hinge || precision.wide);
    if (wide_) {
      in_double_.fill(features, mean.data(), precision.scoring, kernel, offset_, a_);
    } else {
      in_t_.fill(features, mean.data(), precision.scoring, kernel, offset_, a_);
    }
  }

  std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const override {
    auto part = std::make_unique<Part>(n);
    std::vector<double> offset, a;
    for (index_t i = 0; i < n; ++i) {
      std::copy_n(features_.row(rows[i]), features_.cols, part->room(i, features_.cols));
      offset.push_back(offset_[static_cast<std::size_t>(rows[i])]);
      a.push_back(a_[static_cast<std::size_t>(rows[i])]);
    }
    const View<const F> view = {part->features.data(), n, features_.cols, features_.cols};
    auto made = std::make_unique<PairImportance>(view, kernel_, std::move(offset), std::move(a));
    made->part_ = std::move(part);
    return made;
  }

  std::unique_ptr<Importance<double>> widened() const override {
    return std::make_unique<PairImportance<double, F>>(features_, kernel_, offset_, a_);
  }

 protected:
  void tile(const Tile& w, T* out, index_t ld, TileScratch<T>& scratch) const override {
    make(w, out, ld, -w.ni, {}, false, scratch);
  }
  bool half_tile(const Tile& w, T* out, index_t ld, const TileSums<T>& sums, TileScratch<T>& scratch) const override {
    make(w, out, ld, w.i0 - w.j0 + 1, sums, true, scratch);
    for (index_t i = 0; sums.probe != nullptr && i < w.ni; ++i)
      sums.probed[w.i0 + i] += kernels<T>().dot(out + i * ld, sums.probe + w.j0, w.nj);
    return true;
  }
  bool symmetric() const override { return false; }
  bool nonnegative() const override {
    return std::all_of(a_.begin(), a_.end(), [](double a) { return a >= 0; });
  }
  bool sums_weights() const override { return true; }
  void weights(index_t begin, index_t end, const double*, double* weight) const override {
    // The only sample of one takes part in no tile.
    if (!finite_) std::fill(weight + begin, weight + end, std::numeric_limits<double>::quiet_NaN());
  }

 private:
  struct Part {
    explicit Part(index_t n) : rows(n) {}
    F* room(index_t i, index_t m) {
      features.resize(rows * m);
      return features.data() + i * m;
    }
    index_t rows;
    Buffer<F> features;
  };

  void make(const Tile& w, T* out, index_t ld, index_t first, const TileSums<T>& sums, bool both,
            TileScratch<T>& scratch) const {
    if (wide_) {
      fill_tile(in_double_, w, out, ld, first, sums, both, scratch.wide);
    } else {
      fill_tile(in_t_, w, out, ld, first, sums, both, scratch.narrow);
    }
  }

  template <class S>
  void fill_tile(const Rows<S>& rows, const Tile& w, T* out, index_t ld, index_t first, const TileSums<T>& sums,
                 bool both, Buffer<S>& scratch) const {
    // Panels begin at multiples of their width.
    const index_t panel = kernels<S>().panel, lead = w.j0 % panel;
    const index_t stride = ceil_div(w.nj + lead, panel) * panel + 16;
    scratch.resize(w.ni * stride + 4 * w.nj);
    rows.side.products(w.i0, w.ni, rows.side, w.j0 - lead, w.nj + lead, scratch.data(), stride);
    PairTile<S> tile;
    tile.tile = scratch.data() + lead;
    tile.ld = stride;
    tile.ni = w.ni;
    tile.nj = w.nj;
    tile.half_i = rows.side.half(w.i0);
    tile.half_j = rows.side.half(w.j0);
    tile.scale = static_cast<S>(kernel_.scale);
    tile.ceiling = S(0);
    std::fill_n(tile.skip, 3, w.i0 - w.j0);
    tile.first = first;
    tile.form = kernel_.form;
    tile.scratch = scratch.data() + w.ni * stride;
    PairWeights<S> weights{};
    weights.row = rows.at.data() + w.i0;
    weights.row_weight = rows.weight.data() + w.i0;
    if (both) {
      weights.col = rows.at.data() + w.j0;
      weights.col_weight = rows.weight.data() + w.j0;
    }
    if (sums.degree != nullptr) {
      weights.sum_i = sums.degree + w.i0;
      weights.sum_j = sums.degree + w.j0;
      weights.own_i = sums.weight + w.i0;
      weights.own_j = sums.weight + w.j0;
    }
    pair_kernels<S>().weights(tile, weights);
    for (index_t i = 0; i < w.ni; ++i)
      for (index_t j = 0; j < w.nj; ++j) out[i * ld + j] = static_cast<T>(tile.tile[i * stride + j]);
  }

  View<const F> features_;
  Kernel kernel_;
  std::vector<double> offset_, a_;
  bool finite_ = true, wide_ = false;
  Rows<T> in_t_;
  Rows<double> in_double_;
  std::unique_ptr<Part> part_;
};

// μ with Σ [μ − q]₊ = τ, by Michelot's active sets: q that are not below μ leave until none does. Overwrites q.
double threshold(double* q, index_t n, double tau) {
  double least = std::numeric_limits<double>::infinity();
  for (index_t j = 0; j < n; ++j) {
    if (std::isnan(q[j])) return q[j];
    least = std::min(least, q[j]);
  }
  // Relative to the least, μ ≤ τ: what lies further away takes no part.
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
    if (kept == active || kept == 0) return least + mu;
    active = kept;
  }
}

}  // namespace

template <class T, class S>
std::unique_ptr<Importance<T>> pair_importance(View<const S> f, double scale, PairForm form, const double* offset,
                                               const double* a) {
  return std::make_unique<PairImportance<T, S>>(f, Kernel{scale, form}, std::vector<double>(offset, offset + f.rows),
                                                std::vector<double>(a, a + f.rows));
}

template <class S>
void simplex_thresholds(View<const S> f, double tau, double* mu) {
  const index_t n = f.rows;
  Buffer<double> mean(f.cols);
  row_mean(f, mean.data());
  PairSide<double> side;
  side.fill(f, mean.data(), Scoring::distances, false);
  const index_t stride = ceil_div(n, 64) * 64, height = std::clamp<index_t>((index_t{1} << 18) / stride, 1, 64);
  PerWorker<Buffer<double>> rows;
  parallel_for(ceil_div(n, height), [&](index_t b, int worker) {
    Buffer<double>& q = rows[worker];
    q.resize(height * stride);
    const index_t i0 = b * height, ni = std::min(height, n - i0);
    side.products(i0, ni, side, 0, n, q.data(), stride);
    for (index_t i = 0; i < ni; ++i) {
      double* row = q.data() + i * stride;
      const double half = *side.half(i0 + i);
      for (index_t j = 0; j < n; ++j) {
        const double square = (half + *side.half(j)) - row[j];
        row[j] = square < 0 ? 0 : square;
      }
      row[i0 + i] = row[n - 1];  // the sample itself is no partner
      mu[i0 + i] = n == 1 ? 0 : threshold(row, n - 1, tau);
    }
  });
}

#define ALPHACL_PAIR_IMPORTANCE(T, S)                                                                           \
  template std::unique_ptr<Importance<T>> pair_importance<T, S>(View<const S>, double, PairForm, const double*, \
                                                                const double*);
ALPHACL_PAIR_IMPORTANCE(float, float)
ALPHACL_PAIR_IMPORTANCE(double, double)
#undef ALPHACL_PAIR_IMPORTANCE
template void simplex_thresholds<float>(View<const float>, double, double*);
template void simplex_thresholds<double>(View<const double>, double, double*);

}  // namespace alphacl
