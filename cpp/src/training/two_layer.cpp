// Training of the two-layer network on tokens: one step is gathers, four matrix products and passes over rows.
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

// Both views of a batch lie below each other: 2N rows.
template <class T>
class Trainer {
 public:
  Trainer(const TwoLayerSizes& sizes, const TwoLayerOptions& options, const TwoLayerWeights<T>& weights,
          const TwoLayerWeights<T>& speeds)
      : s_(sizes), o_(options), w_(weights), v_(speeds), width_(sizes.locations * sizes.nodes) {
    hidden_.resize(2 * s_.samples * width_);
    slopes_.resize(2 * s_.samples * width_);
    z_.resize(2 * s_.samples * s_.outputs);
    dz_.resize(2 * s_.samples * s_.outputs);
    norms_.resize(2 * s_.samples);
    scores_.resize(s_.samples * s_.samples);
    spread_.resize(2 * width_);
    means_.resize(2 * width_);
    first_.resize(s_.locations * s_.tokens * s_.nodes);
    second_.resize(s_.outputs * width_);
  }

  double step(const std::int64_t* tokens, const std::int64_t* tokens_aug) {
    const std::int64_t* views[2] = {tokens, tokens_aug};
    for (const index_t view : {0, 1}) {
      with_activation(o_.activation, [&](auto h) { gather(h, views[view], view); });
      if (o_.batch_norm) normalize_nodes(view);
    }
    features();
    const double loss = o_.quadratic ? quadratic() : infonce();
    features_backward();
    first_.fill(T(0));
    for (const index_t view : {0, 1}) {
      if (o_.batch_norm) normalize_nodes_backward(view);
      scatter(views[view], view);
    }
    update(w_.first, v_.first, first_);
    update(w_.second, v_.second, second_);
    return loss;
  }

 private:
  T* hidden(index_t view, index_t i) const { return hidden_.data() + (view * s_.samples + i) * width_; }
  T* slopes(index_t view, index_t i) const { return slopes_.data() + (view * s_.samples + i) * width_; }

  template <class H>
  void gather(H, const std::int64_t* tokens, index_t view) {
    for (index_t i = 0; i < s_.samples; ++i)
      for (index_t k = 0; k < s_.locations; ++k) {
        const T* u = w_.first + (k * s_.tokens + tokens[i * s_.locations + k]) * s_.nodes;
        T *h = hidden(view, i) + k * s_.nodes, *slope = slopes(view, i) + k * s_.nodes;
        for (index_t a = 0; a < s_.nodes; ++a) h[a] = H::value(u[a]), slope[a] = H::slope(u[a]);
      }
  }

  // mean[node] = the mean over samples of term(sample, node).
  template <class F>
  void column_means(T* mean, F&& term) const {
    std::fill_n(mean, width_, T(0));
    for (index_t i = 0; i < s_.samples; ++i)
      for (index_t a = 0; a < width_; ++a) mean[a] += term(i, a);
    for (index_t a = 0; a < width_; ++a) mean[a] /= static_cast<T>(s_.samples);
  }

  void normalize_nodes(index_t view) {
    T *mean = means_.data(), *inverse = spread_.data() + view * width_;
    column_means(mean, [&](index_t i, index_t a) { return hidden(view, i)[a]; });
    column_means(inverse, [&](index_t i, index_t a) {
      const T x = hidden(view, i)[a] - mean[a];
      return x * x;
    });
    for (index_t a = 0; a < width_; ++a) inverse[a] = T(1) / std::sqrt(inverse[a] + static_cast<T>(variance_eps));
    for (index_t i = 0; i < s_.samples; ++i) {
      T* x = hidden(view, i);
      for (index_t a = 0; a < width_; ++a) x[a] = (x[a] - mean[a]) * inverse[a];
    }
  }

  // z = f/‖f‖, f = hidden · secondᵀ.
  void features() {
    const index_t m = s_.outputs;
    gemm<T>(Trans::no, Trans::yes, 2 * s_.samples, m, width_, T(1), hidden_.data(), width_, w_.second, width_, T(0),
            z_.data(), m);
    for (index_t i = 0; i < 2 * s_.samples; ++i) {
      T *z = z_.data() + i * m, square = T(0);
      for (index_t a = 0; a < m; ++a) square += z[a] * z[a];
      norms_[i] = std::max(std::sqrt(square), static_cast<T>(least_norm));
      for (index_t a = 0; a < m; ++a) z[a] /= norms_[i];
    }
    gemm<T>(Trans::no, Trans::yes, s_.samples, s_.samples, m, T(1), z_.data(), m, z_.data(), m, T(0), scores_.data(),
            s_.samples);
    for (index_t i = 0; i < s_.samples; ++i) scores_[i * s_.samples + i] = dot(z_.data() + i * m, positive(i));
  }

  T* positive(index_t i) const { return z_.data() + (s_.samples + i) * s_.outputs; }
  T dot(const T* a, const T* b) const {
    T sum = T(0);
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
      const T own = s[i], top = *std::max_element(s, s + n);
      for (index_t j = 0; j < n; ++j) s[j] = (s[j] - top) * inverse;
      exp_kernels<T>().values(s, n, s);
      T sum = T(0);
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

  // From the slopes G of the scores to the gradients of `second` and of the normalized nodes:
  // dz = (G + Gᵀ without diagonal) z + diag(G) z', dz' = diag(G) z.
  void features_backward() {
    const index_t n = s_.samples, m = s_.outputs;
    for (index_t i = 0; i < n; ++i) {
      const T own = scores_[i * n + i];
      const T *z = z_.data() + i * m, *z_aug = positive(i);
      T *dz = dz_.data() + i * m, *dz_aug = dz_.data() + (n + i) * m;
      for (index_t a = 0; a < m; ++a) dz[a] = own * z_aug[a], dz_aug[a] = own * z[a];
      scores_[i * n + i] = T(0);
    }
    // Twice, since adding Gᵀ to G costs as much: its columns lie a power of two apart.
    for (const Trans trans : {Trans::no, Trans::yes})
      gemm<T>(trans, Trans::no, n, m, n, T(1), scores_.data(), n, z_.data(), m, T(1), dz_.data(), m);
    for (index_t i = 0; i < 2 * n; ++i) {
      const T* z = z_.data() + i * m;
      T* dz = dz_.data() + i * m;
      const T along = dot(z, dz);
      for (index_t a = 0; a < m; ++a) dz[a] = (dz[a] - along * z[a]) / norms_[i];
    }
    gemm<T>(Trans::yes, Trans::no, m, width_, 2 * n, T(1), dz_.data(), m, hidden_.data(), width_, T(0), second_.data(),
            width_);
    grad_.resize(2 * n * width_);
    gemm<T>(Trans::no, Trans::no, 2 * n, width_, m, T(1), dz_.data(), m, w_.second, width_, T(0), grad_.data(), width_);
  }

  // With x the normalized nodes: g ← (g − mean(g) − x · mean(g x))/spread, each mean where it is not a constant.
  void normalize_nodes_backward(index_t view) {
    T *mean = means_.data(), *along = means_.data() + width_;
    const T* inverse = spread_.data() + view * width_;
    const auto grad = [&](index_t i) { return grad_.data() + (view * s_.samples + i) * width_; };
    std::fill_n(mean, 2 * width_, T(0));
    if (o_.backprop_mean) column_means(mean, [&](index_t i, index_t a) { return grad(i)[a]; });
    if (o_.backprop_var) column_means(along, [&](index_t i, index_t a) { return grad(i)[a] * hidden(view, i)[a]; });
    for (index_t i = 0; i < s_.samples; ++i) {
      T* g = grad(i);
      const T* x = hidden(view, i);
      for (index_t a = 0; a < width_; ++a) g[a] = (g[a] - mean[a] - x[a] * along[a]) * inverse[a];
    }
  }

  void scatter(const std::int64_t* tokens, index_t view) {
    for (index_t i = 0; i < s_.samples; ++i)
      for (index_t k = 0; k < s_.locations; ++k) {
        T* sum = first_.data() + (k * s_.tokens + tokens[i * s_.locations + k]) * s_.nodes;
        const T *g = grad_.data() + (view * s_.samples + i) * width_ + k * s_.nodes,
                *slope = slopes(view, i) + k * s_.nodes;
        for (index_t a = 0; a < s_.nodes; ++a) sum[a] += g[a] * slope[a];
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
  Buffer<T> hidden_, slopes_, grad_, z_, dz_, norms_, scores_;
  Buffer<T> means_, spread_;  // of nodes: scratch; 1/√(variance + eps) of both views
  Buffer<T> first_, second_;  // gradients of the weights
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
