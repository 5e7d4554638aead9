// The data of a one-layer network as products with its nodes take them, on the device.
#pragma once

#include "nodes/gated_cov.h"

namespace alphacl::cuda {

/// Both views without c, a vector near most samples, and their difference, which is exact where they lie close
/// together.
struct LayerRows {
  index_t n, d;
  const double* centre;                              // d
  const double *centred, *centred_aug, *difference;  // N × d each: x − c, x' − c, x − x'
  const double *square, *square_aug, *square_apart;  // N each: their squared lengths

  View<const double> view(const double* of) const { return {of, n, d, d}; }
};

/// A layer without its nodes. Reads the views and the importance as long as it lives.
template <class S>
struct Layer {
  View<const S> x, x_aug;
  NodeGate gate;
  double degree;
  NodeImportance<S> alpha;
  LayerRows rows;
  // Of a shared importance, else null: the size of a row of α + αᵀ, which is D or, where entries of both signs make D
  // small, the root of its summed squares.
  const double* row_size;
  // x0 without a vector near most samples, N × d; null where gates differ, and with them what an offset does.
  const double* own_inputs;

  index_t samples() const { return x.rows; }
  index_t features() const { return x.cols; }
  double scale() const { return 1 / (2.0 * static_cast<double>(x.rows) * static_cast<double>(x.rows)); }
};

/// x0 without a vector near most samples (N × d, in `memory`): the outputs of a linear layer then keep the digits of
/// their differences.
template <class S>
const double* centred_inputs(const Stream& on, Workspace& memory, View<const S> x0);

/// What the layer computes of its data lies in `memory`, which must live as long.
template <class S>
Layer<S> layer_of(const Stream& on, Workspace& memory, View<const S> x, View<const S> x_aug, const Activation& h,
                  const NodeImportance<S>& alpha);

}  // namespace alphacl::cuda
