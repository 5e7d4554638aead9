// Importances α = Φ diag(s) Φᵀ of low rank. Private to the core.
#pragma once

#include "alphacl/importance.h"
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
  void signed_row_sums(double* r) const;
  /// out = factor · α y.
  template <class U>
  void multiply(View<const T> y, T factor, View<U> out) const;

  std::unique_ptr<Features<T>> phi_;
};

}  // namespace alphacl
