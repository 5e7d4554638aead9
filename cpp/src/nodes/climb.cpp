#include <cmath>
#include <limits>

#include "alphacl/gated_operator.h"
#include "nodes/layer.h"
#include "nodes/node_literal_sums.h"
#include "nodes/node_series.h"

namespace alphacl {

namespace {
// One climb of K nodes with data held as S, computed in T.
template <class T, class S>
class NodeClimb {
 public:
  /// Weights: K × d. frozen_at (K × d): the nodes whose outputs a frozen importance compares. A node whose product is
  /// so small beside its minuend that their ratio is above `most` gives up.
  NodeClimb(std::shared_ptr<const Layer<T, S>> layer, View<const S> weights, View<const S> frozen_at,
            const ClimbOptions& options, double most);
  index_t step();
  void finish();
  /// In double: λ and the residual of nodes that have lost their digits are found again by the differences of all
  /// pairs, if these are few.
  void settle();
  void write(const ClimbResult<S>& out) const;
  /// Those that have given up since the last call, and where they stand.
  std::vector<index_t> given_up();
  void weights_of(index_t node, S* out) const {
    for (index_t j = 0; j < layer_.features(); ++j) out[j] = static_cast<S>(weights_[node * layer_.features() + j]);
  }

 private:
  struct Node {
    index_t id;
    T* w;  // d, of length 1
    // Rows of pre-activations; those of a trial take their place when it is accepted.
    index_t row;
    double value = 0, residual = 0, energy = 0, size = 0, norm = 0;
    double lost = 0;   // the minuend of A(w)w over what is left of it
    double shift = 0;  // σ
    std::int64_t steps = 0;
    int idle = 0;
    // ended: the last step raised the energy no more; the node stops when it has been judged where that step led.
    bool converged = false, ended = false, stopped = false, gave_up = false, fresh = true;
  };
  struct Work {
    NodeScratch<T> scratch;
    Buffer<T> t, r, gates;
  };

  bool own() const { return layer_.shared() == nullptr; }
  bool other_inputs() const { return layer_.own_inputs().data != nullptr; }
  /// Whether the outputs that α compares stand in an array of their own.
  bool own_outputs() const { return own() && (other_inputs() || options_.frozen); }
  std::vector<Node*> going();
  void judge(std::vector<Node*>& nodes);
  void judge(Node& node, const double* y, double minuend);
  void measure(Node& node, const double* y);
  void climb(const std::vector<Node*>& nodes);

  std::shared_ptr<const Layer<T, S>> shared_layer_;
  const Layer<T, S>& layer_;
  ClimbOptions options_;
  double most_;
  Buffer<T> weights_;
  std::vector<Node> nodes_;
  std::vector<NodeSeries<T>> lines_;
  // Pre-activations, K × N: where the nodes stand, and where the trial puts them; `outputs_` belong to α.
  Buffer<T> p_, p_aug_, next_p_, next_p_aug_, outputs_, next_outputs_;
  Buffer<T> a_, a_aug_, t_;
  Buffer<double> products_;
};

template <class T, class S>
void unit_rows(View<const S> rows, T* out) {
  for (index_t k = 0; k < rows.rows; ++k, out += rows.cols) {
    double square = 0;
    for (index_t j = 0; j < rows.cols; ++j)
      square += static_cast<double>(rows.row(k)[j]) * static_cast<double>(rows.row(k)[j]);
    for (index_t j = 0; j < rows.cols; ++j)
      out[j] = static_cast<T>(static_cast<double>(rows.row(k)[j]) / std::sqrt(square));
  }
}

template <class T, class S>
NodeClimb<T, S>::NodeClimb(std::shared_ptr<const Layer<T, S>> layer, View<const S> weights, View<const S> frozen_at,
                           const ClimbOptions& options, double most)
    : shared_layer_(std::move(layer)), layer_(*shared_layer_), options_(options), most_(most) {
  const index_t n = layer_.size(), d = layer_.features(), count = weights.rows;
  weights_.resize(count * d);
  unit_rows(weights, weights_.data());
  nodes_.resize(static_cast<std::size_t>(count));
  lines_ = std::vector<NodeSeries<T>>(static_cast<std::size_t>(own() ? count : 0));
  for (index_t k = 0; k < count; ++k) {
    Node& node = nodes_[static_cast<std::size_t>(k)];
    node.id = node.row = k;
    node.w = weights_.data() + k * d;
  }
  for (Buffer<T>* rows : {&p_, &p_aug_, &next_p_, &next_p_aug_, &a_, &a_aug_}) rows->resize(count * n);
  if (own_outputs()) outputs_.resize(count * n);
  if (other_inputs() && !options.frozen) next_outputs_.resize(count * n);
  if (!own()) t_.resize(count * n);
  products_.resize(count * d);
  layer_.project(layer_.x(), weights_.data(), count, p_.data());
  layer_.project(layer_.x_aug(), weights_.data(), count, p_aug_.data());
  if (!own_outputs()) return;
  if (!other_inputs() && frozen_at.data == weights.data) {
    std::copy_n(p_.data(), count * n, outputs_.data());
    return;
  }
  Buffer<T> starts(count * d);
  unit_rows(options.frozen ? frozen_at : weights, starts.data());
  if (other_inputs())
    layer_.project_own_inputs(starts.data(), count, outputs_.data());
  else
    layer_.project(layer_.x(), starts.data(), count, outputs_.data());
}

template <class T, class S>
std::vector<typename NodeClimb<T, S>::Node*> NodeClimb<T, S>::going() {
  std::vector<Node*> found;
  for (Node& node : nodes_)
    if (!node.stopped) found.push_back(&node);
  return found;
}

// y = A(w)w, λ, the residual and the energy of every node of the list; those that have converged stop and leave it.
template <class T, class S>
void NodeClimb<T, S>::judge(std::vector<Node*>& nodes) {
  const Layer<T, S>& layer = layer_;
  const index_t n = layer.size(), d = layer.features(), count = static_cast<index_t>(nodes.size());
  const double c = layer.homogeneity();
  const auto open = [&](index_t i) {
    const index_t row = nodes[static_cast<std::size_t>(i)]->row;
    const T *p = p_.data() + row * n, *p_aug = p_aug_.data() + row * n;
    node_kernels<T>().gate_row(layer.gate(), p, p, T(1), n, a_.data() + i * n);
    node_kernels<T>().gate_row(layer.gate(), p_aug, p_aug, T(1), n, a_aug_.data() + i * n);
  };
  if (!own()) {
    parallel_for(count, [&](index_t i, int) { open(i); });
    layer.shared_laplacian(a_.data(), count, t_.data());
  }
  PerWorker<Work> works;
  Buffer<double> sums(count), minuends(count);
  parallel_for(count, [&](index_t i, int worker) {
    Work& work = works[worker];
    Node& node = *nodes[static_cast<std::size_t>(i)];
    const T *p = p_.data() + node.row * n, *p_aug = p_aug_.data() + node.row * n;
    T *a = a_.data() + i * n, *a_aug = a_aug_.data() + i * n;
    const T *t = t_.data() + i * n, *r = layer.weight(), *row_size = layer.row_size();
    const T reference = layer.reference_gate(node.w, p, p_aug);
    if (own()) {
      open(i);
      work.t.resize(n);
      work.r.resize(n);
      const T* outputs = own_outputs() ? outputs_.data() + (options_.frozen ? node.id : node.row) * n : p;
      NodeSeries<T>& line = lines_[static_cast<std::size_t>(node.id)];
      if (node.fresh || !options_.frozen)
        fit_series(layer.gate(), c, layer.tau(), layer.tol(), p, outputs, n, line, work.scratch);
      node.fresh = false;
      node_laplacian(layer.gate(), c, layer.tau(), layer.tol(), p, outputs, a, reference, n, line, work.t.data(),
                     work.r.data(), work.scratch);
      t = work.t.data();
      row_size = r = work.r.data();
    }
    work.gates.resize(2 * n);
    minuends[i] = layer.minuend(p, p_aug, a, a_aug, 1, row_size, own() ? 2 : 1, r, reference, work.gates.data());
    node.energy = 0.5 * layer.scale() / (c * c) * node_kernels<T>().quadratic_form(a, a_aug, t, r, n);
    sums[i] = node_kernels<T>().gate_laplacian(layer.gate(), p, p_aug, t, r, reference, n, a, a_aug);
  });
  layer.back(a_.data(), a_aug_.data(), sums.data(), count, products_.data());
  for (index_t e = 0; e < count * d; ++e) products_[e] *= layer.scale();
  for (index_t i = 0; i < count; ++i) judge(*nodes[static_cast<std::size_t>(i)], products_.data() + i * d, minuends[i]);
  index_t kept = 0;
  for (index_t i = 0; i < count; ++i) {
    if (nodes[static_cast<std::size_t>(i)]->stopped) continue;
    std::copy_n(products_.data() + i * d, d, products_.data() + kept * d);
    nodes[static_cast<std::size_t>(kept++)] = nodes[static_cast<std::size_t>(i)];
  }
  nodes.resize(static_cast<std::size_t>(kept));
}

// λ, the residual and ‖y‖ of y = A(w)w.
template <class T, class S>
void NodeClimb<T, S>::measure(Node& node, const double* y) {
  const index_t d = layer_.features();
  double along = 0;
  Buffer<double> off(d);
  for (index_t j = 0; j < d; ++j) along += y[j] * static_cast<double>(node.w[j]);
  for (index_t j = 0; j < d; ++j) off[j] = y[j] - along * static_cast<double>(node.w[j]);
  node.value = along;
  node.residual = norm_of(off.data(), d);
  node.size = norm_of(y, d);
  node.norm = std::max(node.norm, node.size);
  node.converged = node.ended || node.residual <= options_.tol * node.norm;
}

template <class T, class S>
void NodeClimb<T, S>::judge(Node& node, const double* y, double minuend) {
  measure(node, y);
  node.lost = layer_.scale() * minuend / node.size;
  // What has left the range of float may be finite in double.
  node.gave_up = node.lost > most_ || (std::isfinite(most_) && !std::isfinite(node.size));
  // NaN leads nowhere.
  node.stopped = node.gave_up || node.converged || !std::isfinite(node.size);
}

// Moves every node of the list, whose products stand in products_.
template <class T, class S>
void NodeClimb<T, S>::climb(const std::vector<Node*>& nodes) {
  constexpr int most_trials = 40;
  const Layer<T, S>& layer = layer_;
  const index_t n = layer.size(), d = layer.features(), count = static_cast<index_t>(nodes.size());
  const double c = layer.homogeneity();
  // Energies are not known better than this.
  constexpr double rounding = 8 * static_cast<double>(std::numeric_limits<T>::epsilon());
  // So many steps in a row that raise the energy by nothing, against what the gradient promised, end a climb.
  constexpr int most_idle = 10;
  Buffer<T> w(count * d), again, again_aug;
  Buffer<double> promised(count);
  std::vector<index_t> pending(static_cast<std::size_t>(count));
  std::vector<char> accepted(static_cast<std::size_t>(count), 0);
  for (index_t i = 0; i < count; ++i) pending[static_cast<std::size_t>(i)] = i;
  PerWorker<Work> works;
  for (int trial = 0; trial < most_trials && !pending.empty(); ++trial) {
    const index_t tried = static_cast<index_t>(pending.size());
    for (index_t q = 0; q < tried; ++q) {
      const index_t i = pending[static_cast<std::size_t>(q)];
      const Node& node = *nodes[static_cast<std::size_t>(i)];
      double largest = 0, square = 0;
      Buffer<double> moved(d);
      for (index_t j = 0; j < d; ++j) {
        moved[j] = products_[i * d + j] + node.shift * static_cast<double>(node.w[j]);
        largest = std::max(largest, std::fabs(moved[j]));
      }
      for (index_t j = 0; largest > 0 && j < d; ++j) {
        moved[j] /= largest;  // whose squares may lie outside the range of a double
        square += moved[j] * moved[j];
      }
      promised[i] = 0;
      for (index_t j = 0; j < d; ++j) {
        w[q * d + j] = square > 0 ? static_cast<T>(moved[j] / std::sqrt(square)) : node.w[j];
        promised[i] += products_[i * d + j] * (static_cast<double>(w[q * d + j]) - static_cast<double>(node.w[j])) / c;
      }
    }
    // The first trial is all of them, in place; later ones are few.
    T *p = next_p_.data(), *p_aug = next_p_aug_.data();
    if (trial > 0) {
      again.resize(tried * n);
      again_aug.resize(tried * n);
      p = again.data();
      p_aug = again_aug.data();
    }
    layer.project(layer.x(), w.data(), tried, p);
    layer.project(layer.x_aug(), w.data(), tried, p_aug);
    const auto open = [&](index_t q) {
      node_kernels<T>().gate_row(layer.gate(), p + q * n, p + q * n, T(1), n, a_.data() + q * n);
      node_kernels<T>().gate_row(layer.gate(), p_aug + q * n, p_aug + q * n, T(1), n, a_aug_.data() + q * n);
    };
    if (!own()) {
      parallel_for(tried, [&](index_t q, int) { open(q); });
      layer.shared_laplacian(a_.data(), tried, t_.data());
    }
    parallel_for(tried, [&](index_t q, int worker) {
      Work& work = works[worker];
      const index_t i = pending[static_cast<std::size_t>(q)];
      Node& node = *nodes[static_cast<std::size_t>(i)];
      T *a = a_.data() + q * n, *a_aug = a_aug_.data() + q * n;
      const T *t = own() ? nullptr : t_.data() + q * n, *r = layer.weight();
      if (own()) {
        open(q);
        work.t.resize(n);
        work.r.resize(n);
        // α of the step: of the outputs before it, so the gates of those outputs cannot say where a is 0.
        const T* before =
            own_outputs() ? outputs_.data() + (options_.frozen ? node.id : node.row) * n : p_.data() + node.row * n;
        node_laplacian(layer.gate(), c, layer.tau(), layer.tol(), p + q * n, before, a, T(0), n,
                       lines_[static_cast<std::size_t>(node.id)], work.t.data(), work.r.data(), work.scratch);
        t = work.t.data();
        r = work.r.data();
      }
      const double energy = 0.5 * layer.scale() / (c * c) * node_kernels<T>().quadratic_form(a, a_aug, t, r, n);
      const double unseen = rounding * std::fabs(node.energy);
      if (trial > 0 && promised[i] < unseen) return;  // no step of a length that can be seen raises the energy
      const double gain = energy - node.energy;
      if (!(gain >= -unseen)) {
        node.shift = std::max(2 * node.shift, node.norm);
        return;
      }
      node.idle = gain < unseen && promised[i] > std::max(unseen, 10 * gain) ? node.idle + 1 : 0;
      node.ended = node.idle == most_idle;
      accepted[static_cast<std::size_t>(i)] = 1;
      node.shift = trial == 0 ? 0.5 * node.shift : node.shift;
      node.steps += 1;
      std::copy_n(w.data() + q * d, d, node.w);
      if (trial > 0) {
        std::copy_n(p + q * n, n, next_p_.data() + i * n);
        std::copy_n(p_aug + q * n, n, next_p_aug_.data() + i * n);
      }
    });
    std::vector<index_t> rest;
    for (const index_t i : pending) {
      Node& node = *nodes[static_cast<std::size_t>(i)];
      if (accepted[static_cast<std::size_t>(i)]) continue;
      if (trial > 0 && promised[i] < rounding * std::fabs(node.energy))
        node.stopped = node.converged = true;
      else
        rest.push_back(i);
    }
    pending.swap(rest);
  }
  // However short a step was, the energy did not rise: a maximum, perhaps with a kink, as where wᵀx = 0.
  for (const index_t i : pending) {
    Node& node = *nodes[static_cast<std::size_t>(i)];
    node.stopped = node.converged = true;
  }
  if (other_inputs() && !options_.frozen) {
    for (index_t i = 0; i < count; ++i) std::copy_n(nodes[static_cast<std::size_t>(i)]->w, d, w.data() + i * d);
    layer.project_own_inputs(w.data(), count, next_outputs_.data());
    std::swap(outputs_, next_outputs_);
  }
  std::swap(p_, next_p_);
  std::swap(p_aug_, next_p_aug_);
  for (index_t i = 0; i < count; ++i) nodes[static_cast<std::size_t>(i)]->row = i;
}

template <class T, class S>
index_t NodeClimb<T, S>::step() {
  std::vector<Node*> nodes = going();
  if (nodes.empty()) return 0;
  judge(nodes);
  if (!nodes.empty()) climb(nodes);
  return static_cast<index_t>(going().size());
}

template <class T, class S>
void NodeClimb<T, S>::finish() {
  std::vector<Node*> nodes = going();
  if (!nodes.empty()) judge(nodes);
}

template <class T, class S>
void NodeClimb<T, S>::settle() {
  static_assert(std::is_same_v<T, double>);
  const index_t n = layer_.size(), d = layer_.features();
  std::vector<Node*> lost;
  for (Node& node : nodes_)
    if (node.lost > wide_limits<S>.minuend) lost.push_back(&node);
  if (!few_pairs(n, std::max<index_t>(2 * d, 64) * static_cast<index_t>(lost.size()))) return;
  Buffer<double> outputs(n), y(d);
  for (Node* node : lost) {
    const double* compared = outputs.data();
    if (own() && options_.frozen)
      compared = outputs_.data() + node->id * n;
    else if (other_inputs())
      layer_.project_own_inputs(node->w, 1, outputs.data());
    else if (own())
      layer_.project(layer_.x(), node->w, 1, outputs.data());
    node_product_of_differences(layer_, node->w, compared, node->w, y.data());
    const bool converged = node->converged;
    measure(*node, y.data());
    node->converged = node->converged || converged;
  }
}

template <class T, class S>
std::vector<index_t> NodeClimb<T, S>::given_up() {
  std::vector<index_t> found;
  for (Node& node : nodes_) {
    if (!node.gave_up) continue;
    found.push_back(node.id);
    node.gave_up = false;
  }
  return found;
}

template <class T, class S>
void NodeClimb<T, S>::write(const ClimbResult<S>& out) const {
  for (const Node& node : nodes_) {
    weights_of(node.id, out.weights + node.id * layer_.features());
    out.eigenvalue[node.id] = static_cast<S>(node.value);
    out.residual[node.id] = static_cast<S>(node.residual);
    // ½ C_α[h] = wᵀA(w)w / 2c², which has not lost what an offset of the outputs costs the sum of their squares.
    out.energy[node.id] = static_cast<S>(0.5 * node.value / (layer_.homogeneity() * layer_.homogeneity()));
    out.steps[node.id] = node.steps;
    out.converged[node.id] = node.converged;
  }
}

// Nodes that go on in double, from where float lost their digits.
template <class S>
struct WideClimb {
  std::vector<index_t> ids;
  std::unique_ptr<NodeClimb<double, S>> climb;
};

}  // namespace

template <class T>
struct Climb<T>::Parts {
  View<const T> x, x_aug;
  Buffer<T> starts;  // K × d
  Activation h;
  NodeImportance<T> alpha;
  ClimbOptions options;
  NodeClimb<T, T> climb;
  std::shared_ptr<const Layer<double, T>> wide_layer;  // of all that go on in double
  std::vector<WideClimb<T>> wide;

  // Nodes that have given up go on in double.
  void take_over() {
    const std::vector<index_t> ids = climb.given_up();
    if (ids.empty()) return;
    const index_t count = static_cast<index_t>(ids.size()), d = x.cols;
    Buffer<T> weights(count * d), frozen_at(count * d);
    for (index_t i = 0; i < count; ++i) {
      const index_t id = ids[static_cast<std::size_t>(i)];
      climb.weights_of(id, weights.data() + i * d);
      std::copy_n(starts.data() + id * d, d, frozen_at.data() + i * d);
    }
    constexpr double never = std::numeric_limits<double>::infinity();
    if (!wide_layer) wide_layer = std::make_shared<Layer<double, T>>(x, x_aug, h, alpha);
    const View<const T> from{weights.data(), count, d, d}, frozen{frozen_at.data(), count, d, d};
    wide.push_back({ids, std::make_unique<NodeClimb<double, T>>(wide_layer, from, frozen, options, never)});
  }
};

template <class T>
Climb<T>::Climb(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
                const NodeImportance<T>& alpha, const ClimbOptions& options) {
  constexpr double most =
      std::is_same_v<T, float> ? largest_cancellation_of_products : std::numeric_limits<double>::infinity();
  Buffer<T> starts(weights.rows * weights.cols);
  for (index_t k = 0; k < weights.rows; ++k)
    std::copy_n(weights.row(k), weights.cols, starts.data() + k * weights.cols);
  parts_.reset(
      new Parts{x,
                x_aug,
                std::move(starts),
                h,
                alpha,
                options,
                NodeClimb<T, T>(std::make_shared<Layer<T, T>>(x, x_aug, h, alpha), weights, weights, options, most),
                nullptr,
                {}});
}

template <class T>
Climb<T>::~Climb() = default;

template <class T>
index_t Climb<T>::step() {
  index_t left = parts_->climb.step();
  parts_->take_over();
  for (const WideClimb<T>& wide : parts_->wide) left += wide.climb->step();
  return left;
}

template <class T>
void Climb<T>::finish() {
  parts_->climb.finish();
  parts_->take_over();
  if constexpr (std::is_same_v<T, double>) parts_->climb.settle();
  for (const WideClimb<T>& wide : parts_->wide) {
    wide.climb->finish();
    wide.climb->settle();
  }
}

template <class T>
void Climb<T>::write(const ClimbResult<T>& out) const {
  parts_->climb.write(out);
  const index_t d = parts_->x.cols;
  for (const WideClimb<T>& wide : parts_->wide) {
    const index_t count = static_cast<index_t>(wide.ids.size());
    Buffer<T> weights(count * d), value(count), residual(count), energy(count);
    Buffer<std::int64_t> steps(count);
    Buffer<bool> converged(count);
    wide.climb->write({weights.data(), value.data(), residual.data(), energy.data(), steps.data(), converged.data()});
    for (index_t i = 0; i < count; ++i) {
      const index_t id = wide.ids[static_cast<std::size_t>(i)];
      std::copy_n(weights.data() + i * d, d, out.weights + id * d);
      out.eigenvalue[id] = value[i];
      out.residual[id] = residual[i];
      out.energy[id] = energy[i];
      out.steps[id] += steps[i];
      out.converged[id] = converged[i];
    }
  }
}

template class Climb<float>;
template class Climb<double>;

}  // namespace alphacl
