// gated_cov: gates, then the covariance of the gated views.
#include "nodes/gated_cov.h"

#include "covariance/laplacian_sums.h"
#include "nodes/gates.h"
#include "nodes/layer.h"
#include "runtime/reused_memory.h"

namespace alphacl::cuda {
namespace {

// h'(u) and h(u) = u h'(u) / degree of every sample, u = w · x_i; null where not wanted.
template <class X, class S>
struct GateOf {
  View<const X> x;
  const S* w;
  NodeGate gate;
  double degree;
  double *gates, *outputs;
  __device__ void operator()(std::int64_t i) const {
    double u = 0;
    for (index_t c = 0; c < x.cols; ++c)
      u = fma(static_cast<double>(w[c]), static_cast<double>(x.data[i * x.stride + c]), u);
    const double slope = gate_value(gate, u);
    if (gates != nullptr) gates[i] = slope;
    if (outputs != nullptr) outputs[i] = u * slope / degree;
  }
};

}  // namespace

template <class S>
void gated_cov(const Stream& given, View<const S> x, View<const S> x_aug, View<const S> weights, const Activation& h,
               const NodeImportance<S>& alpha, S* out) {
  const index_t n = x.rows, d = x.cols;
  const NodeGate gate = gate_of(h);
  const View<const S> compared = alpha.x0.data == nullptr ? x : alpha.x0;
  const bool shifted = alpha.shared == nullptr && gate.constant();  // a shift of the outputs changes no entry of α
  const double* const near = shifted ? centred_inputs(given, given.memory, compared) : nullptr;
  ReusedMemory memory(given.memory);
  const Stream on{given.handle, memory};
  for (index_t k = 0; k < weights.rows; ++k, memory.next_round()) {
    const S* const w = weights.data + k * weights.stride;
    double* const gates = memory.take<double>(3 * n);
    double *const gates_aug = gates + n, *const outputs = gates_aug + n;
    for_each(on, "gate_of", n, GateOf<S, S>{x, w, gate, h.degree(), gates, nullptr});
    for_each(on, "gate_of", n, GateOf<S, S>{x_aug, w, gate, h.degree(), gates_aug, nullptr});
    const CentredViews views = centred_views(on, x, x_aug, gates, gates_aug);
    S* const to = out + k * d * d;
    if (alpha.shared != nullptr) {
      covariance(on, views, *alpha.shared, to);
      continue;
    }
    if (near != nullptr)
      for_each(on, "gate_of", n, GateOf<double, S>{{near, n, d, d}, w, gate, h.degree(), nullptr, outputs});
    else
      for_each(on, "gate_of", n, GateOf<S, S>{compared, w, gate, h.degree(), nullptr, outputs});
    const auto own = gaussian<double>(on, View<const double>{outputs, n, 1, 1}, alpha.tau, memory);
    covariance(on, views, *own, to);
  }
}

template void gated_cov<float>(const Stream&, View<const float>, View<const float>, View<const float>,
                               const Activation&, const NodeImportance<float>&, float*);
template void gated_cov<double>(const Stream&, View<const double>, View<const double>, View<const double>,
                                const Activation&, const NodeImportance<double>&, double*);

}  // namespace alphacl::cuda
