// A block of threads as a team that works on one matrix: sums and peaks in a fixed order, bases of vectors.
//
// Every thread calls every function here, with the same arguments but for its own part of a sum or a peak. Arrays are
// at rest when a function is called and again when it returns; a result that one thread writes is written behind a
// barrier that whoever still reads the one before has passed. So the scalars of all threads are the same to the bit.
#pragma once

#include "alphacl/eigen_candidate.h"
#include "eigen/tridiagonal.h"
#include "formulas/exponential.h"
#include "runtime/launch.h"

namespace alphacl::cuda {

constexpr int most_block = 512, most_warps = most_block / 32;

/// The threads of a block that works on vectors of n numbers.
inline unsigned threads_for(index_t n) { return n <= 128 ? 128 : n <= 256 ? 256 : most_block; }

struct BlockShared {
  double part[most_warps];
  std::int64_t at[most_warps];
  double square;  // of project
  TridiagonalTop top;
};

/// The threads of a block, a Team of alphacl/eigen_candidate.h.
class Block {
 public:
  __device__ explicit Block(BlockShared& shared) : s_(&shared) {}

  __device__ static index_t rank() { return threadIdx.x; }
  __device__ static index_t size() { return blockDim.x; }
  __device__ static int warp() { return threadIdx.x / 32; }
  __device__ static int warps() { return blockDim.x / 32; }
  __device__ static int lane() { return threadIdx.x % 32; }
  __device__ void wait() const { __syncthreads(); }
  __device__ BlockShared& shared() const { return *s_; }

  /// Over the threads of a warp as a tree, over the warps in their order.
  [[gnu::noinline]] __device__ double sum(double part) const {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) part += __shfl_xor_sync(0xffffffffu, part, step);
    __syncthreads();
    if (lane() == 0) s_->part[warp()] = part;
    __syncthreads();
    double total = 0;
    for (int w = 0; w < warps(); ++w) total += s_->part[w];
    return total;
  }

  [[gnu::noinline]] __device__ Peak peak(Peak mine) const {
    std::int64_t at = mine.at;
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      const double value = __shfl_xor_sync(0xffffffffu, mine.value, step);
      at = __shfl_xor_sync(0xffffffffu, at, step);
      mine = higher(mine, {value, static_cast<index_t>(at)});
      at = mine.at;
    }
    __syncthreads();
    if (lane() == 0) {
      s_->part[warp()] = mine.value;
      s_->at[warp()] = at;
    }
    __syncthreads();
    for (int w = 0; w < warps(); ++w) mine = higher(mine, {s_->part[w], static_cast<index_t>(s_->at[w])});
    return mine;
  }

 private:
  BlockShared* s_;
};

/// The Ops of alphacl::EigenIteration. ld is a multiple of 32; sums are in double.
template <class T>
class BlockOps {
 public:
  __device__ explicit BlockOps(const Block& block) : block_(block) {}

  /// h = Q w; returns ‖w‖². A warp takes four rows at a time, w itself is the last one. What the call before wrote has
  /// been read: a `subtract`, which has two barriers, comes after every `project`.
  [[gnu::noinline]] __device__ double project(const T* q, index_t ld, index_t rows, const T* w, double* h) const {
    constexpr int together = 4;
    double& square = block_.shared().square;
    for (int first = together * Block::warp(); first <= rows; first += together * Block::warps()) {
      double sum[together] = {};
      const T* row[together];
#pragma unroll
      for (int k = 0; k < together; ++k) row[k] = first + k < rows ? q + (first + k) * ld : w;
      for (index_t j = Block::lane(); j < ld; j += 32) {
        const double x = static_cast<double>(w[j]);
#pragma unroll
        for (int k = 0; k < together; ++k) sum[k] = fma(static_cast<double>(row[k][j]), x, sum[k]);
      }
#pragma unroll
      for (int step = 16; step > 0; step /= 2)
#pragma unroll
        for (int k = 0; k < together; ++k) sum[k] += __shfl_xor_sync(0xffffffffu, sum[k], step);
      if (Block::lane() == 0) {
#pragma unroll
        for (int k = 0; k < together; ++k) {
          if (first + k < rows) h[first + k] = sum[k];
          if (first + k == rows) square = sum[k];
        }
      }
    }
    __syncthreads();
    return square;
  }

  /// w −= Qᵀ h; returns the new ‖w‖². A thread takes whole columns.
  [[gnu::noinline]] __device__ double subtract(const T* q, index_t ld, index_t rows, const double* h, T* w) const {
    double square = 0;
    for (index_t j = Block::rank(); j < ld; j += Block::size()) {
      double x = static_cast<double>(w[j]);
#pragma unroll 4
      for (index_t r = 0; r < rows; ++r) x = fma(-h[r], static_cast<double>(q[r * ld + j]), x);
      w[j] = static_cast<T>(x);
      const double rounded = static_cast<double>(w[j]);
      square = fma(rounded, rounded, square);
    }
    return block_.sum(square);
  }

  [[gnu::noinline]] __device__ void scale(const T* in, index_t ld, double factor, T* out) const {
    for (index_t j = Block::rank(); j < ld; j += Block::size())
      out[j] = static_cast<T>(factor * static_cast<double>(in[j]));
    __syncthreads();
  }

  /// Read by the first thread alone, below.
  __device__ void put(double* at, double x) const {
    if (Block::rank() == 0) *at = x;
  }

  __device__ double log(double x) const { return log_value(x); }
  /// Squares are in range: see scaling_exponent.
  __device__ double hypot(double x, double y) const { return sqrt(fma(x, x, y * y)); }

  __device__ void negate(double* s, index_t count) const {
    __syncthreads();
    for (index_t j = Block::rank(); j < count; j += Block::size()) s[j] = -s[j];
    __syncthreads();
  }

  /// These two as `project`: what the first thread writes here, others have read before a `subtract`. It alone reads
  /// what `put` wrote.
  [[gnu::noinline]] __device__ double tridiagonal_top(const double* alpha, const double* beta, index_t m, double guess,
                                                      double* last, double*) const {
    if (Block::rank() == 0) block_.shared().top = cuda::tridiagonal_top(alpha, beta, static_cast<int>(m), guess);
    __syncthreads();
    *last = block_.shared().top.last;
    return block_.shared().top.value;
  }

  __device__ void tridiagonal_vector(const double* alpha, const double* beta, index_t m, double top, double enough,
                                     double* s, double* scratch) const {
    if (Block::rank() == 0) cuda::tridiagonal_vector(alpha, beta, static_cast<int>(m), top, enough, s, scratch);
    __syncthreads();
  }

 private:
  Block block_;
};

}  // namespace alphacl::cuda
