// What a kernel includes: CUDA under nvcc, and under any other compiler a machine that runs the same source on the CPU.
#pragma once

#ifndef __CUDACC__
#include "simt/language.h"
#include "simt/machine.h"
#include "simt/tensor_core.h"
#else
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace simt {

/// The dynamic shared memory of a block as one struct: all that a kernel shares is a member of it.
template <class S>
__device__ __forceinline__ S& shared() {
  static_assert(alignof(S) <= 128, "shared memory is aligned to 128 bytes");
  extern __shared__ __align__(128) unsigned char simt_shared[];
  return *reinterpret_cast<S*>(simt_shared);
}

/// Starts `kernel` with `shared` bytes of shared memory. What it returns says whether the kernel was started.
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream, A... args) {
  if (shared > 48 * 1024) {  // more has to be asked for
    const cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
    if (error != cudaSuccess) {
      cudaGetLastError();  // clears the error, so that the next caller does not get it
      return error;
    }
  }
  kernel<<<grid, block, shared, stream>>>(static_cast<P>(args)...);
  return cudaGetLastError();
}

inline const char* error_text(cudaError_t error) { return cudaGetErrorString(error); }

__device__ __forceinline__ float as_float(std::uint32_t bits) { return __uint_as_float(bits); }
__device__ __forceinline__ std::uint32_t as_bits(float x) { return __float_as_uint(x); }
__device__ __forceinline__ double as_double(std::uint64_t bits) {
  return __longlong_as_double(static_cast<long long>(bits));
}
__device__ __forceinline__ std::uint64_t as_bits(double x) {
  return static_cast<std::uint64_t>(__double_as_longlong(x));
}

/// x rounded to tf32: to nearest, ties away from zero.
__device__ __forceinline__ std::uint32_t to_tf32(float x) {
  std::uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

/// d (16 x 8) += a (16 x 8) b (8 x 8), in the fragments of mma.m16n8k8.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// d[y][x] (8 x 8) += a[y] (8 x 4) b[x] (4 x 8) in double, in the fragments of mma.m8n8k4.
template <int Y, int X>
__device__ __forceinline__ void mma_f64(double (&d)[Y][X][2], const double (&a)[Y], const double (&b)[X]) {
#pragma unroll
  for (int y = 0; y < Y; ++y)
#pragma unroll
    for (int x = 0; x < X; ++x)
      asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
                   : "+d"(d[y][x][0]), "+d"(d[y][x][1])
                   : "d"(a[y]), "d"(b[x]));
}

/// d (16 x 8) += a (16 x 16) b (16 x 8), in the fragments of mma.m16n8k16: two bf16 in a word.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace simt
#endif
