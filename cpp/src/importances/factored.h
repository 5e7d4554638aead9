// Importances α = Φ diag(s) Φᵀ of low rank. Private to the core.
#pragma once

#include "alphacl/importance.h"
#include "alphacl/precision.h"
#include "packing/samples.h"

namespace alphacl {

/// α = Φ diag(s) Φᵀ, known by the rows of Φ: r = Φ(s ∘ Φᵀ1), αy = Φ(s ∘ Φᵀy). Time O(N p) per vector, memory O(N + p).
template <class T>
class FactoredImportance : public Importance<T> {
 public:
  void row_sums(double* r) const override;
  void col_sums(double* c) const override { row_sums(c); }
  void degrees(double* degree, double* row_sum) const override;
  void matmul(View<const T> y, View<T> out) const override;
  void symmetric_product(View<const T> y, View<double> out, double* degree, double* row_sum) const override;
  bool nonnegative() const override { return phi_->nonnegative(); }
  void laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const override;
  void to_dense(View<T> out) const override;
  const Features<T>* factor() const override { return phi_.get(); }
  std::unique_ptr<Importance<T>> sizes() const override;
  std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const override;

 protected:
  FactoredImportance(index_t size, std::unique_ptr<Features<T>> phi) : Importance<T>(size), phi_(std::move(phi)) {}

 private:
  /// out = factor · α y. `signed_moments`, if it is asked for, gets s ∘ Φᵀy.
  template <class U>
  void multiply(View<const T> y, T factor, View<U> out, Buffer<T>* signed_moments) const;
  /// minuend: Σ_l |s_l| ‖φ_l‖ ‖φ_lᵀy‖; terms: the root of Σ_l s_l² ‖φ_l‖² Σ_i φ_l(i)² ‖y_i‖²; result: ‖out‖, out = αy.
  Sizes product_sizes(View<const T> y, const Buffer<T>& signed_moments, View<const T> out) const;
  /// out = α y; without y, whose rows are then 1, α 1.
  template <class U>
  void multiply_twofold(const View<const T>* y, View<U> out) const;

  std::unique_ptr<Features<T>> phi_;
};

}  // namespace alphacl
