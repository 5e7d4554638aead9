// Contrastive losses whole: from features to the losses of anchors, and from their gradient to that of the features.
#pragma once

#include <optional>
#include <string>

#include "alphacl/view.h"

namespace alphacl {

/// What becomes of the losses of the anchors.
enum class Reduction { none, mean, sum };

/// The reduction of a name, if there is one.
inline std::optional<Reduction> reduction_named(const std::string& name) {
  if (name == "none") return Reduction::none;
  if (name == "mean") return Reduction::mean;
  if (name == "sum") return Reduction::sum;
  return std::nullopt;
}

/// Anchors, each with its partner, and the others. S: type of the features in memory.
///
/// With u = f, or f/‖f‖ where `normalize`, anchor i is u_i of `left`, its partner that of `right`, and its loss
///
///     log(1 + e^x_i),  x_i = log Σ_j e^{scale · u_i·u_j} − scale · u_i·partner_i
///
/// over the others j: all of `right` but the partner, or all of `negatives` where there are any. within: all rows of
/// both sets are anchors, and the others all rows but the anchor and its partner. columns: the mean of this loss and of
/// the one whose anchors are the rows of `right` and whose others are those of `left`.
template <class S>
struct Contrasts {
  View<const S> left, right;  // N × m
  View<const S> negatives;    // M × m; data null: none. Not with `within` or `columns`, of which at most one holds
  double scale;
  bool within, columns, normalize;

  index_t anchors() const { return within ? 2 * left.rows : left.rows; }
  /// Numbers that the losses leave for their gradient.
  index_t saved() const { return 5 * left.rows + negatives.rows; }
  /// Sides of the matrix of scores; no columns: those within one set.
  index_t score_rows() const { return anchors(); }
  index_t score_columns() const { return within ? 0 : negatives.data != nullptr ? negatives.rows : left.rows; }
};

/// Lengths below this count as this: rows of zeros stay zeros.
constexpr double least_length = 1e-12;

/// Entries of the memory for the scores of rows × columns pairs, or, without columns, for those within one set.
index_t kept_scores(index_t rows, index_t columns);

/// losses (anchors(), or 1 if reduced) and `saved` (saved()). units: null, or (2N + M) × m, for the u of left, right and
/// negatives. kept: null, or memory of kept_scores().
/// 2 operations for a feature of each pair of an anchor and another, half of that `within`; memory O((N + M) m).
template <class S>
void contrasts(const Contrasts<S>& given, Reduction reduction, S* units, double* saved, S* kept, S* losses);

/// left, right, negatives = the gradient of Σ grad · losses with respect to f; returns the derivative with respect to
/// the scale. units: the sets as given, but u in place of f. saved and kept: what contrasts() has written. Twice the
/// operations of contrasts(), and those again where kept is null.
template <class S>
double contrasts_gradient(const Contrasts<S>& units, Reduction reduction, const double* saved, const S* kept,
                          const S* grad, View<S> left, View<S> right, View<S> negatives);

}  // namespace alphacl
