// The covariances of K gated nodes as operators that are never formed, and the climb of nodes to their local maxima.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "alphacl/gated.h"
#include "alphacl/power_iteration.h"

namespace alphacl {

template <class T>
class Layer;

/// A(w_k) of K nodes by their products. `alpha_weights` (K × d, or data null: `weights`): the nodes whose outputs their
/// own importance compares. With u = x·v, a = h'(x·w) u, a' likewise of the other view, δ = a − a':
///   2N² A v = Σ_i x_i h'(x_i·w) (D_i a_i − ((α + αᵀ)a)_i − R_i δ_i) + x'_i h'(x'_i·w) R_i δ_i.
/// Four matrix products (8NdK operations) for all K, plus the importance: for the nodes' own Gaussian 8NpK operations
/// with p moments. Memory: blocks of nodes, at most about 2^24 numbers an array.
template <class T>
class GatedOperator final : public BatchedOperator<T> {
 public:
  GatedOperator(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
                const NodeImportance<T>& alpha, View<const T> alpha_weights);
  ~GatedOperator() override;
  index_t count() const override { return count_; }
  index_t size() const override { return size_; }
  void apply(View<const T> v, const index_t* active, View<T> out) const override;
  /// The same data and importance with other weights; where alpha_weights were given they stay.
  std::unique_ptr<GatedOperator> with_weights(View<const T> weights) const;

 private:
  GatedOperator(std::shared_ptr<const Layer<T>> layer, View<const T> weights, View<const T> alpha_weights);
  /// Whether the outputs that the nodes' own importance compares are not those of the gates.
  bool other_outputs() const;
  void project_outputs(const T* w, index_t nodes, T* out) const;

  struct Kept;
  struct Scratch;
  std::shared_ptr<const Layer<T>> layer_;
  index_t count_, size_;
  Buffer<T> weights_, alpha_weights_;  // the latter empty where they are the same
  std::unique_ptr<Kept> kept_;
  // Memory of the last product, for the next one: new pages took a tenth of its time.
  mutable std::mutex spare_mutex_;
  mutable std::unique_ptr<Scratch> spare_;
};

/// How a climb went, for the K nodes of it. Arrays are the caller's.
template <class T>
struct ClimbResult {
  T* weights;     // K × d, of length 1
  T* eigenvalue;  // wᵀA(w)w
  T* residual;    // ‖A(w)w − λw‖
  T* energy;      // ½ C_α[h(wᵀx)]
  std::int64_t* steps;
  bool* converged;
};

struct ClimbOptions {
  double tol;   // a residual is small when at most tol · the largest ‖A(w)w‖ met
  bool frozen;  // α of a node's own outputs stays what it is at the start
};

/// K nodes climb w ← (A(w)w + σw)/‖·‖, each on its own: σ ≥ 0 is raised until ½ C_α[h(wᵀx)], with the α of the step,
/// does not fall, and relaxes afterwards. Four matrix products a step: the trial's outputs serve the next step. A node
/// has converged when its residual is small, or when ten steps in a row raise its energy by nothing: maxima may lie
/// where a gate switches, and there A(w) jumps and no residual is 0.
template <class T>
class Climb {
 public:
  Climb(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
        const NodeImportance<T>& alpha, const ClimbOptions& options);
  ~Climb();
  /// One step of every node that has not stopped; how many still go on.
  index_t step();
  /// Judges the nodes that have not stopped where they stand.
  void finish();
  void write(const ClimbResult<T>& out) const;
  /// Nodes that a climb should hold so that its arrays of nodes × N stay small.
  static index_t block(index_t n, index_t nodes);

 private:
  struct Node;
  void judge(std::vector<Node*>& nodes);
  void climb(const std::vector<Node*>& nodes);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace alphacl
