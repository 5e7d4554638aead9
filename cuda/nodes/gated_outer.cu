// gated_outer: the open rows of every node, then their Gram matrix.
#include "nodes/gated_outer.h"

#include "nodes/compaction.h"
#include "runtime/reused_memory.h"
#include "sums/gram.h"

namespace alphacl::cuda {
namespace {

// The rows of one node are x_i, i in its list; the weight stands on the right.
template <class S>
struct WeightedRows {
  View<const S> x, omega;
  const int *lists, *counts;  // K × N, K
  int first;                  // node that node 0 of a launch is

  WeightedRows from(int node) const { return {x, omega, lists, counts, node}; }
  __device__ int rows(int node) const { return counts[first + node]; }
  __device__ int sample(int node, int row) const {
    return lists[static_cast<std::size_t>(first + node) * x.rows + row];
  }
  __device__ double left(int node, int row, int a) const { return x.data[sample(node, row) * x.stride + a]; }
  __device__ double right(int node, int row, int b) const {
    const int i = sample(node, row);
    const double weight = omega.data[i * omega.stride + first + node];
    return weight * static_cast<double>(x.data[i * x.stride + b]);
  }
};

}  // namespace

template <class S>
void gated_outer(const Stream& given, View<const S> x, View<const S> omega, S* out, index_t most_indices,
                 index_t most_numbers) {
  ReusedMemory memory(given.memory);
  const Stream on{given.handle, memory};
  const index_t n = x.rows, d = x.cols;
  const index_t block = std::clamp<index_t>(most_indices / n, 1, omega.cols);
  const GramShape shape{static_cast<int>(d), static_cast<int>(d), true, gram_groups(n)};
  for (index_t first = 0; first < omega.cols; first += block, memory.next_round()) {
    int* const lists = memory.take<int>(block * n);
    int* const counts = memory.take<int>(block);
    const View<const S> weights{omega.data + first, n, std::min(block, omega.cols - first), omega.stride};
    list_open_rows(on, weights.data, weights.stride, 1, n, weights.cols, lists, counts);
    gram(on, WeightedRows<S>{x, weights, lists, counts, 0}, shape, weights.cols, 1.0, out + first * d * d,
         most_numbers);
  }
}

template void gated_outer<float>(const Stream&, View<const float>, View<const float>, float*, index_t, index_t);
template void gated_outer<double>(const Stream&, View<const double>, View<const double>, double*, index_t, index_t);

}  // namespace alphacl::cuda
