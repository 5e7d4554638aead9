// The climb of nodes to their local maxima.
#pragma once

#include <memory>

#include "alphacl/gated_operator.h"
#include "nodes/layer.h"

namespace alphacl::cuda {

/// As alphacl::Climb, in double: steps and line search are the host's (alphacl/node_climb.h), passes over the samples
/// the device's. Each pass waits for its K energies or products.
template <class S>
class Climb {
 public:
  /// weights: K × d on the device. The layer lives as long as this.
  Climb(const Stream& on, const Layer<S>& layer, View<const S> weights, const ClimbOptions& options);
  ~Climb();
  index_t step(const Stream& on);
  void finish(const Stream& on);
  /// To arrays of the host.
  void write(const ClimbResult<S>& out) const;
  static index_t block(index_t n, index_t nodes);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace alphacl::cuda
