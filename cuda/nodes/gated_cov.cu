// gated_cov: gates of a block of nodes, then the covariances of the gated views: together where α has a factor, else
// one by one.
#include "nodes/gated_cov.h"

#include "covariance/laplacian_sums.h"
#include "nodes/factored_cov.h"
#include "nodes/layer.h"
#include "runtime/reused_memory.h"

namespace alphacl::cuda {
namespace {

constexpr index_t most_moments = index_t{1} << 24;  // of a block of nodes

// h(u) = u h'(u) / degree of every sample.
template <class X, class S>
struct OutputsOf {
  View<const X> x;
  const S* w;
  NodeGate gate;
  double degree;
  double* out;
  __device__ void operator()(std::int64_t i) const {
    const double u = inner(w, x, i);
    out[i] = u * gate_value(gate, u) / degree;
  }
};

// What a node's α compares.
template <class S>
View<const S> compared(const NodeImportance<S>& alpha, View<const S> x) {
  return alpha.x0.data == nullptr ? x : alpha.x0;
}

// The nodes of a call, and what they have in common.
template <class S>
struct GatedNodes {
  View<const S> x, x_aug, weights;
  NodeGate gate;
  double degree;
  const NodeImportance<S>& alpha;
  const double* near;  // of a linear layer, whose α no shift of outputs changes: x0 near 0; else null
  S* out;

  bool few_pairs() const {  // of all nodes, each of which may want them
    return alphacl::few_pairs(x.rows, std::max<index_t>(x.cols * x.cols, 64) * weights.rows);
  }
  S* matrix(index_t k) const { return out + k * x.cols * x.cols; }

  // Node k, the b-th of its block. Memory of `on` is that of one node.
  void one(const Stream& on, const NodeGates& gates, index_t b, index_t k) const {
    const index_t n = x.rows;
    const double* const own_gates = gates.own + b * n;
    const OpenSamples open{gates.open + b * n, gates.either + b * n, gates.open_count + b, gates.either_count + b,
                           own_gates};
    const auto all_samples = [&](const auto& importance) {
      const CentredViews views = centred_views(on, x, x_aug, own_gates, gates.aug + b * n);
      covariance(on, views, importance, matrix(k), &open, weights.rows);
    };
    if (alpha.shared != nullptr) return all_samples(*alpha.shared);
    double* const outputs = on.memory.take<double>(n);
    outputs_of(on, k, outputs);
    const auto own =
        scalar_gaussian<double>(on, {outputs, n, 1, 1}, alpha.tau, alpha.tol, ScalarMethod::automatic, on.memory);
    if (const std::optional<Factor> phi = own->factor()) {
      double* const row_sum = on.memory.take<double>(n);
      own->sums(on, row_sum, nullptr);
      const NodeGates single{n,        1,           own_gates,      gates.aug + b * n,
                             open.own, open.either, open.own_count, open.either_count};
      // Entries of a series are near α alone, so that float32 asks too.
      if (factored_cov(on, x, x_aug, single, *phi, row_sum, matrix(k), few_pairs()).empty()) return;
    }
    all_samples(*own);
  }

  void outputs_of(const Stream& on, index_t k, double* outputs) const {
    const S* const w = weights.data + k * weights.stride;
    const index_t n = x.rows, d = x.cols;
    if (near != nullptr)
      for_each(on, "outputs_of", n, OutputsOf<double, S>{{near, n, d, d}, w, gate, degree, outputs});
    else
      for_each(on, "outputs_of", n, OutputsOf<S, S>{compared(alpha, x), w, gate, degree, outputs});
  }
};

}  // namespace

template <class S>
void gated_cov(const Stream& given, View<const S> x, View<const S> x_aug, View<const S> weights, const Activation& h,
               const NodeImportance<S>& alpha, S* out, index_t most_gates) {
  const index_t n = x.rows, nodes = weights.rows;
  if (x.cols == 0) return;  // matrices without entries
  const NodeGate gate = gate_of(h);
  const bool shifted = alpha.shared == nullptr && gate.constant();
  const double* const near = shifted ? centred_inputs(given, given.memory, compared(alpha, x)) : nullptr;
  const GatedNodes<S> layer{x, x_aug, weights, gate, h.degree(), alpha, near, out};
  const std::optional<Factor> phi = alpha.shared == nullptr ? std::nullopt : alpha.shared->factor();
  index_t block = std::clamp<index_t>(most_gates / n, 1, 65535);
  double* row_sum = nullptr;
  const bool asked = std::is_same<S, double>::value && layer.few_pairs();  // float32 has digits to spare in double
  if (phi) {
    block = std::clamp<index_t>(most_moments / (phi->rank * x.cols), 1, block);
    row_sum = given.memory.take<double>(n);
    alpha.shared->sums(given, row_sum, nullptr);
  }
  ReusedMemory of_block(given.memory), of_node(given.memory);
  const Stream on{given.handle, of_block}, on_node{given.handle, of_node};
  for (index_t first = 0; first < nodes; first += block, of_block.next_round()) {
    const index_t count = std::min(block, nodes - first);
    const View<const S> w{weights.data + first * weights.stride, count, x.cols, weights.stride};
    const NodeGates gates = node_gates(on, x, x_aug, w, layer.gate);
    std::vector<index_t> alone;
    if (phi)
      alone = factored_cov(on, x, x_aug, gates, *phi, row_sum, layer.matrix(first), asked);
    else
      for (index_t b = 0; b < count; ++b) alone.push_back(b);
    for (const index_t b : alone) {
      layer.one(on_node, gates, b, first + b);
      of_node.next_round();
    }
  }
}

template void gated_cov<float>(const Stream&, View<const float>, View<const float>, View<const float>,
                               const Activation&, const NodeImportance<float>&, float*, index_t);
template void gated_cov<double>(const Stream&, View<const double>, View<const double>, View<const double>,
                                const Activation&, const NodeImportance<double>&, double*, index_t);

}  // namespace alphacl::cuda
