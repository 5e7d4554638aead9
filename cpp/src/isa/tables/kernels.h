// The inner loops that are compiled once per instruction set (isa/kernels.cpp) and chosen at load time; one header per
// family. Everything here is plain: no template or inline function may be shared between instruction sets, or the
// linker could keep the copy of the newest one and run it on an older machine.
#pragma once

#include <string>
#include <vector>

#include "isa/tables/eigen.h"
#include "isa/tables/nodes.h"
#include "isa/tables/pairs.h"
#include "isa/tables/panels.h"
#include "isa/tables/rows.h"
#include "isa/tables/tiles.h"
#include "isa/tables/views.h"

namespace alphacl {

struct KernelSet {
  Kernels<float> f;
  Kernels<double> d;
  ReadKernels<float, float> ff;
  ReadKernels<double, float> df;
  ReadKernels<double, double> dd;
  DistanceKernels<float> distance_f;
  DistanceKernels<double> distance_d;
  PackKernels<float> pack_f;
  PackKernels<double> pack_d;
  ProductKernels<float, float> product_ff;
  ProductKernels<double, float> product_df;
  ProductKernels<double, double> product_dd;
  BasisKernels<float> basis_f;
  BasisKernels<double> basis_d;
  TridiagonalKernels tridiagonal;
  NodeKernels<float> node_f;
  NodeKernels<double> node_d;
  PairKernels<float> pair_f;
  PairKernels<double> pair_d;
  /// Fills n values with e^x for the rate of the machine (benchmarks).
  void (*exp_f)(const float* x, index_t n, float* out);
  void (*exp_d)(const double* x, index_t n, double* out);
};

/// The set in use: the newest that the processor has, or the one that ALPHACL_FAST_ISA names.
const KernelSet& kernel_set();
std::string isa_in_use();
/// Names of the sets that this processor can run, weakest first.
std::vector<std::string> supported_isas();

template <class T>
const Kernels<T>& kernels();
template <class T, class S>
const ReadKernels<T, S>& read_kernels();
template <class S>
const DistanceKernels<S>& distance_kernels();
template <class S>
const PackKernels<S>& pack_kernels();
template <class T, class S>
const ProductKernels<T, S>& product_kernels();
template <class T>
const BasisKernels<T>& basis_kernels();
template <class T>
const NodeKernels<T>& node_kernels();
template <class T>
const PairKernels<T>& pair_kernels();

}  // namespace alphacl
