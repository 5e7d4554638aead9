// The sums over all pairs, from differences of samples, for results that the Laplacian form loses to cancellation.
//
// Rows of α are written out, `most_entries` at a time. Cost: N² (d² + d) operations beside those of α.
#pragma once

#include "covariance/views.h"

namespace alphacl::cuda {

// Row r is the pair (first + r / N, r % N): x_i − x_j on the left, α_ij (x_i − x_j) on the right.
struct PairsOfRows {
  Samples x;
  index_t first, count;
  const double* alpha;  // count × N
  PairsOfRows from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(count * x.n); }
  __device__ double left(int, int row, int a) const {
    return x.raw[(first + row / x.n) * x.d + a] - x.raw[row % x.n * x.d + a];
  }
  __device__ double right(int node, int row, int b) const { return alpha[row] * left(node, row, b); }
};

// out_i = Σ_j α_ij ‖x_i − x_j‖².
struct SpreadOfRow {
  PairsOfRows pairs;
  double* out;
  __device__ void operator()(std::int64_t r) const {
    double sum = 0;
    for (index_t j = 0; j < pairs.x.n; ++j) {
      const int row = static_cast<int>(r * pairs.x.n + j);
      double square = 0;
      for (int c = 0; c < pairs.x.d; ++c) {
        const double difference = pairs.left(0, row, c);
        square = fma(difference, difference, square);
      }
      sum = fma(pairs.alpha[row], square, sum);
    }
    out[pairs.first + r] = sum;
  }
};

struct AddTo {
  double* to;
  const double* from;
  __device__ void operator()(std::int64_t e) const { to[e] += from[e]; }
};

constexpr index_t most_entries = index_t{1} << 24;  // of α at a time

/// Calls visit(pairs) for blocks of rows of α.
template <class S, class F>
void for_rows_of(const Stream& on, const Samples& x, const Importance<S>& alpha, index_t most, F&& visit) {
  const index_t block = std::clamp<index_t>(most / x.n, 1, x.n);
  double* const rows = on.memory.take<double>(block * x.n);
  for (index_t first = 0; first < x.n; first += block) {
    const index_t count = std::min(block, x.n - first);
    alpha.rows(on, first, count, rows);
    visit(PairsOfRows{x, first, count, rows});
  }
}

/// sum (d × d) += Σ_ij α_ij (x_i − x_j)(x_i − x_j)ᵀ.
template <class S>
void add_literal_covariance(const Stream& on, const Samples& x, const Importance<S>& alpha, double* sum,
                            index_t most = most_entries) {
  const int d = static_cast<int>(x.d);
  double* const part = on.memory.take<double>(x.d * x.d);
  for_rows_of(on, x, alpha, most, [&](const PairsOfRows& pairs) {
    gram(on, pairs, GramShape{d, d, true, gram_groups(pairs.count * x.n)}, 1, 1.0, part);
    for_each(on, "add_to", x.d * x.d, AddTo{sum, part});
  });
}

/// out_i = Σ_j α_ij ‖x_i − x_j‖².
template <class S>
void literal_spread(const Stream& on, const Samples& x, const Importance<S>& alpha, double* out,
                    index_t most = most_entries) {
  for_rows_of(on, x, alpha, most,
              [&](const PairsOfRows& pairs) { for_each(on, "spread_of_row", pairs.count, SpreadOfRow{pairs, out}); });
}

}  // namespace alphacl::cuda
