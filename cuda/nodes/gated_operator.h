// The covariances of K gated nodes as products, which are never formed.
#pragma once

#include <vector>

#include "eigen/lock_step.h"
#include "nodes/layer.h"

namespace alphacl::cuda {

struct ProductRow;  // a node, and its row of v and of the result

/// The matrices A(w_k) of K nodes, as alphacl::GatedOperator, computed in double: seven matrix products of N × d × K
/// (eight where the own importance compares other outputs) and the importance of K columns, or N² exponentials for the
/// own Gaussian of each node. Products that lose their digits
/// are taken from the differences of all pairs, where these are few. Memory: 24 N d bytes for the data, eight arrays of
/// N × nodes in double, 64 MiB each unless 16 nodes take more, and for differences of pairs 256 MiB and 24 N d bytes.
/// The weights are the caller's.
template <class S>
class GatedOperator final : public ProductsOfMany {
 public:
  GatedOperator(const Layer<S>& layer, View<const S> weights, View<const S> alpha_weights)
      : layer_(layer), weights_(weights), compared_(alpha_weights) {}

  index_t count() const override { return weights_.rows; }
  index_t size() const override { return layer_.features(); }
  void apply(const Stream& on, const std::vector<int>& active, const double* v, double* out) const override;
  /// Row i of out = A(w_k) (row i of v), k = active[i].
  void matmul(const Stream& on, const std::vector<int>& active, View<const S> v, View<S> out) const;
  const Layer<S>& layer() const { return layer_; }

 private:
  void multiply(const Stream& on, const std::vector<ProductRow>& rows, const double* v, double* out) const;

  Layer<S> layer_;
  View<const S> weights_, compared_;  // compared_: data null where the outputs are those of the weights
};

/// How many nodes a pass over N samples takes at a time.
index_t nodes_at_a_time(index_t n, index_t nodes);

}  // namespace alphacl::cuda
