// The inner loops that are compiled once per instruction set (isa/kernels.cpp) and chosen at load time
// (runtime/dispatch.cpp). For all but kernels.cpp, which may not see these inline functions.
#pragma once

#include <string>
#include <vector>

#include "isa/tables/kernel_set.h"

namespace alphacl {

/// The set in use: the newest that the processor has, or the one that ALPHACL_FAST_ISA names. Its kernels count their
/// calls (runtime/count_kernels.h) where ALPHACL_FAST_COUNT_KERNELS is set.
const KernelSet& kernel_set();
std::string isa_in_use();
/// Names of the sets that this processor can run, weakest first.
std::vector<std::string> supported_isas();

// The tables of the set in use.
template <class T>
const Kernels<T>& kernels() {
  return kernel_set();
}
template <class T, class S>
const ReadKernels<T, S>& read_kernels() {
  return kernel_set();
}
template <class S>
const DistanceKernels<S>& distance_kernels() {
  return kernel_set();
}
inline const DifferenceKernels& difference_kernels() { return kernel_set(); }
template <class T, class S>
const RadialKernels<T, S>& radial_kernels() {
  return kernel_set();
}
template <class S>
const PackKernels<S>& pack_kernels() {
  return kernel_set();
}
template <class T, class S>
const ProductKernels<T, S>& product_kernels() {
  return kernel_set();
}
template <class T>
const BasisKernels<T>& basis_kernels() {
  return kernel_set();
}
inline const TridiagonalKernels& tridiagonal_kernels() { return kernel_set(); }
template <class T>
const NodeKernels<T>& node_kernels() {
  return kernel_set();
}
template <class T>
const SeriesKernels<T>& series_kernels() {
  return kernel_set();
}
template <class T>
const PairKernels<T>& pair_kernels() {
  return kernel_set();
}
template <class T>
const ExpKernels<T>& exp_kernels() {
  return kernel_set();
}

}  // namespace alphacl
