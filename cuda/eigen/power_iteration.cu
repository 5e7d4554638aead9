// power_iteration: squares of the matrices, then one block iterates on one matrix until it has converged.
//
// All threads of a block hold the same scalars, so that every branch and every barrier of EigenIteration is taken by
// all of them. They lie in local memory (336 bytes a thread) while vectors are worked on: what works on vectors is
// called, not inlined. nvcc 13 gives `solve` 128 registers and spills none, for sm_80 and sm_90, so that an SM holds
// 512 threads: four matrices with d ≤ 128, two with d ≤ 256, else one.
#include "eigen/power_iteration.h"

#include "alphacl/eigen_solve.h"
#include "eigen/block.h"
#include "eigen/square.h"

namespace alphacl::cuda {
namespace {

constexpr index_t most_doubles = 6 * (most_basis + 2);

struct SolverShared {
  BlockShared block;
  ProductShared product;
  double scalars[most_doubles];
};

// A round of matrices, the first of which has the index `first`, and its workspace.
template <class S, class T>
struct Round {
  index_t first, d, n, basis;
  S* squares;       // d × n each
  T* storage;       // EigenIteration::rows(basis) × n each
  double* vectors;  // 3 × n each
};

// Multiplies the matrix with a power of two where squares of its entries could leave the range, and says with which;
// false: it is not finite.
template <class S>
[[gnu::noinline]] __device__ bool bring_into_range(const Block& block, const Square<S>& a, int& exponent) {
  Peak found{0, 0};
  for (index_t e = block.rank(); e < a.size(); e += block.size()) {
    const double x = static_cast<double>(a.entries()[e]);
    found = higher(found, {std::isfinite(x) ? x : Numbers<double>::infinity, e});
  }
  const double peak = fabs(block.peak(found).value);
  if (std::isinf(peak)) return false;
  exponent = scaling_exponent(static_cast<S>(peak));
  if (exponent != 0) {
    const S factor = std::ldexp(S(1), exponent);
    for (index_t e = block.rank(); e < a.size(); e += block.size()) a.entries()[e] *= factor;
  }
  block.wait();
  return true;
}

template <class S, class T>
__global__ void __launch_bounds__(most_block, 1)
    solve(Round<S, T> round, View<const S> v0, PowerOptions options, TopEigenpairs<S> out) {
  auto& s = simt::shared<SolverShared>();
  using Iteration = EigenIteration<T, BlockOps<T>>;
  const index_t k = blockIdx.x, b = round.first + k, d = round.d, n = round.n;
  const Block block(s.block);
  const Square<S> a(round.squares + k * d * n, d, n, s.product);
  double* const vectors = round.vectors + k * 3 * n;
  for (index_t j = block.rank(); j < 3 * n; j += block.size()) vectors[j] = 0;
  int exponent = 0;
  if (!bring_into_range(block, a, exponent)) {
    if (block.rank() == 0) no_eigenpair(b, d, 0, out);
    return;
  }
  Iteration iteration(d, n, round.basis, round.storage + k * Iteration::rows(round.basis) * n, s.scalars,
                      BlockOps<T>(block));
  EigenSolver<S, T, Iteration, const Square<S>, Block> solver(iteration, a, d, n, vectors, block);
  solver.solve(v0.data == nullptr ? nullptr : v0.data + b * v0.stride, options, b, exponent, out);
}

template <class S, class T>
void solve_all(const Stream& on, const Matrices<S>& a, View<const S> v0, const PowerOptions& options,
               const TopEigenpairs<S>& out, index_t most_bytes) {
  using Iteration = EigenIteration<T, BlockOps<T>>;
  const index_t d = a.size, n = padded(d), basis = basis_of(d), rows = Iteration::rows(basis);
  const index_t bytes = d * n * index_t{sizeof(S)} + rows * n * index_t{sizeof(T)} + 3 * n * index_t{sizeof(double)};
  const index_t together = limited<index_t>(most_bytes / bytes, 1, a.count);
  const index_t side = n / square_tile, tiles = side * (side + 1) / 2;
  Round<S, T> round{0,
                    d,
                    n,
                    basis,
                    on.memory.take<S>(together * d * n),
                    on.memory.take<T>(together * rows * n),
                    on.memory.take<double>(together * 3 * n)};
  for (; round.first < a.count; round.first += together) {
    const unsigned count = static_cast<unsigned>(smaller(together, a.count - round.first));
    launch(on, "mirror", mirror<S>, dim3(count * static_cast<unsigned>(tiles)), dim3(square_tile, 8),
           sizeof(MirrorShared), a.data + round.first * a.matrix_stride, a.matrix_stride, a.row_stride,
           static_cast<int>(d), static_cast<int>(n), static_cast<unsigned>(tiles), round.squares);
    launch(on, "solve", solve<S, T>, dim3(count), dim3(threads_for(n)), sizeof(SolverShared), round, v0, options, out);
  }
}

}  // namespace

template <class S>
void power_iteration(const Stream& on, const Matrices<S>& a, View<const S> v0, const PowerOptions& options,
                     const TopEigenpairs<S>& out, index_t most_bytes) {
  if (a.count == 0) return;
  if (suffices<S>(options.top.tol))
    solve_all<S, S>(on, a, v0, options, out, most_bytes);
  else
    solve_all<S, double>(on, a, v0, options, out, most_bytes);
}

template void power_iteration<float>(const Stream&, const Matrices<float>&, View<const float>, const PowerOptions&,
                                     const TopEigenpairs<float>&, index_t);
template void power_iteration<double>(const Stream&, const Matrices<double>&, View<const double>, const PowerOptions&,
                                      const TopEigenpairs<double>&, index_t);

}  // namespace alphacl::cuda
