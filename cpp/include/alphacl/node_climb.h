// The climb of K nodes to their local maxima: steps, line search and convergence, over a pass that a backend supplies.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "alphacl/gated_operator.h"
#include "alphacl/precision.h"

namespace alphacl {

/// Rows divided by their lengths.
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

/// The climb of K nodes, data held as S, computed in T. Pass is what a backend does over the samples:
///
///     features(), samples(), homogeneity()
///     evaluate(ids, weights, energy, minuend, products)  ½ C_α[h], the minuend of A(w)w, and A(w)w of each node
///     try_steps(ids, w, first, energy)                   the energy at trial weights, with the α of the step
///     take(q, i), move(ids, w)                           a trial is the step; the nodes stand where their steps led
///     place(weights)                                     all nodes stand at these weights, T other than S
///     literal_product(id, w, y)                          A(w)w by the differences of all pairs, T double
template <class T, class S, class Pass>
class NodeClimb {
 public:
  /// weights: K × d. frozen_at (K × d): the nodes whose outputs enter a frozen importance. A node gives up when the
  /// minuend of its product exceeds `most` times the product. data: the first arguments of the pass.
  template <class... Data>
  NodeClimb(View<const S> weights, View<const S> frozen_at, const ClimbOptions& options, double most, Data&&... data)
      : options_(options),
        most_(most),
        weights_(unit_rows<T>(weights)),
        nodes_(static_cast<std::size_t>(weights.rows)),
        pass_(std::forward<Data>(data)..., weights_.data(),
              frozen_at.data == weights.data ? weights_.data() : unit_rows<T>(frozen_at).data(), weights.rows,
              options.frozen),
        products_(weights.rows * weights.cols) {
    for (index_t k = 0; k < weights.rows; ++k) {
      Node& node = nodes_[static_cast<std::size_t>(k)];
      node.id = k;
      node.w = weights_.data() + k * weights.cols;
    }
  }
  index_t step();
  void finish();
  /// In double only: recomputes λ and the residual of nodes that have lost their digits, from the differences of all
  /// pairs, if these are few.
  void settle();
  void write(const ClimbResult<S>& out) const;
  /// The nodes that have given up since the last call.
  std::vector<index_t> given_up();
  void weights_of(index_t node, S* out) const {
    const index_t d = pass_.features();
    for (index_t j = 0; j < d; ++j) out[j] = static_cast<S>(weights_[node * d + j]);
  }

 private:
  static constexpr int most_trials = 40;
  // A climb ends, at a kink, after so many steps in a row whose energy does not rise although the gradient promised
  // that it would. Where h has no kink (homogeneity above 1), so many steps that give less than a tenth of the promise
  // raise σ: nodes of even activations may step to and fro between two weights of the same energy, up to rounding.
  static constexpr int most_idle = 10;

  struct Node {
    index_t id;
    T* w;  // d, of length 1
    double value = 0, residual = 0, energy = 0, size = 0, norm = 0;
    double lost = 0;   // ‖minuend‖ / ‖A(w)w‖: the cancellation in the product
    double shift = 0;  // σ
    std::int64_t steps = 0;
    int idle = 0;
    // ended: the last step did not raise the energy; the node stops once it has been evaluated at its new weights.
    bool converged = false, ended = false, stopped = false, gave_up = false;
  };
  // The line search of all nodes that have not stopped. Their products stand in products_; indices are those of the
  // list.
  struct LineSearch {
    explicit LineSearch(index_t count, index_t d)
        : w(count * d), promised(count), pending(static_cast<std::size_t>(count)) {
      for (index_t i = 0; i < count; ++i) pending[static_cast<std::size_t>(i)] = i;
    }
    Buffer<T> w;                   // trial weights of the q-th pending node
    Buffer<double> promised;       // the gain in energy that the gradient predicts for the trial
    std::vector<index_t> pending;  // nodes without a step yet
  };

  // The rounding error of an energy.
  static double rounding(const Node& node) {
    return 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) * std::fabs(node.energy);
  }

  std::vector<Node*> going();
  void round_weights();
  static std::vector<index_t> ids_of(const std::vector<Node*>& nodes) {
    std::vector<index_t> ids;
    for (const Node* node : nodes) ids.push_back(node->id);
    return ids;
  }
  void evaluate(std::vector<Node*>& nodes);
  void measure(Node& node, const double* y);
  void judge(Node& node, const double* y, double minuend);
  void line_search(const std::vector<Node*>& nodes);
  double propose(const Node& node, const double* y, T* w) const;
  bool accept(Node& node, double energy, double promised, bool first);

  ClimbOptions options_;
  double most_;
  Buffer<T> weights_;
  std::vector<Node> nodes_;
  Pass pass_;
  Buffer<double> products_;
};

template <class T, class S, class Pass>
std::vector<typename NodeClimb<T, S, Pass>::Node*> NodeClimb<T, S, Pass>::going() {
  std::vector<Node*> found;
  for (Node& node : nodes_)
    if (!node.stopped) found.push_back(&node);
  return found;
}

// Computes y = A(w)w, λ, residual and energy of every node of the list. Nodes that stop leave the list.
template <class T, class S, class Pass>
void NodeClimb<T, S, Pass>::evaluate(std::vector<Node*>& nodes) {
  const index_t d = pass_.features(), count = static_cast<index_t>(nodes.size());
  Buffer<double> energies(count), minuends(count);
  pass_.evaluate(ids_of(nodes), weights_.data(), energies.data(), minuends.data(), products_.data());
  index_t kept = 0;
  for (index_t i = 0; i < count; ++i) {
    Node& node = *nodes[static_cast<std::size_t>(i)];
    node.energy = energies[i];
    judge(node, products_.data() + i * d, minuends[i]);
    if (node.stopped) continue;
    std::copy_n(products_.data() + i * d, d, products_.data() + kept * d);
    nodes[static_cast<std::size_t>(kept++)] = &node;
  }
  nodes.resize(static_cast<std::size_t>(kept));
}

// Computes λ, the residual and ‖y‖ of y = A(w)w.
template <class T, class S, class Pass>
void NodeClimb<T, S, Pass>::measure(Node& node, const double* y) {
  const index_t d = pass_.features();
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

template <class T, class S, class Pass>
void NodeClimb<T, S, Pass>::judge(Node& node, const double* y, double minuend) {
  measure(node, y);
  node.lost = minuend / node.size;
  // What overflowed in float may be finite in double.
  node.gave_up = node.lost > most_ || (std::isfinite(most_) && !std::isfinite(node.size));
  // A NaN stops the node.
  node.stopped = node.gave_up || node.converged || !std::isfinite(node.size);
}

// Moves every node of the list; their products stand in products_.
template <class T, class S, class Pass>
void NodeClimb<T, S, Pass>::line_search(const std::vector<Node*>& nodes) {
  const index_t d = pass_.features(), count = static_cast<index_t>(nodes.size());
  const auto node = [&](index_t i) -> Node& { return *nodes[static_cast<std::size_t>(i)]; };
  LineSearch search(count, d);
  Buffer<double> energies(count);
  for (int trial = 0; trial < most_trials && !search.pending.empty(); ++trial) {
    const bool first = trial == 0;
    const std::vector<index_t> tried = search.pending;
    std::vector<index_t> ids;
    for (std::size_t q = 0; q < tried.size(); ++q) {
      const index_t i = tried[q];
      T* w = search.w.data() + static_cast<index_t>(q) * d;
      search.promised[i] = propose(node(i), products_.data() + i * d, w);
      ids.push_back(node(i).id);
    }
    pass_.try_steps(ids, search.w.data(), first, energies.data());
    search.pending.clear();
    for (std::size_t q = 0; q < tried.size(); ++q) {
      const index_t i = tried[q], row = static_cast<index_t>(q);
      if (accept(node(i), energies[row], search.promised[i], first)) {
        std::copy_n(search.w.data() + row * d, d, node(i).w);
        if (!first) pass_.take(row, i);
      } else if (!first && search.promised[i] < rounding(node(i))) {
        node(i).stopped = node(i).converged = true;
      } else {
        search.pending.push_back(i);
      }
    }
  }
  // No step of any length raised the energy: a maximum, perhaps at a kink (wᵀx = 0).
  for (const index_t i : search.pending) node(i).stopped = node(i).converged = true;
  for (index_t i = 0; i < count; ++i) std::copy_n(node(i).w, d, search.w.data() + i * d);
  pass_.move(ids_of(nodes), search.w.data());
}

// w = (y + σ w)/‖·‖ for the node's product y. Returns the gain in energy that the gradient predicts.
template <class T, class S, class Pass>
double NodeClimb<T, S, Pass>::propose(const Node& node, const double* y, T* w) const {
  const index_t d = pass_.features();
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
    promised += y[j] * (static_cast<double>(w[j]) - static_cast<double>(node.w[j])) / pass_.homogeneity();
  }
  return promised;
}

// Accepts a trial whose energy does not fall; otherwise, or where it is the tenth in a row that would step to and fro,
// raises σ.
template <class T, class S, class Pass>
bool NodeClimb<T, S, Pass>::accept(Node& node, double energy, double promised, bool first) {
  const double unseen = rounding(node);
  if (!first && promised < unseen) return false;  // the predicted gain is below rounding
  const double gain = energy - node.energy;
  const bool fell = !(gain >= -unseen);
  const bool smooth = pass_.homogeneity() > 1;
  const bool idle = promised > std::max(unseen, 10 * gain) && (smooth || gain < unseen);
  if (!fell) node.idle = idle ? node.idle + 1 : 0;
  const bool to_and_fro = smooth && node.idle == most_idle;
  if (fell || to_and_fro) {
    node.shift = std::max(2 * node.shift, node.norm);
    if (to_and_fro) node.idle = 0;
    return false;
  }
  node.ended = node.idle == most_idle;
  node.shift = first ? 0.5 * node.shift : node.shift;
  node.steps += 1;
  return true;
}

template <class T, class S, class Pass>
index_t NodeClimb<T, S, Pass>::step() {
  std::vector<Node*> nodes = going();
  if (nodes.empty()) return 0;
  evaluate(nodes);
  if (!nodes.empty()) line_search(nodes);
  return static_cast<index_t>(going().size());
}

// Moves every node, also those that have stopped, to the weights that write() gives: λ and the residual are to be
// theirs.
template <class T, class S, class Pass>
void NodeClimb<T, S, Pass>::round_weights() {
  for (index_t e = 0; e < weights_.size(); ++e) weights_[e] = static_cast<T>(static_cast<S>(weights_[e]));
  pass_.place(weights_.data());
  for (Node& node : nodes_) {
    node.ended = node.ended || node.converged;
    node.stopped = false;
  }
}

template <class T, class S, class Pass>
void NodeClimb<T, S, Pass>::finish() {
  if constexpr (!std::is_same_v<T, S>) round_weights();
  std::vector<Node*> nodes = going();
  if (!nodes.empty()) evaluate(nodes);
}

template <class T, class S, class Pass>
void NodeClimb<T, S, Pass>::settle() {
  static_assert(std::is_same_v<T, double>);
  const index_t n = pass_.samples(), d = pass_.features();
  std::vector<Node*> lost;
  for (Node& node : nodes_)
    if (node.lost > wide_limits<S>.minuend) lost.push_back(&node);
  if (!few_pairs(n, std::max<index_t>(2 * d, 64) * static_cast<index_t>(lost.size()))) return;
  Buffer<double> y(d);
  for (Node* node : lost) {
    pass_.literal_product(node->id, node->w, y.data());
    const bool converged = node->converged;
    measure(*node, y.data());
    node->converged = node->converged || converged;
  }
}

template <class T, class S, class Pass>
std::vector<index_t> NodeClimb<T, S, Pass>::given_up() {
  std::vector<index_t> found;
  for (Node& node : nodes_) {
    if (!node.gave_up) continue;
    found.push_back(node.id);
    node.gave_up = false;
  }
  return found;
}

template <class T, class S, class Pass>
void NodeClimb<T, S, Pass>::write(const ClimbResult<S>& out) const {
  for (const Node& node : nodes_) {
    weights_of(node.id, out.weights + node.id * pass_.features());
    out.eigenvalue[node.id] = static_cast<S>(node.value);
    out.residual[node.id] = static_cast<S>(node.residual);
    // ½ C_α[h] = wᵀA(w)w / 2c². Unlike the sum of squared outputs, λ loses no digits to an offset of the outputs.
    out.energy[node.id] = static_cast<S>(0.5 * node.value / (pass_.homogeneity() * pass_.homogeneity()));
    out.steps[node.id] = node.steps;
    out.converged[node.id] = node.converged;
  }
}

}  // namespace alphacl
