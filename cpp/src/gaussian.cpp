// Gaussian importance: chooses between tiles, one cosine series and sorted blocks.
#include <algorithm>
#include <cmath>
#include <limits>

#include "factored.h"
#include "fourier.h"
#include "sorted_gaussian.h"

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
  void rows(index_t begin, index_t n, T* out) const override {
    series_.features(u_.data() + begin, n, origin_, inv_sqrt_tau_, out);
  }

 private:
  Buffer<double> u_;
  double origin_, inv_sqrt_tau_;
  CosineSeries series_;
};

/// Features that are not finite: every sum over pairs is NaN, found in linear time.
template <class T>
class NotANumber final : public Features<T> {
 public:
  index_t rank() const override { return 1; }
  void rows(index_t, index_t n, T* out) const override { std::fill_n(out, n, std::numeric_limits<T>::quiet_NaN()); }
};

template <class T, class S>
class ScalarGaussian final : public FactoredImportance<T> {
 public:
  ScalarGaussian(View<const S> f, double tau, std::unique_ptr<Features<T>> phi)
      : FactoredImportance<T>(f.rows, std::move(phi)), f_(f), tau_(tau) {}
  std::unique_ptr<Importance<double>> widened() const override {
    return gaussian<double, S>(f_, tau_, wide_tolerance, GaussianMethod::automatic);
  }

 private:
  View<const S> f_;
  double tau_;
};

}  // namespace

template <class T, class S>
std::unique_ptr<Importance<T>> gaussian(View<const S> f, double tau, double tol, GaussianMethod method) {
  const index_t n = f.rows;
  if (f.cols != 1 || method == GaussianMethod::tiles) return radial<T, S>(f, Radial{tau});
  Buffer<double> u(n);
  double low = static_cast<double>(f.row(0)[0]), high = low;
  bool finite = true;
  for (index_t i = 0; i < n; ++i) {
    u[i] = static_cast<double>(f.row(i)[0]);
    finite = finite && std::isfinite(u[i]);
    low = std::min(low, u[i]);
    high = std::max(high, u[i]);
  }
  if (!finite) return std::make_unique<ScalarGaussian<T, S>>(f, tau, std::make_unique<NotANumber<T>>());
  const double range = (high - low) / std::sqrt(tau);
  if (!std::isfinite(range)) return radial<T, S>(f, Radial{tau});
  constexpr double longest_series = 1e5;
  if (method == GaussianMethod::fourier && range > longest_series)
    throw std::invalid_argument("method: expected auto, sorted or tiles for features with a range of " +
                                std::to_string(range) + " times the root of tau, got fourier");
  if (method == GaussianMethod::automatic) method = cheapest(n, range, tol);
  switch (method) {
    case GaussianMethod::fourier:
      return std::make_unique<ScalarGaussian<T, S>>(
          f, tau, std::make_unique<FourierFeatures<T>>(std::move(u), low, high, tau, tol));
    case GaussianMethod::sorted:
      return sorted_gaussian<T>(u.data(), n, tau, tol);
    default:
      return radial<T, S>(f, Radial{tau});
  }
}

template std::unique_ptr<Importance<float>> gaussian<float, float>(View<const float>, double, double, GaussianMethod);
template std::unique_ptr<Importance<double>> gaussian<double, double>(View<const double>, double, double,
                                                                      GaussianMethod);
template std::unique_ptr<Importance<double>> gaussian<double, float>(View<const float>, double, double, GaussianMethod);

}  // namespace alphacl
