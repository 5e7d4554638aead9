// Sums over all pairs of a function of their score, and their gradients: those of alphacl/pair_sums.h, on the GPU.
//
// All pointers are to memory of the device. Sums and scores are double whatever the features are, and the rows of the
// exchanged sets are computed on their own; log-sums of bounded floats have a way of their own (split_pairs.h).
#pragma once

#include "alphacl/pair_sums.h"
#include "runtime/stream.h"

namespace alphacl::cuda {

/// rows_i = log Σ_j e^{t_ij}, cols_j = log Σ_i e^{t_ij} (may be null). NM m multiply-adds and NM exponentials for each
/// of both; memory: 16 bytes a row and group of tiles.
template <class S>
void pair_log_sums(const Stream& on, const Pairs<S>& pairs, double* rows, double* cols);

/// left, right = the gradient of Σ_i a_i rows_i + Σ_j b_j cols_j (cols and b null: rows only), *of_scale the derivative
/// with respect to the scale. For each set NM m (1 + ⌈m/64⌉) multiply-adds; memory O((N + M) m).
template <class S>
void pair_log_sums_gradient(const Stream& on, const Pairs<S>& pairs, const double* rows, const double* cols,
                            const double* a, const double* b, View<S> left, View<S> right, double* of_scale);

/// rows_i = Σ_j ψ(offset_i + t_ij). NM m multiply-adds and NM values of ψ.
template <class S>
void pair_sums(const Stream& on, const Pairs<S>& pairs, PairForm form, const double* offset, double* rows);

/// left, right, offsets, *of_scale = the gradient of Σ_i a_i rows_i. Cost as of pair_log_sums_gradient.
template <class S>
void pair_sums_gradient(const Stream& on, const Pairs<S>& pairs, PairForm form, const double* offset, const double* a,
                        View<S> left, View<S> right, double* offsets, double* of_scale);

}  // namespace alphacl::cuda
