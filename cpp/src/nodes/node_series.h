// Row sums and Laplacian products of the Gaussian of N scalars, the outputs of one node, by one cosine series.
#pragma once

#include <cmath>
#include <limits>
#include <memory>

#include "importances/gaussian_series.h"

namespace alphacl {

/// What a series is for. matrices: every feature costs d numbers a sample. products: a harmonic costs next to nothing a
/// sample, and series of 100 to 500 terms took a quarter to a half of the time of sorted blocks.
enum class SeriesFor { matrices, products };

/// The Gaussian of the N outputs s_i of a node as a cosine series, if one is usable.
template <class T>
class NodeSeries {
 public:
  /// Fits the series to n outputs s and `rest` more that are 0.
  void fit(const T* s, index_t n, index_t rest, double tau, double tol, SeriesFor use) {
    double low = rest > 0 ? 0 : std::numeric_limits<double>::infinity(), high = rest > 0 ? 0 : -low, poison = 0;
    for (index_t i = 0; i < n; ++i) {
      const double value = static_cast<double>(s[i]);
      low = std::min(low, value);
      high = std::max(high, value);
      poison += value - value;
    }
    finite_ = poison == 0;
    const double inv_sqrt_tau = 1 / std::sqrt(tau), range = (high - low) * inv_sqrt_tau;
    // Products: samples with equal outputs have one error in common, so all N together get the tolerance.
    const bool products = use == SeriesFor::products;
    const double allowed = products ? tol / static_cast<double>(n + rest) : tol, terms = series_terms(range, allowed);
    const bool pays = cheapest(n + rest, range, tol) == GaussianMethod::fourier ||
                      (products && 2 * (1 + 2 * terms) <= static_cast<double>(n));
    usable_ = finite_ && std::isfinite(range) && terms <= most_series_terms && pays;
    if (!usable_) return;
    series_ = GaussianSeries(range, allowed);
    harmonics_.terms = series_.terms();
    // The samples are read as T, and so is the origin that stands for what a block of them lacks.
    harmonics_.origin = static_cast<double>(static_cast<T>(0.5 * low + 0.5 * high));
    inv_sqrt_tau_ = inv_sqrt_tau;
    harmonics_.scale = series_.omega() * inv_sqrt_tau;
    weights_.resize(1 + 2 * harmonics_.terms);
    for (index_t l = 0; l <= 2 * harmonics_.terms; ++l) weights_[l] = series_.weight((l + 1) / 2);
    ones_.resize(1 + 2 * harmonics_.terms);
    moments(s, nullptr, n, ones_.data());
    for (index_t l = 0; l <= 2 * harmonics_.terms; ++l) ones_[l] += static_cast<double>(rest) * harmonic(l);
    for (index_t l = 0; l <= 2 * harmonics_.terms; ++l) ones_[l] *= weights_[l];
  }

  bool finite() const { return finite_; }
  bool usable() const { return usable_; }

  /// t_i = 2 (a_i r_i − Σ_j α_ij a_j) and r_i for the n outputs s; the others have a = 0.
  void laplacian(const T* s, const T* a, index_t n, T* t, T* r) const {
    double found[1 + 2 * most_series_terms];
    moments(s, a, n, found);
    for (index_t l = 0; l <= 2 * harmonics_.terms; ++l) found[l] *= weights_[l];
    series_kernels<T>().laplacian(s, a, n, harmonics_, {ones_.data(), found}, t, r);
  }

  /// r of the n outputs s.
  void row_sums(const T* s, index_t n, double* r) const {
    series_kernels<T>().values(s, n, harmonics_, ones_.data(), r);
  }

  /// Φ of α = ΦΦᵀ, transposed, for the n outputs s[which[i]].
  index_t rank() const { return series_.rank(); }
  void features(const T* s, const index_t* which, index_t n, T* out, index_t ld) const {
    series_.columns(s, which, n, harmonics_.origin, inv_sqrt_tau_, out, ld);
  }

  /// r of an output of 0.
  double sum_at_zero() const {
    double sum = 0;
    for (index_t l = 0; l <= 2 * harmonics_.terms; ++l) sum += ones_[l] * harmonic(l);
    return sum;
  }

 private:
  double harmonic(index_t l) const {
    const double theta = -harmonics_.scale * harmonics_.origin * static_cast<double>((l + 1) / 2);
    return l % 2 == 1 || l == 0 ? std::cos(theta) : std::sin(theta);
  }

  void moments(const T* s, const T* a, index_t n, double* out) const {
    std::fill_n(out, 1 + 2 * harmonics_.terms, 0.0);
    series_kernels<T>().moments(s, a, n, harmonics_, out);
  }

  bool finite_ = false, usable_ = false;
  Harmonics harmonics_ = {0, 0, 0};
  double inv_sqrt_tau_ = 0;
  GaussianSeries series_;
  Buffer<double> weights_, ones_;
};

}  // namespace alphacl
