// Gaussian importance: chooses between tiles, one cosine series and sorted blocks.
#include <algorithm>
#include <cmath>
#include <limits>

#include "importances/factored.h"
#include "importances/gaussian_series.h"
#include "importances/gaussian_sorted.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

template <class T>
class FourierFeatures final : public Features<T> {
 public:
  FourierFeatures(Buffer<double> u, double low, double high, double tau, double tol)
      : u_(std::move(u)),
        origin_(0.5 * low + 0.5 * high),
        inv_sqrt_tau_(1 / std::sqrt(tau)),
        series_((high - low) * inv_sqrt_tau_, tol) {}

  index_t rank() const override { return series_.rank(); }
  bool nonnegative() const override { return true; }
  void rows(index_t begin, index_t n, T* out) const override {
    series_.features(u_.data() + begin, n, origin_, inv_sqrt_tau_, out);
  }
  void rows_at(const index_t* which, index_t n, T* out) const override {
    constexpr index_t together = 256;
    double u[together];
    for (index_t r = 0; r < n; r += together) {
      const index_t count = std::min(together, n - r);
      for (index_t a = 0; a < count; ++a) u[a] = u_[which[r + a]];
      series_.features(u, count, origin_, inv_sqrt_tau_, out + r * rank());
    }
  }

  void columns(const index_t* which, index_t n, T* out, index_t ld) const override {
    series_.columns(u_.data(), which, n, origin_, inv_sqrt_tau_, out, ld);
  }

  /// r = Φ(Φᵀ1) without forming Φ; false where the series has too many terms for the kernels of nodes.
  bool row_sums(double* r) const {
    const index_t n = u_.size(), terms = series_.terms(), p = rank();
    if (terms > most_series_terms) return false;
    constexpr index_t rows = 2048;
    const index_t groups = ceil_div(n, rows);
    const Harmonics harmonics = {origin_, series_.omega() * inv_sqrt_tau_, terms};
    Buffer<double> parts(groups * p, 0.0), ones(p, 0.0);
    Buffer<T> u(n);
    parallel_for(groups, [&](index_t g, int) {
      const index_t i0 = g * rows, ni = std::min(rows, n - i0);
      for (index_t i = i0; i < i0 + ni; ++i) u[i] = static_cast<T>(u_[i]);
      series_kernels<T>().moments(u.data() + i0, nullptr, ni, harmonics, parts.data() + g * p);
    });
    for (index_t g = 0; g < groups; ++g)
      for (index_t l = 0; l < p; ++l) ones[l] += parts[g * p + l];
    for (index_t l = 0; l < p; ++l) ones[l] *= series_.weight((l + 1) / 2);
    parallel_for(groups, [&](index_t g, int) {
      const index_t i0 = g * rows, ni = std::min(rows, n - i0);
      series_kernels<T>().values(u.data() + i0, ni, harmonics, ones.data(), r + i0);
    });
    return true;
  }

 private:
  Buffer<double> u_;
  double origin_, inv_sqrt_tau_;
  GaussianSeries series_;
};

/// For features that are not finite: makes every sum over pairs NaN, in linear time.
template <class T>
class NotANumber final : public Features<T> {
 public:
  index_t rank() const override { return 1; }
  bool nonnegative() const override { return true; }
  void rows(index_t, index_t n, T* out) const override { std::fill_n(out, n, std::numeric_limits<T>::quiet_NaN()); }
};

template <class T, class S>
class ScalarGaussian final : public FactoredImportance<T> {
 public:
  ScalarGaussian(View<const S> f, double tau, std::unique_ptr<Features<T>> phi)
      : FactoredImportance<T>(f.rows, std::move(phi)), f_(f), tau_(tau) {}
  ScalarGaussian(View<const S> f, double tau, std::unique_ptr<FourierFeatures<T>> phi)
      : ScalarGaussian(f, tau, std::unique_ptr<Features<T>>(phi.release())) {
    fourier_ = static_cast<const FourierFeatures<T>*>(this->factor());
  }
  void row_sums(double* r) const override {
    if (fourier_ == nullptr || !fourier_->row_sums(r)) FactoredImportance<T>::row_sums(r);
  }
  std::unique_ptr<Importance<double>> widened() const override {
    return gaussian<double, S>(f_, tau_, wide_tolerance, GaussianMethod::automatic);
  }
  std::unique_ptr<Importance<double>> literal() const override { return radial<double, S>(f_, Radial{tau_}); }

 private:
  View<const S> f_;
  double tau_;
  const FourierFeatures<T>* fourier_ = nullptr;
};

}  // namespace

template <class T, class S>
std::unique_ptr<Importance<T>> gaussian(View<const S> f, double tau, double tol, GaussianMethod method) {
  const index_t n = f.rows;
  if (f.cols != 1 || method == GaussianMethod::tiles) return radial<T, S>(f, Radial{tau});
  Buffer<double> u(n);
  double low = static_cast<double>(f.row(0)[0]), high = low, poison = 0;
#pragma omp simd reduction(min : low) reduction(max : high) reduction(+ : poison)
  for (index_t i = 0; i < n; ++i) {
    const double value = static_cast<double>(f.data[i * f.stride]);
    u[i] = value;
    low = value < low ? value : low;
    high = value > high ? value : high;
    poison += value - value;
  }
  const bool finite = poison == 0;
  if (!finite) return std::make_unique<ScalarGaussian<T, S>>(f, tau, std::make_unique<NotANumber<T>>());
  const double range = (high - low) / std::sqrt(tau);
  if (!std::isfinite(range)) return radial<T, S>(f, Radial{tau});
  if (method == GaussianMethod::fourier) check_series_range(range);
  if (method == GaussianMethod::automatic) method = cheapest(n, range, tol);
  switch (method) {
    case GaussianMethod::fourier:
      return std::make_unique<ScalarGaussian<T, S>>(
          f, tau, std::make_unique<FourierFeatures<T>>(std::move(u), low, high, tau, tol));
    case GaussianMethod::sorted:
      return gaussian_sorted<T>(u.data(), n, tau, tol);
    default:
      return radial<T, S>(f, Radial{tau});
  }
}

template std::unique_ptr<Importance<float>> gaussian<float, float>(View<const float>, double, double, GaussianMethod);
template std::unique_ptr<Importance<double>> gaussian<double, double>(View<const double>, double, double,
                                                                      GaussianMethod);
template std::unique_ptr<Importance<double>> gaussian<double, float>(View<const float>, double, double, GaussianMethod);

}  // namespace alphacl
