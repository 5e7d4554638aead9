// Sums over all pairs of samples of a function of their score, and their gradients: what contrastive losses are made
// of. t_ij = scale · f_i·g_j, or −scale · ½‖f_i − f_j‖²; nothing of size N × N is kept.
#pragma once

#include <memory>

#include "alphacl/importance.h"
#include "alphacl/pair_form.h"
#include "alphacl/view.h"

namespace alphacl {

/// Which pairs are scored, and how. S: type of the features in memory.
template <class S>
struct Pairs {
  View<const S> left;   // N × m
  View<const S> right;  // M × m; data null: the pairs within `left`, each sample with itself left out
  double scale;
  bool distances;      // −½‖f_i − f_j‖² in place of f_i·f_j, within `left` only
  bool skip_diagonal;  // leaves i = j out; without a right (N even), sample i of its first half with that of its second
};

/// rows_i = log Σ_j e^{t_ij}, cols_j = log Σ_i e^{t_ij} (may be null, and is without a right:
/// there they are the rows).
/// 2NMm operations and NM exponentials, half of both without a right; memory O((N + M) m).
template <class S>
void pair_log_sums(const Pairs<S>& pairs, double* rows, double* cols);

/// Gradient of Σ_i a_i rows_i + Σ_j b_j cols_j (cols and b null: rows only) with respect to the features; returns that
/// with respect to the scale. 4NMm operations more than pair_log_sums, without a right half of that.
template <class S>
double pair_log_sums_gradient(const Pairs<S>& pairs, const double* rows, const double* cols, const double* a,
                              const double* b, View<S> left, View<S> right);

/// rows_i = Σ_j ψ(offset_i + t_ij); ψ any form but e^x, whose sums are pair_log_sums.
template <class S>
void pair_sums(const Pairs<S>& pairs, PairForm form, const double* offset, double* rows);

/// Gradient of Σ_i a_i rows_i with respect to the features and the offsets; returns that with respect to the scale.
template <class S>
double pair_sums_gradient(const Pairs<S>& pairs, PairForm form, const double* offset, const double* a, View<S> left,
                          View<S> right, double* offsets);

/// α_ij = a_i ψ'(offset_i − scale · ½‖f_i − f_j‖²), diagonal 0; for e^x the offset is minus the logarithm of a
/// normaliser. Time O(N²(m + d)), memory O(N(m + d)).
template <class T, class S>
std::unique_ptr<Importance<T>> pair_importance(View<const S> f, double scale, PairForm form, const double* offset,
                                               const double* a);

/// α_ij = [μ_i − ½‖f_i − f_j‖²]₊/τ, diagonal 0, with μ_i such that rows sum to 1: projections on the simplex, exactly.
/// Time O(N² m) for the thresholds μ and O(N²(m + d)) for an operation, memory O(N(m + d)).
template <class T, class S>
std::unique_ptr<Importance<T>> simplex_importance(View<const S> f, double tau);

}  // namespace alphacl
