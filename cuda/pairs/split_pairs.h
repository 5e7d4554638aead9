// Log-sums of scores of bounded floats, and their gradient, by the tensor cores of bfloat16 (sums/split_tile.h).
//
// |t_ij| ≤ |scale| · longest² =: bound is known, so Σ_j e^{t_ij − bound} needs no largest exponent: one pass, one
// exponential a pair. Its weights are e^{t_ij − bound} (a_i e^{bound − rows_i} + b_j e^{bound − cols_j}).
#pragma once

#include <cmath>

#include "alphacl/pair_sums.h"
#include "runtime/stream.h"

namespace alphacl::cuda {

/// e^{−2 bound} is still a normal float.
constexpr double most_split_bound = 40;

inline double score_bound(const Pairs<float>& pairs) { return pairs.longest * pairs.longest * std::abs(pairs.scale); }

inline bool scores_are_split(const Pairs<float>& pairs) {
  const double bound = score_bound(pairs);
  return !pairs.distances && pairs.left.cols > 0 && bound > 0 && bound <= most_split_bound;
}

/// As pair_log_sums, for pairs whose scores_are_split. 6 NM m multiply-adds of bfloat16 and NM exponentials for rows
/// and columns together; memory: 6 bytes a feature of each sample, of which there are a multiple of 32, 8 bytes a row
/// and group of tiles and, for columns, 520 each.
void split_log_sums(const Stream& on, const Pairs<float>& pairs, double* rows, double* cols);

/// As pair_log_sums_gradient. Memory: 12 bytes a feature, and 8 for each group of tiles.
void split_log_sums_gradient(const Stream& on, const Pairs<float>& pairs, const double* rows, const double* cols,
                             const double* a, const double* b, View<float> left, View<float> right, double* of_scale);

}  // namespace alphacl::cuda
