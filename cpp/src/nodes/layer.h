// The data of a one-layer network, and its products with many nodes at once. Private to the core.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "alphacl/gated.h"
#include "alphacl/precision.h"
#include "isa/tables/kernels.h"
#include "nodes/node_gaussian.h"
#include "packing/samples.h"
#include "runtime/blas.h"
#include "runtime/threads.h"

namespace alphacl {

/// Rows i0 … i0 + ni − 1 of data held as S, for a product in T: in place if the BLAS can read them there (rows at least
/// d and at most an int apart), else in `copy`.
template <class T, class S>
std::pair<const T*, index_t> rows_for_product(View<const S> data, index_t i0, index_t ni, Buffer<T>& copy) {
  const index_t d = data.cols;
  if constexpr (std::is_same_v<T, S>) {
    if (data.stride >= d && data.stride <= std::numeric_limits<int>::max()) return {data.row(i0), data.stride};
  }
  copy.resize(ni * d);
  for (index_t i = 0; i < ni; ++i)
    for (index_t j = 0; j < d; ++j) copy[i * d + j] = static_cast<T>(data.row(i0 + i)[j]);
  return {copy.data(), d};
}

/// The median of at most 64 of n numbers; `at(i)` is the i-th. As a shift it is as good as the mean, but outliers do
/// not move it.
template <class F>
double rough_median(index_t n, F&& at) {
  constexpr index_t most = 64;
  const index_t count = std::min(most, n);
  double some[most];
  for (index_t r = 0; r < count; ++r) some[r] = static_cast<double>(at(r * n / count));
  nth_number(some, count / 2, count);
  return some[count / 2];
}

/// A vector near most rows: their rough median, column by column, shortened and rounded to their type.
template <class S>
struct Centre {
  Buffer<double> wide;
  Buffer<S> narrow;
  void set(View<const S> data) {
    wide.resize(data.cols);
    narrow.resize(data.cols);
    for (index_t j = 0; j < data.cols; ++j)
      wide[j] = rough_median(data.rows, [&](index_t i) { return data.row(i)[j]; });
    shorten(data, wide.data());
    for (index_t j = 0; j < data.cols; ++j) wide[j] = narrow[j] = static_cast<S>(wide[j]);
  }
};

/// Data held as S, computed with in T. Products with vectors and the products back (back()) read rows as x − centre.
/// Where the gates of a node differ, the part of the centre is added again; where all gates are one number, nothing
/// depends on it. Pre-activations are products with x as it stands: a gate is closed where wᵀx is 0, and (x − centre)ᵀw
/// + centreᵀw need not be 0 there.
template <class T, class S>
class Layer {
 public:
  Layer(View<const S> x, View<const S> x_aug, const Activation& h, const NodeImportance<S>& alpha)
      : x_(x),
        x_aug_(x_aug),
        homogeneity_(h.degree()),
        gate_(gate_of(h)),
        tau_(alpha.tau),
        tol_(alpha.tol),
        x0_(alpha.x0) {
    centre_.set(x);
    if constexpr (std::is_same_v<T, S>) {
      shared_ = alpha.shared;
    } else {
      if (alpha.shared != nullptr) widened_ = alpha.shared->widened();
      shared_ = widened_.get();
      tol_ = std::min(tol_, wide_tolerance);
    }
    take_squares();
    if (shared_ == nullptr) {
      if (x0_.data != nullptr) own_centre_.set(x0_);
      return;
    }
    row_sums_.resize(x.rows);
    row_sizes_.resize(x.rows);
    take_degrees();
  }

  index_t size() const { return x_.rows; }      // N
  index_t features() const { return x_.cols; }  // d
  View<const S> x() const { return x_; }
  View<const S> x_aug() const { return x_aug_; }
  const NodeGate& gate() const { return gate_; }
  /// c of h'(u) u = c h(u).
  double homogeneity() const { return homogeneity_; }
  /// The importance of all nodes; null: each node has its own Gaussian, own().
  const Importance<T>* shared() const { return shared_; }
  /// The Gaussian of a node's own outputs.
  NodeGaussian own() const { return {gate_, homogeneity(), tau_, tol_, size()}; }
  /// x0 of the nodes' own importance; null: x itself.
  View<const S> own_inputs() const { return shared_ == nullptr ? x0_ : View<const S>{nullptr, 0, 0, 0}; }
  /// r of the shared importance.
  const T* row_sums() const { return row_sums_.data(); }
  /// The size of a row of α + αᵀ: D, or the root of its summed squares where entries of both signs make D small.
  const T* row_sizes() const { return row_sizes_.data(); }
  double scale() const { return 1 / (2.0 * static_cast<double>(size()) * static_cast<double>(size())); }

  /// wᵀ centre of every node, w: nodes × d.
  void centre_outputs(const T* w, index_t nodes, T* out) const {
    const index_t d = features();
    for (index_t k = 0; k < nodes; ++k)
      out[k] = static_cast<T>(kernels<T>().dot_wide(w + k * d, centre_.wide.data(), d));
  }

  /// A reference number near the gates of a node with weights w and pre-activations p. A Laplacian product does not
  /// change when all outputs shift: so `reference` times the offset of the data is left out of the outputs, and in
  /// back() `reference` times a sum that is 0. Where nearly all gates are one number, or close to it, this saves the
  /// digits that an offset of the data costs.
  T reference_gate(const T* w, const T* p, const T* p_aug) const {
    const auto gate_at = [this](T value) {
      T gate;
      node_kernels<T>().gate_row(gate_, &value, nullptr, T(1), 1, &gate);
      return gate;
    };
    if (gate_.constant()) return T(1);
    if (gate_.form == NodeGate::Form::power) {
      T output;
      centre_outputs(w, 1, &output);
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

  /// The length of
  ///
  ///     Σ_i g_i (s_i a_i − r_i δ_i) x_i + g'_i r_i δ_i x'_i,   δ = a − a',
  ///
  /// if its terms were orthogonal: √Σ_i {[s_i² (a_i² + e_i) + m_i] G_i + m_i G'_i} with m_i = r_i² (δ_i² + e_i + e'_i).
  /// The rounding error of a product is about ε times this length, however small the product is.
  ///     s   row_size, twice that for an own importance;   g, g' = h' at p, p'
  ///     G   g² ‖x − centre‖² + (g − reference)² ‖centre‖²
  ///     e   0.1 G ‖v‖²/d, the squared error of a = g x·v in units of ε²
  /// With a shared importance, 2 Σ_i s_i a_i²/‖v‖ if that is larger: samples that are nearly equal have the errors of
  /// its sums in common. (The sums of a node's own importance are taken in double.) square: ‖v‖².
  double minuend(const NodeRow<T>& row, double square) const {
    const index_t n = size();
    const T *a = row.a, *a_aug = row.a_aug, *row_size = row.row_size, *r = row.r;
    T *gates = row.gates, *gates_aug = gates + n;
    node_kernels<T>().gate_row(gate_, row.p, nullptr, T(1), n, gates);
    node_kernels<T>().gate_row(gate_, row.p_aug, nullptr, T(1), n, gates_aug);
    const double factor = shared_ != nullptr ? 1 : 2, reference = static_cast<double>(row.reference);
    const double *squares = squares_.data(), *squares_aug = squares + n, centre = centre_square_;
    const double length = std::sqrt(square), of_a = largest_ * length > 0 ? 1 / (largest_ * length) : 0;
    const double of_row = shared_ != nullptr && largest_row_ > 0 ? 1 / largest_row_ : 1;
    const double in_common = shared_ != nullptr ? 2 : 0;
    const double each = 0.1 / static_cast<double>(std::max<index_t>(1, features()));
    double sum = 0, along = 0;
#pragma omp simd reduction(+ : sum, along)
    for (index_t i = 0; i < n; ++i) {
      const double gate = static_cast<double>(gates[i]), off = gate - reference;
      const double gate_aug = static_cast<double>(gates_aug[i]), off_aug = gate_aug - reference;
      const double here = gate * gate * squares[i] + off * off * centre;
      const double there = gate_aug * gate_aug * squares_aug[i] + off_aug * off_aug * centre;
      const double s = of_row * factor * static_cast<double>(row_size[i]), of_r = of_row * static_cast<double>(r[i]);
      const double value = of_a * static_cast<double>(a[i]), delta = value - of_a * static_cast<double>(a_aug[i]);
      const double moved = of_r * of_r * (delta * delta + each * (here + there));
      sum += (s * s * (value * value + each * here) + moved) * here + moved * there;
      along += s * value * value;
    }
    return std::max(std::sqrt(sum), in_common * along) / of_row * largest_ * (largest_ * length);
  }

  /// u (nodes × N) = W (data − centre)ᵀ; data: one of the two views.
  void project_centred(View<const S> data, const T* w, index_t nodes, T* u) const {
    project(data, &centre_, w, nodes, u);
  }
  /// The pre-activations u = W dataᵀ of one of the two views. Where h is linear, u = W (data − centre)ᵀ: a shift
  /// changes nothing then.
  void project(View<const S> data, const T* w, index_t nodes, T* u) const {
    project(data, gate_.constant() ? &centre_ : nullptr, w, nodes, u);
  }
  void project_own_inputs(const T* w, index_t nodes, T* u) const {
    project(own_inputs(), gate_.constant() ? &own_centre_ : nullptr, w, nodes, u);
  }

  /// out (nodes × d) = z x + z' x'. z: nodes × N; sums: Σ_i z_i + z'_i for every node.
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
        gemm<T>(Trans::no, Trans::no, nodes, d, ni, T(1), z + i0, n, read(x_, centre_, i0, ni, buffers[worker]), d,
                keep, part, d);
        gemm<T>(Trans::no, Trans::no, nodes, d, ni, T(1), z_aug + i0, n, read(x_aug_, centre_, i0, ni, buffers[worker]),
                d, T(1), part, d);
        keep = T(1);
      }
    });
    parallel_for(nodes, [&](index_t k, int) {
      double* row = out + k * d;
      for (index_t j = 0; j < d; ++j) row[j] = sums[k] * centre_.wide[j];
      for (index_t g = 0; g < groups; ++g)
        for (index_t j = 0; j < d; ++j) row[j] += static_cast<double>(parts[(g * nodes + k) * d + j]);
    });
  }

  /// t (nodes × N) = D a − (α + αᵀ) a with the shared importance; a shift of a does not change it.
  void shared_laplacian(const T* a, index_t nodes, T* t) const {
    const index_t n = size();
    Buffer<double> shift(nodes);
    parallel_for(nodes, [&](index_t k, int) { shift[k] = rough_median(n, [&](index_t i) { return a[k * n + i]; }); });
    Buffer<T> columns(n * nodes);
    Buffer<double> products(n * nodes);
    const auto shifted = [&](index_t k, index_t i) { return static_cast<double>(a[k * n + i]) - shift[k]; };
    parallel_for(ceil_div(n, block), [&](index_t b, int) {
      for (index_t i = b * block; i < std::min(n, (b + 1) * block); ++i)
        for (index_t k = 0; k < nodes; ++k) columns[i * nodes + k] = static_cast<T>(shifted(k, i));
    });
    shared_->symmetric_product({columns.data(), n, nodes, nodes}, {products.data(), n, nodes, nodes}, nullptr, nullptr);
    parallel_for(ceil_div(n, block), [&](index_t b, int) {
      for (index_t i = b * block; i < std::min(n, (b + 1) * block); ++i)
        for (index_t k = 0; k < nodes; ++k)
          t[k * n + i] = static_cast<T>(degree_[i] * shifted(k, i) - products[i * nodes + k]);
    });
  }

 private:
  static constexpr index_t block = 64;

  // Computes r, D and row_sizes() of the shared importance.
  void take_degrees() {
    const index_t n = size();
    Buffer<double> row_sum(n), probed(n, 0.0);
    Buffer<T> probe(n);
    degree_.resize(n);
    if (shared_->nonnegative()) {
      shared_->degrees(degree_.data(), row_sum.data());
    } else {
      for (index_t i = 0; i < n; ++i) probe[i] = static_cast<T>(random_factor(i));
      shared_->symmetric_product({probe.data(), n, 1, 1}, {probed.data(), n, 1, 1}, degree_.data(), row_sum.data());
      if (const auto sizes = shared_->sizes())
        sizes->symmetric_product({probe.data(), n, 1, 1}, {probed.data(), n, 1, 1}, nullptr, nullptr);
    }
    for (index_t i = 0; i < n; ++i) {
      row_sums_[i] = static_cast<T>(row_sum[i]);
      row_sizes_[i] = std::max(std::fabs(static_cast<T>(degree_[i])), std::fabs(static_cast<T>(probed[i])));
      largest_row_ = std::max({largest_row_, static_cast<double>(row_sizes_[i]), std::fabs(row_sum[i])});
    }
  }

  // Computes ‖x_i − centre‖², ‖x'_i − centre‖² and ‖centre‖², in units of the largest of the first two.
  void take_squares() {
    const index_t n = size(), d = features(), rows = tile_rows(), tiles = ceil_div(n, rows);
    squares_.resize(2 * n);
    PerWorker<Buffer<T>> buffers;
    parallel_for(2 * tiles, [&](index_t t, int worker) {
      const index_t i0 = t % tiles * rows, ni = std::min(rows, n - i0);
      const T* tile = read(t < tiles ? x_ : x_aug_, centre_, i0, ni, buffers[worker]);
      double* squares = squares_.data() + (t < tiles ? 0 : n) + i0;
      for (index_t i = 0; i < ni; ++i) squares[i] = kernels<T>().dot(tile + i * d, tile + i * d, d);
    });
    double largest = 0;
    for (index_t i = 0; i < 2 * n; ++i) largest = std::max(largest, squares_[i]);
    if (!(largest > 0) || !std::isfinite(largest)) largest = 1;
    for (index_t i = 0; i < 2 * n; ++i) squares_[i] /= largest;
    largest_ = std::sqrt(largest);
    centre_square_ = std::pow(norm_of(centre_.wide.data(), d) / largest_, 2);
  }

  // u = W (data − centre)ᵀ; centre null: 0.
  void project(View<const S> data, const Centre<S>* centre, const T* w, index_t nodes, T* u) const {
    const index_t n = size(), d = features(), rows = tile_rows();
    if (d == 0) return static_cast<void>(std::fill_n(u, nodes * n, T(0)));
    PerWorker<Buffer<T>> tiles;
    parallel_for(ceil_div(n, rows), [&](index_t t, int worker) {
      const index_t i0 = t * rows, ni = std::min(rows, n - i0);
      const auto [from, stride] = centre == nullptr
                                      ? rows_for_product<T, S>(data, i0, ni, tiles[worker])
                                      : std::pair<const T*, index_t>(read(data, *centre, i0, ni, tiles[worker]), d);
      gemm<T>(Trans::no, Trans::yes, nodes, ni, d, T(1), w, d, from, stride, T(0), u + i0, n);
    });
  }

  index_t tile_rows() const {
    return std::clamp<index_t>((index_t{1} << 17) / std::max<index_t>(1, features()) / 16 * 16, 64, 512);
  }

  const T* read(View<const S> data, const Centre<S>& centre, index_t i0, index_t ni, Buffer<T>& tile) const {
    const index_t d = features();
    tile.resize(tile_rows() * d);
    for (index_t i = 0; i < ni; ++i)
      read_kernels<T, S>().delta_row(data.row(i0 + i), centre.narrow.data(), d, tile.data() + i * d);
    return tile.data();
  }

  View<const S> x_, x_aug_;
  double homogeneity_;
  NodeGate gate_;
  const Importance<T>* shared_;
  std::unique_ptr<Importance<T>> widened_;
  double tau_, tol_;
  View<const S> x0_;
  Centre<S> centre_, own_centre_;
  double centre_square_ = 0, largest_ = 1, largest_row_ = 0;
  Buffer<double> degree_, squares_;
  Buffer<T> row_sums_, row_sizes_;
};

}  // namespace alphacl
