// The kernels of one instruction set: this file is compiled once for each, with ALPHACL_ISA its identifier.
#include "isa/tables/kernels.h"

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
#include "symmetric.h"
#include "tridiagonal.h"
// clang-format on

template <class T>
constexpr Kernels<T> plain_kernels() {
  return {add_block<T>,
          panel_width<T>,
          pack_row<T>,
          pack_rows<T>,
          gram<T>,
          cross_gram<T>,
          probe<T>,
          multiply_tile<T>,
          multiply_transposed<T>,
          add_block_rows<T>,
          scale_row<T>,
          dot<T, T>,
          dot<T, double>,
          fourier<T>,
          series_feature_columns<T>,
          radial_tile<T, T>,
          radial_tile<T, double>};
}
template <class T, class S>
constexpr ReadKernels<T, S> reading_kernels() {
  return {center_row<T, S>, delta_row<T, S>, add_offsets<S>, dense_tile<T, S>, pack_views<T, S>};
}
template <class S>
constexpr DistanceKernels<S> measuring_kernels() {
  return {radial_stats<S>, negative_half_distance<S>};
}
template <class S>
constexpr PackKernels<S> packing_kernels() {
  return {pack_symmetric<S>, peak_of<S>};
}
template <class T, class S>
constexpr ProductKernels<T, S> multiplying_kernels() {
  return {square_product<T, S>, packed_product<T, S>};
}
template <class T>
constexpr BasisKernels<T> projecting_kernels() {
  return {project<T>, subtract<T>};
}
template <class T>
constexpr NodeKernels<T> gating_kernels() {
  return {gate_row<T>,     gate_difference_row<T>, gate_laplacian<T>, quadratic_form<T>,  gather_open<T>,
          scatter_open<T>, series_moments<T>,      series_values<T>,  series_laplacian<T>};
}
template <class T>
constexpr PairKernels<T> pairing_kernels() {
  return {pair_log_sums<T>, pair_sums<T>, pair_weights<T>, half_square<T>};
}

constexpr KernelSet the_set = {
    plain_kernels<float>(),
    plain_kernels<double>(),
    reading_kernels<float, float>(),
    reading_kernels<double, float>(),
    reading_kernels<double, double>(),
    measuring_kernels<float>(),
    measuring_kernels<double>(),
    packing_kernels<float>(),
    packing_kernels<double>(),
    multiplying_kernels<float, float>(),
    multiplying_kernels<double, float>(),
    multiplying_kernels<double, double>(),
    projecting_kernels<float>(),
    projecting_kernels<double>(),
    {tridiagonal_top, tridiagonal_vector},
    gating_kernels<float>(),
    gating_kernels<double>(),
    pairing_kernels<float>(),
    pairing_kernels<double>(),
    exp_values<float>,
    exp_values<double>,
};

}  // namespace

namespace ALPHACL_CONCAT(isa_, ALPHACL_ISA) {
const KernelSet& set() { return the_set; }
}  // namespace ALPHACL_CONCAT(isa_,ALPHACL_ISA)

}  // namespace alphacl
