// One pass over the samples for a block of nodes: gate → Laplacian → quadratic form → gate back. Private to the core.
//
// A climb and a product with the operator need the same of a node with pre-activations p = x·w, p' = x'·w:
//
//     a = h'(p) u, a' = h'(p') u',  δ = a − a'      u = p for a climb, x·v for a product with v
//     t = D a − (α + αᵀ) a,  r = α 1                α of all nodes, or the Gaussian of the node's own outputs
//     Σ a t − r δ²                                  2N² wᵀA(w)w of a climb, c² times twice its energy
//     Σ x h'(p)(t − r δ) + x' h'(p') r δ            2N² A(w) v
//
// The first and the last line are matrix products of the whole block (Layer); what is between them is N numbers of one
// node, a row. An α of all nodes takes the rows of the block in one product; an own one is taken while the row is in
// cache.
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

  /// For each of so many nodes: gate(i, scratch) makes a and a' and gives the row; use(i, row) finds t and r in it.
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
        own_laplacian(found, work);
      }
      work.gates.resize(2 * layer_.size());
      found.gates = work.gates.data();
      use(i, found);
    });
  }

  /// ½ C_α of the gated outputs.
  double energy(const NodeRow<T>& row) const {
    const double c = layer_.homogeneity();
    return 0.5 * layer_.scale() / (c * c) *
           node_kernels<T>().quadratic_form(row.a, row.a_aug, row.t, row.r, layer_.size());
  }

  /// Makes a and a' of node i what back() multiplies the data with, and notes the minuend; square: ‖v‖².
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
  void own_laplacian(NodeRow<T>& row, Work& work) {
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
