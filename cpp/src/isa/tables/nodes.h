// Kernels over the row of one node: N numbers, one for each sample.
#pragma once

#include "alphacl/activation.h"
#include "alphacl/view.h"

namespace alphacl {

/// The rows of n numbers of a node that its Laplacian product is gated back with.
template <class T>
struct GateLaplacian {
  const T *p, *p_aug, *t, *r;
  T reference;
  index_t n;
  T *a, *a_aug;
};

/// p: pre-activations of the node; h: its gate.
template <class T>
struct NodeKernels {
  /// out = scale · h'(p) u; u null: 1.
  void (*gate_row)(const NodeGate& h, const T* p, const T* u, T scale, index_t n, T* out);
  /// u becomes h'(p)(u + shift) − reference · shift.
  void (*gate_difference_row)(const NodeGate& h, const T* p, T shift, T reference, index_t n, T* u);
  /// With δ = a − a': a becomes h'(p)(t − rδ), a' becomes h'(p') rδ. Returns Σ (a + a') − reference · Σ t, of the new
  /// a and a'.
  double (*gate_laplacian)(const NodeGate& h, const GateLaplacian<T>&);
  /// Σ a t − r (a − a')².
  double (*quadratic_form)(const T* a, const T* a_aug, const T* t, const T* r, index_t n);
  /// Packs p and a (may be null) of the samples with p > 0 or NaN; returns how many. Room for n each.
  index_t (*gather_open)(const T* p, const T* a, index_t n, T* s_open, T* a_open);
  /// Puts packed t and r back where p > 0 or NaN; elsewhere t = 0 and r = r_closed. One entry beyond the packed ones
  /// may be read.
  void (*scatter_open)(const T* p, const T* t_open, const T* r_open, T r_closed, index_t n, T* t, T* r);
};

}  // namespace alphacl
