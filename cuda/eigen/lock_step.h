// The largest eigenpairs of many matrices that are known by their products alone, all of them advancing together.
#pragma once

#include <vector>

#include "alphacl/power_iteration.h"
#include "runtime/stream.h"

namespace alphacl::cuda {

/// K symmetric d × d matrices, in double on the device.
class ProductsOfMany {
 public:
  virtual ~ProductsOfMany() = default;
  virtual index_t count() const = 0;  // K
  virtual index_t size() const = 0;   // d
  /// Row k of out = A_k (row k of v) for every k of `active`, which rises. v, out: K × d.
  virtual void apply(const Stream& on, const std::vector<int>& active, const double* v, double* out) const = 0;
};

/// As alphacl::power_iteration over a BatchedOperator, in double: the same iteration, tolerances and random starts. A
/// block advances one matrix; after every product the host asks which matrices go on. v0: K × d, or data null. Memory:
/// K · min(d, basis) · d numbers, 1 GiB at most unless a basis of 16 vectors takes more.
template <class S>
void power_iteration(const Stream& on, const ProductsOfMany& a, View<const S> v0, const PowerOptions& options,
                     const TopEigenpairs<S>& out);

/// As alphacl::top_eigenvalue_apart.
template <class S>
void top_eigenvalue_apart(const Stream& on, const ProductsOfMany& a, View<const S> apart, const S* sizes,
                          const PowerOptions& options, S* eigenvalue, bool* converged);

}  // namespace alphacl::cuda
