// The covariances of many gated nodes at once, where α = ΦΦᵀ (but for its diagonal): Gram sums over open samples alone.
//
// For node k with gates g, b_i = g_i x_i − c and any c the form is, with D = 2ΦΦᵀ1 and m = Φᵀb (p × d),
//
//     2N² A = Σ_i D_i b_i b_iᵀ − 2 mᵀm − Σ_i R_i δ_i δ_iᵀ.
//
// A closed sample is −c, so all of them together are one row: c, weighted with the sum of their D or φ. c is a vector
// near most gated samples, which an offset of the data moves along with them. Cost of a node: (open + either) d² + 2 p
// d open multiply-adds, by tensor cores, whose limit it is (sums/gram.h); bytes: 8 p d of moments, and rows of x by way
// of the lists, through L2, for each 64 columns. Registers: 80; shared memory: 17 KiB, in closed_sums and
// sizes_of_nodes 64 bytes. Source: the Laplacian form of α = ΦΦᵀ (derived).
#pragma once

#include <vector>

#include "alphacl/precision.h"
#include "importances/importance.h"
#include "nodes/node_gates.h"
#include "nodes/rough_median.h"
#include "runtime/copies.h"
#include "sums/gram.h"
#include "sums/rows.h"

namespace alphacl::cuda {

// The gated samples of nodes. `first`: the node that node 0 of a launch is.
template <class S>
struct GatedRows {
  View<const S> x, x_aug;
  NodeGates gates;
  Factor phi;
  const double* row_sum;  // R
  const double* centre;   // nodes × d: c
  const double* closed;   // nodes × (p + 1): the sums of φ and D over closed samples
  int first;

  __device__ index_t node(int k) const { return first + k; }
  __device__ double degree(index_t i) const { return 2 * (row_sum[i] + phi.without); }
  __device__ double centred(int k, index_t i, int c) const {
    return fma(gates.own[node(k) * gates.n + i], static_cast<double>(x.data[i * x.stride + c]),
               -centre[node(k) * x.cols + c]);
  }
  __device__ double delta(int k, index_t i, int c) const {
    const double gate = gates.own[node(k) * gates.n + i], gate_aug = gates.aug[node(k) * gates.n + i];
    const double own = static_cast<double>(x.data[i * x.stride + c]);
    const double other = static_cast<double>(x_aug.data[i * x_aug.stride + c]);
    return gate == gate_aug ? gate * (own - other) : gate * own - gate_aug * other;
  }
  __device__ int open(int k) const { return gates.open_count[node(k)]; }
  __device__ index_t open_sample(int k, int row) const { return gates.open[node(k) * gates.n + row]; }
  __device__ double minus_centre(int k, int c) const { return -centre[node(k) * x.cols + c]; }
  __device__ double closed_sum(int k, index_t l) const { return closed[node(k) * (phi.rank + 1) + l]; }
};

struct BlockSumShared {
  double part[8];
};

/// The sum over 256 threads: a tree over a warp, then the warps in their order.
__device__ inline double block_sum(BlockSumShared& s, double part) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  for (int step = 16; step > 0; step /= 2) part += __shfl_xor_sync(0xffffffffu, part, step);
  __syncthreads();  // the parts before have been read
  if (threadIdx.x % 32 == 0) s.part[warp] = part;
  __syncthreads();
  double total = 0;
  for (int w = 0; w < 8; ++w) total += s.part[w];
  return total;
}

// Grid: p + 1 sums, nodes; block: 256.
template <class S>
__global__ void __launch_bounds__(256) closed_sums(GatedRows<S> rows, double* out) {
  auto& s = simt::shared<BlockSumShared>();
  const index_t l = blockIdx.x, k = blockIdx.y, n = rows.gates.n;
  double part = 0;
  for (index_t i = threadIdx.x; i < n; i += 256)
    if (rows.gates.own[k * n + i] == 0) part += l < rows.phi.rank ? rows.phi.at(i, l) : rows.degree(i);
  part = block_sum(s, part);
  if (threadIdx.x == 0) out[k * (rows.phi.rank + 1) + l] = part;
}

// m = Σ_i φ_i b_iᵀ: open samples, then one row for the closed ones.
template <class S>
struct MomentRows {
  GatedRows<S> of;
  MomentRows from(int node) const {
    MomentRows moved = *this;
    moved.of.first = node;
    return moved;
  }
  __device__ int rows(int k) const { return of.open(k) + 1; }
  __device__ double left(int k, int row, int a) const {
    return row < of.open(k) ? of.phi.at(of.open_sample(k, row), a) : of.closed_sum(k, a);
  }
  __device__ double right(int k, int row, int b) const {
    return row < of.open(k) ? of.centred(k, of.open_sample(k, row), b) : of.minus_centre(k, b);
  }
};

// (b_i, D_i b_i) of open samples, (−c, −Σ D c) of the closed ones, (m_l, −2 m_l) of the columns of Φ, (δ_i, −R_i δ_i)
// of samples that are open in either view.
template <class S>
struct FactoredRows {
  GatedRows<S> of;
  const double* moments;  // nodes × p × d
  FactoredRows from(int node) const {
    FactoredRows moved = *this;
    moved.of.first = node;
    return moved;
  }
  __device__ int before_intra(int k) const { return of.open(k) + 1 + static_cast<int>(of.phi.rank); }
  __device__ int rows(int k) const { return before_intra(k) + of.gates.either_count[of.node(k)]; }
  __device__ double moment(int k, int l, int c) const {
    return moments[(of.node(k) * of.phi.rank + l) * of.x.cols + c];
  }
  __device__ index_t intra_sample(int k, int row) const {
    return of.gates.either[of.node(k) * of.gates.n + row - before_intra(k)];
  }
  __device__ double left(int k, int row, int a) const {
    const int open = of.open(k);
    if (row < open) return of.centred(k, of.open_sample(k, row), a);
    if (row == open) return of.minus_centre(k, a);
    if (row < before_intra(k)) return moment(k, row - open - 1, a);
    return of.delta(k, intra_sample(k, row), a);
  }
  __device__ double right(int k, int row, int b) const {
    const int open = of.open(k);
    if (row < open) return of.degree(of.open_sample(k, row)) * left(k, row, b);
    if (row == open) return of.closed_sum(k, of.phi.rank) * left(k, row, b);
    if (row < before_intra(k)) return -2 * left(k, row, b);
    return -of.row_sum[intra_sample(k, row)] * left(k, row, b);
  }
};

// Of a node, in units of 1/(2N²): the sizes that alphacl/precision.h compares, ‖A‖² last.
struct SizesOfNode {
  double minuend, moments, terms, result;
};

// minuend: Σ |D_i| ‖b_i‖²; moments: ‖m‖²; terms: Σ ‖φ_i‖² ‖b_i‖². Grid: nodes; block: 256.
template <class S>
__global__ void __launch_bounds__(256)
    sizes_of_nodes(GatedRows<S> rows, const double* moments, const S* result, SizesOfNode* out) {
  auto& s = simt::shared<BlockSumShared>();
  const int k = static_cast<int>(blockIdx.x), d = static_cast<int>(rows.x.cols), open = rows.open(k);
  SizesOfNode sum = {0, 0, 0, 0};
  for (int row = static_cast<int>(threadIdx.x); row <= open; row += 256) {
    const index_t i = row < open ? rows.open_sample(k, row) : 0;
    double square = 0, factor = 0;
    for (int c = 0; c < d; ++c) {
      const double b = row < open ? rows.centred(k, i, c) : rows.minus_centre(k, c);
      square = fma(b, b, square);
    }
    for (index_t l = 0; l < rows.phi.rank; ++l) {
      const double phi = row < open ? rows.phi.at(i, l) : rows.closed_sum(k, l);
      factor = fma(phi, phi, factor);
    }
    sum.minuend = fma(fabs(row < open ? rows.degree(i) : rows.closed_sum(k, rows.phi.rank)), square, sum.minuend);
    sum.terms = fma(factor, square, sum.terms);
  }
  const index_t numbers = rows.phi.rank * d, entries = index_t{d} * d;
  for (index_t e = threadIdx.x; e < numbers; e += 256)
    sum.moments = fma(moments[k * numbers + e], moments[k * numbers + e], sum.moments);
  for (index_t e = threadIdx.x; e < entries; e += 256) {
    const double value = static_cast<double>(result[k * entries + e]);
    sum.result = fma(value, value, sum.result);
  }
  sum = {block_sum(s, sum.minuend), block_sum(s, sum.moments), block_sum(s, sum.terms), block_sum(s, sum.result)};
  if (threadIdx.x == 0) out[k] = sum;
}

/// The nodes whose matrices in double are so small beside their terms that differences of pairs have more digits; waits
/// for the stream.
template <class S>
std::vector<index_t> cancelled_nodes(const Stream& on, const GatedRows<S>& rows, const double* moments,
                                     const S* result) {
  const index_t nodes = rows.gates.nodes;
  const double n = static_cast<double>(rows.gates.n);
  SizesOfNode* const sizes = on.memory.take<SizesOfNode>(nodes);
  launch(on, "sizes_of_nodes", sizes_of_nodes<S>, dim3(static_cast<unsigned>(nodes)), dim3(256), sizeof(BlockSumShared),
         rows, moments, result, sizes);
  std::vector<SizesOfNode> found(static_cast<std::size_t>(nodes));
  read_back(on, sizes, nodes, found.data());
  std::vector<index_t> lost;
  for (index_t k = 0; k < nodes; ++k) {
    const SizesOfNode& of = found[static_cast<std::size_t>(k)];
    const double terms = std::sqrt(8 * of.moments * of.terms);
    if (cancelled({of.minuend + 2 * of.moments, terms, 2 * n * n * std::sqrt(of.result)}, wide_limits<S>))
      lost.push_back(k);
  }
  return lost;
}

/// out: nodes × d × d, those of `gates`. row_sum: R. Returns the nodes that lost digits, where `asked`.
template <class S>
std::vector<index_t> factored_cov(const Stream& on, View<const S> x, View<const S> x_aug, const NodeGates& gates,
                                  const Factor& phi, const double* row_sum, S* out, bool asked) {
  const index_t n = x.rows, d = x.cols, nodes = gates.nodes;
  const int p = static_cast<int>(phi.rank), width = static_cast<int>(d);
  double* const centre = on.memory.take<double>(nodes * d);
  double* const closed = on.memory.take<double>(nodes * (p + 1));
  double* const moments = on.memory.take<double>(nodes * p * d);
  const GatedRows<S> rows{x, x_aug, gates, phi, row_sum, centre, closed, 0};
  for_each(on, "rough_median", nodes * d, RoughMedian<S>{x, gates.own, centre});
  launch(on, "closed_sums", closed_sums<S>, dim3(static_cast<unsigned>(p + 1), static_cast<unsigned>(nodes)), dim3(256),
         sizeof(BlockSumShared), rows, closed);
  gram(on, MomentRows<S>{rows}, GramShape{p, width, false, gram_groups(n)}, nodes, 1.0, moments);
  const double size = static_cast<double>(n);
  gram(on, FactoredRows<S>{rows, moments}, GramShape{width, width, true, gram_groups(2 * n)}, nodes,
       1 / (2 * size * size), out);
  return asked ? cancelled_nodes(on, rows, moments, out) : std::vector<index_t>();
}

}  // namespace alphacl::cuda
