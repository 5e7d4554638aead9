// The kernels of one instruction set: this file is compiled once for each, with ALPHACL_ISA its identifier.
#include "isa/tables/kernel_set.h"

#define ALPHACL_CONCAT_(a, b) a##b
#define ALPHACL_CONCAT(a, b) ALPHACL_CONCAT_(a, b)

namespace alphacl {
namespace {

// vectors.h and dense.h stand before what uses them.
// clang-format off
#include "vectors.h"
#include "dense.h"
#include "exp.h"
#include "gram.h"
#include "node.h"
#include "pairs.h"
#include "radial.h"
#include "rows.h"
#include "series.h"
#include "symmetric.h"
#include "tridiagonal.h"
// clang-format on

// A tag that selects the table to make.
template <class Table>
struct Of {};

template <class T>
constexpr Kernels<T> made(Of<Kernels<T>>) {
  return {add_block<T>,   panel_width<T>,        pack_row<T>,  pack_rows<T>,     pack_columns<T>,
          gram<T>,        cross_gram<T>,         probe<T>,     multiply_tile<T>, multiply_transposed<T>,
          add_offsets<T>, add_block_rows<T>,     scale_row<T>, dot<T, T>,        dot<T, double>,
          outer<T>,       multiply_both_ways<T>, sum_rows<T>};
}
template <class T, class S>
constexpr ReadKernels<T, S> made(Of<ReadKernels<T, S>>) {
  return {center_row<T, S>, delta_row<T, S>, dense_tile<T, S>, pack_views<T, S>, combine<T, S>};
}
template <class S>
constexpr DistanceKernels<S> made(Of<DistanceKernels<S>>) {
  return {radial_stats<S>};
}
constexpr DifferenceKernels made(Of<DifferenceKernels>) { return {negative_half_distance, half_square<double>}; }
template <class T, class S>
constexpr RadialKernels<T, S> made(Of<RadialKernels<T, S>>) {
  return {radial_tile<T, S>};
}
template <class S>
constexpr PackKernels<S> made(Of<PackKernels<S>>) {
  return {pack_symmetric<S>, peak_of<S>};
}
template <class T, class S>
constexpr ProductKernels<T, S> made(Of<ProductKernels<T, S>>) {
  return {square_product<T, S>, packed_product<T, S>};
}
template <class T>
constexpr BasisKernels<T> made(Of<BasisKernels<T>>) {
  return {project<T>, subtract<T>};
}
template <class T>
constexpr NodeKernels<T> made(Of<NodeKernels<T>>) {
  return {gate_row<T>, gate_difference_row<T>, gate_laplacian<T>, quadratic_form<T>, gather_open<T>, scatter_open<T>};
}
template <class T>
constexpr SeriesKernels<T> made(Of<SeriesKernels<T>>) {
  return {series_moments<T>, series_values<T>, series_laplacian<T>, series_features<T>, series_feature_columns<T>};
}
template <class T>
constexpr PairKernels<T> made(Of<PairKernels<T>>) {
  return {pair_log_sums<T>, pair_sums<T>, pair_weights<T>};
}
constexpr TridiagonalKernels made(Of<TridiagonalKernels>) { return {tridiagonal_top, tridiagonal_vector}; }
template <class T>
constexpr ExpKernels<T> made(Of<ExpKernels<T>>) {
  return {exp_values<T>};
}
template <class... Tables>
constexpr TableSet<Tables...> made(Of<TableSet<Tables...>>) {
  return {made(Of<Tables>())...};
}

constexpr KernelSet the_set = made(Of<KernelSet>());

}  // namespace

namespace ALPHACL_CONCAT(isa_, ALPHACL_ISA) {
const KernelSet& set() { return the_set; }
}  // namespace ALPHACL_CONCAT(isa_,ALPHACL_ISA)

}  // namespace alphacl
