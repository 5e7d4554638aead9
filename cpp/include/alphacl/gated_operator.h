// The covariances of K gated nodes as operators that are never formed, and the climb of nodes to their local maxima.
#pragma once

#include <memory>

#include "alphacl/gated.h"
#include "alphacl/power_iteration.h"

namespace alphacl {

/// A(w_k) of K nodes by their products. `alpha_weights` (K × d, or data null: `weights`): the nodes whose outputs their
/// own importance compares. With u = x·v, a = h'(x·w) u, a' likewise of the other view, δ = a − a':
///   2N² A v = Σ_i x_i h'(x_i·w) (D_i a_i − ((α + αᵀ)a)_i − R_i δ_i) + x'_i h'(x'_i·w) R_i δ_i.
/// Four matrix products (8NdK operations) for all K, plus the importance: for the nodes' own Gaussian 8NpK operations
/// with p moments. Memory: blocks of nodes, at most about 2^24 numbers an array.
/// A product of float32 data that is small beside what it is a difference of is computed again in double; one of
/// doubles by the differences of all pairs, where these are few.
template <class T>
class GatedOperator final : public BatchedOperator<T> {
 public:
  GatedOperator(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
                const NodeImportance<T>& alpha, View<const T> alpha_weights);
  ~GatedOperator() override;
  index_t count() const override;
  index_t size() const override;
  void apply(View<const T> v, const index_t* active, View<T> out) const override;
  /// The same data and importance with other weights; where alpha_weights were given they stay.
  std::unique_ptr<GatedOperator> with_weights(View<const T> weights) const;

 private:
  struct Parts;
  explicit GatedOperator(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
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
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace alphacl
