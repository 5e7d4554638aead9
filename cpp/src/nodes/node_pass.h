// One pass over the samples for a block of nodes: gate → Laplacian → quadratic form → gate back. Private to the core.
//
// A climb and a product with A(w) do the same for a node with weights w and pre-activations p = x·w, p' = x'·w:
//
//     gate            a = h'(p) u,  a' = h'(p') u',  δ = a − a'    u = p in a climb, u = x·v in a product with v
//     Laplacian       t = D a − (α + αᵀ) a,  r = α 1               α shared, or the Gaussian of the node's outputs
//     quadratic form  Σ_i a_i t_i − r_i δ_i²                       = 2N² wᵀA(w)w = 4N² c² · energy in a climb
//     gate back       Σ_i x_i h'(p_i)(t_i − r_i δ_i) + x'_i h'(p'_i) r_i δ_i = 2N² A(w) v
//
// Here h'(u) u = c h(u). A row is the N numbers of one node. The projections p, u and the sum of the last line are
// matrix products over a block of nodes (Layer); between them every node works on its own rows. A shared α multiplies
// the rows of the whole block in one product; a node's own α is applied while its row is in cache.
#pragma once

#include <memory>
#include <vector>

#include "nodes/layer.h"

namespace alphacl {

template <class T, class S>
class NodePass {
 public:
  /// Scratch of one worker.
  struct Work {
    NodeScratch<T> scratch;
    NodeSeries<T> series;
    Buffer<T> t, r, gates;
  };

  explicit NodePass(const Layer<T, S>& layer) : layer_(layer) {}

  /// Room for a and a' of so many nodes.
  void resize(index_t nodes) {
    for (Buffer<T>* rows : {&a_, &a_aug_}) rows->resize(nodes * layer_.size());
    if (shared()) t_.resize(nodes * layer_.size());
    for (Buffer<double>* numbers : {&sums_, &minuends_}) numbers->resize(nodes);
    rows_.resize(static_cast<std::size_t>(nodes));
  }
  T* a(index_t i) { return a_.data() + i * layer_.size(); }
  T* a_aug(index_t i) { return a_aug_.data() + i * layer_.size(); }

  /// For every node i: gate(i, scratch) writes a and a' and returns the row; then use(i, row) reads it, with t and r
  /// set.
  template <class Gate, class Use>
  void run(index_t nodes, PerWorker<Work>& works, Gate&& gate, Use&& use) {
    if (shared()) {
      parallel_for(nodes, [&](index_t i, int worker) { row(i) = gate(i, works[worker].scratch); });
      layer_.shared_laplacian(a_.data(), nodes, t_.data());
    }
    parallel_for(nodes, [&](index_t i, int worker) {
      Work& work = works[worker];
      NodeRow<T>& found = row(i);
      if (shared()) {
        found.t = t_.data() + i * layer_.size();
        found.r = layer_.row_sums();
        found.row_size = layer_.row_sizes();
      } else {
        found = gate(i, work.scratch);
        apply_own(found, work);
      }
      work.gates.resize(2 * layer_.size());
      found.gates = work.gates.data();
      use(i, found);
    });
  }

  /// The energy ½ C_α[h(wᵀx)] of a climb.
  double energy(const NodeRow<T>& row) const {
    const double c = layer_.homogeneity();
    return 0.5 * layer_.scale() / (c * c) *
           node_kernels<T>().quadratic_form(row.a, row.a_aug, row.t, row.r, layer_.size());
  }

  /// Turns a and a' of node i into the factors of the last line, for back(), and stores the minuend. square: ‖v‖².
  void gate_back(index_t i, const NodeRow<T>& row, double square) {
    minuends_[i] = layer_.minuend(row, square);
    sums_[i] = node_kernels<T>().gate_laplacian(
        layer_.gate(), {row.p, row.p_aug, row.t, row.r, row.reference, layer_.size(), row.a, row.a_aug});
  }
  /// out (nodes × d) = 2N² A(w) v of all nodes.
  void back(index_t nodes, double* out) { layer_.back(a_.data(), a_aug_.data(), sums_.data(), nodes, out); }
  double minuend(index_t i) const { return minuends_[i]; }

 private:
  bool shared() const { return layer_.shared() != nullptr; }
  NodeRow<T>& row(index_t i) { return rows_[static_cast<std::size_t>(i)]; }

  // t and r of the node's own importance, in `work`.
  void apply_own(NodeRow<T>& row, Work& work) {
    const NodeGaussian own = layer_.own();
    work.t.resize(own.size);
    work.r.resize(own.size);
    if (row.series == nullptr) {
      fit_series(own, row.p, row.p0, work.series, work.scratch);
      row.series = &work.series;
    }
    node_laplacian(own, row, *row.series, work.t.data(), work.r.data(), work.scratch);
    row.t = work.t.data();
    row.row_size = row.r = work.r.data();
  }

  const Layer<T, S>& layer_;
  std::vector<NodeRow<T>> rows_;
  Buffer<T> a_, a_aug_, t_;
  Buffer<double> sums_, minuends_;
};

}  // namespace alphacl
