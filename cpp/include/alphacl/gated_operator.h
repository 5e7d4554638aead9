// The covariances of K gated nodes as operators that are never formed, and the climb of nodes to their local maxima.
#pragma once

#include <memory>

#include "alphacl/gated.h"
#include "alphacl/power_iteration.h"

namespace alphacl {

/// The matrices A(w_k) of K nodes, known by their products. With u = x·v, a = h'(x·w) u, a' likewise of the other view,
/// δ = a − a':
///     2N² A v = Σ_i x_i h'(x_i·w) (D_i a_i − ((α + αᵀ)a)_i − R_i δ_i) + x'_i h'(x'_i·w) R_i δ_i.
/// `alpha_weights` (K × d, or data null: `weights`): the nodes whose outputs enter the nodes' own importance. Four
/// matrix products (8NdK operations) for all K, plus the importance: 8NpK operations for the nodes' own Gaussian with p
/// moments. Memory: blocks of nodes, at most about 2^24 numbers an array. A product that is small beside its terms is
/// computed again: of float32 data in double, of float64 data from the differences of all pairs, where these are few.
template <class T>
class GatedOperator final : public BatchedOperator<T> {
 public:
  GatedOperator(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
                const NodeImportance<T>& alpha, View<const T> alpha_weights);
  ~GatedOperator() override;
  index_t count() const override;
  index_t size() const override;
  void apply(View<const T> v, const index_t* active, View<T> out) const override;
  /// The same data and importance with other weights; given alpha_weights stay as they are.
  std::unique_ptr<GatedOperator> with_weights(View<const T> weights) const;

 private:
  struct Parts;
  explicit GatedOperator(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// The results of a climb of K nodes. The arrays are the caller's.
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
  double tol;   // the residual is small when at most tol · the largest ‖A(w)w‖ met
  bool frozen;  // the nodes' own α stays that of the start
};

/// K nodes climb w ← (A(w)w + σw)/‖·‖, each on its own. σ ≥ 0 is raised until the energy ½ C_α[h(wᵀx)], with the α of
/// the step, does not fall; it relaxes afterwards. Four matrix products a step: the outputs of the accepted trial serve
/// the next step. A node has converged when its residual is small, when ten steps in a row do not raise its energy, or
/// when no step of any length does: a maximum may lie where a gate switches, and there A(w) jumps and no residual is 0.
template <class T>
class Climb {
 public:
  Climb(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
        const NodeImportance<T>& alpha, const ClimbOptions& options);
  ~Climb();
  /// One step of every node that has not stopped. Returns how many have still not.
  index_t step();
  /// Evaluates λ, residual and energy of the nodes that have not stopped, at their last weights.
  void finish();
  void write(const ClimbResult<T>& out) const;
  /// How many nodes one climb should hold, so that its arrays of nodes × N stay small.
  static index_t block(index_t n, index_t nodes);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace alphacl
