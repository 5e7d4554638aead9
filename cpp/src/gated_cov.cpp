#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "alphacl/blas.h"
#include "alphacl/gated.h"
#include "alphacl/gram.h"
#include "alphacl/threads.h"
#include "gated_gram.h"
#include "layer.h"

namespace alphacl {
namespace {

constexpr index_t nodes_per_block = 64;  // pre-activations are held for so many nodes at a time
constexpr index_t chunk = 512;

// The Gram part may be so many times the result before float32 is left: gated data is not centred, and with few
// features errors of 3e-7 of it were seen.
constexpr double largest_cancellation = 3;

// Rows `rows` of x times their gates, as samples of a covariance.
template <class T, class S>
class GatedSamples final : public Samples<T> {
 public:
  GatedSamples(View<const S> x, const double* shift, const index_t* rows, const T* gates, index_t n)
      : Samples<T>(n, x.cols), x_(x), shift_(shift), rows_(rows), gates_(gates) {}

  void centered(index_t begin, index_t n, const index_t* order, T* out) const override {
    for (index_t r = begin; r < begin + n; ++r, out += x_.cols) {
      const index_t s = order ? order[r] : r;
      read_kernels<T, S>().center_row(x_.row(rows_[s]), shift_, x_.cols, out);
      for (index_t j = 0; j < x_.cols; ++j) out[j] *= gates_[s];
    }
  }
  void deltas(index_t, index_t n, const index_t*, T* out) const override { std::fill_n(out, n * x_.cols, T(0)); }

 private:
  View<const S> x_;
  const double* shift_;
  const index_t* rows_;
  const T* gates_;
};

// Passes a Laplacian form on without its weighted Gram parts: −Xᵀ(α + αᵀ)X is left.
template <class T>
class ProductOnly final : public LaplacianSink<T> {
 public:
  ProductOnly(LaplacianSink<T>& sink, index_t n) : sink_(sink), zeros_(n, 0.0) {}
  void tiles(index_t begin, index_t end, const index_t* order, const double*, const double*, View<const T> y) override {
    sink_.tiles(begin, end, order, zeros_.data(), zeros_.data(), y);
  }
  void factors(const double*, const double*, const Features<T>& phi) override {
    sink_.factors(zeros_.data(), zeros_.data(), phi);
  }

 private:
  LaplacianSink<T>& sink_;
  Buffer<double> zeros_;
};

/// Covariances of nodes from data held as S, computed in T.
template <class T, class S>
class GatedCov {
 public:
  GatedCov(View<const S> x, View<const S> x_aug, View<const S> weights, const Activation& h,
           const Importance<T>* shared, const NodeImportance<S>& nodes)
      : x_(x),
        x_aug_(x_aug),
        weights_(weights),
        h_(h),
        shared_(shared),
        nodes_(nodes),
        none_(x.cols, 0.0),
        mean_(x.cols) {
    row_mean(x, mean_.data());
    if (shared_) {
      degree_.resize(x.rows);
      weight_.resize(x.rows);
      shared_->degrees(degree_.data(), weight_.data());
    }
  }

  /// Calls deliver(k, matrix (d × d), cancellation) for every node of the list.
  template <class F>
  void run(const std::vector<index_t>& nodes, F&& deliver) {
    const index_t count = static_cast<index_t>(nodes.size());
    for (index_t first = 0; first < count; first += nodes_per_block) {
      const index_t block = std::min(nodes_per_block, count - first);
      const index_t* ids = nodes.data() + first;
      project(x_, ids, block, u_);
      project(x_aug_, ids, block, u_aug_);
      if (!shared_ && nodes_.x0.data) project(nodes_.x0, ids, block, u0_);
      parallel_for(block, [&](index_t b, int worker) {
        Work& work = works_[worker];
        covariance(b, work);
        deliver(ids[b], work.matrix.data(), work.cancellation);
      });
    }
  }

 private:
  struct Work {
    GatedGram<T> gram;
    Buffer<T> gates, gates_aug, outputs, w, phi, rows_x, moments;
    Buffer<index_t> open, kept;
    Buffer<double> degree, weight, matrix, product, sums;
    const double* shift = nullptr;
    double cancellation = 0;
  };

  // u (block × N) = W xᵀ.
  void project(View<const S> data, const index_t* ids, index_t block, Buffer<T>& u) {
    const index_t n = data.rows, d = data.cols;
    Buffer<T> w(block * d);
    for (index_t b = 0; b < block; ++b)
      for (index_t j = 0; j < d; ++j) w[b * d + j] = static_cast<T>(weights_.row(ids[b])[j]);
    u.resize(block * n);
    PerWorker<Buffer<T>> rows;
    parallel_for(ceil_div(n, chunk), [&](index_t c, int worker) {
      const index_t i0 = c * chunk, ni = std::min(chunk, n - i0);
      Buffer<T>& part = rows[worker];
      part.resize(chunk * d);
      for (index_t i = 0; i < ni; ++i)
        for (index_t j = 0; j < d; ++j) part[i * d + j] = static_cast<T>(data.row(i0 + i)[j]);
      gemm<T>(Trans::no, Trans::yes, block, ni, d, T(1), w.data(), d, part.data(), d, T(0), u.data() + i0, n);
    });
  }

  void covariance(index_t b, Work& work) {
    const index_t n = x_.rows, d = x_.cols;
    open_gates(b, work);
    const Importance<T>* alpha = shared_;
    std::unique_ptr<Importance<T>> own;
    const double *degree = degree_.data(), *weight = weight_.data();
    if (!shared_) {
      own = gaussian<T, T>(View<const T>{work.outputs.data(), n, 1, 1}, nodes_.tau, nodes_.tol,
                           GaussianMethod::automatic);
      work.degree.resize(n);
      work.weight.resize(n);
      own->degrees(work.degree.data(), work.weight.data());
      alpha = own.get();
      degree = work.degree.data();
      weight = work.weight.data();
    }
    weighted_part(work, degree, weight);
    double before = 0, after = 0;
    for (index_t e = 0; e < d * d; ++e) before += work.matrix[e] * work.matrix[e];
    subtract_product(*alpha, work);
    for (index_t e = 0; e < d * d; ++e) after += work.matrix[e] * work.matrix[e];
    work.cancellation = std::sqrt(before / after);
    const double scale = 1 / (2.0 * static_cast<double>(n) * static_cast<double>(n));
    for (index_t e = 0; e < d * d; ++e) work.matrix[e] *= scale;
  }

  void open_gates(index_t b, Work& work) {
    const index_t n = x_.rows;
    work.gates.resize(n);
    work.gates_aug.resize(n);
    work.open.resize(n + 1);
    const T *u = u_.data() + b * n, *u_aug = u_aug_.data() + b * n;
    const NodeGate h = node_gate(h_);
    node_kernels<T>().gated_row(h, u, nullptr, T(1), n, work.gates.data());
    node_kernels<T>().gated_row(h, u_aug, nullptr, T(1), n, work.gates_aug.data());
    const T first = work.gates[0];
    index_t others = 0;
    for (index_t i = 0; i < n; ++i) others += !(work.gates[i] == first) + !(work.gates_aug[i] == first);
    const bool same = others == 0;
    // One gate for all: the covariance does not depend on a shift, and without its mean the data does not cancel.
    work.shift = same ? mean_.data() : nullptr;
    if (shared_) return;
    work.outputs.resize(n);
    const T* u0 = nodes_.x0.data ? u0_.data() + b * n : u;
    const double degree = h_.kind == Activation::Kind::monomial ? h_.parameter : 1;
    node_kernels<T>().gated_row(h, u0, u0, static_cast<T>(1 / degree), n, work.outputs.data());
  }

  // The three weighted Gram matrices of gated.h.
  void weighted_part(Work& work, const double* degree, const double* weight) {
    const index_t n = x_.rows, d = x_.cols;
    work.w.resize(n + 1);
    work.kept.resize(n + 1);
    work.matrix.resize(d * d);
    work.gram.start(d);
    const T *g = work.gates.data(), *g_aug = work.gates_aug.data();
    const View<const S> none = {nullptr, 0, 0, 0};
    const auto add = [&](View<const S> x, View<const S> y, auto&& value) {
      index_t kept = 0;
      for (index_t i = 0; i < n; ++i) {
        // No branch: gates are as good as random.
        const double w = value(i);
        work.kept[kept] = i;
        work.w[kept] = static_cast<T>(w);
        kept += w != 0;
      }
      work.gram.add(x, y, work.shift, work.kept.data(), work.w.data(), kept);
    };
    add(x_, none, [&](index_t i) {
      const double a = g[i], c = g_aug[i];
      return degree[i] * a * a - weight[i] * a * (a - c);
    });
    add(x_aug_, none, [&](index_t i) {
      const double a = g[i], c = g_aug[i];
      return weight[i] * c * (a - c);
    });
    add(x_, x_aug_, [&](index_t i) { return -weight[i] * static_cast<double>(g[i]) * static_cast<double>(g_aug[i]); });
    const double* tiles = work.gram.finish();
    for (index_t i = 0; i < d; ++i)
      for (index_t j = i; j < d; ++j) {
        const double entry = tiles[UpperTiles<T>::entry(i, j)];
        work.matrix[i * d + j] = entry;
        work.matrix[j * d + i] = entry;
      }
  }

  // matrix −= X̃ᵀ(α + αᵀ)X̃ over the samples whose gate is open.
  void subtract_product(const Importance<T>& alpha, Work& work) {
    const index_t n = x_.rows, d = x_.cols;
    index_t open = 0;
    for (index_t i = 0; i < n; ++i) {
      work.open[open] = i;
      open += work.gates[i] != T(0);
    }
    if (open == 0) return;
    if (const Features<T>* phi = alpha.factor()) {
      subtract_factor(*phi, open, work);
      return;
    }
    work.w.resize(open);
    for (index_t r = 0; r < open; ++r) work.w[r] = work.gates[work.open[r]];
    const auto part = alpha.restricted(work.open.data(), open);
    const GatedSamples<T, S> samples(x_, work.shift ? work.shift : none_.data(), work.open.data(), work.w.data(), open);
    GramSink<T> sink(samples);
    ProductOnly<T> product(sink, open);
    part->laplacian(samples, product);
    work.product.resize(d * d);
    sink.finish(1, work.product.data());
    for (index_t e = 0; e < d * d; ++e) work.matrix[e] += work.product[e];
  }

  // For α = ΦΦᵀ: 2 (ΦᵀX̃)ᵀ(ΦᵀX̃).
  void subtract_factor(const Features<T>& phi, index_t open, Work& work) {
    constexpr index_t rows = 256;
    const index_t d = x_.cols, p = phi.rank();
    work.phi.resize(rows * p);
    work.rows_x.resize(rows * d);
    work.moments.resize(p * d);
    work.sums.resize(p * d);
    std::fill_n(work.sums.data(), p * d, 0.0);
    for (index_t r0 = 0; r0 < open; r0 += rows) {
      const index_t nr = std::min(rows, open - r0);
      phi.rows_at(work.open.data() + r0, nr, work.phi.data());
      for (index_t r = 0; r < nr; ++r) {
        const index_t i = work.open[r0 + r];
        T* row = work.rows_x.data() + r * d;
        read_kernels<T, S>().center_row(x_.row(i), work.shift ? work.shift : none_.data(), d, row);
        const T a = work.gates[i];
        if (a == T(1)) continue;
        for (index_t j = 0; j < d; ++j) row[j] *= a;
      }
      gemm<T>(Trans::yes, Trans::no, p, d, nr, T(1), work.phi.data(), p, work.rows_x.data(), d, T(0),
              work.moments.data(), d);
      kernels<T>().add_block(work.sums.data(), d, work.moments.data(), d, p, d);
    }
    syrk<double>(d, p, -2.0, work.sums.data(), d, 1.0, work.matrix.data(), d);
    for (index_t i = 0; i < d; ++i)
      for (index_t j = i; j < d; ++j) work.matrix[j * d + i] = work.matrix[i * d + j];
  }

  View<const S> x_, x_aug_, weights_;
  Activation h_;
  const Importance<T>* shared_;
  NodeImportance<S> nodes_;
  Buffer<double> none_, mean_, degree_, weight_;
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
      .run(all, [&](index_t k, const double* matrix, double) { write(matrix, x.cols, k, out); });
}

void covariances(View<const float> x, View<const float> x_aug, View<const float> weights, const Activation& h,
                 const NodeImportance<float>& alpha, const std::vector<index_t>& all, float* out) {
  std::vector<char> cancelled(all.size(), 0);
  GatedCov<float, float>(x, x_aug, weights, h, alpha.shared, alpha)
      .run(all, [&](index_t k, const double* matrix, double cancellation) {
        write(matrix, x.cols, k, out);
        cancelled[static_cast<std::size_t>(k)] = cancellation > largest_cancellation;
      });
  std::vector<index_t> again;
  for (const index_t k : all)
    if (cancelled[static_cast<std::size_t>(k)]) again.push_back(k);
  if (again.empty()) return;
  const auto wide = alpha.shared ? alpha.shared->widened() : nullptr;
  GatedCov<double, float>(x, x_aug, weights, h, wide.get(), alpha)
      .run(again, [&](index_t k, const double* matrix, double) { write(matrix, x.cols, k, out); });
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
