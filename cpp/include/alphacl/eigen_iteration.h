// The iteration behind power_iteration: one matrix, seen only through its products.
//
// The iteration never multiplies. It names the vector whose product it needs (`vector`), is told when the product has
// been written to `product`, and answers what it needs next. So one core can run one matrix to its end while it is in
// cache, and the products of many matrices can be computed together, in lock-step, while each matrix stops on its own.
// On a GPU all threads of a block run the iteration of one matrix: they hold the same scalars and turn the same way,
// and Ops, whose functions they call together, share the work. So no array is written here but by Ops.
#pragma once

#include <cmath>

#include "alphacl/device.h"
#include "alphacl/view.h"

namespace alphacl {

/// What an iteration waits for: the product of `vector`, the residual of `candidate` (judge()), or nothing: it has
/// ended.
enum class EigenRequest { product, judgement, nothing };

struct TopOptions {
  double tol;        // ‖Av − λv‖ ≤ tol · ‖A‖₂, ‖A‖₂ estimated by the largest ‖Aq‖ of a unit q
  index_t max_iter;  // products at most, including the one that judges the answer
  bool lanczos;      // else the power method
};

/// Ops computes with vectors of T, `ld` apart; entries beyond d are 0.
///     double project(Q, ld, rows, w, h)        h = Q w; returns ‖w‖²
///     double subtract(Q, ld, rows, h, w)       w −= Qᵀ h; returns the new ‖w‖²
///     void scale(in, ld, factor, out)          out = factor · in; may be in place
///     void put(at, x)                          *at = x, an entry of alpha or beta
///     void negate(s, count)                    s = −s
///     double log(x), hypot(x, y)               the natural logarithm; √(x² + y²)
///     double tridiagonal_top(alpha, beta, m, guess, last, scratch)
///     void tridiagonal_vector(alpha, beta, m, top, enough, s, scratch)     both as in TridiagonalKernels
template <class T, class Ops>
class EigenIteration {
 public:
  /// Rows of storage: the basis, the product of its last vector, and row 0, a vector to stay orthogonal to.
  ALPHACL_HOST_DEVICE static index_t rows(index_t basis) { return basis + 2; }
  /// Doubles of storage.
  ALPHACL_HOST_DEVICE static index_t doubles(index_t basis) { return 6 * (basis + 2); }

  /// `storage`: rows(basis) × ld. Row 0 holds the vector to stay orthogonal to when `deflate`; start() holds the start
  /// vector, finite and not 0. basis ≥ 2.
  ALPHACL_HOST_DEVICE EigenIteration(index_t d, index_t ld, index_t basis, T* storage, double* scalars, Ops ops)
      : d_(d), ld_(ld), basis_(larger<index_t>(basis, 2)), storage_(storage), ops_(ops) {
    alpha_ = scalars;
    beta_ = alpha_ + basis_ + 2;
    h_ = beta_ + basis_ + 2;
    s_ = h_ + basis_ + 2;
    scratch_ = s_ + basis_ + 2;
  }

  /// Goes on with other Ops over the same arrays.
  ALPHACL_HOST_DEVICE void use(const Ops& ops) { ops_ = ops; }

  ALPHACL_HOST_DEVICE T* apart() const { return row(0); }
  ALPHACL_HOST_DEVICE T* start() const { return row(1); }
  ALPHACL_HOST_DEVICE const T* vector() const { return row(steps_ + 1); }
  ALPHACL_HOST_DEVICE T* product() const { return row(steps_ + 2); }
  /// The vector to be judged, a unit vector up to rounding.
  ALPHACL_HOST_DEVICE const T* candidate() const { return row(1); }
  ALPHACL_HOST_DEVICE index_t products() const { return products_; }
  ALPHACL_HOST_DEVICE bool converged() const { return converged_; }
  /// A product was not finite.
  ALPHACL_HOST_DEVICE bool failed() const { return failed_; }
  /// The estimate of ‖A‖₂.
  ALPHACL_HOST_DEVICE double norm() const { return norm_; }

  /// Tells a lower bound of ‖A‖₂. Call it before begin(), which keeps the norm when `deflate`.
  ALPHACL_HOST_DEVICE void know_norm(double least) { norm_ = larger(norm_, least); }

  /// trusted: the start is known to have a large component along the top eigenvector and may be the answer. A random
  /// start with a small residual lies near some eigenvector, rarely the top one: it takes at least `least_steps` steps.
  ALPHACL_HOST_DEVICE_CALL EigenRequest begin(const TopOptions& options, bool deflate, bool trusted) {
    options_ = options;
    trusted_ = trusted;
    first_ = deflate ? 0 : 1;
    products_ = 0;
    if (!deflate) norm_ = 0;  // deflated, A may be nearly 0: ‖A‖ is then known from the run before
    shift_ = 0;
    converged_ = failed_ = false;
    judged_ = Numbers<double>::infinity;
    return restart();
  }

  /// Continues once product() has been written.
  ALPHACL_HOST_DEVICE_CALL EigenRequest receive() {
    ++products_;
    const EigenRequest next = options_.lanczos ? expand() : power_step();
    failed_ = !std::isfinite(norm_);
    return failed_ ? EigenRequest::nothing : next;
  }

  /// Continues once the candidate has been evaluated: residual = ‖Ax − λx‖, size = ‖Ax‖.
  ALPHACL_HOST_DEVICE_CALL EigenRequest judge(double residual, double size) {
    ++products_;
    norm_ = larger(norm_, size);
    converged_ = residual <= options_.tol * norm_;
    // Rounding can keep the residual above tol for ever: continue only while it halves.
    const bool hopeless = !(residual < 0.5 * judged_);
    judged_ = residual;
    if (converged_ || hopeless || spent()) return EigenRequest::nothing;
    return restart();
  }

 private:
  // From a random start. A residual may be small because the start has next to nothing of the top in it: the power
  // method goes on for some products, and Lanczos, which then divides by a small β, finds it.
  static constexpr index_t least_products = 4, least_steps = 8;

  ALPHACL_HOST_DEVICE T* row(index_t r) const { return storage_ + r * ld_; }
  // One product is kept back for judge().
  ALPHACL_HOST_DEVICE bool spent() const { return products_ + 1 >= options_.max_iter; }
  // Below the tolerance, because the candidate is still to be rounded. With a vector to stay orthogonal to, far below:
  // a share s of the second eigenvector, s · (λ₂ − λ₃) of the residual, must show while λ₃ passes for λ₂.
  ALPHACL_HOST_DEVICE double target() const { return (first_ == 0 ? 0.05 : 0.8) * options_.tol * norm_; }

  // (ε ‖A‖)²: a shorter vector is nothing but rounding.
  ALPHACL_HOST_DEVICE double negligible() const {
    const double length = static_cast<double>(Numbers<T>::epsilon) * norm_;
    return length * length;
  }

  ALPHACL_HOST_DEVICE EigenRequest restart() {
    steps_ = 0;
    next_check_ = 12;
    guess_ = Numbers<double>::infinity;
    last_check_ = 0;
    last_share_ = cosine_ = 1;
    theta_ = residual_ = Numbers<double>::nan;
    T* v = row(1);
    double square = ops_.subtract(row(0), ld_, 0, h_, v);
    for (int pass = 0; pass < 2 && first_ == 0; ++pass) {
      ops_.project(row(0), ld_, 1, v, h_);
      square = ops_.subtract(row(0), ld_, 1, h_, v);
    }
    ops_.scale(v, ld_, square > 0 ? 1 / std::sqrt(square) : 0, v);
    return spent() ? EigenRequest::judgement : EigenRequest::product;
  }

  // One step of Lanczos. Exactly, A q has a part in the last two vectors only. These are subtracted first; one pass
  // over the whole basis then removes only rounding, so that a loss of orthogonality does not grow.
  ALPHACL_HOST_DEVICE EigenRequest expand() {
    T* w = product();
    const index_t count = steps_ + 2 - first_, near = smaller<index_t>(count, 2);
    const double before = ops_.project(row(steps_ + 2 - near), ld_, near, w, h_);
    norm_ = larger(std::sqrt(before), norm_);  // a NaN stays
    if (!std::isfinite(norm_)) return EigenRequest::nothing;
    double along = h_[near - 1];
    double rest, after = ops_.subtract(row(steps_ + 2 - near), ld_, near, h_, w);
    do {
      rest = after;
      ops_.project(row(first_), ld_, count, w, h_);
      along += h_[count - 1];
      after = ops_.subtract(row(first_), ld_, count, h_, w);
    } while (after < rest / 64 && after > negligible());
    const double beta = std::sqrt(after);
    ops_.put(alpha_ + steps_, along);
    ops_.put(beta_ + steps_++, beta);
    const index_t dimension = first_ == 0 ? d_ - 1 : d_;
    // The first test of a trusted start takes the full tolerance: it is rounded already. If it is close, the next test
    // comes soon.
    const bool first_try = steps_ == 1 && trusted_ && std::isinf(judged_);
    const bool small = beta <= (first_try ? options_.tol * norm_ : target());
    const bool invariant = (small && (trusted_ || steps_ >= least_steps)) || after <= negligible();
    if (steps_ == 1 && trusted_ && beta <= 1e-2 * norm_) next_check_ = 2;
    const bool last = invariant || steps_ == dimension || spent();
    if (last || steps_ == basis_ || steps_ >= next_check_) {
      const bool good = check_convergence(beta, last || steps_ == basis_);
      if (good || last) return answer();
      if (steps_ == basis_) {
        gather();
        return restart();
      }
    }
    ops_.scale(w, ld_, 1 / beta, w);
    return EigenRequest::product;
  }

  // Whether the top Ritz pair has converged. Its residual is β times the last entry of the eigenvector of T. If not,
  // the next test is scheduled from the rate at which the residual has fallen since the last one.
  ALPHACL_HOST_DEVICE bool check_convergence(double beta, bool wanted) {
    double last;
    // Between two tests the top rarely rises by more than the residual.
    const double top = ops_.tridiagonal_top(alpha_, beta_, steps_, guess_, &last, scratch_);
    double residual = beta * last;
    // 1.1: `last` may be a tenth too large. The eigenvector costs as much as this test.
    if (wanted || residual <= 1.1 * target() || last < 1e-6) {
      ops_.tridiagonal_vector(alpha_, beta_, steps_, top, 1e-3 * target(), s_, scratch_);
      residual = beta * s_[steps_ - 1];
      if (residual <= target()) return true;
    }
    const double share = larger(residual / norm_, Numbers<double>::least);
    const double rate = ops_.log(last_share_ / share) / static_cast<double>(steps_ - last_check_);
    const double ahead = rate > 0 ? ops_.log(norm_ * share / target()) / rate : 16;
    guess_ = top + residual;
    last_share_ = share;
    last_check_ = steps_;
    // No further ahead than that: convergence accelerates.
    const double furthest = smaller(8.0, 1 + 0.5 * static_cast<double>(steps_));
    next_check_ = steps_ + static_cast<index_t>(limited(ahead, 1.0, furthest));
    return false;
  }

  // row(1) = Σ_j s_j q_j.
  ALPHACL_HOST_DEVICE void gather() {
    ops_.negate(s_ + 1, steps_ - 1);
    ops_.scale(row(1), ld_, s_[0], row(1));
    ops_.subtract(row(2), ld_, steps_ - 1, s_ + 1, row(1));
  }

  ALPHACL_HOST_DEVICE EigenRequest answer() {
    gather();
    return EigenRequest::judgement;
  }

  // One step of the power method on A − σ. σ ≤ 0 is the lowest Ritz value met so far, so that a negative eigenvalue of
  // A does not outgrow the top one.
  ALPHACL_HOST_DEVICE EigenRequest power_step() {
    T *v = row(1), *w = row(2);
    const double theta_before = theta_, residual_before = residual_;
    const double square = ops_.project(v, ld_, 1, w, h_);
    theta_ = h_[0];
    residual_ = std::sqrt(ops_.subtract(v, ld_, 1, h_, w));
    norm_ = larger(std::sqrt(square), norm_);  // a NaN stays
    const bool enough = trusted_ || products_ >= least_products || residual_ * residual_ <= negligible();
    if ((residual_ <= target() && enough) || spent()) return EigenRequest::judgement;
    lower_shift(theta_before, residual_before);
    const double along = theta_ - shift_, minus = -along;
    ops_.scale(w, ld_, 1 / std::sqrt(ops_.subtract(v, ld_, 1, &minus, w)), v);
    cosine_ = along / ops_.hypot(along, residual_);
    return EigenRequest::product;
  }

  // The lowest Ritz value of A in the plane of v and the vector before it, v₋, from numbers at hand: with r the unit
  // residual of v₋, v = c v₋ + s r, hence θ = c²θ₋ + 2cs‖r₋‖ + s² rᵀAr.
  ALPHACL_HOST_DEVICE void lower_shift(double theta_before, double residual_before) {
    shift_ = smaller(shift_, theta_);
    const double c = cosine_, s2 = 1 - c * c;
    if (!(s2 > 1e-6)) return;
    const double across = (theta_ - c * c * theta_before - 2 * c * std::sqrt(s2) * residual_before) / s2;
    const double half = 0.5 * (theta_before - across);
    const double lowest = 0.5 * (theta_before + across) - ops_.hypot(half, residual_before);
    if (lowest >= -1.01 * norm_) shift_ = smaller(shift_, lowest);
  }

  index_t d_, ld_, basis_;
  T* storage_;
  Ops ops_;
  double *alpha_, *beta_, *h_, *s_, *scratch_;
  TopOptions options_{};
  index_t first_ = 1, steps_ = 0, products_ = 0, next_check_ = 0, last_check_ = 0;
  double norm_ = 0, shift_ = 0, judged_ = 0, last_share_ = 1, guess_ = 0;
  double theta_ = 0, residual_ = 0, cosine_ = 1;  // of the power method's last step
  bool trusted_ = false, converged_ = false, failed_ = false;
};

}  // namespace alphacl
