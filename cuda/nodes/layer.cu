// What a layer computes of its data, once for all nodes.
#include "nodes/layer.h"

#include "alphacl/precision.h"
#include "nodes/rough_median.h"
#include "sums/rows.h"

namespace alphacl::cuda {
namespace {

template <class S>
struct LayerRowsOf {
  View<const S> x, x_aug;
  const double* centre;
  double *centred, *centred_aug, *difference;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / x.cols, c = e % x.cols;
    const double own = static_cast<double>(x.data[i * x.stride + c]);
    const double other = static_cast<double>(x_aug.data[i * x_aug.stride + c]);
    centred[e] = own - centre[c];
    centred_aug[e] = other - centre[c];
    difference[e] = own - other;
  }
};

struct RandomColumn {
  double* out;
  __device__ void operator()(std::int64_t i) const { out[i] = random_factor(i); }
};

// The larger of D and |(α + αᵀ) ρ|, ρ random: laplacian = D ρ − (α + αᵀ) ρ.
struct RowSizes {
  const double *r, *c, *probe, *laplacian;
  double* out;
  __device__ void operator()(std::int64_t i) const {
    const double degree = r[i] + c[i], probed = fma(degree, probe[i], -laplacian[i]);
    out[i] = fmax(fabs(degree), fabs(probed));
  }
};

template <class S>
struct CentredRows {
  View<const S> x;
  const double* centre;
  double* out;
  __device__ void operator()(std::int64_t e) const {
    out[e] = static_cast<double>(x.data[e / x.cols * x.stride + e % x.cols]) - centre[e % x.cols];
  }
};

template <class S>
const double* row_sizes(const Stream& on, Workspace& memory, const Importance<S>& alpha) {
  const index_t n = alpha.size();
  double* const size = memory.take<double>(n);
  double* const numbers = on.memory.take<double>(5 * n);
  double *const r = numbers, *const c = r + n, *const probe = c + n, *const l = probe + n, *const again = l + n;
  alpha.sums(on, r, c);
  for_each(on, "random_column", n, RandomColumn{probe});
  alpha.laplacian(on, Samples{n, 1, probe, probe}, l, again);
  for_each(on, "row_sizes", n, RowSizes{r, c, probe, l, size});
  return size;
}

}  // namespace

template <class S>
const double* centred_inputs(const Stream& on, Workspace& memory, View<const S> x0) {
  double* const centre = on.memory.take<double>(x0.cols);
  double* const rows = memory.take<double>(x0.rows * x0.cols);
  for_each(on, "rough_median", x0.cols, RoughMedian<S>{x0, nullptr, centre});
  for_each(on, "centred_rows", x0.rows * x0.cols, CentredRows<S>{x0, centre, rows});
  return rows;
}

template <class S>
Layer<S> layer_of(const Stream& on, Workspace& memory, View<const S> x, View<const S> x_aug, const Activation& h,
                  const NodeImportance<S>& alpha) {
  const index_t n = x.rows, d = x.cols;
  const NodeGate gate = gate_of(h);
  double* const centre = memory.take<double>(d);
  double* const rows = memory.take<double>(3 * n * d);
  double* const squares = memory.take<double>(3 * n);
  for_each(on, "rough_median", d, RoughMedian<S>{x, nullptr, centre});
  for_each(on, "layer_rows", n * d, LayerRowsOf<S>{x, x_aug, centre, rows, rows + n * d, rows + 2 * n * d});
  for (int k = 0; k < 3; ++k)
    for_each_row(on, "squared_lengths", n, SquaredLengths{rows + k * n * d, d, squares + k * n});
  Layer<S> layer{x,       x_aug,
                 gate,    h.degree(),
                 alpha,   {n, d, centre, rows, rows + n * d, rows + 2 * n * d, squares, squares + n, squares + 2 * n},
                 nullptr, nullptr};
  if (alpha.shared != nullptr)
    layer.row_size = row_sizes(on, memory, *alpha.shared);
  else if (gate.constant())
    layer.own_inputs = alpha.x0.data == nullptr ? rows : centred_inputs(on, memory, alpha.x0);
  return layer;
}

template const double* centred_inputs<float>(const Stream&, Workspace&, View<const float>);
template const double* centred_inputs<double>(const Stream&, Workspace&, View<const double>);
template Layer<float> layer_of<float>(const Stream&, Workspace&, View<const float>, View<const float>,
                                      const Activation&, const NodeImportance<float>&);
template Layer<double> layer_of<double>(const Stream&, Workspace&, View<const double>, View<const double>,
                                        const Activation&, const NodeImportance<double>&);

}  // namespace alphacl::cuda
