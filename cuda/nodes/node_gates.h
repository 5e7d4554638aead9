// The gates of a block of nodes in both views, and the samples that they are open for.
#pragma once

#include "nodes/compaction.h"
#include "nodes/gates.h"
#include "sums/elementwise.h"

namespace alphacl::cuda {

/// All nodes × N. The first open_count[k] numbers of a row of `open` are the samples whose gate is not 0 in x, those of
/// `either` the ones whose gate is not 0 in one of the views.
struct NodeGates {
  index_t n, nodes;
  const double *own, *aug;  // h' in x and in x'
  const int *open, *either, *open_count, *either_count;
};

/// w · x_i.
template <class S, class X>
__device__ double inner(const S* w, View<const X> x, index_t i) {
  double sum = 0;
  for (index_t c = 0; c < x.cols; ++c)
    sum = fma(static_cast<double>(w[c]), static_cast<double>(x.data[i * x.stride + c]), sum);
  return sum;
}

template <class S>
struct GatesOf {
  View<const S> x, x_aug, weights;
  NodeGate gate;
  double *own, *aug, *either;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e % x.rows;
    const S* const w = weights.data + e / x.rows * weights.stride;
    own[e] = gate_value(gate, inner(w, x, i));
    aug[e] = gate_value(gate, inner(w, x_aug, i));
    either[e] = own[e] != 0 || aug[e] != 0 ? 1 : 0;
  }
};

/// weights: nodes × d. Memory: 32 bytes for each sample and node.
template <class S>
NodeGates node_gates(const Stream& on, View<const S> x, View<const S> x_aug, View<const S> weights,
                     const NodeGate& gate) {
  const index_t n = x.rows, nodes = weights.rows, all = n * nodes;
  double *const own = on.memory.take<double>(3 * all), *const aug = own + all, *const either = aug + all;
  int *const lists = on.memory.take<int>(2 * all), *const counts = on.memory.take<int>(2 * nodes);
  for_each(on, "gates_of", all, GatesOf<S>{x, x_aug, weights, gate, own, aug, either});
  list_open_rows(on, own, 1, n, n, nodes, lists, counts);
  list_open_rows(on, either, 1, n, n, nodes, lists + all, counts + nodes);
  return {n, nodes, own, aug, lists, lists + all, counts, counts + nodes};
}

}  // namespace alphacl::cuda
