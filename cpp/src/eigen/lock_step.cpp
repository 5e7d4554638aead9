// power_iteration over a batched operator: all matrices advance together, one product of the operator per step.
#include <memory>

#include "eigen/host_ops.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t least_basis = 16;
constexpr index_t most_numbers = index_t(1) << 25;  // numbers in the bases of all k together

index_t basis_size(index_t count, index_t d) {
  const index_t fits = std::clamp(most_numbers / (count * padded(d)), least_basis, most_basis);
  return std::clamp<index_t>(d, 2, fits);
}

template <class T>
class LockStep {
 public:
  LockStep(const BatchedOperator<T>& a, const PowerOptions& options)
      : a_(a), options_(options), count_(a.count()), d_(a.size()), n_(padded(d_)) {
    const index_t basis = basis_size(count_, d_), rows = HostIteration<T>::rows(basis);
    storage_.resize(count_ * rows * n_);
    scalars_.resize(count_ * HostIteration<T>::doubles(basis));
    vectors_.resize(2 * count_ * d_);
    first_ = Buffer<T>(count_ * d_);
    second_ = Buffer<T>(count_ * d_);
    matrices_.reserve(static_cast<std::size_t>(count_));
    for (index_t k = 0; k < count_; ++k)
      matrices_.push_back({HostIteration<T>(d_, n_, basis, storage_.data() + k * rows * n_,
                                            scalars_.data() + k * HostIteration<T>::doubles(basis), HostOps<T>{})});
  }

  void solve(View<const T> v0, const TopEigenpairs<T>& out) {
    for (index_t k = 0; k < count_; ++k) {
      T* start = matrix(k).iteration.start();
      if (v0.data != nullptr)
        given_start(Alone(), v0.row(k), d_, n_, start);
      else
        random_start(Alone(), options_.seed, k, 0, d_, n_, start);
    }
    run(options_.top, false, v0.data != nullptr, first_.data());
    for (index_t k = 0; k < count_; ++k) write(k, out);
    if (out.gap == nullptr) return;
    if (d_ == 1) {
      for (index_t k = 0; k < count_; ++k)
        if (out.n_iter[k] > 0 && std::isfinite(out.eigenvalue[k])) out.gap[k] = std::numeric_limits<T>::infinity();
      return;
    }
    for (Matrix& m : matrices_) m.top = m.made.exact;
    run_apart();
    for (index_t k = 0; k < count_; ++k) write_gap(k, out);
  }

  void solve_apart(View<const T> apart, const T* sizes, T* eigenvalue, bool* converged) {
    for (index_t k = 0; k < count_; ++k) {
      std::copy_n(apart.row(k), d_, first_.data() + k * d_);
      if (sizes[k] > 0 && std::isfinite(sizes[k])) matrix(k).known = sizes[k];
    }
    run_apart();
    for (index_t k = 0; k < count_; ++k) {
      const Matrix& m = matrix(k);
      eigenvalue[k] =
          m.failed ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(std::ldexp(m.made.exact, -m.exponent));
      converged[k] = !m.failed && m.iteration.converged();
    }
  }

 private:
  struct Matrix {
    HostIteration<T> iteration;
    EigenRequest next = EigenRequest::nothing;
    Judgement made{};
    double top = 0;
    int exponent = 0;  // products are multiplied with 2^exponent, which brings them to about 1
    T known = T(0);    // a lower bound of ‖A‖ that the caller gave, 0 if none
    bool scaled = false, failed = false;

    void bring_to_one(T size) {
      constexpr int limit = std::numeric_limits<T>::max_exponent - 2;
      exponent = std::clamp(-std::ilogb(std::max(size, known)), -limit, limit);
      scaled = true;
      iteration.know_norm(std::ldexp(static_cast<double>(known), exponent));
    }
  };

  Matrix& matrix(index_t k) { return matrices_[static_cast<std::size_t>(k)]; }

  // Runs Lanczos in the orthogonal complement of each row of first_.
  void run_apart() {
    TopOptions options = options_.top;
    options.lanczos = true;
    for (index_t k = 0; k < count_; ++k) {
      T* start = matrix(k).iteration.start();
      random_start(Alone(), options_.seed, k, 1, d_, n_, start);
      T* apart = start - n_;
      std::copy_n(first_.data() + k * d_, d_, apart);
      std::fill(apart + d_, apart + n_, T(0));
    }
    run(options, true, false, second_.data());
  }

  // Runs all matrices that have not failed, from start() to their end. Row k of x becomes the unit vector of matrix k.
  void run(const TopOptions& options, bool deflate, bool trusted, T* x) {
    for (Matrix& m : matrices_)
      m.next = m.failed ? EigenRequest::nothing : m.iteration.begin(options, deflate, trusted);
    std::vector<index_t> active;
    for (;;) {
      active.clear();
      for (index_t k = 0; k < count_; ++k)
        if (matrix(k).next != EigenRequest::nothing) active.push_back(k);
      const index_t rows = static_cast<index_t>(active.size());
      if (rows == 0) return;
      const View<T> v{vectors_.data(), rows, d_, d_}, product{vectors_.data() + count_ * d_, rows, d_, d_};
      for (index_t i = 0; i < rows; ++i) {
        const index_t k = active[static_cast<std::size_t>(i)];
        Matrix& m = matrix(k);
        if (m.next == EigenRequest::judgement) rounded_unit<T>(Alone(), m.iteration.candidate(), d_, x + k * d_);
        std::copy_n(m.next == EigenRequest::judgement ? x + k * d_ : m.iteration.vector(), d_, v.row(i));
      }
      a_.apply(v, active.data(), product);
      parallel_for(rows, [&](index_t i, int) {
        const index_t k = active[static_cast<std::size_t>(i)];
        advance(matrix(k), deflate ? first_.data() + k * d_ : nullptr, v.row(i), product.row(i));
      });
    }
  }

  void advance(Matrix& m, const T* apart, const T* v, T* product) {
    T peak = T(0), poison = T(0);
    for (index_t j = 0; j < d_; ++j) {
      peak = std::max(peak, std::fabs(product[j]));
      poison += product[j] - product[j];
    }
    if (!std::isfinite(peak + poison)) {
      m.failed = true;
      m.next = EigenRequest::nothing;
      return;
    }
    if (!m.scaled && peak > 0) m.bring_to_one(peak);
    const T scale = std::ldexp(T(1), m.exponent);
    for (index_t j = 0; j < d_; ++j) product[j] *= scale;
    if (m.next == EigenRequest::judgement) {
      if (apart != nullptr) take_apart(Alone(), apart, d_, product);
      m.made = judgement<T>(Alone(), v, product, d_);
      m.next = m.iteration.judge(m.made.residual, m.made.size);
    } else {
      T* to = m.iteration.product();
      std::copy_n(product, d_, to);
      std::fill(to + d_, to + n_, T(0));
      m.next = m.iteration.receive();
    }
  }

  void write(index_t k, const TopEigenpairs<T>& out) {
    Matrix& m = matrix(k);
    if (m.failed) return no_eigenpair(k, d_, m.iteration.products(), out);
    out.eigenvalue[k] = static_cast<T>(std::ldexp(m.made.exact, -m.exponent));
    out.residual[k] = static_cast<T>(std::ldexp(m.made.residual, -m.exponent));
    std::copy_n(first_.data() + k * d_, d_, out.eigenvector + k * d_);
    out.n_iter[k] = m.iteration.products();
    out.converged[k] = m.iteration.converged();
  }

  void write_gap(index_t k, const TopEigenpairs<T>& out) {
    Matrix& m = matrix(k);
    if (m.failed) return no_eigenpair(k, d_, out.n_iter[k], out);
    const double gap = gap_between(m.top, m.made.exact, options_.top.tol * m.iteration.norm());
    out.gap[k] = static_cast<T>(std::ldexp(gap, -m.exponent));
    out.n_iter[k] += m.iteration.products();
    out.converged[k] = out.converged[k] && m.iteration.converged();
  }

  const BatchedOperator<T>& a_;
  PowerOptions options_;
  index_t count_, d_, n_;
  Buffer<T> storage_, vectors_, first_, second_;
  Buffer<double> scalars_;
  std::vector<Matrix> matrices_;
};

}  // namespace

template <class T>
void power_iteration(const BatchedOperator<T>& a, View<const T> v0, const PowerOptions& options,
                     const TopEigenpairs<T>& out) {
  if (a.count() == 0) return;
  LockStep<T>(a, options).solve(v0, out);
}

template <class T>
void top_eigenvalue_apart(const BatchedOperator<T>& a, View<const T> apart, const T* sizes, const PowerOptions& options,
                          T* eigenvalue, bool* converged) {
  if (a.count() > 0 && a.size() > 1) return LockStep<T>(a, options).solve_apart(apart, sizes, eigenvalue, converged);
  std::fill_n(eigenvalue, a.count(), -std::numeric_limits<T>::infinity());
  std::fill_n(converged, a.count(), true);
}

template void power_iteration<float>(const BatchedOperator<float>&, View<const float>, const PowerOptions&,
                                     const TopEigenpairs<float>&);
template void power_iteration<double>(const BatchedOperator<double>&, View<const double>, const PowerOptions&,
                                      const TopEigenpairs<double>&);
template void top_eigenvalue_apart<float>(const BatchedOperator<float>&, View<const float>, const float*,
                                          const PowerOptions&, float*, bool*);
template void top_eigenvalue_apart<double>(const BatchedOperator<double>&, View<const double>, const double*,
                                           const PowerOptions&, double*, bool*);

}  // namespace alphacl
