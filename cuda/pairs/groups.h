// What the groups of tiles found, put together in their order.
#pragma once

#include "sums/elementwise.h"

namespace alphacl::cuda {

template <class S>
struct AddGroups {
  const double* parts;
  int groups;
  index_t size, cols;
  double scale;
  S* out;
  index_t stride;
  __device__ void operator()(std::int64_t e) const {
    double sum = 0;
    for (int g = 0; g < groups; ++g) sum += parts[g * size + e];
    out[e / cols * stride + e % cols] = static_cast<S>(scale * sum);
  }
};

/// out (rows × cols) = scale · Σ_g parts_g, parts: groups × rows × cols.
template <class S>
void add_in_order(const Stream& on, const double* parts, int groups, index_t rows, index_t cols, double scale, S* out,
                  index_t stride) {
  for_each(on, "add_groups", rows * cols, AddGroups<S>{parts, groups, rows * cols, cols, scale, out, stride});
}

struct AddAllShared {
  double sum[256];
};

/// *out = scale · Σ of `count` numbers: 256 interleaved sums, then halves of them. One block.
template <class S>
__global__ void __launch_bounds__(256) add_all(const double* numbers, index_t count, double scale, S* out) {
  auto& s = simt::shared<AddAllShared>();
  const int thread = threadIdx.x;
  double sum = 0;
  for (index_t e = thread; e < count; e += 256) sum += numbers[e];
  s.sum[thread] = sum;
  for (int half = 128; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) s.sum[thread] += s.sum[thread + half];
  }
  if (thread == 0) *out = static_cast<S>(scale * s.sum[0]);
}

}  // namespace alphacl::cuda
