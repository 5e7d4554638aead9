// A symmetric matrix as a whole square in a workspace, made from its lower triangle, and its products.
#pragma once

#include "alphacl/device.h"
#include "runtime/launch.h"

namespace alphacl::cuda {

constexpr int square_tile = 32;

/// d in multiples of a warp: rows of squares and of vectors are so long, with zeros at their ends.
inline index_t padded(index_t d) { return ceil_div(d, square_tile) * square_tile; }

struct MirrorShared {
  double tile[square_tile][square_tile + 1];
};

/// squares (count × d × n) = the matrices of which the lower triangle is read. A block of 32 × 8 threads copies a tile
/// of one of them and its mirror image. Grid: count · tiles, tiles = k (k + 1) / 2, k = n / 32.
template <class S>
__global__ void __launch_bounds__(256)
    mirror(const S* a, index_t matrix_stride, index_t row_stride, int d, int n, unsigned tiles, S* squares) {
  auto& s = simt::shared<MirrorShared>();
  const index_t matrix = blockIdx.x / tiles;
  int below = 0, left = static_cast<int>(blockIdx.x % tiles);
  for (; left > below; ++below) left -= below + 1;
  const int row0 = below * square_tile, column0 = left * square_tile, x = threadIdx.x;
  for (int y = threadIdx.y; y < square_tile; y += blockDim.y) {
    const int row = row0 + y, column = column0 + x;
    const bool in = row < d && column <= row;
    s.tile[y][x] = in ? static_cast<double>(a[matrix * matrix_stride + row * row_stride + column]) : 0.0;
  }
  __syncthreads();
  S* const to = squares + matrix * d * n;
  for (int y = threadIdx.y; y < square_tile; y += blockDim.y) {
    const bool diagonal = below == left;
    if (row0 + y < d)
      to[index_t{row0 + y} * n + column0 + x] = static_cast<S>(diagonal && x > y ? s.tile[x][y] : s.tile[y][x]);
    if (!diagonal) to[index_t{column0 + y} * n + row0 + x] = static_cast<S>(s.tile[x][y]);
  }
}

struct ProductShared {
  double part[512];
};

/// The square of one matrix, d rows of n numbers, as the threads of a block see it.
template <class S>
class Square {
 public:
  __device__ Square(S* entries, index_t d, index_t n, ProductShared& shared)
      : entries_(entries), d_(d), n_(n), s_(&shared) {}

  __device__ S* entries() const { return entries_; }
  __device__ index_t size() const { return d_ * n_; }

  /// y = A v. A thread sums over a column, which is a row; where a block has threads to spare, over a part of it.
  template <class V>
  [[gnu::noinline]] __device__ void multiply(const V* v, V* y) const {
    const index_t t = threadIdx.x, threads = blockDim.x;
    if (threads < 2 * n_) {
      for (index_t i = t; i < n_; i += threads) y[i] = static_cast<V>(sum(v, i, 0, d_));
    } else {
      const index_t parts = threads / n_, part = t / n_, i = t % n_;
      s_->part[t] = sum(v, i, d_ * part / parts, d_ * (part + 1) / parts);  // 32 and 64 divide 128: no thread is left
      __syncthreads();
      double total = 0;
      for (index_t k = 0; t < n_ && k < parts; ++k) total += s_->part[k * n_ + t];
      if (t < n_) y[t] = static_cast<V>(total);
    }
    __syncthreads();
  }

 private:
  static __device__ float fused(float a, float b, float c) { return fmaf(a, b, c); }
  static __device__ double fused(double a, double b, double c) { return fma(a, b, c); }

  // Σ_j a_ij v_j over begin ≤ j < end: eight terms in the type of v, then in double.
  template <class V>
  __device__ double sum(const V* v, index_t i, index_t begin, index_t end) const {
    constexpr int chain = 8;
    double total = 0;
    const S* entry = entries_ + begin * n_ + i;
    const V* const last = v + end;
    for (v += begin; v + chain <= last; v += chain) {
      V part = 0;
#pragma unroll
      for (int k = 0; k < chain; ++k, entry += n_) part = fused(static_cast<V>(*entry), v[k], part);
      total += static_cast<double>(part);
    }
    for (; v < last; ++v, entry += n_) total = fma(static_cast<double>(*entry), static_cast<double>(*v), total);
    return total;
  }

  S* entries_;
  index_t d_, n_;
  ProductShared* s_;
};

}  // namespace alphacl::cuda
