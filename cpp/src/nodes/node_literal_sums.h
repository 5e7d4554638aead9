// The last resort of a node: products A(w) v from the differences of all pairs. Private to the core.
#pragma once

#include <memory>

#include "covariance/literal_sums.h"
#include "nodes/layer.h"

namespace alphacl {

/// out = A(w) v. outputs: the pre-activations p0 of the outputs that enter the node's own importance; not read where
/// the importance is shared.
template <class S>
void node_product_of_differences(const Layer<double, S>& layer, const double* w, const double* outputs, const double* v,
                                 double* out) {
  const index_t n = layer.size(), d = layer.features();
  Buffer<double> gated(n * d), gated_aug(n * d), p(n), gates(n);
  const auto gate_rows = [&](View<const S> data, double* rows) {
    layer.project(data, w, 1, p.data());
    node_kernels<double>().gate_row(layer.gate(), p.data(), nullptr, 1, n, gates.data());
    for (index_t i = 0; i < n; ++i)
      for (index_t j = 0; j < d; ++j) rows[i * d + j] = gates[i] * static_cast<double>(data.row(i)[j]);
  };
  gate_rows(layer.x(), gated.data());
  gate_rows(layer.x_aug(), gated_aug.data());
  std::unique_ptr<Importance<double>> own;
  if (layer.shared() == nullptr) {
    const NodeGaussian gaussian_of = layer.own();
    node_kernels<double>().gate_row(gaussian_of.gate, outputs, outputs, 1 / gaussian_of.homogeneity, n, p.data());
    own = gaussian<double, double>(View<const double>{p.data(), n, 1, 1}, gaussian_of.tau, gaussian_of.tol,
                                   GaussianMethod::tiles);
  }
  product_of_differences({gated.data(), n, d, d}, {gated_aug.data(), n, d, d}, own ? *own : *layer.shared(), v, out);
  for (index_t j = 0; j < d; ++j) out[j] *= layer.scale();
}

}  // namespace alphacl
