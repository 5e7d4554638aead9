// power_iteration over arrays: one core iterates on one matrix until it has converged.
#include "alphacl/power_iteration.h"

#include "eigen/candidate.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t most_basis = 256;  // vectors of a Lanczos basis; then it restarts
// Sizes up to which A is packed as a whole square. At d = 64 the square takes 8.3 µs a matrix, its lower half with sums
// over lanes 10.6; at d = 512 the half takes 254 µs, the square 459.
constexpr index_t square_up_to = 64;

// Float products leave residuals of about 1e-6. A smaller tol is computed in double, from the same matrix.
constexpr double finest_single = 4e-6;

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
    const index_t basis = std::clamp<index_t>(d, 2, most_basis);
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
    // Scales entries by a power of two to about 1, if their squares could leave the range.
    constexpr int limit = std::numeric_limits<S>::max_exponent - 2, comfortable = limit / 4;
    const int wanted = peak > 0 ? std::clamp(-std::ilogb(peak), -limit, limit) : 0;
    const int exponent = std::abs(wanted) > comfortable ? wanted : 0;
    if (exponent != 0) kernels<S>().scale_row(matrix_.data(), std::ldexp(S(1), exponent), entries_, matrix_.data());

    if (v0 != nullptr)
      given_start(v0, d_, n_, iteration_->start());
    else
      random_start(options_.seed, b, 0, d_, n_, iteration_->start());
    double* x = vectors_.data();
    const Judgement top = run(options_.top, nullptr, v0 != nullptr, x);
    index_t products = iteration_->products();
    bool converged = iteration_->converged();
    if (out.gap != nullptr) {
      double gap = std::numeric_limits<double>::infinity();
      if (d_ > 1) {
        random_start(options_.seed, b, 1, d_, n_, iteration_->start());
        std::transform(x, x + n_, storage_.data(), [](double e) { return static_cast<T>(e); });
        TopOptions second = options_.top;
        second.lanczos = true;
        const Judgement next = run(second, x, false, x + n_);
        products += iteration_->products();
        converged = converged && iteration_->converged();
        gap = gap_between(top.exact, next.exact, second.tol * iteration_->norm());
      }
      out.gap[b] = static_cast<S>(std::ldexp(gap, -exponent));
    }
    out.eigenvalue[b] = static_cast<S>(std::ldexp(top.exact, -exponent));
    out.residual[b] = static_cast<S>(std::ldexp(top.residual, -exponent));
    std::transform(x, x + d_, out.eigenvector + b * d_, [](double e) { return static_cast<S>(e); });
    out.n_iter[b] = products;
    out.converged[b] = converged;
  }

 private:
  // Runs from start() to the end, orthogonal to `apart` when given. x becomes the unit vector, rounded to S.
  Judgement run(const TopOptions& options, const double* apart, bool trusted, double* x) {
    Judgement made{};
    double* y = vectors_.data() + 2 * n_;
    EigenRequest next = iteration_->begin(options, apart != nullptr, trusted);
    while (next != EigenRequest::nothing) {
      if (next == EigenRequest::product) {
        prefetch_lines();
        poll_now_and_then();
        multiply<T>(iteration_->vector(), iteration_->product());
        next = iteration_->receive();
      } else {
        rounded_unit<S>(iteration_->candidate(), d_, x);
        multiply<double>(x, y);
        if (apart != nullptr) {
          double along = 0;
          for (index_t j = 0; j < d_; ++j) along += apart[j] * y[j];
          for (index_t j = 0; j < d_; ++j) y[j] -= along * apart[j];
        }
        made = judgement<S>(x, y, d_);
        next = iteration_->judge(made.residual, made.size);
      }
    }
    return made;
  }

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

  template <class V>
  void multiply(const V* v, V* out) const {
    const ProductKernels<V, S>& kernel = product_kernels<V, S>();
    (square_ ? kernel.square_product : kernel.packed_product)(matrix_.data(), n_, v, out);
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
  if (std::is_same<S, float>::value && options.top.tol >= finest_single)
    solve_all<S, S>(a, v0, options, out);
  else
    solve_all<S, double>(a, v0, options, out);
}

template void power_iteration<float>(const Matrices<float>&, View<const float>, const PowerOptions&,
                                     const TopEigenpairs<float>&);
template void power_iteration<double>(const Matrices<double>&, View<const double>, const PowerOptions&,
                                      const TopEigenpairs<double>&);

}  // namespace alphacl
