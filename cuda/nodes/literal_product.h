// The last resort of a node: products A(w) v from the differences of all pairs.
#pragma once

#include <memory>

#include "covariance/laplacian_sums.h"
#include "nodes/node_pass.h"

namespace alphacl::cuda {

// along_ij = α_ij (y_i − y_j)·v.
struct PairAlong {
  PairsOfRows pairs;
  const double* v;
  double* out;
  __device__ void operator()(std::int64_t e) const {
    double sum = 0;
    for (int c = 0; c < pairs.x.d; ++c) sum = fma(pairs.left(0, static_cast<int>(e), c), v[c], sum);
    out[e] = pairs.alpha[e] * sum;
  }
};

// Rows along_ij and y_i − y_j.
struct DifferencesAlong {
  PairsOfRows pairs;
  const double* along;
  DifferencesAlong from(int) const { return *this; }
  __device__ int rows(int node) const { return pairs.rows(node); }
  __device__ double left(int, int row, int) const { return along[row]; }
  __device__ double right(int node, int row, int b) const { return pairs.left(node, row, b); }
};

// Rows −r_i δ_i·v and δ_i.
struct ViewsAlong {
  CentredViews views;
  const double *row_sum, *along;
  ViewsAlong from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(views.x.n); }
  __device__ double left(int, int row, int) const { return -row_sum[row] * along[row]; }
  __device__ double right(int, int row, int b) const { return views.delta[row * views.x.d + b]; }
};

/// out (d) = Σ_ij α_ij (y_i − y_j)(y_i − y_j)·v − Σ_i r_i δ_i δ_i·v over the gated views.
template <class A>
void product_of_differences(const Stream& on, const CentredViews& views, const Importance<A>& alpha, const double* v,
                            double* out) {
  const index_t n = views.x.n, d = views.x.d;
  const GramShape shape{1, static_cast<int>(d), false, gram_groups(n * n)};
  double* const row_sum = on.memory.take<double>(n);
  double* const along_views = on.memory.take<double>(n);
  double* const part = on.memory.take<double>(d);
  double* const along = on.memory.take<double>(std::clamp<index_t>(most_entries / n, 1, n) * n);
  alpha.sums(on, row_sum, nullptr);
  for_each_row(on, "row_dots", n, RowDots{views.delta, v, d, along_views});
  gram(on, ViewsAlong{views, row_sum, along_views}, GramShape{1, static_cast<int>(d), false, gram_groups(n)}, 1, 1.0,
       out);
  for_rows_of(on, views.x, alpha, most_entries, [&](const PairsOfRows& pairs) {
    for_each(on, "pair_along", pairs.count * n, PairAlong{pairs, v, along});
    gram(on, DifferencesAlong{pairs, along}, shape, 1, 1.0, part);
    for_each(on, "add_to", d, AddTo{out, part});
  });
}

/// out (d) = A(w) v of node k of a block.
template <class S>
void literal_product(const Stream& on, const Layer<S>& layer, const NodeVectors& block, index_t k, double* out) {
  const index_t n = layer.samples(), d = layer.features();
  const NodeVectors node{1, block.weights + k * d, block.vectors + k * d, block.compared + k * d};
  double* const gates = on.memory.take<double>(2 * n);
  gates_of(on, layer, node.weights, 1, gates);
  const CentredViews views = centred_views(on, layer.x, layer.x_aug, gates, gates + n);
  if (layer.alpha.shared != nullptr) {
    product_of_differences(on, views, *layer.alpha.shared, node.vectors, out);
  } else {
    const double* const outputs = own_outputs(on, layer, node);
    const auto own = gaussian<double>(on, View<const double>{outputs, n, 1, 1}, layer.alpha.tau, on.memory);
    product_of_differences(on, views, *own, node.vectors, out);
  }
  for_each(on, "scaled", d, Scaled<double>{out, layer.scale(), out});
}

}  // namespace alphacl::cuda
