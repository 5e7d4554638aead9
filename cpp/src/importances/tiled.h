// Importances whose entries are made tile by tile. Private to the core.
#pragma once

#include "alphacl/importance.h"
#include "isa/tables/kernels.h"
#include "packing/samples.h"
#include "runtime/threads.h"

namespace alphacl {

struct Tile {
  index_t i0, ni, j0, nj;
};

template <class T>
struct TileScratch {
  Buffer<double> wide;
  Buffer<T> narrow, columns;
};

/// Sums of the entries of tiles of α + αᵀ (degree) and of α (row_sum), indexed by sample.
template <class T>
struct TileSums {
  double* degree;
  double* row_sum;  // null unless the importance keeps its own row sums
  const T* probe;   // null where α is nonnegative
  double* probed;   // += what is above the diagonal of α + αᵀ times the probe
};

template <class T>
class TiledImportance : public Importance<T> {
 public:
  void row_sums(double* r) const override { sums(r, false); }
  void col_sums(double* c) const override { sums(c, !this->symmetric()); }
  void degrees(double* degree, double* row_sum) const override {
    symmetric_product({nullptr, this->size(), 0, 0}, {nullptr, this->size(), 0, 0}, degree, row_sum);
  }
  void matmul(View<const T> y, View<T> out) const override;
  void symmetric_product(View<const T> y, View<double> out, double* degree, double* row_sum) const override;
  void laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const override;
  void to_dense(View<T> out) const override;

 protected:
  explicit TiledImportance(index_t size) : Importance<T>(size) {}

  /// Entries of α, the diagonal included; row stride `ld`.
  virtual void tile(const Tile& where, T* out, index_t ld, TileScratch<T>& scratch) const = 0;
  /// Entries of α + αᵀ above the diagonal, 0 elsewhere; adds their row and column sums to `sums`, and their products.
  /// False when all of them are 0: then the tile need not be multiplied.
  virtual bool half_tile(const Tile& where, T* out, index_t ld, const TileSums<T>& sums,
                         TileScratch<T>& scratch) const = 0;
  /// What half_tile will read from memory, if that is worth a prefetch.
  virtual bool may_prefetch(const Tile&, TilePrefetch&) const { return false; }
  /// Whether half_tile adds to `row_sum`. Otherwise row_sums_of() says what r is once the degrees are known.
  virtual bool keeps_row_sums() const = 0;
  /// row_sum_i = r_i, the diagonal included; called with row_sum_i = what half_tile added.
  virtual void row_sums_of(index_t begin, index_t end, const double* degree, double* row_sum) const = 0;

 private:
  void sums(double* out, bool of_columns) const;
};

}  // namespace alphacl
