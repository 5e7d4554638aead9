// For every node the list of its samples whose weight is not 0, in their order.
#pragma once

#include "runtime/launch.h"

namespace alphacl::cuda {

struct CompactionShared {
  int count[8];  // of each warp
};

/// rows: nodes × n, of which the first counts[k] are written; the weight of sample i and node k is
/// weights[i · row_stride + k · node_stride]. One block of 256 threads per node walks the samples, 256 at a time; an
/// open one finds its place by the ballot of its warp and the counts of the warps before. NaN is open.
template <class S>
__global__ void __launch_bounds__(256)
    open_rows(const S* weights, std::int64_t row_stride, std::int64_t node_stride, int n, int* rows, int* counts) {
  auto& s = simt::shared<CompactionShared>();
  const int node = blockIdx.x, thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  int* const to = rows + static_cast<std::size_t>(node) * n;
  int found = 0;
  for (int first = 0; first < n; first += 256) {
    const int i = first + thread;
    const bool open = i < n && weights[i * row_stride + node * node_stride] != S(0);
    const unsigned votes = __ballot_sync(0xffffffffu, open);
    __syncthreads();  // the counts before have been read
    if (lane == 0) s.count[warp] = __popc(votes);
    __syncthreads();
    int before = found;
    for (int w = 0; w < 8; ++w) {
      if (w == warp && open) to[before + __popc(votes & ((1u << lane) - 1))] = i;
      before += s.count[w];
    }
    found = before;
  }
  if (thread == 0) counts[node] = found;
}

/// The same for `nodes` nodes: rows holds nodes × n indices.
template <class S>
void list_open_rows(const Stream& on, const S* weights, index_t row_stride, index_t node_stride, index_t n,
                    index_t nodes, int* rows, int* counts) {
  launch(on, "open_rows", open_rows<S>, dim3(static_cast<unsigned>(nodes)), dim3(256), sizeof(CompactionShared),
         weights, std::int64_t{row_stride}, std::int64_t{node_stride}, static_cast<int>(n), rows, counts);
}

}  // namespace alphacl::cuda
