// Kernels that read two views of a sample as they stand in memory.
#pragma once

#include "alphacl/view.h"
#include "isa/tables/panels.h"
#include "isa/tables/tiles.h"

namespace alphacl {

/// Two views of n samples, x_r − shift and x'_r − shift in row rows[r] of both arrays (no shift where null):
/// u_r = a_r x_r + b_r y_r, v_r = c_r x_r + e_r y_r with y_r = x'_r − k_r x_r and, where `plain` has data, p_r x_r,
/// each packed as row r of its panels. k = 1 keeps a difference of equal views 0, and their u and v free of its
/// rounding.
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
  /// out = x − y, taken in T.
  void (*delta_row)(const S* x, const S* y, index_t n, T* out);
  void (*dense_tile)(const DenseTile<T, S>&);
  void (*pack_views)(const PackViews<T, S>&);
};

}  // namespace alphacl
