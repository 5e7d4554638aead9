// Importances that are known by their products with samples. Private to the core.
#pragma once

#include "alphacl/importance.h"
#include "packing/samples.h"

namespace alphacl {

/// The Laplacian form from the rows l_i = Σ_j (α_ij + α_ji)(x_i − x_j): it is Σ_i x_i l_iᵀ − R_i δ_i δ_iᵀ. Nothing of
/// the size of D x_i is subtracted, so samples of a tight cluster far from the others keep their digits. Memory O(N d).
template <class T>
class ProductImportance : public Importance<T> {
 public:
  void degrees(double* degree, double* row_sum) const override {
    this->symmetric_product({nullptr, this->size(), 0, 0}, {nullptr, this->size(), 0, 0}, degree, row_sum);
  }
  void laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const override;
  void products(const Samples<T>& x, LaplacianSink<T>& sink) const override;
  /// out_i = Σ_j (α_ij + α_ji)(y_i − y_j).
  virtual void differences(View<const T> y, View<double> out) const = 0;

 protected:
  explicit ProductImportance(index_t size) : Importance<T>(size) {}
  /// α with the sizes of its entries, where some are negative, else null.
  virtual std::unique_ptr<ProductImportance<T>> absolute() const = 0;
};

}  // namespace alphacl
