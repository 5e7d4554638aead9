// The contrastive covariances of gated nodes, as d × d matrices.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "alphacl/gated.h"
#include "alphacl/precision.h"
#include "covariance/gram_sink.h"
#include "covariance/literal_sums.h"
#include "nodes/layer.h"
#include "nodes/node_gaussian.h"
#include "packing/samples.h"
#include "runtime/blas.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t nodes_per_block = 64;  // nodes whose pre-activations are held at a time
constexpr index_t chunk = 512;

// Gated data of one node: row r is x_s h'(wᵀx_s) and x'_s h'(wᵀx'_s), s = rows[r] (null: s = r). Gates are indexed by
// s.
template <class T, class S>
class GatedSamples final : public Samples<T> {
 public:
  /// shift: d, or null for none.
  GatedSamples(View<const S> x, View<const S> x_aug, const double* shift, const T* gates, const T* gates_aug,
               const index_t* rows, index_t n)
      : Samples<T>(n, x.cols),
        x_(x),
        x_aug_(x_aug),
        shift_(x.cols, 0.0),
        gates_(gates),
        gates_aug_(gates_aug),
        rows_(rows) {
    if (shift == nullptr) return;
    narrow_shift_.resize(x.cols);
    for (index_t j = 0; j < x.cols; ++j) shift_[j] = narrow_shift_[j] = static_cast<T>(shift[j]);
  }

  void centered(index_t begin, index_t n, const index_t* order, T* out) const override {
    for (index_t r = begin; r < begin + n; ++r, out += x_.cols) gated(x_, gates_, sample(order ? order[r] : r), out);
  }
  void deltas(index_t begin, index_t n, const index_t* order, T* out) const override {
    Buffer<T> other(x_.cols);
    if (narrow_shift_.size() == 0) centered(begin, n, order, out);
    for (index_t r = begin; r < begin + n; ++r, out += x_.cols) {
      const index_t s = sample(order ? order[r] : r);
      if (narrow_shift_.size() > 0) {  // one gate for all
        read_kernels<T, S>().delta_row(x_.row(s), x_aug_.row(s), x_.cols, out);
        for (index_t j = 0; j < x_.cols; ++j) out[j] *= gates_[s];
      } else {
        gated(x_aug_, gates_aug_, s, other.data());
        for (index_t j = 0; j < x_.cols; ++j) out[j] -= other[j];
      }
    }
  }
  void pack(const PackedViews<T>& q) const override {
    index_t rows[gram_chunk];
    T same[gram_chunk], plain[gram_chunk];
    for (index_t r = 0; r < q.n; ++r) {
      const index_t s = rows[r] = sample(q.rows[r]);
      plain[r] = row_factors<T>()[r] * gates_[s];
      same[r] = gates_[s] == gates_aug_[s] ? T(1) : T(0);
      if (same[r] == 0) {  // u = (a − b) g x + b g' x': where the gates differ, g'x' − gx is not small
        q.a[r] -= q.b[r];
        q.c[r] -= q.e[r];
      }
      q.a[r] *= gates_[s];
      q.c[r] *= gates_[s];
      q.b[r] *= gates_aug_[s];
      q.e[r] *= gates_aug_[s];
    }
    read_kernels<T, S>().pack_views({x_.data, x_aug_.data, x_.stride, x_aug_.stride, narrow_shift_.data(), rows, q.a,
                                     q.b, q.c, q.e, same, plain, q.n, x_.cols, q.u, q.v, q.plain});
  }
  RowPrefetch prefetch(const index_t* rows, index_t first, index_t n) const override {
    return prefetch_rows(x_, x_aug_, rows, first, rows_ ? 0 : n);
  }

 private:
  index_t sample(index_t r) const { return rows_ ? rows_[r] : r; }
  void gated(View<const S> data, const T* gates, index_t s, T* out) const {
    read_kernels<T, S>().center_row(data.row(s), shift_.data(), data.cols, out);
    for (index_t j = 0; j < data.cols; ++j) out[j] *= gates[s];
  }

  View<const S> x_, x_aug_;
  Buffer<double> shift_;
  Buffer<T> narrow_shift_;
  const T *gates_, *gates_aug_;
  const index_t* rows_;
};

// Φ of a node's own Gaussian importance. `outputs`: those of all samples.
template <class T>
class SeriesFeatures final : public Features<T> {
 public:
  SeriesFeatures(const NodeSeries<T>& series, const T* outputs) : series_(series), outputs_(outputs) {}
  index_t rank() const override { return series_.rank(); }
  bool nonnegative() const override { return true; }
  void rows(index_t begin, index_t n, T* out) const override {
    for (index_t i = begin; i < begin + n; ++i, out += rank()) columns(&i, 1, out, 1);
  }
  void columns(const index_t* which, index_t n, T* out, index_t ld) const override {
    series_.features(outputs_, which, n, out, ld);
  }

 private:
  const NodeSeries<T>& series_;
  const T* outputs_;
};

/// Covariances of nodes from data held as S, computed in T.
template <class T, class S>
class GatedCov {
 public:
  GatedCov(View<const S> x, View<const S> x_aug, View<const S> weights, const Activation& h,
           const Importance<T>* shared, const NodeImportance<S>& nodes)
      : x_(x), x_aug_(x_aug), weights_(weights), h_(h), shared_(shared), nodes_(nodes) {
    if (shared_) {
      degree_.resize(x.rows);
      row_sum_.resize(x.rows);
      shared_->degrees(degree_.data(), row_sum_.data());
    }
  }

  /// Calls deliver(k, matrix (d × d), sizes) for every node of the list.
  template <class F>
  void run(const std::vector<index_t>& nodes, F&& deliver) {
    const index_t count = static_cast<index_t>(nodes.size());
    few_pairs_ = few_pairs(x_.rows, std::max<index_t>(x_.cols * x_.cols, 64) * count);
    // Many nodes run in parallel; few run one after another, each in groups of rows.
    groups_ = count < 8 ? GramSink<T>::groups(x_.rows, x_.cols) : 1;
    const bool at_once = count >= groups_;
    for (index_t first = 0; first < count; first += nodes_per_block) {
      const index_t block = std::min(nodes_per_block, count - first);
      const index_t* ids = nodes.data() + first;
      project(ids, block);
      const auto node = [&](index_t b, int worker) {
        Work& work = works_[worker];
        covariance(b, work);
        deliver(ids[b], work.matrix.data(), work.sizes);
      };
      if (at_once) {
        parallel_for(block, node);
      } else {
        for (index_t b = 0; b < block; ++b) node(b, 0);
      }
    }
  }

 private:
  struct Work {
    Buffer<T> gates, gates_aug, outputs;
    NodeSeries<T> series;
    NodeScratch<T> scratch;
    Buffer<index_t> rows, x_rows, x_aug_rows;
    Buffer<double> degree, row_sum, net, matrix, product;
    const double* shift = nullptr;
    Sizes sizes;
  };

  // The number of samples whose gates are open in both views, in x alone and in x' alone.
  struct OpenRows {
    index_t both, x, x_aug;
  };

  // u (block × N) = W dataᵀ for both views, and for x0.
  void project(const index_t* ids, index_t block) {
    const index_t n = x_.rows, d = x_.cols, chunks = ceil_div(n, chunk);
    Buffer<T> w(block * d);
    for (index_t b = 0; b < block; ++b)
      for (index_t j = 0; j < d; ++j) w[b * d + j] = static_cast<T>(weights_.row(ids[b])[j]);
    const View<const S> data[] = {x_, x_aug_, nodes_.x0};
    Buffer<T>* const products[] = {&u_, &u_aug_, &u0_};
    const index_t count = !shared_ && nodes_.x0.data ? 3 : 2;
    for (index_t v = 0; v < count; ++v) products[v]->resize(block * n);
    PerWorker<Buffer<T>> parts;
    parallel_for(count * chunks, [&](index_t t, int worker) {
      const View<const S> from = data[t / chunks];
      const index_t i0 = t % chunks * chunk, ni = std::min(chunk, n - i0);
      const auto [rows, stride] = rows_for_product<T, S>(from, i0, ni, parts[worker]);
      gemm<T>(Trans::no, Trans::yes, block, ni, d, T(1), w.data(), d, rows, stride, T(0),
              products[t / chunks]->data() + i0, n);
    });
  }

  void covariance(index_t b, Work& work) {
    const index_t n = x_.rows, d = x_.cols;
    open_gates(b, work);
    const Importance<T>* alpha = shared_;
    const double *degree = degree_.data(), *row_sum = row_sum_.data();
    std::unique_ptr<Importance<T>> own;
    const SeriesFeatures<T> own_features(work.series, work.outputs.data());
    const Features<T>* phi = shared_ ? shared_->factor() : nullptr;
    if (!shared_) {
      work.degree.resize(n);
      work.row_sum.resize(n);
      degree = work.degree.data();
      row_sum = work.row_sum.data();
      if (own_row_sums(b, work)) {
        phi = &own_features;
      } else {
        own = gaussian<T, T>(View<const T>{work.outputs.data(), n, 1, 1}, nodes_.tau, nodes_.tol,
                             GaussianMethod::automatic);
        own->degrees(work.degree.data(), work.row_sum.data());
        alpha = own.get();
        phi = alpha->factor();
      }
    }
    const OpenRows open = open_rows(work, degree, row_sum);
    const T *g = work.gates.data(), *g_aug = work.gates_aug.data();
    const GatedSamples<T, S> samples(x_, x_aug_, work.shift, g, g_aug, nullptr, n);
    const GatedSamples<T, S> x_alone(x_, x_, nullptr, g, g, nullptr, n);
    const GatedSamples<T, S> x_aug_alone(x_aug_, x_aug_, nullptr, g_aug, g_aug, nullptr, n);
    GramSink<T> sink(samples, false, groups_);
    sink.add_views(work.rows.data(), open.both, degree, row_sum, phi);
    sink.add_outer(x_alone, work.x_rows.data(), open.x, work.net.data(), phi);
    sink.add_outer(x_aug_alone, work.x_aug_rows.data(), open.x_aug, work.net.data(), nullptr);
    work.matrix.resize(d * d);
    const double scale = 1 / (2.0 * static_cast<double>(n) * static_cast<double>(n));
    const GramNorms norms = sink.finish(scale, work.matrix.data());
    work.sizes = {norms.parts, norms.terms, norms.total};
    if (phi == nullptr) {
      // All samples open in x, in their order.
      std::copy_n(work.x_rows.data(), open.x, work.rows.data() + open.both);
      std::inplace_merge(work.rows.data(), work.rows.data() + open.both, work.rows.data() + open.both + open.x);
      const GramNorms product = subtract_product(*alpha, open.both + open.x, scale, work);
      work.sizes.minuend = std::max(work.sizes.minuend, product.total);
      work.sizes.terms = product.terms;
      work.sizes.result = norm_of(work.matrix.data(), d * d);
    }
    if constexpr (std::is_same_v<T, double>) {
      if (few_pairs_ && cancelled(work.sizes, wide_limits<S>)) sum_differences(work, scale);
    }
  }

  // The matrix of a node from the differences of its gated data.
  void sum_differences(Work& work, double scale) {
    const index_t n = x_.rows, d = x_.cols;
    Buffer<double> data(n * d), data_aug(n * d);
    for (index_t i = 0; i < n; ++i)
      for (index_t j = 0; j < d; ++j) {
        data[i * d + j] = work.gates[i] * static_cast<double>(x_.row(i)[j]);
        data_aug[i * d + j] = work.gates_aug[i] * static_cast<double>(x_aug_.row(i)[j]);
      }
    const View<const double> gated{data.data(), n, d, d}, gated_aug{data_aug.data(), n, d, d};
    std::unique_ptr<Importance<double>> own;
    if (!shared_) own = radial<double, double>(View<const double>{work.outputs.data(), n, 1, 1}, Radial{nodes_.tau});
    covariance_of_differences(gated, gated_aug, own ? *own : *shared_, work.matrix.data());
    for (index_t e = 0; e < d * d; ++e) work.matrix[e] *= scale;
  }

  // Lists the samples whose gates are open: in both views in work.rows; in one alone in work.x_rows or x_aug_rows,
  // where D x xᵀ − R δδᵀ is a multiple work.net of one xxᵀ. Closed samples cost nothing. Branch-free: gates are as good
  // as random.
  OpenRows open_rows(Work& work, const double* degree, const double* row_sum) {
    const index_t n = x_.rows;
    for (Buffer<index_t>* list : {&work.rows, &work.x_rows, &work.x_aug_rows}) list->resize(n);
    index_t *both = work.rows.data(), *x = work.x_rows.data(), *x_aug = work.x_aug_rows.data();
    const T *g = work.gates.data(), *g_aug = work.gates_aug.data();
    OpenRows count = {0, 0, 0};
    for (index_t i = 0; i < n; ++i) {
      const index_t open = !(g[i] == T(0)), open_aug = !(g_aug[i] == T(0));
      both[count.both] = x[count.x] = x_aug[count.x_aug] = i;
      count.both += open & open_aug;
      count.x += open & (1 - open_aug);
      count.x_aug += open_aug & (1 - open);
    }
    work.net.resize(n);
    for (index_t r = 0; r < count.x; ++r) work.net[x[r]] = degree[x[r]] - row_sum[x[r]];
    for (index_t r = 0; r < count.x_aug; ++r) work.net[x_aug[r]] = -row_sum[x_aug[r]];
    return count;
  }

  void open_gates(index_t b, Work& work) {
    const index_t n = x_.rows;
    work.gates.resize(n);
    work.gates_aug.resize(n);
    const T *u = u_.data() + b * n, *u_aug = u_aug_.data() + b * n;
    const NodeGate h = gate_of(h_);
    node_kernels<T>().gate_row(h, u, nullptr, T(1), n, work.gates.data());
    node_kernels<T>().gate_row(h, u_aug, nullptr, T(1), n, work.gates_aug.data());
    const auto all_of = [=](const Buffer<T>& gates, T gate) {
      return std::all_of(gates.data(), gates.data() + n, [=](T g) { return g == gate; });
    };
    const bool same = all_of(work.gates, work.gates[0]) && all_of(work.gates_aug, work.gates[0]);
    // One gate for all: the covariance does not depend on a shift, and data without its mean does not cancel.
    work.shift = same ? mean() : nullptr;
    if (shared_) return;
    work.outputs.resize(n);
    const T* u0 = nodes_.x0.data ? u0_.data() + b * n : u;
    node_kernels<T>().gate_row(h, u0, u0, static_cast<T>(1 / h_.degree()), n, work.outputs.data());
  }

  // r and D = 2r of the node's own importance, from the series of its outputs; false where no series is usable.
  bool own_row_sums(index_t b, Work& work) {
    const index_t n = x_.rows;
    const NodeGaussian own = {gate_of(h_), h_.degree(), nodes_.tau, nodes_.tol, n};
    const T *p = u_.data() + b * n, *p0 = nodes_.x0.data ? u0_.data() + b * n : p;
    const index_t open = gather_outputs<T>(own, p, p0, nullptr, work.scratch);
    work.series.fit(work.scratch.s.data(), open, n - open, nodes_.tau, nodes_.tol, SeriesFor::matrices);
    if (!work.series.usable()) return false;
    work.scratch.sums.resize(n + 1);
    double* sums = work.scratch.sums.data();
    work.series.row_sums(work.scratch.s.data(), open, sums);
    const bool all = open == n;
    const double closed = all ? 0 : work.series.sum_at_zero();
    double *row_sum = work.row_sum.data(), *degree = work.degree.data();
    for (index_t i = 0, next = 0; i < n; ++i) {
      const index_t in = all | !(p[i] <= T(0));
      const double choice[2] = {closed, sums[next]};  // branch-free; one entry beyond may be read
      row_sum[i] = choice[in];
      degree[i] = 2 * choice[in];
      next += in;
    }
    return true;
  }

  // The mean of x, computed when the first node asks for it.
  const double* mean() {
    std::call_once(mean_taken_, [&] {
      mean_.resize(x_.cols);
      row_mean(x_, mean_.data());
      shorten(x_, mean_.data());
    });
    return mean_.data();
  }

  // matrix −= scale · X̃ᵀ(α + αᵀ)X̃ over the samples work.rows[0 … n), whose gates are open. Returns the norms of this
  // product.
  GramNorms subtract_product(const Importance<T>& alpha, index_t n, double scale, Work& work) {
    if (n == 0) return {0, 0, 0};
    const index_t d = x_.cols;
    const auto part = alpha.restricted(work.rows.data(), n);
    const GatedSamples<T, S> samples(x_, x_aug_, work.shift, work.gates.data(), work.gates_aug.data(), work.rows.data(),
                                     n);
    GramSink<T> sink(samples, false, groups_);
    sink.products_only();
    part->products(samples, sink);
    work.product.resize(d * d);
    const GramNorms norms = sink.finish(scale, work.product.data());
    for (index_t e = 0; e < d * d; ++e) work.matrix[e] += work.product[e];
    return norms;
  }

  View<const S> x_, x_aug_, weights_;
  Activation h_;
  const Importance<T>* shared_;
  NodeImportance<S> nodes_;
  index_t groups_ = 1;
  bool few_pairs_ = false;  // whether pairs of all nodes of the call are few
  std::once_flag mean_taken_;
  Buffer<double> mean_, degree_, row_sum_;
  Buffer<T> u_, u_aug_, u0_;
  PerWorker<Work> works_;
};

template <class S, class M>
void write(const M* matrix, index_t d, index_t k, S* out) {
  for (index_t e = 0; e < d * d; ++e) out[k * d * d + e] = static_cast<S>(matrix[e]);
}

void covariances(View<const double> x, View<const double> x_aug, View<const double> weights, const Activation& h,
                 const NodeImportance<double>& alpha, const std::vector<index_t>& all, double* out) {
  GatedCov<double, double>(x, x_aug, weights, h, alpha.shared, alpha)
      .run(all, [&](index_t k, const double* matrix, const Sizes&) { write(matrix, x.cols, k, out); });
}

void covariances(View<const float> x, View<const float> x_aug, View<const float> weights, const Activation& h,
                 const NodeImportance<float>& alpha, const std::vector<index_t>& all, float* out) {
  const auto single = [&](std::vector<char>& lost) {
    GatedCov<float, float>(x, x_aug, weights, h, alpha.shared, alpha)
        .run(all, [&](index_t k, const double* matrix, const Sizes& sizes) {
          write(matrix, x.cols, k, out);
          lost[static_cast<std::size_t>(k)] = lost_in_float(sizes, single_gated_covariance);
        });
  };
  each_in_float_else_double(weights.rows, single, [&](const std::vector<index_t>& again) {
    const auto wide = alpha.shared ? alpha.shared->widened() : nullptr;
    NodeImportance<float> finer = alpha;
    finer.tol = std::min(alpha.tol, wide_tolerance);
    GatedCov<double, float>(x, x_aug, weights, h, wide.get(), finer)
        .run(again, [&](index_t k, const double* matrix, const Sizes&) { write(matrix, x.cols, k, out); });
  });
}

}  // namespace

template <class S>
void gated_cov(View<const S> x, View<const S> x_aug, View<const S> weights, const Activation& h,
               const NodeImportance<S>& alpha, S* out) {
  std::vector<index_t> all(static_cast<std::size_t>(weights.rows));
  for (index_t k = 0; k < weights.rows; ++k) all[static_cast<std::size_t>(k)] = k;
  covariances(x, x_aug, weights, h, alpha, all, out);
}

template void gated_cov<float>(View<const float>, View<const float>, View<const float>, const Activation&,
                               const NodeImportance<float>&, float*);
template void gated_cov<double>(View<const double>, View<const double>, View<const double>, const Activation&,
                                const NodeImportance<double>&, double*);

}  // namespace alphacl
