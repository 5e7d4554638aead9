// One matrix of power_iteration from its entries to its results, by a thread or by a team of threads.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "alphacl/eigen_candidate.h"

namespace alphacl {

constexpr index_t most_basis = 256;  // vectors of a Lanczos basis; then it restarts

inline index_t basis_of(index_t d) { return limited<index_t>(d, 2, most_basis); }

/// Whether the iteration runs in the type S of the matrix. Float products leave residuals of about 1e-6: a smaller tol
/// is computed in double, from the same matrix.
template <class S>
bool suffices(double tol) {
  return std::is_same<S, double>::value || tol >= 4e-6;
}

/// The power of two by which entries of largest magnitude `peak` are scaled to about 1 if their squares could leave the
/// range, else 0.
template <class S>
ALPHACL_HOST_DEVICE int scaling_exponent(S peak) {
  constexpr int limit = Numbers<S>::largest_exponent - 2, comfortable = limit / 4;
  const int wanted = peak > 0 ? limited(-std::ilogb(peak), -limit, limit) : 0;
  return wanted > comfortable || wanted < -comfortable ? wanted : 0;
}

/// Solves one matrix after the other. Matrix: multiply(v, y), y = A v, for vectors of the iteration's type and of
/// double. vectors: 3 × ld doubles, 0 beyond d.
template <class S, class T, class Iteration, class Matrix, class Team>
class EigenSolver {
 public:
  ALPHACL_HOST_DEVICE EigenSolver(Iteration& iteration, Matrix& a, index_t d, index_t ld, double* vectors,
                                  const Team& team)
      : iteration_(iteration), a_(a), d_(d), ld_(ld), vectors_(vectors), team_(team) {}

  /// Matrix b, which the caller has multiplied with 2^exponent. v0: its start, or null.
  ALPHACL_HOST_DEVICE void solve(const S* v0, const PowerOptions& options, index_t b, int exponent,
                                 const TopEigenpairs<S>& out) {
    if (v0 != nullptr)
      given_start(team_, v0, d_, ld_, iteration_.start());
    else
      random_start(team_, options.seed, b, 0, d_, ld_, iteration_.start());
    double* const x = vectors_;
    const Judgement top = run(options.top, nullptr, v0 != nullptr, x);
    write(top, x, b, exponent, out);
    if (out.gap == nullptr) return;
    double gap = Numbers<double>::infinity;
    if (d_ > 1) {
      random_start(team_, options.seed, b, 1, d_, ld_, iteration_.start());
      const Judgement next = run({options.top.tol, options.top.max_iter, true}, x, false, x + ld_);
      gap = gap_between(top.exact, next.exact, options.top.tol * iteration_.norm());
    }
    if (team_.rank() != 0) return;
    out.gap[b] = static_cast<S>(std::ldexp(gap, -exponent));
    if (d_ == 1) return;
    out.n_iter[b] += iteration_.products();
    out.converged[b] = out.converged[b] && iteration_.converged();
  }

 private:
  // Runs from start() to the end, orthogonal to `apart` when given. x becomes the unit vector, rounded to S.
  ALPHACL_HOST_DEVICE Judgement run(const TopOptions& options, const double* apart, bool trusted, double* x) {
    if (apart != nullptr) {
      for (index_t j = team_.rank(); j < ld_; j += team_.size()) iteration_.apart()[j] = static_cast<T>(apart[j]);
      team_.wait();
    }
    Judgement made{};
    double* const y = vectors_ + 2 * ld_;
    EigenRequest next = iteration_.begin(options, apart != nullptr, trusted);
    while (next != EigenRequest::nothing) {
      if (next == EigenRequest::product) {
        a_.multiply(iteration_.vector(), iteration_.product());
        next = iteration_.receive();
      } else {
        rounded_unit<S>(team_, iteration_.candidate(), d_, x);
        a_.multiply(x, y);
        if (apart != nullptr) take_apart(team_, apart, d_, y);
        made = judgement<S>(team_, x, y, d_);
        next = iteration_.judge(made.residual, made.size);
      }
    }
    return made;
  }

  // Each thread its share of x, the first one the numbers.
  ALPHACL_HOST_DEVICE void write(const Judgement& top, const double* x, index_t b, int exponent,
                                 const TopEigenpairs<S>& out) const {
    for (index_t j = team_.rank(); j < d_; j += team_.size()) out.eigenvector[b * d_ + j] = static_cast<S>(x[j]);
    if (team_.rank() != 0) return;
    out.eigenvalue[b] = static_cast<S>(std::ldexp(top.exact, -exponent));
    out.residual[b] = static_cast<S>(std::ldexp(top.residual, -exponent));
    out.n_iter[b] = iteration_.products();
    out.converged[b] = iteration_.converged();
  }

  Iteration& iteration_;
  Matrix& a_;
  index_t d_, ld_;
  double* vectors_;
  const Team& team_;
};

}  // namespace alphacl
