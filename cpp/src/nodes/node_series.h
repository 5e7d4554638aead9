// The Gaussian importance of one node: of scalars on a line. Private to the core.
#pragma once

#include <cmath>
#include <limits>
#include <memory>

#include "importances/gaussian_series.h"

namespace alphacl {

/// Scratch of one worker, N each and one that may be read beyond them.
template <class T>
struct NodeScratch {
  Buffer<T> s, a, t, r, product;
  Buffer<double> sums;
  void resize(index_t n) {
    s.resize(n);
    a.resize(n);
    t.resize(n + 1);
    r.resize(n + 1);
    product.resize(n);
    sums.resize(n);
  }
};

/// What a series serves. A matrix pays for its features, d numbers a sample each; of a product a harmonic costs a
/// sample next to nothing: series of 100 to 500 terms took a quarter to a half of the time of sorted blocks.
enum class SeriesFor { matrices, products };

/// What is known of the N outputs s_i of a node: r_i = Σ_j α_ij by a cosine series, or that there is none.
template <class T>
class NodeSeries {
 public:
  /// s: n of the outputs; `rest` more are 0.
  void set(const T* s, index_t n, index_t rest, double tau, double tol, SeriesFor use) {
    double low = rest > 0 ? 0 : std::numeric_limits<double>::infinity(), high = rest > 0 ? 0 : -low, poison = 0;
    for (index_t i = 0; i < n; ++i) {
      const double value = static_cast<double>(s[i]);
      low = std::min(low, value);
      high = std::max(high, value);
      poison += value - value;
    }
    finite_ = poison == 0;
    const double inv_sqrt_tau = 1 / std::sqrt(tau), range = (high - low) * inv_sqrt_tau;
    // Products: samples with one output have one error in common, so all together get the tolerance.
    const bool products = use == SeriesFor::products;
    const double allowed = products ? tol / static_cast<double>(n + rest) : tol, terms = series_terms(range, allowed);
    const bool pays = cheapest(n + rest, range, tol) == GaussianMethod::fourier ||
                      (products && 2 * (1 + 2 * terms) <= static_cast<double>(n));
    series_ = finite_ && std::isfinite(range) && terms <= most_series_terms && pays;
    if (!series_) return;
    cosines_ = GaussianSeries(range, allowed);
    terms_ = cosines_.terms();
    // The samples are read as T, and so is the origin that stands for what a block of them lacks.
    origin_ = static_cast<double>(static_cast<T>(0.5 * low + 0.5 * high));
    inv_sqrt_tau_ = inv_sqrt_tau;
    scale_ = cosines_.omega() * inv_sqrt_tau;
    weights_.resize(1 + 2 * terms_);
    for (index_t l = 0; l <= 2 * terms_; ++l) weights_[l] = cosines_.weight((l + 1) / 2);
    ones_.resize(1 + 2 * terms_);
    moments(s, nullptr, n, ones_.data());
    for (index_t l = 0; l <= 2 * terms_; ++l) ones_[l] += static_cast<double>(rest) * harmonic(l);
    for (index_t l = 0; l <= 2 * terms_; ++l) ones_[l] *= weights_[l];
  }

  bool finite() const { return finite_; }
  bool series() const { return series_; }

  /// t_i = 2 (a_i r_i − Σ_j α_ij a_j) and r_i of the n outputs s; a = 0 for the others.
  void laplacian(const T* s, const T* a, index_t n, T* t, T* r) const {
    double found[1 + 2 * most_series_terms];
    moments(s, a, n, found);
    for (index_t l = 0; l <= 2 * terms_; ++l) found[l] *= weights_[l];
    node_kernels<T>().series_laplacian(s, a, n, origin_, scale_, terms_, ones_.data(), found, t, r);
  }

  /// r of the n outputs s.
  void row_sums(const T* s, index_t n, double* r) const {
    node_kernels<T>().series_values(s, n, origin_, scale_, terms_, ones_.data(), r);
  }

  /// Φ of α = ΦΦᵀ, transposed, for the n outputs s[which[i]].
  index_t rank() const { return cosines_.rank(); }
  void features(const T* s, const index_t* which, index_t n, T* out, index_t ld) const {
    cosines_.columns(s, which, n, origin_, inv_sqrt_tau_, out, ld);
  }

  /// r of an output of 0.
  double sum_at_zero() const {
    double sum = 0;
    for (index_t l = 0; l <= 2 * terms_; ++l) sum += ones_[l] * harmonic(l);
    return sum;
  }

 private:
  double harmonic(index_t l) const {
    const double theta = -scale_ * origin_ * static_cast<double>((l + 1) / 2);
    return l % 2 == 1 || l == 0 ? std::cos(theta) : std::sin(theta);
  }

  void moments(const T* s, const T* a, index_t n, double* out) const {
    std::fill_n(out, 1 + 2 * terms_, 0.0);
    node_kernels<T>().series_moments(s, a, n, origin_, scale_, terms_, out);
  }

  bool finite_ = false, series_ = false;
  index_t terms_ = 0;
  double origin_ = 0, scale_ = 0, inv_sqrt_tau_ = 0;
  GaussianSeries cosines_;
  Buffer<double> weights_, ones_;
};

/// Whether a closed gate means a = 0 and an output of 0: a ReLU whose importance compares its own outputs.
template <class T>
bool closed_samples_vanish(const NodeGate& h, const T* p, const T* p0) {
  return h.form == NodeGate::Form::step && h.parameter == 0 && p == p0;
}

/// The outputs h(p0) of a node that its importance compares, in scratch.s.
template <class T>
void gather_outputs_of_all(const NodeGate& h, double homogeneity, const T* p0, index_t n, NodeScratch<T>& scratch) {
  scratch.resize(n);
  node_kernels<T>().gate_row(h, p0, p0, static_cast<T>(1 / homogeneity), n, scratch.s.data());
}

/// The same, those of a closed ReLU left out where they can be:
/// such samples count in the line as a number only. Returns how many are in; a (may be null) is taken along.
template <class T>
index_t gather_outputs(const NodeGate& h, double homogeneity, const T* p, const T* p0, const T* a, index_t n,
                       NodeScratch<T>& scratch) {
  if (!closed_samples_vanish(h, p, p0)) {
    gather_outputs_of_all(h, homogeneity, p0, n, scratch);
    return n;
  }
  scratch.resize(n);
  return node_kernels<T>().gather_open(p, a, n, scratch.s.data(), scratch.a.data());
}

/// `p`: the pre-activations that open the gates; `p0`: those of the outputs that the importance compares.
template <class T>
void fit_series(const NodeGate& h, double homogeneity, double tau, double tol, const T* p, const T* p0, index_t n,
                NodeSeries<T>& line, NodeScratch<T>& scratch) {
  const index_t open = gather_outputs<T>(h, homogeneity, p, p0, nullptr, n, scratch);
  line.set(scratch.s.data(), open, n - open, tau, tol, SeriesFor::products);
}

/// t and r of few outputs by their pairs, with `rest` outputs of 0 whose a is 0. Returns r of an output of 0.
template <class T>
double literal_node_laplacian(const T* s, const T* a, index_t n, index_t rest, double tau, T* t, T* r) {
  const double inv_sqrt_tau = 1 / std::sqrt(tau), closed = static_cast<double>(rest);
  const auto alpha = [=](double difference) {
    const double scaled = difference * inv_sqrt_tau;
    return std::exp(-0.5 * scaled * scaled);
  };
  double sum_at_zero = closed;
  for (index_t i = 0; i < n; ++i) {
    const double here = static_cast<double>(s[i]), value = static_cast<double>(a[i]), at_zero = alpha(here);
    double sum = closed * at_zero, product = sum * value;
    for (index_t j = 0; j < n; ++j) {
      const double weight = alpha(here - static_cast<double>(s[j]));
      sum += weight;
      product += weight * (value - static_cast<double>(a[j]));
    }
    t[i] = static_cast<T>(2 * product);
    r[i] = static_cast<T>(sum);
    sum_at_zero += at_zero;
  }
  return sum_at_zero;
}

/// t and r over all N samples for a node's own Gaussian importance, whose line is set. `reference`: the gate whose
/// share of a common shift is left out of a. Where it is 0, the closed samples of a ReLU have a = 0, and their t, which
/// their gates drop, may be left at 0: then gate_laplacian() must have the same reference.
template <class T>
void node_laplacian(const NodeGate& h, double homogeneity, double tau, double tol, const T* p, const T* p0, const T* a,
                    T reference, index_t n, const NodeSeries<T>& line, T* t, T* r, NodeScratch<T>& scratch) {
  if (!line.finite()) {
    std::fill_n(t, n, std::numeric_limits<T>::quiet_NaN());
    std::fill_n(r, n, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  if (reference == T(0) && closed_samples_vanish(h, p, p0)) {
    const index_t open = gather_outputs(h, homogeneity, p, p0, a, n, scratch);
    const T* s = scratch.s.data();
    const bool few = open <= 64 || (!line.series() && open * open <= 64 * n);
    if (few || line.series()) {
      double closed = 0;
      if (few) {
        closed = literal_node_laplacian(s, scratch.a.data(), open, n - open, tau, scratch.t.data(), scratch.r.data());
      } else {
        line.laplacian(s, scratch.a.data(), open, scratch.t.data(), scratch.r.data());
        closed = line.sum_at_zero();
      }
      node_kernels<T>().scatter_open(p, scratch.t.data(), scratch.r.data(), static_cast<T>(closed), n, t, r);
      return;
    }
  }
  gather_outputs_of_all(h, homogeneity, p0, n, scratch);
  if (line.series()) return line.laplacian(scratch.s.data(), a, n, t, r);
  const auto alpha = gaussian<T, T>(View<const T>{scratch.s.data(), n, 1, 1}, tau, tol, GaussianMethod::automatic);
  alpha->row_sums(scratch.sums.data());
  alpha->matmul({a, n, 1, 1}, {scratch.product.data(), n, 1, 1});
  for (index_t i = 0; i < n; ++i) {
    r[i] = static_cast<T>(scratch.sums[i]);
    t[i] = static_cast<T>(2 * (static_cast<double>(a[i]) * scratch.sums[i] - static_cast<double>(scratch.product[i])));
  }
}

}  // namespace alphacl
