// Products with the covariances of gated nodes, block by block of nodes; the matrices are not formed.
#include "alphacl/gated_operator.h"

#include <mutex>
#include <type_traits>
#include <vector>

#include "nodes/layer.h"
#include "nodes/node_literal_sums.h"
#include "nodes/node_pass.h"

namespace alphacl {
namespace {

constexpr index_t most_numbers = index_t{1} << 24;  // numbers in an array of nodes × N
constexpr index_t most_kept = index_t{1} << 26;     // pre-activations kept between products

index_t block_of(index_t n, index_t nodes) { return std::min(nodes, std::clamp<index_t>(most_numbers / n, 16, 256)); }

// Products of K nodes, data held as S, computed in T.
template <class T, class S>
class NodeProducts {
 public:
  /// keep: hold the pre-activations between products if they are few enough.
  NodeProducts(std::shared_ptr<const Layer<T, S>> layer, View<const S> weights, View<const S> alpha_weights, bool keep)
      : layer_(std::move(layer)),
        count_(weights.rows),
        size_(weights.cols),
        weights_(copied(weights)),
        alpha_weights_(alpha_weights.data != nullptr ? copied(alpha_weights) : Buffer<T>()) {
    if (keep && count_ * layer_->size() <= most_kept / (other_outputs() ? 3 : 2)) keep_outputs();
  }

  /// Row i of out = A(w_k) (row i of v), k = active[i]. lost[i]: minuend over result, the cancellation in the product.
  /// Where it exceeds `most`, the product is taken from the differences of all pairs, if these are few (`most`
  /// infinite: never).
  void apply(View<const S> v, const index_t* active, View<S> out, double most, double* lost) const {
    std::unique_ptr<Scratch> scratch;
    {
      const std::lock_guard<std::mutex> lock(spare_mutex_);
      scratch = std::move(spare_);
    }
    if (!scratch) scratch = std::make_unique<Scratch>(*layer_);
    run(v, active, out, lost, *scratch);
    if constexpr (std::is_same_v<T, double>) {
      std::vector<index_t> again;
      for (index_t row = 0; row < v.rows; ++row)
        if (lost[row] > most) again.push_back(row);
      if (few_pairs(layer_->size(), std::max<index_t>(2 * size_, 64) * static_cast<index_t>(again.size())))
        for (const index_t row : again) sum_differences(active[row], v.row(row), out.row(row));
    }
    const std::lock_guard<std::mutex> lock(spare_mutex_);
    spare_ = std::move(scratch);
  }

 private:
  // Pre-activations of all nodes (K × N each) and the series of their outputs.
  struct Kept {
    Buffer<T> p, p_aug, p0;
    std::vector<NodeSeries<T>> series;
  };
  struct Scratch {
    explicit Scratch(const Layer<T, S>& layer) : pass(layer) {}
    NodePass<T, S> pass;
    Buffer<T> w, v, shifts, p, p_aug, p0;
    Buffer<double> products;
  };
  using Works = PerWorker<typename NodePass<T, S>::Work>;

  static Buffer<T> copied(View<const S> rows) {
    Buffer<T> copy(rows.rows * rows.cols);
    for (index_t k = 0; k < rows.rows; ++k)
      for (index_t j = 0; j < rows.cols; ++j) copy[k * rows.cols + j] = static_cast<T>(rows.row(k)[j]);
    return copy;
  }

  bool own() const { return layer_->shared() == nullptr; }
  // Whether the nodes' own importance compares other outputs than those of the gates.
  bool other_outputs() const { return alpha_weights_.size() > 0 || layer_->own_inputs().data != nullptr; }
  const T* output_weights(index_t k) const {
    return (alpha_weights_.size() > 0 ? alpha_weights_.data() : weights_.data()) + k * size_;
  }
  void project_outputs(const T* w, index_t nodes, T* out) const {
    if (layer_->own_inputs().data != nullptr) return layer_->project_own_inputs(w, nodes, out);
    layer_->project(layer_->x(), w, nodes, out);
  }

  void keep_outputs() {
    const index_t n = layer_->size();
    const bool other = other_outputs();
    kept_ = std::make_unique<Kept>();
    kept_->p.resize(count_ * n);
    kept_->p_aug.resize(count_ * n);
    layer_->project(layer_->x(), weights_.data(), count_, kept_->p.data());
    layer_->project(layer_->x_aug(), weights_.data(), count_, kept_->p_aug.data());
    if (!own()) return;
    if (other) {
      kept_->p0.resize(count_ * n);
      project_outputs(output_weights(0), count_, kept_->p0.data());
    }
    kept_->series = std::vector<NodeSeries<T>>(static_cast<std::size_t>(count_));
    PerWorker<NodeScratch<T>> scratches;
    parallel_for(count_, [&](index_t k, int worker) {
      const T *p = kept_->p.data() + k * n, *p0 = other ? kept_->p0.data() + k * n : p;
      fit_series(layer_->own(), p, p0, kept_->series[static_cast<std::size_t>(k)], scratches[worker]);
    });
  }

  // The product, block by block.
  void run(View<const S> v, const index_t* active, View<S> out, double* lost, Scratch& s) const {
    const index_t count = v.rows, n = layer_->size(), d = size_, block = block_of(n, std::max<index_t>(1, count));
    for (Buffer<T>* vectors : {&s.w, &s.v}) vectors->resize(block * d);
    s.shifts.resize(block);
    s.pass.resize(block);
    s.products.resize(block * d);
    if (!kept_) {
      s.p.resize(block * n);
      s.p_aug.resize(block * n);
      if (other_outputs()) s.p0.resize(block * n);
    }
    Works works;
    for (index_t first = 0; first < count; first += block) {
      const index_t nodes = std::min(block, count - first), *of_block = active + first;
      project({v.row(first), nodes, v.cols, v.stride}, of_block, s);
      multiply(nodes, of_block, s, works);
      for (index_t i = 0; i < nodes; ++i) {
        const double* product = s.products.data() + i * d;
        for (index_t j = 0; j < d; ++j) out.row(first + i)[j] = static_cast<S>(layer_->scale() * product[j]);
        const double size = norm_of(product, d);
        // What overflowed in float may be finite in double.
        const bool overflown = std::is_same_v<T, float> && !std::isfinite(size);
        lost[first + i] = overflown ? std::numeric_limits<double>::infinity() : s.pass.minuend(i) / size;
      }
    }
  }

  // V (x − centre)ᵀ of both views and, unless they are kept, the pre-activations.
  void project(View<const S> v, const index_t* active, Scratch& s) const {
    const index_t d = size_, nodes = v.rows;
    for (index_t i = 0; i < nodes; ++i) {
      std::copy_n(weights_.data() + active[i] * d, d, s.w.data() + i * d);
      for (index_t j = 0; j < d; ++j) s.v[i * d + j] = static_cast<T>(v.row(i)[j]);
    }
    if (!kept_) {
      layer_->project(layer_->x(), s.w.data(), nodes, s.p.data());
      layer_->project(layer_->x_aug(), s.w.data(), nodes, s.p_aug.data());
      if (other_outputs()) {
        for (index_t i = 0; i < nodes; ++i) std::copy_n(output_weights(active[i]), d, s.w.data() + i * d);
        project_outputs(s.w.data(), nodes, s.p0.data());
      }
    }
    layer_->project_centred(layer_->x(), s.v.data(), nodes, s.pass.a(0));
    layer_->project_centred(layer_->x_aug(), s.v.data(), nodes, s.pass.a_aug(0));
    layer_->centre_outputs(s.v.data(), nodes, s.shifts.data());
  }

  // s.products = 2N² A v, from what project() has computed.
  void multiply(index_t nodes, const index_t* active, Scratch& s, Works& works) const {
    const Layer<T, S>& layer = *layer_;
    const index_t n = layer.size();
    NodePass<T, S>& pass = s.pass;
    const auto from = [&](const Buffer<T>& fresh, Buffer<T> Kept::* kept, index_t i) -> const T* {
      return kept_ ? ((*kept_).*kept).data() + active[i] * n : fresh.data() + i * n;
    };
    pass.run(
        nodes, works,
        [&](index_t i, NodeScratch<T>&) {
          const T *p = from(s.p, &Kept::p, i), *p_aug = from(s.p_aug, &Kept::p_aug, i);
          const T* p0 = own() && other_outputs() ? from(s.p0, &Kept::p0, i) : p;
          const T reference = layer.reference_gate(weights_.data() + active[i] * size_, p, p_aug);
          node_kernels<T>().gate_difference_row(layer.gate(), p, s.shifts[i], reference, n, pass.a(i));
          node_kernels<T>().gate_difference_row(layer.gate(), p_aug, s.shifts[i], reference, n, pass.a_aug(i));
          const bool fitted = own() && kept_;
          const NodeSeries<T>* series = fitted ? &kept_->series[static_cast<std::size_t>(active[i])] : nullptr;
          return NodeRow<T>{p, p_aug, p0, series, reference, pass.a(i), pass.a_aug(i)};
        },
        [&](index_t i, const NodeRow<T>& row) {
          const T* v = s.v.data() + i * size_;
          pass.gate_back(i, row, kernels<T>().dot(v, v, size_));
        });
    pass.back(nodes, s.products.data());
  }

  // out = A(w_k) v from the differences of all pairs.
  void sum_differences(index_t k, const S* v, S* out) const {
    const index_t n = layer_->size(), d = size_;
    Buffer<double> outputs(own() ? n : 0), vector(d), product(d);
    if (own()) project_outputs(output_weights(k), 1, outputs.data());
    for (index_t j = 0; j < d; ++j) vector[j] = static_cast<double>(v[j]);
    node_product_of_differences(*layer_, weights_.data() + k * d, outputs.data(), vector.data(), product.data());
    for (index_t j = 0; j < d; ++j) out[j] = static_cast<S>(product[j]);
  }

  std::shared_ptr<const Layer<T, S>> layer_;
  index_t count_, size_;
  Buffer<T> weights_, alpha_weights_;  // alpha_weights_ is empty where it equals weights_
  std::unique_ptr<Kept> kept_;
  // Memory of the last product is kept for the next one: fresh pages took a tenth of the time.
  mutable std::mutex spare_mutex_;
  mutable std::unique_ptr<Scratch> spare_;
};

}  // namespace

template <class T>
struct GatedOperator<T>::Parts {
  View<const T> x, x_aug;
  Activation h;
  NodeImportance<T> alpha;
  std::shared_ptr<const Layer<T, T>> layer;
  Buffer<T> weights, alpha_weights;
  index_t count, size;
  std::unique_ptr<NodeProducts<T, T>> products;
  // Made when a float32 product first asks for it.
  std::mutex wide_mutex;
  std::unique_ptr<NodeProducts<double, T>> wide;

  View<const T> all_weights() const { return {weights.data(), count, size, size}; }
  View<const T> all_alpha_weights() const {
    return {alpha_weights.size() > 0 ? alpha_weights.data() : nullptr, count, size, size};
  }

  void start(View<const T> w, View<const T> of_alpha) {
    count = w.rows;
    size = w.cols;
    weights.resize(count * size);
    for (index_t k = 0; k < count; ++k) std::copy_n(w.row(k), size, weights.data() + k * size);
    if (of_alpha.data != nullptr) {
      alpha_weights.resize(count * size);
      for (index_t k = 0; k < count; ++k) std::copy_n(of_alpha.row(k), size, alpha_weights.data() + k * size);
    }
    products = std::make_unique<NodeProducts<T, T>>(layer, all_weights(), all_alpha_weights(), true);
  }

  const NodeProducts<double, T>& in_double() {
    {
      const std::lock_guard<std::mutex> lock(wide_mutex);
      if (wide) return *wide;
    }
    // Not under the lock: this may be interrupted by a signal whose handler wants a product too.
    auto made = std::make_unique<NodeProducts<double, T>>(std::make_shared<Layer<double, T>>(x, x_aug, h, alpha),
                                                          all_weights(), all_alpha_weights(), false);
    const std::lock_guard<std::mutex> lock(wide_mutex);
    if (!wide) wide = std::move(made);
    return *wide;
  }
};

template <class T>
GatedOperator<T>::GatedOperator(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
                                const NodeImportance<T>& alpha, View<const T> alpha_weights)
    : parts_(
          new Parts{x, x_aug, h, alpha, std::make_shared<Layer<T, T>>(x, x_aug, h, alpha), {}, {}, 0, 0, {}, {}, {}}) {
  parts_->start(weights, alpha_weights);
}

template <class T>
GatedOperator<T>::GatedOperator(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

template <class T>
GatedOperator<T>::~GatedOperator() = default;

template <class T>
index_t GatedOperator<T>::count() const {
  return parts_->count;
}

template <class T>
index_t GatedOperator<T>::size() const {
  return parts_->size;
}

template <class T>
std::unique_ptr<GatedOperator<T>> GatedOperator<T>::with_weights(View<const T> weights) const {
  const Parts& p = *parts_;
  if (p.alpha_weights.size() > 0 && weights.rows != p.count)
    throw std::invalid_argument("weights: expected " + std::to_string(p.count) + " nodes like alpha_weights, got " +
                                std::to_string(weights.rows));
  std::unique_ptr<Parts> made(new Parts{p.x, p.x_aug, p.h, p.alpha, p.layer, {}, {}, 0, 0, {}, {}, {}});
  made->start(weights, p.all_alpha_weights());
  return std::unique_ptr<GatedOperator>(new GatedOperator(std::move(made)));
}

template <class T>
void GatedOperator<T>::apply(View<const T> v, const index_t* active, View<T> out) const {
  Buffer<double> lost(v.rows);
  if constexpr (std::is_same_v<T, double>) {
    parts_->products->apply(v, active, out, wide_limits<double>.minuend, lost.data());
  } else {
    const auto single = [&](std::vector<char>& again) {
      constexpr double never = std::numeric_limits<double>::infinity();
      parts_->products->apply(v, active, out, never, lost.data());
      for (index_t i = 0; i < v.rows; ++i)
        again[static_cast<std::size_t>(i)] = lost[i] > largest_cancellation_of_products;
    };
    each_in_float_else_double(v.rows, single, [&](const std::vector<index_t>& again) {
      const index_t rows = static_cast<index_t>(again.size()), d = parts_->size;
      Buffer<T> from(rows * d), to(rows * d);
      std::vector<index_t> nodes;
      for (index_t i = 0; i < rows; ++i) {
        const index_t row = again[static_cast<std::size_t>(i)];
        nodes.push_back(active[row]);
        std::copy_n(v.row(row), d, from.data() + i * d);
      }
      parts_->in_double().apply({from.data(), rows, d, d}, nodes.data(), {to.data(), rows, d, d},
                                wide_limits<T>.minuend, lost.data());
      for (index_t i = 0; i < rows; ++i) std::copy_n(to.data() + i * d, d, out.row(again[static_cast<std::size_t>(i)]));
    });
  }
}

template <class T>
index_t Climb<T>::block(index_t n, index_t nodes) {
  return block_of(n, nodes);
}

template class GatedOperator<float>;
template class GatedOperator<double>;
template index_t Climb<float>::block(index_t, index_t);
template index_t Climb<double>::block(index_t, index_t);

}  // namespace alphacl
