// One thread for each of `count` numbers, or one warp for each of `count` rows.
#pragma once

#include "runtime/launch.h"

namespace alphacl::cuda {

template <class F>
__global__ void __launch_bounds__(256) elementwise(std::int64_t count, F f) {
  const std::int64_t step = std::int64_t{gridDim.x} * 256;
  for (std::int64_t e = std::int64_t{blockIdx.x} * 256 + threadIdx.x; e < count; e += step) f(e);
}

/// f(e) for e = 0 … count − 1, in any order; f is a struct with __device__ void operator()(std::int64_t) const.
template <class F>
void for_each(const Stream& on, const char* name, index_t count, const F& f) {
  if (count == 0) return;
  const index_t blocks = ceil_div(count, 256), most = 65536;
  launch(on, name, elementwise<F>, dim3(static_cast<unsigned>(blocks < most ? blocks : most)), dim3(256), 0,
         static_cast<std::int64_t>(count), f);
}

/// The sum of what the lanes of a warp have, the same bits in each of them.
__device__ __forceinline__ double warp_total(double part) {
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2) part += __shfl_xor_sync(~0u, part, apart);
  return part;
}

template <class F>
__global__ void __launch_bounds__(256) rowwise(std::int64_t count, F f) {
  const std::int64_t step = std::int64_t{gridDim.x} * 8;
  for (std::int64_t i = std::int64_t{blockIdx.x} * 8 + threadIdx.x / 32; i < count; i += step) f(i, threadIdx.x % 32);
}

/// f(i, lane) for i = 0 … count − 1 and the lanes of a warp: neighbours read neighbouring numbers of a row.
template <class F>
void for_each_row(const Stream& on, const char* name, index_t count, const F& f) {
  if (count == 0) return;
  const index_t blocks = ceil_div(count, 8), most = 65536;
  launch(on, name, rowwise<F>, dim3(static_cast<unsigned>(blocks < most ? blocks : most)), dim3(256), 0,
         static_cast<std::int64_t>(count), f);
}

struct Fill {
  double value;
  double* out;
  __device__ void operator()(std::int64_t e) const { out[e] = value; }
};

}  // namespace alphacl::cuda
