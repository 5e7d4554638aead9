// The climb of K nodes to their local maxima: steps, line search and convergence, over passes of the nodes.
#include <cmath>
#include <limits>

#include "alphacl/gated_operator.h"
#include "nodes/climb_rows.h"
#include "nodes/node_literal_sums.h"
#include "nodes/node_pass.h"

namespace alphacl {

namespace {
constexpr int most_trials = 40;
// A climb ends after so many steps in a row whose energy does not rise although the gradient promised that it would.
constexpr int most_idle = 10;

template <class T, class S>
Buffer<T> unit_rows(View<const S> rows) {
  Buffer<T> units(rows.rows * rows.cols);
  for (index_t k = 0; k < rows.rows; ++k) {
    double square = 0;
    for (index_t j = 0; j < rows.cols; ++j)
      square += static_cast<double>(rows.row(k)[j]) * static_cast<double>(rows.row(k)[j]);
    for (index_t j = 0; j < rows.cols; ++j)
      units[k * rows.cols + j] = static_cast<T>(static_cast<double>(rows.row(k)[j]) / std::sqrt(square));
  }
  return units;
}

// A climb of K nodes, data held as S, computed in T.
template <class T, class S>
class NodeClimb {
 public:
  /// weights: K × d. frozen_at (K × d): the nodes whose outputs enter a frozen importance. A node gives up when the
  /// minuend of its product exceeds `most` times the product.
  NodeClimb(std::shared_ptr<const Layer<T, S>> layer, View<const S> weights, View<const S> frozen_at,
            const ClimbOptions& options, double most);
  index_t step();
  void finish();
  /// In double only: recomputes λ and the residual of nodes that have lost their digits, from the differences of all
  /// pairs, if these are few.
  void settle();
  void write(const ClimbResult<S>& out) const;
  /// The nodes that have given up since the last call.
  std::vector<index_t> given_up();
  void weights_of(index_t node, S* out) const {
    for (index_t j = 0; j < layer_.features(); ++j) out[j] = static_cast<S>(weights_[node * layer_.features() + j]);
  }

 private:
  struct Node {
    index_t id;
    T* w;  // d, of length 1
    double value = 0, residual = 0, energy = 0, size = 0, norm = 0;
    double lost = 0;   // ‖minuend‖ / ‖A(w)w‖: the cancellation in the product
    double shift = 0;  // σ
    std::int64_t steps = 0;
    int idle = 0;
    // ended: the last step did not raise the energy; the node stops once it has been evaluated at its new weights.
    bool converged = false, ended = false, stopped = false, gave_up = false, fresh = true;
  };
  // The line search of all nodes that have not stopped. Their products stand in products_; indices are those of the
  // list.
  struct LineSearch {
    explicit LineSearch(index_t count, index_t d)
        : w(count * d), promised(count), pending(static_cast<std::size_t>(count)), accepted(pending.size(), 0) {
      for (index_t i = 0; i < count; ++i) pending[static_cast<std::size_t>(i)] = i;
    }
    Buffer<T> w;                   // trial weights of the q-th pending node
    Buffer<double> promised;       // the gain in energy that the gradient predicts for the trial
    std::vector<index_t> pending;  // nodes without a step yet
    std::vector<char> accepted;
  };
  using Works = PerWorker<typename NodePass<T, S>::Work>;

  bool own() const { return layer_.shared() == nullptr; }
  NodeSeries<T>* series_of(const Node& node) { return own() ? &series_[static_cast<std::size_t>(node.id)] : nullptr; }
  // The rounding error of an energy.
  static double rounding(const Node& node) {
    return 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) * std::fabs(node.energy);
  }

  std::vector<Node*> going();
  void evaluate(std::vector<Node*>& nodes);
  NodeRow<T> gate(index_t i, Node& node, NodeScratch<T>& scratch);
  void measure(Node& node, const double* y);
  void judge(Node& node, const double* y, double minuend);
  void line_search(const std::vector<Node*>& nodes);
  double propose(const Node& node, const double* y, T* w) const;
  bool accept(Node& node, double energy, double promised, bool first);

  std::shared_ptr<const Layer<T, S>> shared_layer_;
  const Layer<T, S>& layer_;
  ClimbOptions options_;
  double most_;
  Buffer<T> weights_;
  std::vector<Node> nodes_;
  std::vector<NodeSeries<T>> series_;  // of the outputs that enter the own α of each node
  ClimbRows<T, S> rows_;
  NodePass<T, S> pass_;
  Buffer<double> products_;
};

template <class T, class S>
NodeClimb<T, S>::NodeClimb(std::shared_ptr<const Layer<T, S>> layer, View<const S> weights, View<const S> frozen_at,
                           const ClimbOptions& options, double most)
    : shared_layer_(std::move(layer)),
      layer_(*shared_layer_),
      options_(options),
      most_(most),
      weights_(unit_rows<T>(weights)),
      nodes_(static_cast<std::size_t>(weights.rows)),
      series_(static_cast<std::size_t>(own() ? weights.rows : 0)),
      rows_(layer_, weights_.data(), frozen_at.data == weights.data ? weights_.data() : unit_rows<T>(frozen_at).data(),
            weights.rows, options.frozen),
      pass_(layer_),
      products_(weights.rows * weights.cols) {
  pass_.resize(weights.rows);
  for (index_t k = 0; k < weights.rows; ++k) {
    Node& node = nodes_[static_cast<std::size_t>(k)];
    node.id = k;
    node.w = weights_.data() + k * weights.cols;
  }
}

template <class T, class S>
std::vector<typename NodeClimb<T, S>::Node*> NodeClimb<T, S>::going() {
  std::vector<Node*> found;
  for (Node& node : nodes_)
    if (!node.stopped) found.push_back(&node);
  return found;
}

// Computes y = A(w)w, λ, residual and energy of every node of the list. Nodes that stop leave the list.
template <class T, class S>
void NodeClimb<T, S>::evaluate(std::vector<Node*>& nodes) {
  const index_t d = layer_.features(), count = static_cast<index_t>(nodes.size());
  const auto node = [&](index_t i) -> Node& { return *nodes[static_cast<std::size_t>(i)]; };
  Works works;
  pass_.run(
      count, works, [&](index_t i, NodeScratch<T>& scratch) { return gate(i, node(i), scratch); },
      [&](index_t i, const NodeRow<T>& row) {
        node(i).energy = pass_.energy(row);
        pass_.gate_back(i, row, 1);
      });
  pass_.back(count, products_.data());
  for (index_t e = 0; e < count * d; ++e) products_[e] *= layer_.scale();
  index_t kept = 0;
  for (index_t i = 0; i < count; ++i) {
    judge(node(i), products_.data() + i * d, pass_.minuend(i));
    if (node(i).stopped) continue;
    std::copy_n(products_.data() + i * d, d, products_.data() + kept * d);
    nodes[static_cast<std::size_t>(kept++)] = nodes[static_cast<std::size_t>(i)];
  }
  nodes.resize(static_cast<std::size_t>(kept));
}

template <class T, class S>
NodeRow<T> NodeClimb<T, S>::gate(index_t i, Node& node, NodeScratch<T>& scratch) {
  const T *p = rows_.p(node.id), *p0 = rows_.p0(node.id);
  NodeSeries<T>* series = series_of(node);
  if (series != nullptr && (node.fresh || !options_.frozen)) fit_series(layer_.own(), p, p0, *series, scratch);
  node.fresh = false;
  return rows_.gate(pass_, i, node.id, series, layer_.reference_gate(node.w, p, rows_.p_aug(node.id)));
}

// Computes λ, the residual and ‖y‖ of y = A(w)w.
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
  // What overflowed in float may be finite in double.
  node.gave_up = node.lost > most_ || (std::isfinite(most_) && !std::isfinite(node.size));
  // A NaN stops the node.
  node.stopped = node.gave_up || node.converged || !std::isfinite(node.size);
}

// Moves every node of the list; their products stand in products_.
template <class T, class S>
void NodeClimb<T, S>::line_search(const std::vector<Node*>& nodes) {
  const index_t d = layer_.features(), count = static_cast<index_t>(nodes.size());
  const auto node = [&](index_t i) -> Node& { return *nodes[static_cast<std::size_t>(i)]; };
  LineSearch search(count, d);
  Works works;
  for (int trial = 0; trial < most_trials && !search.pending.empty(); ++trial) {
    const bool first = trial == 0;
    const index_t tried = static_cast<index_t>(search.pending.size());
    const auto tried_node = [&](index_t q) { return search.pending[static_cast<std::size_t>(q)]; };
    for (index_t q = 0; q < tried; ++q) {
      const index_t i = tried_node(q);
      search.promised[i] = propose(node(i), products_.data() + i * d, search.w.data() + q * d);
    }
    rows_.project(search.w.data(), tried, first);
    pass_.run(
        tried, works,
        [&](index_t q, NodeScratch<T>&) {
          Node& of_trial = node(tried_node(q));
          return rows_.gate_trial(pass_, q, of_trial.id, series_of(of_trial));
        },
        [&](index_t q, const NodeRow<T>& row) {
          const index_t i = tried_node(q);
          if (!accept(node(i), pass_.energy(row), search.promised[i], first)) return;
          search.accepted[static_cast<std::size_t>(i)] = 1;
          std::copy_n(search.w.data() + q * d, d, node(i).w);
          if (!first) rows_.take(q, i);
        });
    std::vector<index_t> rest;
    for (const index_t i : search.pending) {
      if (search.accepted[static_cast<std::size_t>(i)]) continue;
      if (!first && search.promised[i] < rounding(node(i)))
        node(i).stopped = node(i).converged = true;
      else
        rest.push_back(i);
    }
    search.pending.swap(rest);
  }
  // No step of any length raised the energy: a maximum, perhaps at a kink (wᵀx = 0).
  for (const index_t i : search.pending) node(i).stopped = node(i).converged = true;
  std::vector<index_t> ids;
  for (index_t i = 0; i < count; ++i) {
    ids.push_back(node(i).id);
    std::copy_n(node(i).w, d, search.w.data() + i * d);
  }
  rows_.move(ids, search.w.data());
}

// w = (y + σ w)/‖·‖ for the node's product y. Returns the gain in energy that the gradient predicts.
template <class T, class S>
double NodeClimb<T, S>::propose(const Node& node, const double* y, T* w) const {
  const index_t d = layer_.features();
  double largest = 0, square = 0, promised = 0;
  Buffer<double> moved(d);
  for (index_t j = 0; j < d; ++j) {
    moved[j] = y[j] + node.shift * static_cast<double>(node.w[j]);
    largest = std::max(largest, std::fabs(moved[j]));
  }
  for (index_t j = 0; largest > 0 && j < d; ++j) {
    moved[j] /= largest;  // its squares could leave the range of a double
    square += moved[j] * moved[j];
  }
  for (index_t j = 0; j < d; ++j) {
    w[j] = square > 0 ? static_cast<T>(moved[j] / std::sqrt(square)) : node.w[j];
    promised += y[j] * (static_cast<double>(w[j]) - static_cast<double>(node.w[j])) / layer_.homogeneity();
  }
  return promised;
}

// Accepts a trial whose energy does not fall; otherwise raises σ.
template <class T, class S>
bool NodeClimb<T, S>::accept(Node& node, double energy, double promised, bool first) {
  const double unseen = rounding(node);
  if (!first && promised < unseen) return false;  // the predicted gain is below rounding
  const double gain = energy - node.energy;
  if (!(gain >= -unseen)) {
    node.shift = std::max(2 * node.shift, node.norm);
    return false;
  }
  node.idle = gain < unseen && promised > std::max(unseen, 10 * gain) ? node.idle + 1 : 0;
  node.ended = node.idle == most_idle;
  node.shift = first ? 0.5 * node.shift : node.shift;
  node.steps += 1;
  return true;
}

template <class T, class S>
index_t NodeClimb<T, S>::step() {
  std::vector<Node*> nodes = going();
  if (nodes.empty()) return 0;
  evaluate(nodes);
  if (!nodes.empty()) line_search(nodes);
  return static_cast<index_t>(going().size());
}

template <class T, class S>
void NodeClimb<T, S>::finish() {
  std::vector<Node*> nodes = going();
  if (!nodes.empty()) evaluate(nodes);
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
    const double* compared = rows_.outputs_of(node->id, node->w, outputs.data());
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
    // ½ C_α[h] = wᵀA(w)w / 2c². Unlike the sum of squared outputs, λ loses no digits to an offset of the outputs.
    out.energy[node.id] = static_cast<S>(0.5 * node.value / (layer_.homogeneity() * layer_.homogeneity()));
    out.steps[node.id] = node.steps;
    out.converged[node.id] = node.converged;
  }
}

// Nodes that continue in double, from the weights at which float lost their digits.
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
  std::shared_ptr<const Layer<double, T>> wide_layer;  // shared by all that continue in double
  std::vector<WideClimb<T>> wide;

  // Continues the nodes that have given up in double.
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
