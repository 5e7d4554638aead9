// Features packed for tiles of scores and for products. Private to the core.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "alphacl/view.h"
#include "isa/tables/kernels.h"
#include "packing/packed_panels.h"
#include "runtime/threads.h"

namespace alphacl {

/// How scores are computed. products: inner products. distances: −½‖f_i − f_j‖² from centred inner products. near: the
/// same, but from differences where f_i and f_j are near each other. settled: the same, but from differences near a
/// kink. differences: −½‖f_i − f_j‖² from f_i − f_j.
enum class Scoring { products, distances, near, settled, differences };

/// Scores this near to a kink are settled, in units of scale · (½‖f_i‖² + ½‖f_j‖²). Products err by about 1.5 ε of
/// that, so scores further away have their distance from the kink to 2e-14 (S double) or 2e-10.
template <class S>
constexpr double kink_doubt = sizeof(S) == 4 ? 1e-6 : 1e-2;
/// kink_doubt where only the side of the kink matters.
constexpr double side_doubt = 1e-9;

/// Features are near each other where ½‖f_i − f_j‖² < near_doubt · (½‖f_i‖² + ½‖f_j‖²).
constexpr double near_doubt = 0.5;

/// How far from a kink, or from 0, scores are settled. only_side: only the side of the kink matters.
template <class S>
double doubt_of(Scoring scoring, bool only_side) {
  if (scoring == Scoring::near) return near_doubt;
  return only_side ? side_doubt : kink_doubt<S>;
}

/// What products may leave in a score made of a distance.
template <class S>
constexpr double allowed_in_score = sizeof(S) == 4 ? 2e-6 : 2e-13;

/// Features of a product that are added up one after the other; the sums of such chains are added up too.
constexpr index_t chain_features = 64;
/// Roundings that one term of a product of m features goes through, at most.
inline index_t roundings(index_t m) { return std::min(m, chain_features) + ceil_div(m, chain_features) - 1; }

/// Whether scores need double, and the scoring that keeps scale · ½‖f_i − f_j‖² exact enough. `largest`: the largest
/// ‖f‖² of the m centred features. Products err by about 1.5 ε of it. Those of near features are sums of positive
/// terms, and all additions may round in the same direction: rows of ones and zeros, once centred, have equal terms.
struct Precision {
  bool wide;
  Scoring scoring;
};
template <class S>
Precision distance_precision(double largest, double scale, index_t m) {
  constexpr bool single = sizeof(S) == 4;
  const double size = largest * std::abs(scale), usual = 1.5 * size;
  const double most = std::max(usual, static_cast<double>(roundings(m)) * size);
  constexpr double narrow = allowed_in_score<S>;
  if (single && usual * 6e-8 <= narrow) return {false, most * 6e-8 <= narrow ? Scoring::distances : Scoring::near};
  constexpr double allowed = (single ? 5e-7 : narrow) / 1.1e-16;
  // Features that are not finite take the product path: the centring makes all scores NaN there.
  if (most <= allowed || !(usual < 1e300)) return {single, Scoring::distances};
  return {single, usual <= allowed ? Scoring::near : Scoring::differences};
}

/// Whether the scores scale · f_i·g_j need double; features have at most the lengths `left`, `right`. True beyond
/// scores of about 200, where float products err by 2e-5, or where f_i·g_j might overflow. Smaller scores are rounded
/// like the float products of plain torch.
template <class S>
bool product_precision(double left, double right, double scale) {
  const double largest = left * right;
  return sizeof(S) == 4 && (1.5 * largest * std::abs(scale) * 6e-8 > 2e-5 || largest > 1e37);
}

/// Whether offsets of scores need double; `largest`: their largest size.
template <class S>
bool offset_precision(double largest) {
  return sizeof(S) == 4 && largest * 6e-8 > 2e-5;
}

/// What features are packed for: scores, and products with weights.
struct FeaturesFor {
  bool scores, products;
};

/// error: the largest error e_i of the distance of a sample from itself. far: the largest of (1 − near_doubt) e_i less
/// eight roundings of near_doubt ‖f_i‖². Both are infinite where a distance is NaN. share: that of near pairs.
struct NearPairs {
  double error, far, share;
};

/// Features as kernels read them: as rows; as panels of samples, whose rows are features (for scores); and as panels of
/// features, whose rows are samples (for products).
template <class T>
class ScoredFeatures {
 public:
  /// Packs f − shift (null: 0), on at most `workers` threads. Without a shift, and where S is T, f is kept as a view:
  /// it must outlive this.
  template <class S>
  void fill(View<const S> f, const double* shift, Scoring scoring, FeaturesFor use, index_t workers = all_workers);

  index_t size() const { return n_; }
  index_t features() const { return m_; }
  index_t width() const { return ceil_div(m_, kernels<T>().panel) * kernels<T>().panel; }
  const T* row(index_t i) const { return rows_.row(i); }
  const T* half(index_t i) const { return half_.data() + i; }
  /// Row i, of m numbers, as scores are settled from it: as given near a kink, centred near another; else null.
  const T* settled_from(Scoring scoring, index_t i) const {
    if (scoring == Scoring::near) return copy_.data() + i * m_;
    return scoring == Scoring::settled ? given(i) : nullptr;
  }
  /// Row i as given, where distances are settled or come from differences; else null.
  const T* given(index_t i) const { return given_.size() == 0 ? nullptr : given_.data() + i * m_; }

  /// out (ni × nj, row stride ld, nj rounded up to whole panels) = products of samples i0 … with samples j0 … of
  /// `right`; or −½‖f_i − f_j‖² where scores come from differences.
  void products(index_t i0, index_t ni, const ScoredFeatures& right, index_t j0, index_t nj, T* out, index_t ld) const;
  /// Of the pairs within each panel of samples, whose distances come from products. Needs a sample.
  NearPairs near_pairs(index_t workers) const;
  /// out (ni × width()) += tile (ni × n; transposed: n × ni) · samples j0 … j0 + n − 1.
  void apply(const T* tile, index_t ld, index_t ni, index_t j0, index_t n, bool transposed, T* out) const;

 private:
  index_t n_ = 0, m_ = 0;
  bool differences_ = false;
  View<const T> rows_ = {nullptr, 0, 0, 0};  // f itself, or copy_
  Buffer<T> copy_, half_, samples_;
  PackedPanels<T> packed_;
  Buffer<T> given_;  // as given; where all is scored by differences, samples_ is their transpose
};

/// What a precision of near pairs turns out to be for these features, if errors are in proportion to products.
/// distances: products are exact enough for all pairs, that of a sample with itself included. near: as assumed. Double
/// or differences: pairs that are not near would err by more than is allowed and eight roundings of their score, too;
/// or, in float, so many pairs are near that double takes less time.
template <class T>
Precision measured_precision(Precision assumed, const ScoredFeatures<T>& f, double scale, index_t workers) {
  if (assumed.scoring != Scoring::near) return assumed;
  constexpr bool single = sizeof(T) == 4;
  constexpr double most_near = single ? 0.15 : 1;
  const NearPairs found = f.near_pairs(workers);
  const double size = std::abs(scale);
  if (size * found.error <= allowed_in_score<T>) return {assumed.wide, Scoring::distances};
  if (size * found.far <= allowed_in_score<T> && found.share <= most_near) return assumed;
  return {true, single ? Scoring::distances : Scoring::differences};
}

/// Samples of the largest block: its tile stays in the second-level cache.
constexpr index_t most_pair_block = 256;
/// Samples of a block; depends on the sizes alone, so results do not depend on the number of threads.
inline index_t pair_block(index_t n) {
  return std::clamp<index_t>(ceil_div(ceil_div(n, 32), 32) * 32, 64, most_pair_block);
}
/// Row stride of a tile: whole panels and a cache line of floats more; powers of two would share a few sets of the
/// cache.
inline index_t pair_stride(index_t width) { return ceil_div(width, most_panel) * most_panel + 16; }
static_assert(most_pair_block % most_panel == 0, "products() writes whole panels");
static_assert(most_pair_block <= most_multiplied, "a tile is multiplied at once");

/// How many threads are worth waking for the scores of `pairs` pairs of m features: below some 0.1 ms of work one, else
/// any number. An exponential counts as 50 features.
inline index_t workers_for(double pairs, index_t m) {
  return pairs * static_cast<double>(m + 50) <= 4e6 ? 1 : all_workers;
}

}  // namespace alphacl
