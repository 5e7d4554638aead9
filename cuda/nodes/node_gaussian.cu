// The Laplacians of the nodes' own Gaussian importances, all pairs of a node.
#include "nodes/node_gaussian.h"

#include "formulas/exponential.h"
#include "runtime/launch.h"

namespace alphacl::cuda {
namespace {

struct NodeGaussianShared {
  double output[256], a[256];
};

// A block takes 256 samples of a node, a thread one of them, and meets all N in order.
__global__ void __launch_bounds__(256)
    node_gaussian_rows(const double* outputs, const double* a, int n, int nodes, double tau, double* r, double* t) {
  auto& s = simt::shared<NodeGaussianShared>();
  const int node = blockIdx.y, thread = threadIdx.x, i = blockIdx.x * 256 + thread;
  const auto at = [&](int sample) { return static_cast<std::size_t>(sample) * nodes + node; };
  const double own = i < n ? outputs[at(i)] : 0, value = i < n ? a[at(i)] : 0;
  double sum = 0, moved = 0;
  for (int first = 0; first < n; first += 256) {
    __syncthreads();  // the samples before have been read
    const int j = first + thread;
    s.output[thread] = j < n ? outputs[at(j)] : 0;
    s.a[thread] = j < n ? a[at(j)] : 0;
    __syncthreads();
    const int count = n - first < 256 ? n - first : 256;
    for (int k = 0; k < count; ++k) {
      const double apart = own - s.output[k], entry = exp_value(-0.5 * (apart * apart) / tau);
      sum += entry;
      moved = fma(entry, value - s.a[k], moved);
    }
  }
  if (i >= n) return;
  r[at(i)] = sum;
  t[at(i)] = 2 * moved;
}

}  // namespace

void node_gaussian(const Stream& on, const double* outputs, const double* a, index_t n, index_t nodes, double tau,
                   double* r, double* t) {
  launch(on, "node_gaussian", node_gaussian_rows,
         dim3(static_cast<unsigned>(ceil_div(n, 256)), static_cast<unsigned>(nodes)), dim3(256),
         sizeof(NodeGaussianShared), outputs, a, static_cast<int>(n), static_cast<int>(nodes), tau, r, t);
}

}  // namespace alphacl::cuda
