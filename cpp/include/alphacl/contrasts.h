// Contrastive losses whole: from features to the losses of anchors, and from their gradient to that of the features.
#pragma once

#include <optional>
#include <string>

#include "alphacl/device.h"
#include "alphacl/pair_sums.h"
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

/// What the losses leave for their gradient, in the order in which it lies in memory. For `within` the sets lie one
/// behind the other. What a loss has no use for is 0.
template <class Number>
struct SavedContrasts {
  Number *rows, *columns;                     // log-sums of the anchors; `columns` lies where there are any
  Number* own;                                // u_i·partner_i
  Number *of_left, *of_right, *of_negatives;  // 1/‖f‖

  SavedContrasts(index_t n, Number* memory)
      : rows(memory),
        columns(rows + n),  // within: the second half of the anchors
        own(columns + n),
        of_left(own + n),
        of_right(of_left + n),
        of_negatives(of_right + n) {}

  /// x_i of the anchor i of `left`, and of that of `right`.
  ALPHACL_HOST_DEVICE double of_row(double scale, index_t i) const { return rows[i] - scale * own[i]; }
  ALPHACL_HOST_DEVICE double of_column(double scale, index_t i) const { return columns[i] - scale * own[i]; }
};

/// Whether the rows u of both sets lie one behind the other, as one.
template <class S>
bool in_one(const Contrasts<S>& units) {
  const index_t m = units.left.cols;
  return units.left.stride == m && units.right.stride == m && units.right.data == units.left.data + units.left.rows * m;
}

/// The pairs of the rows u that are summed over; `within` they are in_one.
template <class S>
Pairs<S> pairs_of(const Contrasts<S>& units) {
  const bool negatives = units.negatives.data != nullptr;
  const double longest = units.normalize ? 1 : 0;
  if (!units.within)
    return {units.left, negatives ? units.negatives : units.right, units.scale, false, !negatives, longest};
  const View<const S> both = {units.left.data, 2 * units.left.rows, units.left.cols, units.left.cols};
  return {both, {nullptr, 0, 0, 0}, units.scale, false, true, longest};
}

/// What the loss of an anchor counts for.
template <class S>
double share_of(const Contrasts<S>& given, Reduction reduction) {
  const double anchors = reduction == Reduction::mean ? static_cast<double>(given.anchors()) : 1;
  return (given.columns ? 0.5 : 1.0) / anchors;
}

/// Lengths below this count as this: rows of zeros stay zeros.
constexpr double least_length = 1e-12;

/// Entries of the memory for the scores of rows × columns pairs, or, without columns, for those within one set.
index_t kept_scores(index_t rows, index_t columns);

/// losses (anchors(), or 1 if reduced) and `saved` (saved()). units: null, or (2N + M) × m, for the u of left, right
/// and negatives. kept: null, or memory of kept_scores(); returns whether the scores are there, which they are not
/// where float features need scores in double. 2 operations for a feature of each pair of an anchor and another, half
/// of that `within`; memory O((N + M) m) beside `kept`.
template <class S>
bool contrasts(const Contrasts<S>& given, Reduction reduction, S* units, double* saved, S* kept, S* losses);

/// left, right, negatives = the gradient of Σ grad · losses with respect to f; returns the derivative with respect to
/// the scale. units: the sets as given, but u in place of f. saved and kept: what contrasts() has written; kept may be
/// null. negatives: data null where nobody asks. The gradients share no memory with the sets. Twice the operations of
/// contrasts(), and those again without `kept`.
template <class S>
double contrasts_gradient(const Contrasts<S>& units, Reduction reduction, const double* saved, const S* kept,
                          const S* grad, View<S> left, View<S> right, View<S> negatives);

}  // namespace alphacl
