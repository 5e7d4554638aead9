// The data of a one-layer network, and its products with many nodes at once. Private to the core.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "alphacl/blas.h"
#include "alphacl/gated.h"
#include "alphacl/kernels.h"
#include "alphacl/threads.h"

namespace alphacl {

/// An activation as the kernels take it.
inline NodeGate node_gate(const Activation& h) {
  switch (h.kind) {
    case Activation::Kind::linear:
      return {0, 0};
    case Activation::Kind::relu:
      return {1, 0};
    case Activation::Kind::leaky_relu:
      return {h.parameter == 1 ? 0 : 1, h.parameter};
    default:
      return {h.parameter == 1 ? 0 : 2, h.parameter};
  }
}

/// The mean of some rows, rounded to T.
template <class T>
struct RowMean {
  Buffer<double> wide;
  Buffer<T> narrow;
  void set(View<const T> data) {
    wide.resize(data.cols);
    narrow.resize(data.cols);
    row_mean(data, wide.data());
    for (index_t j = 0; j < data.cols; ++j) wide[j] = narrow[j] = static_cast<T>(wide[j]);
  }
};

/// Rows of the data are read as x − mean. What it adds to a product is put back where the gates of a node differ; where
/// all are one number nothing depends on it.
template <class T>
class Layer {
 public:
  Layer(View<const T> x, View<const T> x_aug, const Activation& h, const NodeImportance<T>& alpha)
      : x_(x), x_aug_(x_aug), h_(h), gate_(node_gate(h)), alpha_(alpha) {
    mean_.set(x);
    if (own_inputs().data != nullptr) own_mean_.set(own_inputs());
    if (alpha.shared == nullptr) return;
    weight_.resize(x.rows);
    degree_.resize(x.rows);
    weight_row_.resize(x.rows);
    alpha.shared->row_sums(weight_.data());
    alpha.shared->col_sums(degree_.data());
    for (index_t i = 0; i < x.rows; ++i) {
      degree_[i] += weight_[i];
      weight_row_[i] = static_cast<T>(weight_[i]);
    }
  }

  index_t size() const { return x_.rows; }      // N
  index_t features() const { return x_.cols; }  // d
  View<const T> x() const { return x_; }
  View<const T> x_aug() const { return x_aug_; }
  const NodeGate& gate() const { return gate_; }
  /// c of h'(u) u = c h(u).
  double homogeneity() const { return h_.kind == Activation::Kind::monomial ? h_.parameter : 1; }
  const NodeImportance<T>& alpha() const { return alpha_; }
  /// x0 of the nodes' own importance, null where x itself serves.
  View<const T> own_inputs() const { return alpha_.shared == nullptr ? alpha_.x0 : View<const T>{nullptr, 0, 0, 0}; }
  /// r of the shared importance.
  const T* weight() const { return weight_row_.data(); }
  double scale() const { return 1 / (2.0 * static_cast<double>(size()) * static_cast<double>(size())); }

  /// wᵀ mean of every node, w: nodes × d.
  void mean_outputs(const T* w, index_t nodes, T* out) const { mean_outputs(mean_, w, nodes, out); }

  /// A number near the gates of a node with weights w and pre-activations p. Laplacian products do not depend on a
  /// shift: of the outputs, `gate` times that of the data may be left out, and of the sums in back(), `gate` times a
  /// sum that is 0. Where nearly all gates are one number or all close to it, that saves the digits that an offset of
  /// the data costs.
  T reference_gate(const T* w, const T* p, const T* p_aug) const {
    const auto gate_at = [this](T value) {
      T gate;
      node_kernels<T>().gated_row(gate_, &value, nullptr, T(1), 1, &gate);
      return gate;
    };
    if (gate_.kind == 0) return T(1);
    if (gate_.kind == 2) {
      T output;
      mean_outputs(w, 1, &output);
      return gate_at(output);
    }
    const index_t all = 2 * size();
    index_t open = 0, closed = 0;
    for (const T* row : {p, p_aug}) {
      for (index_t i0 = 0; i0 < size(); i0 += 512) {
        const int count = static_cast<int>(std::min<index_t>(512, size() - i0));
        int found = 0;
        for (int i = 0; i < count; ++i) found += row[i0 + i] > T(0);
        open += found;
        closed += count - found;
        if (8 * open > all && 8 * closed > all) return T(0);  // keeps the closed gates of a ReLU closed
      }
    }
    return closed < open ? T(1) : gate_at(T(-1));
  }

  /// u (nodes × N) = W dataᵀ less W mean, data one of the two views.
  void project_centred(View<const T> data, const T* w, index_t nodes, T* u) const {
    project(data, mean_, w, nodes, nullptr, u);
  }
  /// The pre-activations W dataᵀ of one of the two views, or of the own inputs; less W mean where h is linear.
  void project(View<const T> data, const T* w, index_t nodes, T* u) const { project(data, mean_, w, nodes, u); }
  void project_own_inputs(const T* w, index_t nodes, T* u) const { project(own_inputs(), own_mean_, w, nodes, u); }

  /// out (nodes × d) = z x + z' x', z: nodes × N with `sums` the sums of both rows of a node.
  void back(const T* z, const T* z_aug, const double* sums, index_t nodes, double* out) const {
    const index_t n = size(), d = features(), rows = tile_rows(), tiles = ceil_div(n, rows);
    if (d == 0) return;
    const index_t by_memory = (index_t{1} << 24) / std::max<index_t>(1, nodes * d);
    const index_t groups = std::max<index_t>(1, std::min<index_t>({32, by_memory, tiles}));
    Buffer<T> parts(groups * nodes * d);
    PerWorker<Buffer<T>> buffers;
    parallel_for(groups, [&](index_t g, int worker) {
      T* part = parts.data() + g * nodes * d;
      T keep = T(0);
      for (index_t t = tiles * g / groups; t < tiles * (g + 1) / groups; ++t) {
        poll();
        const index_t i0 = t * rows, ni = std::min(rows, n - i0);
        gemm<T>(Trans::no, Trans::no, nodes, d, ni, T(1), z + i0, n, read(x_, mean_, i0, ni, buffers[worker]), d, keep,
                part, d);
        gemm<T>(Trans::no, Trans::no, nodes, d, ni, T(1), z_aug + i0, n, read(x_aug_, mean_, i0, ni, buffers[worker]),
                d, T(1), part, d);
        keep = T(1);
      }
    });
    parallel_for(nodes, [&](index_t k, int) {
      double* row = out + k * d;
      for (index_t j = 0; j < d; ++j) row[j] = sums[k] * mean_.wide[j];
      for (index_t g = 0; g < groups; ++g)
        for (index_t j = 0; j < d; ++j) row[j] += static_cast<double>(parts[(g * nodes + k) * d + j]);
    });
  }

  /// t (nodes × N) = D a − (α + αᵀ) a of the shared importance, which does not depend on a shift of a.
  void shared_laplacian(const T* a, index_t nodes, T* t) const {
    const index_t n = size();
    Buffer<double> shift(nodes);
    parallel_for(nodes, [&](index_t k, int) {
      double sum = 0;
      for (index_t i = 0; i < n; ++i) sum += static_cast<double>(a[k * n + i]);
      shift[k] = sum / static_cast<double>(n);
    });
    Buffer<T> columns(n * nodes), products(n * nodes), others(alpha_.shared->symmetric() ? 0 : n * nodes);
    const auto shifted = [&](index_t k, index_t i) { return static_cast<double>(a[k * n + i]) - shift[k]; };
    parallel_for(ceil_div(n, block), [&](index_t b, int) {
      for (index_t i = b * block; i < std::min(n, (b + 1) * block); ++i)
        for (index_t k = 0; k < nodes; ++k) columns[i * nodes + k] = static_cast<T>(shifted(k, i));
    });
    const View<const T> y{columns.data(), n, nodes, nodes};
    alpha_.shared->matmul(y, {products.data(), n, nodes, nodes});
    if (others.size() > 0) alpha_.shared->matmul_transposed(y, {others.data(), n, nodes, nodes});
    const T* other = others.size() > 0 ? others.data() : products.data();
    parallel_for(ceil_div(n, block), [&](index_t b, int) {
      for (index_t i = b * block; i < std::min(n, (b + 1) * block); ++i)
        for (index_t k = 0; k < nodes; ++k)
          t[k * n + i] = static_cast<T>(degree_[i] * shifted(k, i) - static_cast<double>(products[i * nodes + k]) -
                                        static_cast<double>(other[i * nodes + k]));
    });
  }

 private:
  static constexpr index_t block = 64;

  void mean_outputs(const RowMean<T>& mean, const T* w, index_t nodes, T* out) const {
    const index_t d = features();
    for (index_t k = 0; k < nodes; ++k) out[k] = static_cast<T>(kernels<T>().dot_wide(w + k * d, mean.wide.data(), d));
  }

  // u = W (data − mean)ᵀ + shifts.
  void project(View<const T> data, const RowMean<T>& mean, const T* w, index_t nodes, const T* shifts, T* u) const {
    const index_t n = size(), d = features(), rows = tile_rows();
    if (d == 0) return static_cast<void>(std::fill_n(u, nodes * n, T(0)));
    PerWorker<Buffer<T>> tiles;
    parallel_for(ceil_div(n, rows), [&](index_t t, int worker) {
      const index_t i0 = t * rows, ni = std::min(rows, n - i0);
      for (index_t k = 0; shifts != nullptr && k < nodes; ++k) std::fill_n(u + k * n + i0, ni, shifts[k]);
      gemm<T>(Trans::no, Trans::yes, nodes, ni, d, T(1), w, d, read(data, mean, i0, ni, tiles[worker]), d,
              shifts == nullptr ? T(0) : T(1), u + i0, n);
    });
  }
  void project(View<const T> data, const RowMean<T>& mean, const T* w, index_t nodes, T* u) const {
    if (gate_.kind == 0) return project(data, mean, w, nodes, nullptr, u);
    Buffer<T> shifts(nodes);
    mean_outputs(mean, w, nodes, shifts.data());
    project(data, mean, w, nodes, shifts.data(), u);
  }

  index_t tile_rows() const {
    return std::clamp<index_t>((index_t{1} << 17) / std::max<index_t>(1, features()) / 16 * 16, 64, 512);
  }

  const T* read(View<const T> data, const RowMean<T>& mean, index_t i0, index_t ni, Buffer<T>& tile) const {
    const index_t d = features();
    tile.resize(tile_rows() * d);
    for (index_t i = 0; i < ni; ++i)
      read_kernels<T, T>().delta_row(data.row(i0 + i), mean.narrow.data(), d, tile.data() + i * d);
    return tile.data();
  }

  View<const T> x_, x_aug_;
  Activation h_;
  NodeGate gate_;
  NodeImportance<T> alpha_;
  RowMean<T> mean_, own_mean_;
  Buffer<double> weight_, degree_;
  Buffer<T> weight_row_;
};

}  // namespace alphacl
