// Tiles of scores between blocks of samples, and the order in which blocks meet. Private to the core.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "alphacl/view.h"
#include "isa/tables/kernels.h"
#include "packing/packed_panels.h"
#include "runtime/threads.h"

namespace alphacl {

/// What a score is made of: inner products; distances from centred inner products, as they are or, where a kink is
/// near, settled by differences; distances from differences.
enum class Scoring { products, distances, settled, differences };

/// Scores this near to a kink, in units of scale · (½‖f_i‖² + ½‖f_j‖²), are settled: products err by about 1.5 ε of
/// that, so those further away from it keep their distance from the kink to 2e-14 (S double) or 2e-10.
template <class S>
constexpr double kink_doubt = sizeof(S) == 4 ? 1e-6 : 1e-2;
/// The same where no more is asked than the side of the kink.
constexpr double side_doubt = 1e-9;

/// The scoring that keeps scale · ½‖f_i − f_j‖² exact enough, and whether float products do (centred features,
/// largest ‖f‖² = `largest`). Products err by about 1.5 ε ‖f‖².
struct Precision {
  bool wide;
  Scoring scoring;
};
template <class S>
Precision distance_precision(double largest, double scale) {
  constexpr bool single = sizeof(S) == 4;
  const double error = 1.5 * largest * scale;
  if (single && error * 6e-8 <= 2e-6) return {false, Scoring::distances};
  // Features that are not finite take the product path: the centring makes all scores NaN there.
  return {single,
          error * 1.1e-16 <= (single ? 5e-7 : 2e-13) || !(error < 1e300) ? Scoring::distances : Scoring::differences};
}

/// Whether the scores scale · f_i·g_j need double (features of at most the lengths `left`, `right`): beyond some 200,
/// where float products err by 2e-5, or where f_i·g_j itself might overflow. Below it they err as their users' own
/// float products would.
template <class S>
bool product_precision(double left, double right, double scale) {
  const double largest = left * right;
  return sizeof(S) == 4 && (1.5 * largest * std::abs(scale) * 6e-8 > 2e-5 || largest > 1e37);
}

/// Whether offsets of scores, the largest of size `largest`, would be rounded too much in float.
template <class S>
bool offset_precision(double largest) {
  return sizeof(S) == 4 && largest * 6e-8 > 2e-5;
}

/// Features as the kernels read them: rows, panels of 64 bytes of samples (for scores), panels of features (for
/// products).
template <class T>
class ScoredFeatures {
 public:
  /// f − shift (shift may be null). `products`: panels of features too.
  template <class S>
  void fill(View<const S> f, const double* shift, Scoring scoring, bool products);

  index_t size() const { return n_; }
  index_t features() const { return m_; }
  index_t width() const { return ceil_div(m_, kernels<T>().panel) * kernels<T>().panel; }
  const T* row(index_t i) const { return rows_.data() + i * m_; }
  const T* half(index_t i) const { return half_.data() + i; }
  /// Rows as given, where distances are settled or come from differences; else null.
  const T* given(index_t i) const { return given_.size() == 0 ? nullptr : given_.data() + i * m_; }

  /// out (ni × nj, row stride ld, rounded up to whole panels) = products of samples i0 … with samples j0 … of `right`,
  /// from which half() is taken; or −½‖f_i − f_j‖² where they are scored by differences.
  void products(index_t i0, index_t ni, const ScoredFeatures& right, index_t j0, index_t nj, T* out, index_t ld) const;
  /// out (ni × width) += tile (ni × n, or transposed) · the samples j0 … .
  void apply(const T* tile, index_t ld, index_t ni, index_t j0, index_t n, bool transposed, T* out) const;

 private:
  index_t n_ = 0, m_ = 0;
  bool differences_ = false;
  Buffer<T> rows_, half_, samples_;
  PackedPanels<T> packed_;
  Buffer<T> given_;  // as given; where all is scored by differences, samples_ is their transpose
};

/// Samples of the largest block: a tile of it stays in the second-level cache.
constexpr index_t most_pair_block = 256;
/// Samples of a block. Depends on the sizes alone: results do not depend on the number of threads.
inline index_t pair_block(index_t n) {
  return std::clamp<index_t>(ceil_div(ceil_div(n, 32), 32) * 32, 64, most_pair_block);
}
/// Rows of a tile lie an odd number of cache lines apart, and hold whole panels.
constexpr index_t pair_stride = most_pair_block + 16;
static_assert(most_pair_block % most_panel == 0, "products() writes whole panels");
static_assert(most_pair_block <= most_multiplied, "a tile is multiplied at once");

struct BlockPair {
  index_t left, right;
};

/// Rounds of pairs of blocks, such that no block is met twice in a round: those of a round may run at once and
/// write to both blocks. Within one set (b = 0): every unordered pair once, by the circle method, and each block with
/// itself.
std::vector<std::vector<BlockPair>> pair_rounds(index_t a, index_t b);

template <class Body>
void for_block_pairs(index_t a, index_t b, Body&& body) {
  for (const auto& round : pair_rounds(a, b))
    parallel_for(static_cast<index_t>(round.size()),
                 [&](index_t task, int worker) { body(round[static_cast<std::size_t>(task)], worker); });
}

}  // namespace alphacl
