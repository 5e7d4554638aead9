// power_iteration over products: the state of every matrix stays on the device between two products.
#include "eigen/lock_step.h"

#include <cmath>

#include "alphacl/eigen_solve.h"
#include "eigen/block.h"
#include "eigen/square.h"
#include "runtime/copies.h"
#include "runtime/reused_memory.h"
#include "sums/rows.h"

namespace alphacl::cuda {
namespace {

constexpr index_t least_basis = 16, most_numbers = index_t{1} << 27;

using Iteration = EigenIteration<double, BlockOps<double>>;

struct MatrixState {
  Iteration iteration;
  EigenRequest next;
  Judgement made;
  double top;    // the eigenvalue that the first run found
  double known;  // a lower bound of ‖A‖ that the caller gave, 0 if none
  int exponent;  // products are multiplied with 2^exponent, which brings them to about 1
  bool scaled, failed;
};

// K matrices of size d, vectors n apart in the bases. x: the vectors that were judged, found: those of the first run,
// v, product: as ProductsOfMany takes them (K × d each). going: K.
struct AllMatrices {
  index_t d, n, basis;
  MatrixState* states;
  double *storage, *scalars, *x, *found, *v, *product;
  int* going;

  __device__ Iteration made(index_t k, const BlockOps<double>& ops) const {
    return {d, n, basis, storage + k * Iteration::rows(basis) * n, scalars + k * Iteration::doubles(basis), ops};
  }
};

// What block k works with: its matrix, a copy of the state in each thread.
struct Turn {
  const AllMatrices& all;
  index_t k;
  Block block;
  MatrixState state;

  __device__ Turn(const AllMatrices& matrices, index_t matrix, BlockShared& shared, bool fresh)
      : all(matrices), k(matrix), block(shared), state(fresh ? unknown() : matrices.states[matrix]) {
    state.iteration.use(BlockOps<double>(block));
    block.wait();  // all have read the state
  }
  __device__ MatrixState unknown() const {
    return {all.made(k, BlockOps<double>(block)), EigenRequest::nothing, {}, 0, 0, 0, false, false};
  }

  /// Writes down what is to be multiplied next, and the state.
  template <class S>
  __device__ void end() {
    const index_t d = all.d;
    if (state.next == EigenRequest::judgement) rounded_unit<S>(block, state.iteration.candidate(), d, all.x + k * d);
    const double* const from = state.next == EigenRequest::judgement ? all.x + k * d : state.iteration.vector();
    if (state.next != EigenRequest::nothing)
      for (index_t j = block.rank(); j < d; j += block.size()) all.v[k * d + j] = from[j];
    if (block.rank() != 0) return;
    all.states[k] = state;
    all.going[k] = state.next != EigenRequest::nothing;
  }
};

// The first run, from v0 or a random vector.
template <class S>
__global__ void __launch_bounds__(most_block, 1) begin(AllMatrices all, View<const S> v0, PowerOptions options) {
  auto& shared = simt::shared<BlockShared>();
  const index_t k = blockIdx.x;
  Turn turn(all, k, shared, true);
  double* const start = turn.state.iteration.start();
  if (v0.data != nullptr)
    given_start(turn.block, v0.data + k * v0.stride, all.d, all.n, start);
  else
    random_start(turn.block, options.seed, k, 0, all.d, all.n, start);
  turn.state.next = turn.state.iteration.begin(options.top, false, v0.data != nullptr);
  turn.end<S>();
}

// Lanczos in the orthogonal complement of `found`. sizes: null where a first run has been.
template <class S>
__global__ void __launch_bounds__(most_block, 1) begin_apart(AllMatrices all, const S* sizes, PowerOptions options) {
  auto& shared = simt::shared<BlockShared>();
  const index_t k = blockIdx.x;
  Turn turn(all, k, shared, sizes != nullptr);
  if (sizes != nullptr && sizes[k] > 0 && std::isfinite(sizes[k])) turn.state.known = static_cast<double>(sizes[k]);
  turn.state.top = turn.state.made.exact;
  if (turn.state.failed) {
    turn.state.next = EigenRequest::nothing;
  } else {
    random_start(turn.block, options.seed, k, 1, all.d, all.n, turn.state.iteration.start());
    double* const apart = turn.state.iteration.apart();
    for (index_t j = turn.block.rank(); j < all.n; j += turn.block.size())
      apart[j] = j < all.d ? all.found[k * all.d + j] : 0;
    turn.block.wait();
    turn.state.next = turn.state.iteration.begin({options.top.tol, options.top.max_iter, true}, true, false);
  }
  turn.end<S>();
}

// Multiplies the product with 2^exponent, which the first product that is not 0 decides; false: it is not finite.
__device__ bool bring_to_one(Turn& turn, double* product) {
  const index_t d = turn.all.d;
  Peak found{0, 0};
  for (index_t j = turn.block.rank(); j < d; j += turn.block.size())
    found = higher(found, {std::isfinite(product[j]) ? product[j] : Numbers<double>::infinity, j});
  const double peak = fabs(turn.block.peak(found).value);
  MatrixState& state = turn.state;
  if (std::isinf(peak)) return false;
  if (!state.scaled && peak > 0) {
    constexpr int limit = Numbers<double>::largest_exponent - 2;
    state.exponent = limited(-std::ilogb(larger(peak, state.known)), -limit, limit);
    state.scaled = true;
    state.iteration.know_norm(std::ldexp(state.known, state.exponent));
  }
  const double scale = std::ldexp(1.0, state.exponent);
  for (index_t j = turn.block.rank(); j < d; j += turn.block.size()) product[j] *= scale;
  turn.block.wait();
  return true;
}

// One block for every matrix that goes on.
template <class S>
__global__ void __launch_bounds__(most_block, 1) advance(AllMatrices all, const int* active, bool apart) {
  auto& shared = simt::shared<BlockShared>();
  Turn turn(all, active[blockIdx.x], shared, false);
  const index_t d = all.d;
  double* const product = all.product + turn.k * d;
  MatrixState& state = turn.state;
  if (!bring_to_one(turn, product)) {
    state.failed = true;
    state.next = EigenRequest::nothing;
  } else if (state.next == EigenRequest::judgement) {
    if (apart) take_apart(turn.block, all.found + turn.k * d, d, product);
    state.made = judgement<S>(turn.block, all.v + turn.k * d, product, d);
    state.next = state.iteration.judge(state.made.residual, state.made.size);
  } else {
    double* const to = state.iteration.product();
    for (index_t j = turn.block.rank(); j < all.n; j += turn.block.size()) to[j] = j < d ? product[j] : 0;
    turn.block.wait();
    state.next = state.iteration.receive();
  }
  turn.end<S>();
}

// A thread a matrix.
template <class S>
struct WriteTop {
  AllMatrices all;
  TopEigenpairs<S> out;
  __device__ void operator()(std::int64_t k) const {
    const MatrixState& state = all.states[k];
    if (state.failed) return no_eigenpair(k, all.d, state.iteration.products(), out);
    out.eigenvalue[k] = static_cast<S>(std::ldexp(state.made.exact, -state.exponent));
    out.residual[k] = static_cast<S>(std::ldexp(state.made.residual, -state.exponent));
    for (index_t j = 0; j < all.d; ++j) {
      all.found[k * all.d + j] = all.x[k * all.d + j];
      out.eigenvector[k * all.d + j] = static_cast<S>(all.x[k * all.d + j]);
    }
    out.n_iter[k] = state.iteration.products();
    out.converged[k] = state.iteration.converged();
    if (out.gap != nullptr && all.d == 1) out.gap[k] = Numbers<S>::infinity;
  }
};

template <class S>
struct WriteGap {
  AllMatrices all;
  double tol;
  TopEigenpairs<S> out;
  __device__ void operator()(std::int64_t k) const {
    const MatrixState& state = all.states[k];
    if (state.failed) return no_eigenpair(k, all.d, out.n_iter[k], out);
    const double gap = gap_between(state.top, state.made.exact, tol * state.iteration.norm());
    out.gap[k] = static_cast<S>(std::ldexp(gap, -state.exponent));
    out.n_iter[k] += state.iteration.products();
    out.converged[k] = out.converged[k] && state.iteration.converged();
  }
};

template <class S>
struct WriteApart {
  AllMatrices all;
  S* eigenvalue;
  bool* converged;
  __device__ void operator()(std::int64_t k) const {
    const MatrixState& state = all.states[k];
    eigenvalue[k] = state.failed ? Numbers<S>::nan : static_cast<S>(std::ldexp(state.made.exact, -state.exponent));
    converged[k] = !state.failed && state.iteration.converged();
  }
};

template <class S>
struct Nothing {
  S* eigenvalue;
  bool* converged;
  __device__ void operator()(std::int64_t k) const {
    eigenvalue[k] = -Numbers<S>::infinity;
    converged[k] = true;
  }
};

AllMatrices matrices_of(const Stream& on, const ProductsOfMany& a) {
  const index_t count = a.count(), d = a.size(), n = padded(d);
  const index_t fits = limited(most_numbers / (count * n), least_basis, most_basis);
  const index_t basis = larger<index_t>(smaller(d, fits), 2);
  double* const vectors = on.memory.take<double>(4 * count * d);
  return {d,
          n,
          basis,
          on.memory.take<MatrixState>(count),
          on.memory.take<double>(count * Iteration::rows(basis) * n),
          on.memory.take<double>(count * Iteration::doubles(basis)),
          vectors,
          vectors + count * d,
          vectors + 2 * count * d,
          vectors + 3 * count * d,
          on.memory.take<int>(count)};
}

// Multiplies and advances until no matrix goes on.
template <class S>
void run(const Stream& on, const ProductsOfMany& a, const AllMatrices& all, bool apart) {
  const std::size_t count = static_cast<std::size_t>(a.count());
  std::vector<int> going(count), active;
  ReusedMemory memory(on.memory);
  const Stream round{on.handle, memory};
  for (;; memory.next_round()) {
    read_back(on, all.going, a.count(), going.data());
    active.clear();
    for (std::size_t k = 0; k < count; ++k)
      if (going[k] != 0) active.push_back(static_cast<int>(k));
    if (active.empty()) return;
    const int* const list = on_device(round, active.data(), static_cast<index_t>(active.size()));
    a.apply(round, active, all.v, all.product);
    launch(on, "advance", advance<S>, dim3(static_cast<unsigned>(active.size())), dim3(threads_for(all.n)),
           sizeof(BlockShared), all, list, apart);
  }
}

template <class S>
void run_apart(const Stream& on, const ProductsOfMany& a, const AllMatrices& all, const S* sizes,
               const PowerOptions& options) {
  launch(on, "begin_apart", begin_apart<S>, dim3(static_cast<unsigned>(a.count())), dim3(threads_for(all.n)),
         sizeof(BlockShared), all, sizes, options);
  run<S>(on, a, all, true);
}

}  // namespace

template <class S>
void power_iteration(const Stream& on, const ProductsOfMany& a, View<const S> v0, const PowerOptions& options,
                     const TopEigenpairs<S>& out) {
  if (a.count() == 0) return;
  const AllMatrices all = matrices_of(on, a);
  launch(on, "begin", begin<S>, dim3(static_cast<unsigned>(a.count())), dim3(threads_for(all.n)), sizeof(BlockShared),
         all, v0, options);
  run<S>(on, a, all, false);
  for_each(on, "write_top", a.count(), WriteTop<S>{all, out});
  if (out.gap == nullptr || a.size() == 1) return;
  run_apart<S>(on, a, all, nullptr, options);
  for_each(on, "write_gap", a.count(), WriteGap<S>{all, options.top.tol, out});
}

template <class S>
void top_eigenvalue_apart(const Stream& on, const ProductsOfMany& a, View<const S> apart, const S* sizes,
                          const PowerOptions& options, S* eigenvalue, bool* converged) {
  if (a.count() == 0) return;
  if (a.size() <= 1) return for_each(on, "nothing", a.count(), Nothing<S>{eigenvalue, converged});
  const AllMatrices all = matrices_of(on, a);
  copy_rows(on, apart, all.found);
  run_apart<S>(on, a, all, sizes, options);
  for_each(on, "write_apart", a.count(), WriteApart<S>{all, eigenvalue, converged});
}

template void power_iteration<float>(const Stream&, const ProductsOfMany&, View<const float>, const PowerOptions&,
                                     const TopEigenpairs<float>&);
template void power_iteration<double>(const Stream&, const ProductsOfMany&, View<const double>, const PowerOptions&,
                                      const TopEigenpairs<double>&);
template void top_eigenvalue_apart<float>(const Stream&, const ProductsOfMany&, View<const float>, const float*,
                                          const PowerOptions&, float*, bool*);
template void top_eigenvalue_apart<double>(const Stream&, const ProductsOfMany&, View<const double>, const double*,
                                           const PowerOptions&, double*, bool*);

}  // namespace alphacl::cuda
