// Logarithms of sums of exponentials of scores.
#pragma once

#include "pairs/score_tiles.h"

namespace alphacl {

template <class T>
void log_sums(const ScoreTiles<T>& scores, double* rows, double* cols) {
  const index_t n = scores.left().size(), k = scores.right().size();
  const T lowest = -static_cast<T>(infinity);
  const bool one = scores.one_set();
  Buffer<T> peak(n, lowest), col_peak(cols ? k : 0, lowest);
  Buffer<double> sum(n, 0.0), col_sum(cols ? k : 0, 0.0);
  scores.for_tiles(PairForm::exponential, [&](const PairTile<T>& tile, index_t i0, index_t j0) {
    PairLogSums<T> out = {peak.data() + i0, nullptr, sum.data() + i0, nullptr};
    if (one && i0 != j0) {
      out.col_peak = peak.data() + j0;
      out.col_sum = sum.data() + j0;
    } else if (cols) {
      out.col_peak = col_peak.data() + j0;
      out.col_sum = col_sum.data() + j0;
    }
    pair_kernels<T>().log_sums(tile, out);
  });
  // log 0 of a sample without partners is −inf.
  const auto logarithm = [](T top, double of) { return of == 0 ? -infinity : static_cast<double>(top) + std::log(of); };
  for (index_t i = 0; i < n; ++i) rows[i] = logarithm(peak[i], sum[i]);
  for (index_t j = 0; cols && j < k; ++j) cols[j] = logarithm(col_peak[j], col_sum[j]);
}

}  // namespace alphacl
