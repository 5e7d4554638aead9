// Sums over all pairs of a function of their score, and their gradients: the parts of contrastive losses. Scores are
// t_ij = scale · f_i·g_j, or −scale · ½‖f_i − f_j‖²; nothing of size N × N is kept. Gradients share no memory with the
// features.
#pragma once

#include <memory>

#include "alphacl/importance.h"
#include "alphacl/pair_form.h"
#include "alphacl/view.h"

namespace alphacl {

/// The pairs and how they are scored. S: type of the features in memory.
template <class S>
struct Pairs {
  View<const S> left;   // N × m
  View<const S> right;  // M × m; data null: one set, the pairs within `left`, i = j left out
  double scale;
  bool distances;      // −½‖f_i − f_j‖² in place of f_i·f_j, within `left` only
  bool skip_diagonal;  // two sets: leaves i = j out; one set (N even): leaves i and i ± N/2 out
  double longest = 0;  // what no ‖f‖ exceeds, but for rounding; 0: not known
};

/// rows_i = log Σ_j e^{t_ij}, cols_j = log Σ_i e^{t_ij}. cols may be null, and must be for one set, where it equals
/// rows. 2NMm operations and NM exponentials, half of both for one set; memory O((N + M) m).
template <class S>
void pair_log_sums(const Pairs<S>& pairs, double* rows, double* cols);

/// left, right = the gradient of Σ_i a_i rows_i + Σ_j b_j cols_j (cols and b null: rows only) with respect to the
/// features; returns the derivative with respect to the scale. 4NMm operations more than pair_log_sums, half of that
/// for one set.
template <class S>
double pair_log_sums_gradient(const Pairs<S>& pairs, const double* rows, const double* cols, const double* a,
                              const double* b, View<S> left, View<S> right);

/// rows_i = Σ_j ψ(offset_i + t_ij), for every ψ but e^x, which has pair_log_sums.
template <class S>
void pair_sums(const Pairs<S>& pairs, PairForm form, const double* offset, double* rows);

/// left, right, offsets = the gradient of Σ_i a_i rows_i with respect to features and offsets; returns the derivative
/// with respect to the scale.
template <class S>
double pair_sums_gradient(const Pairs<S>& pairs, PairForm form, const double* offset, const double* a, View<S> left,
                          View<S> right, double* offsets);

/// α_ij = a_i ψ'(offset_i − scale · ½‖f_i − f_j‖²), α_ii = 0. For e^x the offset is −log of a normaliser. Time O(N²(m +
/// d)), memory O(N(m + d)).
template <class T, class S>
std::unique_ptr<Importance<T>> pair_importance(View<const S> f, double scale, PairForm form, const double* offset,
                                               const double* a);

/// α_ij = [μ_i − ½‖f_i − f_j‖²]₊/τ, α_ii = 0, with μ_i such that row i sums to 1: every row is an exact projection on
/// the simplex. Time O(N² m) for the thresholds μ and O(N²(m + d)) for an operation, memory O(N(m + d)).
template <class T, class S>
std::unique_ptr<Importance<T>> simplex_importance(View<const S> f, double tau);

}  // namespace alphacl
