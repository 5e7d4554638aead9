// Pre-activations of K climbing nodes over all samples, at their weights and at the trial step. Private to the core.
#pragma once

#include <utility>
#include <vector>

#include "nodes/node_pass.h"

namespace alphacl {

template <class T, class S>
class ClimbRows {
 public:
  /// weights, compared: count × d, of length 1. The own α takes the outputs of `compared` throughout where `frozen`,
  /// else those at the current weights. Pass the same array for both where `compared` are the starts.
  ClimbRows(const Layer<T, S>& layer, const T* weights, const T* compared, index_t count, bool frozen)
      : layer_(layer), frozen_(frozen), row_(static_cast<std::size_t>(count)) {
    const index_t n = layer.size();
    for (index_t id = 0; id < count; ++id) row_[static_cast<std::size_t>(id)] = id;
    for (Buffer<T>* rows : {&p_, &p_aug_, &next_p_, &next_p_aug_}) rows->resize(count * n);
    if (own_outputs()) outputs_.resize(count * n);
    if (other_inputs() && !frozen_) next_outputs_.resize(count * n);
    layer_.project(layer_.x(), weights, count, p_.data());
    layer_.project(layer_.x_aug(), weights, count, p_aug_.data());
    if (!own_outputs()) return;
    if (!other_inputs() && compared == weights)
      std::copy_n(p_.data(), count * n, outputs_.data());
    else
      project_outputs(frozen_ ? compared : weights, count, outputs_.data());
  }

  /// The row of a node at its weights; writes its gated outputs a = h'(p) p to `pass` at i.
  NodeRow<T> gate(NodePass<T, S>& pass, index_t i, index_t id, const NodeSeries<T>* series, T reference) const {
    return gate(pass, i, {p(id), p_aug(id), p0(id), series, reference, pass.a(i), pass.a_aug(i)});
  }
  const T* p(index_t id) const { return p_.data() + row_of(id) * layer_.size(); }
  const T* p_aug(index_t id) const { return p_aug_.data() + row_of(id) * layer_.size(); }
  /// Pre-activations of the outputs that enter the node's own α.
  const T* p0(index_t id) const {
    return own_outputs() ? outputs_.data() + (frozen_ ? id : row_of(id)) * layer_.size() : p(id);
  }

  /// Projects the data on trial vectors w (tried × d). The first trial is of all nodes that have not stopped; later
  /// ones are of few.
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
  /// The row of trial q, of node id. α stays that of the outputs before the step, so the trial's gates do not tell
  /// where a is 0: reference 0.
  NodeRow<T> gate_trial(NodePass<T, S>& pass, index_t q, index_t id, const NodeSeries<T>* series) const {
    const index_t n = layer_.size();
    return gate(pass, q, {tried_p_ + q * n, tried_p_aug_ + q * n, p0(id), series, T(0), pass.a(q), pass.a_aug(q)});
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

  /// p0 (N) of a node with weights w; computed in `out` where it is not kept.
  const T* outputs_of(index_t id, const T* w, T* out) const {
    if (layer_.shared() != nullptr) return out;
    if (frozen_) return p0(id);
    project_outputs(w, 1, out);
    return out;
  }

 private:
  bool other_inputs() const { return layer_.own_inputs().data != nullptr; }
  // Whether the outputs that enter α have an array of their own.
  bool own_outputs() const { return layer_.shared() == nullptr && (other_inputs() || frozen_); }
  index_t row_of(index_t id) const { return row_[static_cast<std::size_t>(id)]; }

  void project_outputs(const T* w, index_t count, T* out) const {
    if (other_inputs()) return layer_.project_own_inputs(w, count, out);
    layer_.project(layer_.x(), w, count, out);
  }
  NodeRow<T> gate(NodePass<T, S>& pass, index_t i, const NodeRow<T>& row) const {
    const index_t n = layer_.size();
    node_kernels<T>().gate_row(layer_.gate(), row.p, row.p, T(1), n, pass.a(i));
    node_kernels<T>().gate_row(layer_.gate(), row.p_aug, row.p_aug, T(1), n, pass.a_aug(i));
    return row;
  }

  const Layer<T, S>& layer_;
  bool frozen_;
  std::vector<index_t> row_;  // of each node
  Buffer<T> p_, p_aug_, outputs_;
  Buffer<T> next_p_, next_p_aug_, next_outputs_;
  Buffer<T> later_p_, later_p_aug_;
  T *tried_p_ = nullptr, *tried_p_aug_ = nullptr;
};

}  // namespace alphacl
