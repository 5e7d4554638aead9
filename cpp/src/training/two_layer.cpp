// Training of the two-layer network on tokens, by tables of what each token at each location gives.
#include "alphacl/two_layer.h"

#include <algorithm>
#include <cmath>

#include "isa/tables/kernels.h"
#include "runtime/blas.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr double variance_eps = 1e-5, least_norm = 1e-12;

// h and h' of one number.
struct Relu {
  template <class T>
  static T value(T u) {
    return u > T(0) ? u : T(0);
  }
  template <class T>
  static T slope(T u) {
    return u > T(0) ? T(1) : T(0);
  }
};
struct Linear {
  template <class T>
  static T value(T u) {
    return u;
  }
  template <class T>
  static T slope(T) {
    return T(1);
  }
};
struct Leaky {
  template <class T>
  static T value(T u) {
    return u > T(0) ? u : T(0.05) * u;
  }
  template <class T>
  static T slope(T u) {
    return u > T(0) ? T(1) : T(0.05);
  }
};
struct Sigmoid {
  template <class T>
  static T value(T u) {
    return T(1) / (T(1) + std::exp(-u));
  }
  template <class T>
  static T slope(T u) {
    return value(u) * (T(1) - value(u));
  }
};
struct Square {
  template <class T>
  static T value(T u) {
    return u * u;
  }
  template <class T>
  static T slope(T u) {
    return T(2) * u;
  }
};

template <class F>
void with_activation(TwoLayerActivation activation, F&& f) {
  switch (activation) {
    case TwoLayerActivation::relu:
      return f(Relu{});
    case TwoLayerActivation::linear:
      return f(Linear{});
    case TwoLayerActivation::leaky:
      return f(Leaky{});
    case TwoLayerActivation::sigmoid:
      return f(Sigmoid{});
    case TwoLayerActivation::square:
      return f(Square{});
  }
}

// A sample is rows of tables: what a node gives for each of T tokens is computed once, and not for each of N samples.
// Tables are (K, 2, T, ·), the two views of a batch below each other; features are (2, N, m).
template <class T>
class Trainer {
 public:
  Trainer(const TwoLayerSizes& sizes, const TwoLayerOptions& options, const TwoLayerWeights<T>& weights,
          const TwoLayerWeights<T>& speeds)
      : s_(sizes), o_(options), w_(weights), v_(speeds), width_(sizes.locations * sizes.nodes) {
    const index_t rows = 2 * s_.locations * s_.tokens;
    counts_.resize(rows);
    nodes_.resize(rows * s_.nodes);
    nodes_slopes_.resize(rows * s_.nodes);
    inverse_.resize(2 * width_);
    means_.resize(2 * s_.nodes);
    outputs_.resize(rows * s_.outputs);
    z_.resize(2 * s_.samples * s_.outputs);
    dz_.resize(2 * s_.samples * s_.outputs);
    norms_.resize(2 * s_.samples);
    scores_.resize(s_.samples * s_.samples);
    summands_.resize(std::max(s_.samples, s_.locations));
    next_.resize(s_.tokens);
    first_.resize(s_.locations * s_.tokens * s_.nodes);
    second_.resize(s_.outputs * width_);
  }

  double step(const std::int64_t* tokens, const std::int64_t* tokens_aug) {
    tokens_[0] = tokens, tokens_[1] = tokens_aug;
    count_tokens();
    with_activation(o_.activation, [&](auto h) { forward(h); });
    features();
    const double loss = o_.quadratic ? quadratic() : infonce();
    features_backward();
    with_activation(o_.activation, [&](auto h) { backward(h); });
    update(w_.first, v_.first, first_);
    update(w_.second, v_.second, second_);
    return loss;
  }

 private:
  // Row of a table: token `a` at location k in a view.
  index_t row(index_t k, index_t view, index_t a) const { return (2 * k + view) * s_.tokens + a; }

  index_t token(index_t view, index_t i, index_t k) const { return tokens_[view][i * s_.locations + k]; }

  void count_tokens() {
    counts_.fill(T(0));
    for (const index_t view : {0, 1})
      for (index_t i = 0; i < s_.samples; ++i)
        for (index_t k = 0; k < s_.locations; ++k) counts_[row(k, view, token(view, i, k))] += T(1);
  }

  // The table of nodes: BN(h(u)), and its product with `second`.
  template <class H>
  void forward(H) {
    const index_t m = s_.outputs, nodes = s_.nodes, rows = 2 * s_.tokens;
    for (index_t k = 0; k < s_.locations; ++k) {
      const T* u = w_.first + k * s_.tokens * nodes;
      for (const index_t view : {0, 1}) {
        T* x = nodes_.data() + row(k, view, 0) * nodes;
        for (index_t a = 0; a < s_.tokens * nodes; ++a) x[a] = H::value(u[a]);
        if (o_.batch_norm) normalize(k, view);
      }
      gemm<T>(Trans::no, Trans::yes, rows, m, nodes, T(1), nodes_.data() + row(k, 0, 0) * nodes, nodes,
              w_.second + k * nodes, width_, T(0), outputs_.data() + row(k, 0, 0) * m, m);
    }
  }

  // mean[node] = the mean over samples of term(token, node), where each token counts as often as it occurs.
  template <class F>
  void node_means(T* mean, F&& term) const {
    std::fill_n(mean, s_.nodes, T(0));
    for (index_t a = 0; a < s_.tokens; ++a)
      for (index_t c = 0; c < s_.nodes; ++c) mean[c] += term(a, c);
    for (index_t c = 0; c < s_.nodes; ++c) mean[c] /= static_cast<T>(s_.samples);
  }

  void normalize(index_t k, index_t view) {
    T *x = nodes_.data() + row(k, view, 0) * s_.nodes, *mean = means_.data();
    T* inverse = inverse_.data() + (2 * k + view) * s_.nodes;
    const T* count = counts_.data() + row(k, view, 0);
    node_means(mean, [&](index_t a, index_t c) { return count[a] * x[a * s_.nodes + c]; });
    for (index_t a = 0; a < s_.tokens; ++a)
      for (index_t c = 0; c < s_.nodes; ++c) x[a * s_.nodes + c] -= mean[c];
    node_means(inverse, [&](index_t a, index_t c) { return count[a] * x[a * s_.nodes + c] * x[a * s_.nodes + c]; });
    for (index_t c = 0; c < s_.nodes; ++c) inverse[c] = T(1) / std::sqrt(inverse[c] + static_cast<T>(variance_eps));
    for (index_t a = 0; a < s_.tokens; ++a)
      for (index_t c = 0; c < s_.nodes; ++c) x[a * s_.nodes + c] *= inverse[c];
  }

  // z = f/‖f‖, f the sum over locations of rows of the table of outputs.
  void features() {
    const index_t m = s_.outputs, n = s_.samples;
    for (index_t i = 0; i < 2 * n; ++i) {
      T* z = z_.data() + i * m;
      const index_t view = i / n;
      for (index_t k = 0; k < s_.locations; ++k)
        summands_[k] = outputs_.data() + row(k, view, token(view, i - view * n, k)) * m;
      kernels<T>().sum_rows(summands_.data(), s_.locations, m, z);
      norms_[i] = std::max(std::sqrt(dot(z, z)), static_cast<T>(least_norm));
      const T inverse = T(1) / norms_[i];
      for (index_t c = 0; c < m; ++c) z[c] *= inverse;
    }
    gemm<T>(Trans::no, Trans::yes, n, n, m, T(1), z_.data(), m, z_.data(), m, T(0), scores_.data(), n);
    for (index_t i = 0; i < n; ++i) scores_[i * n + i] = dot(z_.data() + i * m, z_.data() + (n + i) * m);
  }

  T dot(const T* a, const T* b) const {
    T sum = T(0);
#pragma omp simd reduction(+ : sum)
    for (index_t c = 0; c < s_.outputs; ++c) sum += a[c] * b[c];
    return sum;
  }

  // The losses leave their slopes in the place of the scores.
  double infonce() {
    const index_t n = s_.samples;
    const T inverse = static_cast<T>(1 / o_.temperature), share = inverse / static_cast<T>(n);
    double loss = 0;
    for (index_t i = 0; i < n; ++i) {
      T* s = scores_.data() + i * n;
      const T own = s[i];
      T top = s[0], sum = T(0);
#pragma omp simd reduction(max : top)
      for (index_t j = 0; j < n; ++j) top = s[j] > top ? s[j] : top;
      for (index_t j = 0; j < n; ++j) s[j] = (s[j] - top) * inverse;
      exp_kernels<T>().values(s, n, s);
#pragma omp simd reduction(+ : sum)
      for (index_t j = 0; j < n; ++j) sum += s[j];
      loss += std::log(static_cast<double>(sum)) + static_cast<double>(top - own) * static_cast<double>(inverse);
      for (index_t j = 0; j < n; ++j) s[j] *= share / sum;
      s[i] -= share;
    }
    return loss / static_cast<double>(n);
  }

  double quadratic() {
    const index_t n = s_.samples;
    const double count = static_cast<double>(n);
    double all = 0, own = 0;
    for (index_t i = 0; i < n * n; ++i) all += static_cast<double>(scores_[i]);
    for (index_t i = 0; i < n; ++i) own += static_cast<double>(scores_[i * n + i]);
    scores_.fill(static_cast<T>(1 / (count * count * o_.temperature)));
    for (index_t i = 0; i < n; ++i) scores_[i * n + i] = static_cast<T>(-1 / (count * o_.temperature));
    return (all / (count * count) - (1 + 1 / count) * own / count) / o_.temperature;
  }

  // From the slopes G of the scores to those of f, in dz: dz = (G + Gᵀ without diagonal) z + diag(G) z',
  // dz' = diag(G) z, and across each z alone.
  void features_backward() {
    const index_t n = s_.samples, m = s_.outputs;
    for (index_t i = 0; i < n; ++i) {
      const T own = scores_[i * n + i];
      const T *z = z_.data() + i * m, *z_aug = z_.data() + (n + i) * m;
      T *dz = dz_.data() + i * m, *dz_aug = dz_.data() + (n + i) * m;
      for (index_t c = 0; c < m; ++c) dz[c] = own * z_aug[c], dz_aug[c] = own * z[c];
      scores_[i * n + i] = T(0);
    }
    // Twice, since adding Gᵀ to G costs as much: its columns lie a power of two apart.
    for (const Trans trans : {Trans::no, Trans::yes})
      gemm<T>(trans, Trans::no, n, m, n, T(1), scores_.data(), n, z_.data(), m, T(1), dz_.data(), m);
    for (index_t i = 0; i < 2 * n; ++i) {
      const T* z = z_.data() + i * m;
      T* dz = dz_.data() + i * m;
      const T along = dot(z, dz);
      const T inverse = T(1) / norms_[i];
      for (index_t c = 0; c < m; ++c) dz[c] = (dz[c] - along * z[c]) * inverse;
    }
  }

  // The slopes of the outputs of a location, in their place: those of f summed over the samples of each token.
  void sum_by_token(index_t k, index_t view) {
    const index_t m = s_.outputs, n = s_.samples;
    const T* count = counts_.data() + row(k, view, 0);
    for (index_t a = 0, first = 0; a < s_.tokens; first += static_cast<index_t>(count[a++])) next_[a] = first;
    for (index_t i = 0; i < n; ++i) summands_[next_[token(view, i, k)]++] = dz_.data() + (view * n + i) * m;
    for (index_t a = 0; a < s_.tokens; ++a) {
      const index_t samples = static_cast<index_t>(count[a]);
      kernels<T>().sum_rows(summands_.data() + next_[a] - samples, samples, m, outputs_.data() + row(k, view, a) * m);
    }
  }

  // The gradients of both layers.
  template <class H>
  void backward(H) {
    const index_t m = s_.outputs, nodes = s_.nodes, rows = 2 * s_.tokens;
    first_.fill(T(0));
    for (index_t k = 0; k < s_.locations; ++k) {
      for (const index_t view : {0, 1}) sum_by_token(k, view);
      const T *df = outputs_.data() + row(k, 0, 0) * m, *x = nodes_.data() + row(k, 0, 0) * nodes;
      gemm<T>(Trans::yes, Trans::no, m, nodes, rows, T(1), df, m, x, nodes, T(0), second_.data() + k * nodes, width_);
      gemm<T>(Trans::no, Trans::no, rows, nodes, m, T(1), df, m, w_.second + k * nodes, width_, T(0),
              nodes_slopes_.data() + row(k, 0, 0) * nodes, nodes);
      const T* u = w_.first + k * s_.tokens * nodes;
      T* sum = first_.data() + k * s_.tokens * nodes;
      for (const index_t view : {0, 1}) {
        if (o_.batch_norm) normalize_backward(k, view);
        const T* g = nodes_slopes_.data() + row(k, view, 0) * nodes;
        for (index_t a = 0; a < s_.tokens * nodes; ++a) sum[a] += g[a] * H::slope(u[a]);
      }
    }
  }

  // With x the normalized nodes: g ← (g − count (mean(g) + x · mean(g x)))/√(variance + eps), for the sums g over the
  // samples of a token; each mean where it is not a constant.
  void normalize_backward(index_t k, index_t view) {
    const index_t nodes = s_.nodes;
    T *g = nodes_slopes_.data() + row(k, view, 0) * nodes, *mean = means_.data(), *along = means_.data() + nodes;
    const T *x = nodes_.data() + row(k, view, 0) * nodes, *inverse = inverse_.data() + (2 * k + view) * nodes;
    const T* count = counts_.data() + row(k, view, 0);
    means_.fill(T(0));
    if (o_.backprop_mean) node_means(mean, [&](index_t a, index_t c) { return g[a * nodes + c]; });
    if (o_.backprop_var) node_means(along, [&](index_t a, index_t c) { return g[a * nodes + c] * x[a * nodes + c]; });
    for (index_t a = 0; a < s_.tokens; ++a)
      for (index_t c = 0; c < nodes; ++c) {
        T& value = g[a * nodes + c];
        value = (value - count[a] * (mean[c] + x[a * nodes + c] * along[c])) * inverse[c];
      }
  }

  void update(T* w, T* v, const Buffer<T>& gradient) const {
    const T decay = static_cast<T>(o_.weight_decay), keep = static_cast<T>(o_.momentum), lr = static_cast<T>(o_.lr);
    for (index_t a = 0; a < gradient.size(); ++a) {
      v[a] = keep * v[a] + (gradient[a] + decay * w[a]);
      w[a] -= lr * v[a];
    }
  }

  const TwoLayerSizes s_;
  const TwoLayerOptions o_;
  const TwoLayerWeights<T> w_, v_;
  const index_t width_;  // K·M nodes
  const std::int64_t* tokens_[2] = {nullptr, nullptr};
  Buffer<T> counts_, nodes_, nodes_slopes_, outputs_;  // tables: samples with a token, nodes, outputs (or slopes)
  Buffer<T> inverse_, means_;                          // 1/√(variance + eps) of (K, 2, M); scratch of one location
  Buffer<T> z_, dz_, norms_, scores_;
  Buffer<T> first_, second_;   // gradients of the weights
  Buffer<const T*> summands_;  // rows
  Buffer<index_t> next_;       // among them, of each token
};

}  // namespace

template <class T>
void train_two_layer(const TwoLayerSizes& sizes, const TwoLayerOptions& options, const TwoLayerWeights<T>& weights,
                     const TwoLayerWeights<T>& speeds, index_t steps, const std::int64_t* tokens,
                     const std::int64_t* tokens_aug, double* losses) {
  Trainer<T> trainer(sizes, options, weights, speeds);
  const index_t size = sizes.samples * sizes.locations;
  for (index_t t = 0; t < steps; ++t) {
    losses[t] = trainer.step(tokens + t * size, tokens_aug + t * size);
    poll();
  }
}

template void train_two_layer<float>(const TwoLayerSizes&, const TwoLayerOptions&, const TwoLayerWeights<float>&,
                                     const TwoLayerWeights<float>&, index_t, const std::int64_t*, const std::int64_t*,
                                     double*);
template void train_two_layer<double>(const TwoLayerSizes&, const TwoLayerOptions&, const TwoLayerWeights<double>&,
                                      const TwoLayerWeights<double>&, index_t, const std::int64_t*, const std::int64_t*,
                                      double*);

}  // namespace alphacl
