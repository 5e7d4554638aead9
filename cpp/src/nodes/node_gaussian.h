// A node's own importance: the Gaussian of its outputs. Private to the core.
#pragma once

#include <cmath>
#include <limits>

#include "alphacl/activation.h"
#include "alphacl/importance.h"
#include "nodes/node_series.h"

namespace alphacl {

/// The own importance of a node, α_ij = exp(−(s_i − s_j)²/(2τ)) with its outputs s = h(p0); these parameters are the
/// same for all nodes.
struct NodeGaussian {
  NodeGate gate;
  double homogeneity;  // c of h'(u) u = c h(u)
  double tau, tol;
  index_t size;  // N

  /// Whether a closed gate means a = 0 and an output of 0: a ReLU that compares its own outputs, p0 = p.
  template <class T>
  bool closed_samples_vanish(const T* p, const T* p0) const {
    return gate.closes() && p == p0;
  }
};

/// One node of a pass (node_pass.h): its rows of N numbers over the samples.
template <class T>
struct NodeRow {
  const T *p, *p_aug;           // pre-activations of both views: they open the gates
  const T* p0;                  // pre-activations of the outputs that its own importance compares
  const NodeSeries<T>* series;  // the series of these outputs; null: not fitted yet
  T reference;                  // a number near most gates (Layer::reference_gate)
  T *a, *a_aug;                 // gated values of both views; α multiplies a
  const T* t = nullptr;         // D a − (α + αᵀ) a
  const T* r = nullptr;         // α 1
  const T* row_size = nullptr;  // the size of a row of α + αᵀ
  T* gates = nullptr;           // room for the gates of both views
};

/// Scratch of one worker, N numbers each; one entry beyond t and r may be read.
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

/// scratch.s = the outputs h(p0) that the node's own importance compares.
template <class T>
void gather_outputs_of_all(const NodeGaussian& own, const T* p0, NodeScratch<T>& scratch) {
  scratch.resize(own.size);
  node_kernels<T>().gate_row(own.gate, p0, p0, static_cast<T>(1 / own.homogeneity), own.size, scratch.s.data());
}

/// scratch.s = the outputs h(p0) as above; those of closed samples are left out where they vanish, and only their
/// number enters the series. scratch.a = the entries of a (may be null) that stay. Returns how many stay.
template <class T>
index_t gather_outputs(const NodeGaussian& own, const T* p, const T* p0, const T* a, NodeScratch<T>& scratch) {
  if (!own.closed_samples_vanish(p, p0)) {
    gather_outputs_of_all(own, p0, scratch);
    return own.size;
  }
  scratch.resize(own.size);
  return node_kernels<T>().gather_open(p, a, own.size, scratch.s.data(), scratch.a.data());
}

/// Fits the series of the outputs of a node, for products.
template <class T>
void fit_series(const NodeGaussian& own, const T* p, const T* p0, NodeSeries<T>& series, NodeScratch<T>& scratch) {
  const index_t open = gather_outputs<T>(own, p, p0, nullptr, scratch);
  series.fit(scratch.s.data(), open, own.size - open, own.tau, own.tol, SeriesFor::products);
}

/// t and r of n outputs s, pair by pair; `rest` more outputs are 0 and have a = 0. Returns r of an output of 0.
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

/// t = D a − (α + αᵀ) a and r = α 1 over all N samples, from the fitted series of the node's outputs. With a reference
/// of 0, closed samples of a ReLU have a = 0 and their gates drop t, so their t is left at 0; gate_laplacian() must
/// then use the same reference.
template <class T>
void node_laplacian(const NodeGaussian& own, const NodeRow<T>& row, const NodeSeries<T>& series, T* t, T* r,
                    NodeScratch<T>& scratch) {
  const index_t n = own.size;
  if (!series.finite()) {
    std::fill_n(t, n, std::numeric_limits<T>::quiet_NaN());
    std::fill_n(r, n, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  if (row.reference == T(0) && own.closed_samples_vanish(row.p, row.p0)) {
    const index_t open = gather_outputs<T>(own, row.p, row.p0, row.a, scratch);
    const T *s = scratch.s.data(), *a = scratch.a.data();
    const bool few = open <= 64 || (!series.usable() && open * open <= 64 * n);
    if (few || series.usable()) {
      double closed = 0;
      if (few) {
        closed = literal_node_laplacian(s, a, open, n - open, own.tau, scratch.t.data(), scratch.r.data());
      } else {
        series.laplacian(s, a, open, scratch.t.data(), scratch.r.data());
        closed = series.sum_at_zero();
      }
      node_kernels<T>().scatter_open(row.p, scratch.t.data(), scratch.r.data(), static_cast<T>(closed), n, t, r);
      return;
    }
  }
  gather_outputs_of_all(own, row.p0, scratch);
  if (series.usable()) return series.laplacian(scratch.s.data(), row.a, n, t, r);
  const View<const T> outputs{scratch.s.data(), n, 1, 1};
  const auto alpha = gaussian<T, T>(outputs, own.tau, own.tol, GaussianMethod::automatic);
  alpha->row_sums(scratch.sums.data());
  alpha->matmul({row.a, n, 1, 1}, {scratch.product.data(), n, 1, 1});
  for (index_t i = 0; i < n; ++i) {
    const double product = static_cast<double>(scratch.product[i]);
    r[i] = static_cast<T>(scratch.sums[i]);
    t[i] = static_cast<T>(2 * (static_cast<double>(row.a[i]) * scratch.sums[i] - product));
  }
}

}  // namespace alphacl
