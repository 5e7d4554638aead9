// Contrastive losses whole, and their gradients: those of alphacl/contrasts.h, on the GPU.
#pragma once

#include "alphacl/contrasts.h"
#include "runtime/stream.h"

namespace alphacl::cuda {

/// losses (anchors(), or 1 if reduced), `saved` (saved()) and units (null, or (2N + M) × m), in memory of the device.
/// Cost as of pair_log_sums; memory O((N + M) m). Scores are not kept: the gradient computes them again.
template <class S>
void contrasts(const Stream& on, const Contrasts<S>& given, Reduction reduction, S* units, double* saved, S* losses);

/// left, right, negatives, *of_scale = the gradient of Σ grad · losses, from the sets of u; negatives: data
/// null where nobody asks. Cost as of pair_log_sums_gradient.
template <class S>
void contrasts_gradient(const Stream& on, const Contrasts<S>& units, Reduction reduction, const double* saved,
                        const S* grad, View<S> left, View<S> right, View<S> negatives, double* of_scale);

}  // namespace alphacl::cuda
