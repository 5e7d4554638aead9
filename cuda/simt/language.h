// The words of CUDA that mean the same on the CPU: qualifiers, vector types, errors and intrinsics of one thread.
#pragma once

#include <math.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// There is no __shared__: what a block shares is the struct that simt::shared gives.

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

struct alignas(8) float2 {
  float x, y;
};

struct alignas(16) float4 {
  float x, y, z, w;
};

struct alignas(16) double2 {
  double x, y;
};

using cudaStream_t = struct CUstream_st*;

/// With the numbers of CUDA.
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorInvalidConfiguration = 9 };

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

template <class T>
T __ldg(const T* p) {
  return *p;
}
