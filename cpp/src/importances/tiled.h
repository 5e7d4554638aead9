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

/// What a tile is made into: row i starts at column max(0, i + first), entries before it are 0. Entries of α + αᵀ where
/// `both`, else of α.
template <class T>
struct TileOut {
  T* data;
  index_t ld, first;
  bool both;
};

/// Sums of the entries of tiles, indexed by sample: of α + αᵀ (degree) and of α (row_sum).
template <class T>
struct TileSums {
  double* degree;   // null where no sums are asked for
  double* row_sum;  // null unless the importance keeps its own row sums
  const T* probe;   // null where α is nonnegative
  double* probed;   // += the part of α + αᵀ above the diagonal times the probe
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

  /// out (row stride ld) = the entries of α in a tile, with its diagonal.
  virtual void tile(const Tile& where, T* out, index_t ld, TileScratch<T>& scratch) const = 0;
  /// out = the entries of α + αᵀ above the diagonal, 0 elsewhere; adds their sums and their products with the probe to
  /// `sums`. False when all are 0: then the tile need not be multiplied, and what is NaN goes to no other row.
  virtual bool half_tile(const Tile& where, T* out, index_t ld, const TileSums<T>& sums,
                         TileScratch<T>& scratch) const = 0;
  /// Sets what half_tile() will read from memory; false if that is not worth a prefetch.
  virtual bool may_prefetch(const Tile&, TilePrefetch&) const { return false; }
  /// Whether half_tile() adds to `row_sum`. If not, row_sums_of() computes r from the degrees.
  virtual bool keeps_row_sums() const = 0;
  /// Completes row_sum_i = r_i, with the diagonal, from what half_tile() added.
  virtual void row_sums_of(index_t begin, index_t end, const double* degree, double* row_sum) const = 0;

 private:
  void sums(double* out, bool of_columns) const;
  void product_of_few(View<const T> y, View<double> out, double* degree, double* row_sum) const;
};

}  // namespace alphacl
