// The Gaussian of a scalar difference as a short cosine series (alphacl/gaussian_series.h), by the kernels of the CPU.
// Private to the core.
#pragma once

#include <algorithm>
#include <cmath>

#include "alphacl/gaussian_series.h"
#include "alphacl/importance.h"
#include "alphacl/view.h"
#include "isa/tables/kernels.h"

namespace alphacl {

/// The cheapest method for a Gaussian of n scalars of range `range` √τ. Sorted blocks pay for N of at least about 900.
inline GaussianMethod cheapest(index_t n, double range, double tol) {
  constexpr index_t sorted_minimum = 900;
  if (series_pays(n, range, tol)) return GaussianMethod::fourier;
  return n < sorted_minimum ? GaussianMethod::tiles : GaussianMethod::sorted;
}

class GaussianSeries {
 public:
  GaussianSeries() = default;
  GaussianSeries(double range, double tol) {
    const double period = series_period(range, tol), pi = 3.14159265358979323846;
    omega_ = series_frequency(range, tol);
    terms_ = static_cast<index_t>(series_terms(range, tol));
    coefficients_.resize(terms_ + 1);
    for (index_t k = 0; k <= terms_; ++k) {
      const double kw = static_cast<double>(k) * omega_;
      const double c = std::sqrt(2 * pi) / period * std::exp(-0.5 * kw * kw);
      coefficients_[k] = std::sqrt(k == 0 ? c : 2 * c);
    }
  }

  index_t rank() const { return 1 + 2 * terms_; }
  index_t terms() const { return terms_; }
  double omega() const { return omega_; }
  /// c_0 for k = 0, else 2 c_k: exp(−Δ²/2) = Σ_{k ≥ 0} weight(k) cos kωΔ.
  double weight(index_t k) const { return coefficients_[k] * coefficients_[k]; }

  /// out (n × p): features of the points u, with Φ(u)·Φ(v) = exp(−(u − v)²/(2τ)). |u − origin|: at most half a period.
  template <class T>
  void features(const double* u, index_t n, double origin, double inv_sqrt_tau, T* out) const {
    const auto point = [u](index_t i) { return u[i]; };
    for_phases(n, origin, inv_sqrt_tau, point, [&](const double* theta, index_t i, index_t count) {
      series_kernels<T>().features(theta, count, coefficients_.data(), terms_, out + i * rank(), rank());
    });
  }
  /// out (p × n, row stride ld): features of the points u[which[i]], transposed.
  template <class T, class U>
  void columns(const U* u, const index_t* which, index_t n, double origin, double inv_sqrt_tau, T* out,
               index_t ld) const {
    const auto point = [u, which](index_t i) { return static_cast<double>(u[which[i]]); };
    for_phases(n, origin, inv_sqrt_tau, point, [&](const double* theta, index_t i, index_t count) {
      series_kernels<T>().feature_columns(theta, count, coefficients_.data(), terms_, out + i, ld);
    });
  }

 private:
  template <class P, class F>
  void for_phases(index_t n, double origin, double inv_sqrt_tau, P&& point, F&& visit) const {
    double theta[256];
    for (index_t i = 0; i < n; i += 256) {
      const index_t count = std::min<index_t>(256, n - i);
      for (index_t a = 0; a < count; ++a) theta[a] = omega_ * ((point(i + a) - origin) * inv_sqrt_tau);
      visit(theta, i, count);
    }
  }

  double omega_ = 0;
  index_t terms_ = 0;
  Buffer<double> coefficients_;
};

}  // namespace alphacl
