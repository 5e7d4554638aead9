// Kernels that read samples and their views from memory, or write rows there, in the type in which they are stored.
#pragma once

#include "alphacl/view.h"
#include "isa/tables/panels.h"
#include "isa/tables/tiles.h"

namespace alphacl {

/// Packs sums and differences of two views, row r of the panels from samples rows[r]:
///     u_r = a_r x + b_r y,   v_r = c_r x + e_r y,   plain_r = p_r x,      y = x' − k_r x,
/// with x and x' less `shift` (null: none); `plain` may be null. k = 1 keeps the difference of equal views exactly 0,
/// and u and v free of its rounding.
template <class T, class S>
struct PackViews {
  const S *x, *x_aug;
  index_t stride_x, stride_aug;
  const T* shift;
  const index_t* rows;
  const T *a, *b, *c, *e, *k, *p;
  index_t n, d;
  Panels<T> u, v, plain;  // of one stride
};

/// Kernels that read data of type S and compute in T.
template <class T, class S>
struct ReadKernels {
  /// out = x − shift, the difference taken in double.
  void (*center_row)(const S* x, const double* shift, index_t n, T* out);
  /// out = x − y, the difference taken in T.
  void (*delta_row)(const S* x, const S* y, index_t n, T* out);
  void (*dense_tile)(const DenseTile<T, S>&);
  void (*pack_views)(const PackViews<T, S>&);
  /// out = a x + b y + c z, in double; z may be null, and is where y is.
  void (*combine)(const T* x, double a, const S* y, double b, const S* z, double c, index_t n, S* out);
};

}  // namespace alphacl
