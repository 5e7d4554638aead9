// power_iteration over arrays: one core iterates on one matrix until it has converged.
#include "alphacl/power_iteration.h"

#include "eigen/host_ops.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

// Sizes up to which A is packed as a whole square. At d = 64 the square takes 8.3 µs a matrix, its lower half with sums
// over lanes 10.6; at d = 512 the half takes 254 µs, the square 459.
constexpr index_t square_up_to = 64;

// S: type of the matrix, T: of the iteration.
template <class S, class T>
class Solver {
 public:
  void prepare(index_t d, const PowerOptions& options) {
    if (d_ == d) return;
    d_ = d;
    n_ = padded(d);
    square_ = n_ <= square_up_to;
    options_ = options;
    const index_t basis = basis_of(d);
    entries_ = square_ ? n_ * n_ : n_ * (n_ + symmetric_panel) / 2;
    matrix_.resize(entries_);
    storage_.resize(HostIteration<T>::rows(basis) * n_);
    scalars_.resize(HostIteration<T>::doubles(basis));
    vectors_ = Buffer<double>(3 * n_, 0.0);
    iteration_ = std::make_unique<HostIteration<T>>(d_, n_, basis, storage_.data(), scalars_.data(), HostOps<T>{});
  }

  void solve(const Matrices<S>& a, const S* v0, index_t b, const TopEigenpairs<S>& out) {
    const bool small = square_ && b + 1 < a.count && a.row_stride == d_;
    ahead_ = reinterpret_cast<const char*>(a.data + (b + 1) * a.matrix_stride);
    ahead_end_ = small ? ahead_ + d_ * d_ * static_cast<index_t>(sizeof(S)) : ahead_;
    pack_kernels<S>().pack_symmetric(a.data + b * a.matrix_stride, a.row_stride, d_, square_, matrix_.data());
    const S peak = pack_kernels<S>().peak_of(matrix_.data(), entries_);
    if (!std::isfinite(peak)) return no_eigenpair(b, d_, 0, out);
    const int exponent = scaling_exponent(peak);
    if (exponent != 0) kernels<S>().scale_row(matrix_.data(), std::ldexp(S(1), exponent), entries_, matrix_.data());

    EigenSolver<S, T, HostIteration<T>, Solver, Alone>(*iteration_, *this, d_, n_, vectors_.data(), Alone())
        .solve(v0, options_, b, exponent, out);
  }

  template <class V>
  void multiply(const V* v, V* y) {
    prefetch_lines();
    poll_now_and_then();
    const ProductKernels<V, S>& kernel = product_kernels<V, S>();
    (square_ ? kernel.square_product : kernel.packed_product)(matrix_.data(), n_, v, y);
  }

 private:
  // Prefetches the next small matrix while this one is solved, a few lines a step: all at once would stall.
  void prefetch_lines() {
    for (int line = 0; line < 6 && ahead_ < ahead_end_; ++line, ahead_ += 64) __builtin_prefetch(ahead_);
  }

  // Polls only after much work: a product of a small matrix takes less time than a poll.
  void poll_now_and_then() {
    unpolled_ += entries_;
    if (unpolled_ < index_t{1} << 20) return;
    unpolled_ = 0;
    poll();
  }

  PowerOptions options_{};
  index_t d_ = 0, n_ = 0, entries_ = 0, unpolled_ = 0;
  bool square_ = false;
  const char *ahead_ = nullptr, *ahead_end_ = nullptr;
  Buffer<S> matrix_;
  Buffer<T> storage_;
  Buffer<double> scalars_, vectors_;  // vectors_: the answer, the second eigenvector, a product
  std::unique_ptr<HostIteration<T>> iteration_;
};

template <class S, class T>
void solve_all(const Matrices<S>& a, View<const S> v0, const PowerOptions& options, const TopEigenpairs<S>& out) {
  // Small matrices are handed out in groups: the cost of a task is then small beside them, and all but the first of a
  // group have been prefetched by the worker that solves them.
  const index_t group = std::clamp<index_t>(std::min(16384 / (a.size * a.size), a.count / 64), 1, 16);
  PerWorker<Solver<S, T>> solvers;
  parallel_for(ceil_div(a.count, group), [&](index_t task, int worker) {
    Solver<S, T>& solver = solvers[worker];
    solver.prepare(a.size, options);
    for (index_t b = task * group; b < std::min(a.count, (task + 1) * group); ++b)
      solver.solve(a, v0.data == nullptr ? nullptr : v0.row(b), b, out);
  });
}

}  // namespace

template <class S>
void power_iteration(const Matrices<S>& a, View<const S> v0, const PowerOptions& options, const TopEigenpairs<S>& out) {
  if (suffices<S>(options.top.tol))
    solve_all<S, S>(a, v0, options, out);
  else
    solve_all<S, double>(a, v0, options, out);
}

template void power_iteration<float>(const Matrices<float>&, View<const float>, const PowerOptions&,
                                     const TopEigenpairs<float>&);
template void power_iteration<double>(const Matrices<double>&, View<const double>, const PowerOptions&,
                                      const TopEigenpairs<double>&);

}  // namespace alphacl
