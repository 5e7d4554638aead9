// The pass of a climb over the samples (alphacl/node_climb.h), with the pre-activations of K nodes at their weights and
// at the trial step. Private to the core.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "nodes/node_literal_sums.h"
#include "nodes/node_pass.h"

namespace alphacl {

template <class T, class S>
class ClimbPass {
 public:
  /// weights, compared: count × d, of length 1. The own α takes the outputs of `compared` throughout where `frozen`,
  /// else those at the current weights. Pass the same array for both where `compared` are the starts.
  ClimbPass(std::shared_ptr<const Layer<T, S>> layer, const T* weights, const T* compared, index_t count, bool frozen)
      : shared_layer_(std::move(layer)),
        layer_(*shared_layer_),
        frozen_(frozen),
        row_(static_cast<std::size_t>(count)),
        fitted_(static_cast<std::size_t>(count), 0),
        series_(static_cast<std::size_t>(own() ? count : 0)),
        pass_(layer_) {
    pass_.resize(count);
    const index_t n = layer_.size();
    for (Buffer<T>* rows : {&p_, &p_aug_, &next_p_, &next_p_aug_}) rows->resize(count * n);
    if (own_outputs()) outputs_.resize(count * n);
    if (other_inputs() && !frozen_) next_outputs_.resize(count * n);
    place(weights);
    if (!own_outputs() || !frozen_) return;
    if (!other_inputs() && compared == weights)
      std::copy_n(p_.data(), count * n, outputs_.data());
    else
      project_outputs(compared, count, outputs_.data());
  }

  index_t features() const { return layer_.features(); }
  index_t samples() const { return layer_.size(); }
  double homogeneity() const { return layer_.homogeneity(); }

  /// Energy, minuend and product A(w)w (d each) of the nodes `ids` where they stand; weights: of all nodes.
  void evaluate(const std::vector<index_t>& ids, const T* weights, double* energy, double* minuend, double* products) {
    const index_t d = features(), count = static_cast<index_t>(ids.size());
    Works works;
    pass_.run(
        count, works,
        [&](index_t i, NodeScratch<T>& scratch) {
          const index_t id = ids[static_cast<std::size_t>(i)];
          return gate_node(i, id, weights + id * d, scratch);
        },
        [&](index_t i, const NodeRow<T>& row) {
          energy[i] = pass_.energy(row);
          pass_.gate_back(i, row, 1);
        });
    pass_.back(count, products);
    for (index_t e = 0; e < count * d; ++e) products[e] *= layer_.scale();
    for (index_t i = 0; i < count; ++i) minuend[i] = layer_.scale() * pass_.minuend(i);
  }

  /// Energies at the trial vectors w (d each) of the nodes `ids`, with the α of the outputs before the step. The first
  /// trial is that of all nodes that go on; later ones are few.
  void try_steps(const std::vector<index_t>& ids, const T* w, bool first, double* energy) {
    const index_t tried = static_cast<index_t>(ids.size());
    project(w, tried, first);
    Works works;
    pass_.run(
        tried, works, [&](index_t q, NodeScratch<T>&) { return gate_trial(q, ids[static_cast<std::size_t>(q)]); },
        [&](index_t q, const NodeRow<T>& row) { energy[q] = pass_.energy(row); });
  }

  /// Accepts trial q, a later one, as the step of the i-th node that has not stopped.
  void take(index_t q, index_t i) {
    const index_t n = layer_.size();
    std::copy_n(tried_p_ + q * n, n, next_p_.data() + i * n);
    std::copy_n(tried_p_aug_ + q * n, n, next_p_aug_.data() + i * n);
  }
  /// Moves the nodes `ids` to their steps, w (count × d).
  void move(const std::vector<index_t>& ids, const T* w) {
    const index_t count = static_cast<index_t>(ids.size());
    if (other_inputs() && !frozen_) {
      layer_.project_own_inputs(w, count, next_outputs_.data());
      std::swap(outputs_, next_outputs_);
    }
    std::swap(p_, next_p_);
    std::swap(p_aug_, next_p_aug_);
    for (index_t i = 0; i < count; ++i) row_[static_cast<std::size_t>(ids[static_cast<std::size_t>(i)])] = i;
  }

  /// All nodes stand at `weights` (count × d).
  void place(const T* weights) {
    const index_t count = static_cast<index_t>(row_.size());
    for (index_t id = 0; id < count; ++id) row_[static_cast<std::size_t>(id)] = id;
    layer_.project(layer_.x(), weights, count, p_.data());
    layer_.project(layer_.x_aug(), weights, count, p_aug_.data());
    if (own_outputs() && !frozen_) project_outputs(weights, count, outputs_.data());
  }

  /// A(w)w of a node by the differences of all pairs.
  void literal_product(index_t id, const T* w, double* y) const {
    static_assert(std::is_same_v<T, double>);
    Buffer<double> outputs(samples());
    node_product_of_differences(layer_, w, outputs_of(id, w, outputs.data()), w, y);
  }

 private:
  using Works = PerWorker<typename NodePass<T, S>::Work>;

  bool own() const { return layer_.shared() == nullptr; }
  NodeSeries<T>* series_of(index_t id) { return own() ? &series_[static_cast<std::size_t>(id)] : nullptr; }
  bool other_inputs() const { return layer_.own_inputs().data != nullptr; }
  // Whether the outputs that enter α have an array of their own.
  bool own_outputs() const { return own() && (other_inputs() || frozen_); }
  const T* p(index_t id) const { return p_.data() + row_of(id) * layer_.size(); }
  const T* p_aug(index_t id) const { return p_aug_.data() + row_of(id) * layer_.size(); }
  // Pre-activations of the outputs that enter the node's own α.
  const T* p0(index_t id) const {
    return own_outputs() ? outputs_.data() + (frozen_ ? id : row_of(id)) * layer_.size() : p(id);
  }
  index_t row_of(index_t id) const { return row_[static_cast<std::size_t>(id)]; }

  void project(const T* w, index_t tried, bool first) {
    const index_t n = layer_.size();
    if (!first) {
      later_p_.resize(tried * n);
      later_p_aug_.resize(tried * n);
    }
    tried_p_ = first ? next_p_.data() : later_p_.data();
    tried_p_aug_ = first ? next_p_aug_.data() : later_p_aug_.data();
    layer_.project(layer_.x(), w, tried, tried_p_);
    layer_.project(layer_.x_aug(), w, tried, tried_p_aug_);
  }
  // p0 (N) of a node with weights w; computed in `out` where it is not kept.
  const T* outputs_of(index_t id, const T* w, T* out) const {
    if (!own()) return out;
    if (frozen_) return p0(id);
    project_outputs(w, 1, out);
    return out;
  }
  void project_outputs(const T* w, index_t count, T* out) const {
    if (other_inputs()) return layer_.project_own_inputs(w, count, out);
    layer_.project(layer_.x(), w, count, out);
  }
  // The rows of node `id` at its weights w, its gated outputs a = h'(p) p at i. Fits the series of its own α, once
  // where that is frozen.
  NodeRow<T> gate_node(index_t i, index_t id, const T* w, NodeScratch<T>& scratch) {
    NodeSeries<T>* series = series_of(id);
    char& fitted = fitted_[static_cast<std::size_t>(id)];
    if (series != nullptr && !(fitted && frozen_)) fit_series(layer_.own(), p(id), p0(id), *series, scratch);
    fitted = 1;
    const T reference = layer_.reference_gate(w, p(id), p_aug(id));
    return gate(i, {p(id), p_aug(id), p0(id), series, reference, pass_.a(i), pass_.a_aug(i)});
  }
  // The rows of trial q, of node `id`. α is that of the outputs before the step, so its gates do not say where a is 0.
  NodeRow<T> gate_trial(index_t q, index_t id) {
    const index_t n = layer_.size();
    return gate(q, {tried_p_ + q * n, tried_p_aug_ + q * n, p0(id), series_of(id), T(0), pass_.a(q), pass_.a_aug(q)});
  }
  NodeRow<T> gate(index_t i, const NodeRow<T>& row) {
    const index_t n = layer_.size();
    node_kernels<T>().gate_row(layer_.gate(), row.p, row.p, T(1), n, pass_.a(i));
    node_kernels<T>().gate_row(layer_.gate(), row.p_aug, row.p_aug, T(1), n, pass_.a_aug(i));
    return row;
  }

  std::shared_ptr<const Layer<T, S>> shared_layer_;
  const Layer<T, S>& layer_;
  bool frozen_;
  std::vector<index_t> row_;           // of each node
  std::vector<char> fitted_;           // whether its series is
  std::vector<NodeSeries<T>> series_;  // of the outputs that enter the own α of each node
  NodePass<T, S> pass_;
  Buffer<T> p_, p_aug_, outputs_;
  Buffer<T> next_p_, next_p_aug_, next_outputs_;
  Buffer<T> later_p_, later_p_aug_;
  T *tried_p_ = nullptr, *tried_p_aug_ = nullptr;
};

}  // namespace alphacl
