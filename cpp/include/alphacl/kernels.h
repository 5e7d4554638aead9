// The inner loops that are compiled once per instruction set (src/isa/kernels.cpp) and chosen at load time.
// Everything here is plain: no template or inline function may be shared between instruction sets, or the
// linker could keep the copy of the newest one and run it on an older machine.
#pragma once

#include <string>
#include <vector>

#include "alphacl/view.h"

namespace alphacl {

/// One tile of a radial importance exp(−q^(p/2)/τ), q = ½‖f_i − f_j‖². S: type of the distances, T: of α.
template <class T, class S>
struct RadialTile {
  const S* dot;  // ni × nj products f_i·f_j, or −q itself where half_* are zero; row stride ld_dot
  index_t ld_dot;
  const S* half_i;  // ½‖f_i‖²
  const S* half_j;
  // Normalised: entries are share_i exp((nearest_i − q_ij^(p/2))/τ), nearest_i the least of its row, from which what
  // lies near it is subtracted exactly; share_i 1 over their sum. Null: not normalised.
  const S *nearest_i, *share_i;
  const S *nearest_j, *share_j;  // also given: the sum of that and of the same with j, a tile of α + αᵀ
  index_t ni, nj;
  index_t first;  // row i starts at column max(0, i + first); what lies before is written as 0
  double power;   // p
  S inv_tau;
  T factor;  // 2 for a tile of α + αᵀ of a symmetric α, else 1
  T* out;    // row stride ld_out
  index_t ld_out;
  double* row_sum;  // += sums of the rows of the tile, or null
  double* col_sum;  // += sums of its columns
  S* scratch_s;     // nj
  T* scratch_t;     // nj
};

/// One tile of α + αᵀ of a given α: out = α_IJ + (α_JI)ᵀ, and the sums that the Laplacian form needs.
template <class T, class S>
struct DenseTile {
  const S* a;   // α_IJ, ni × nj
  const S* at;  // α_JI, nj × ni
  index_t ld_a, ld_at;
  index_t ni, nj;
  index_t first;  // as above
  T* out;
  index_t ld_out;
  double* beta_row;    // += row sums of out
  double* beta_col;    // += column sums of out
  double* alpha_row;   // += row sums of α_IJ (over the columns that count)
  double* alpha_col;   // += row sums of α_JI, that is, indexed by the columns of the tile
  const T* probe;      // nj
  double* probed_row;  // += out · probe
  T* scratch;          // 2·nj
};

/// Rows that the Gram kernels take at a time. float32 sums are chains of that length, or twice it (chains of 2048 left
/// 7e-7), and what is packed of them stays in the second-level cache: 6 % faster than 128, as fast as 256 at d = 256.
constexpr index_t gram_chunk = 192;

/// λ_r = ¾ (1 + frac(0.618 r)). Row r of what is summed is multiplied with it, and what it meets, or the sum, is
/// divided by it. Products and partial sums of equal samples then round differently, and what is lost in a sum of many
/// of them does not add up: Σ (x − shift)(x − shift)ᵀ of ones and zeros lost 2e-6 in float32, and loses 2e-8.
double row_factor(index_t r);

/// Terms of a moment Σ_i φ_i x_i that are added up in the type of the data: where many are equal, the roundings of a
/// chain have one sign: and 256 of them left 1e-6.
constexpr index_t moment_chain = 64;

constexpr index_t most_multiplied = 512;

/// Columns of the widest panel.
constexpr index_t most_panel = 16;

/// Two blocks of rows that are needed next, to prefetch line by line during other work.
struct TilePrefetch {
  struct Block {
    const char* base;
    index_t rows, stride, lines;  // stride in bytes, lines of 64 bytes per row
  };
  Block block[2];
  index_t current, row, line;
};

/// The same for n rows of each of two arrays, rows[r] or, where null, first + r.
struct RowPrefetch {
  const char* base[2];
  index_t stride[2];  // in bytes
  const index_t* rows;
  index_t first, n, lines;
  index_t row, line;  // what is asked for next
};

template <class T>
struct Kernels {
  /// acc (double, row stride ld_acc) += block (T, row stride ld).
  void (*add_block)(double* acc, index_t ld_acc, const T* block, index_t ld, index_t rows, index_t cols);
  /// Columns of a panel. What the Gram kernels need is packed panel by panel, row after row, `stride` rows from one
  /// panel to the next; the last panel is padded with 0.
  index_t panel;
  /// Writes λx to one row of every panel of `plain` and (w · x − y)/λ (y may be null) to one of `weighted` (may be
  /// null), λ = `factor`.
  void (*pack_row)(const T* x, const T* y, T w, T factor, index_t d, index_t stride, T* plain, T* weighted);
  /// For r in [0, n) the same of row rows[r] of x, w[r] and factors[first + r], as row `first + r` of every panel.
  void (*pack_rows)(const T* x, index_t stride_x, const index_t* rows, const T* w, const T* factors, index_t n,
                    index_t d, index_t stride, index_t first, T* plain, T* weighted);
  /// For every pair of panels pa ≤ pb, first ≤ pb < last, column by column: acc (panel × panel, double) += the product
  /// of the n rows of panel pa of `a`, transposed, with those of panel pb of `b`.
  void (*gram)(const T* a, const T* b, index_t n, index_t stride, index_t first, index_t last, double* acc);
  /// The same for uᵀv + vᵀu. Tiles pa = pb get 2 uᵀv: their symmetric part alone is right. `ahead` may be null.
  void (*cross_gram)(const T* u, const T* v, index_t n, index_t stride, index_t first, index_t last, double* acc,
                     RowPrefetch* ahead);
  /// acc (double) += Σ_r w_r x_r (x_r · signs) over n ≤ gram_chunk packed rows x_r of `count` panels.
  void (*probe)(const T* panels, index_t n, index_t stride, index_t count, const T* weights, const T* signs,
                double* acc);
  /// out (ni × count panels, row stride ld_out) += tile (ni × n, row stride ld) · the n ≤ most_multiplied rows of
  /// `count` packed panels. `ahead` may be null.
  void (*multiply_tile)(const T* tile, index_t ld, index_t ni, index_t n, const T* packed, index_t stride,
                        index_t count, T* out, index_t ld_out, TilePrefetch* ahead);
  /// The same for the transpose of a tile (n × ni).
  void (*multiply_transposed)(const T* tile, index_t ld, index_t ni, index_t n, const T* packed, index_t stride,
                              index_t count, T* out, index_t ld_out);
  /// sum (cols, double) += the rows of a contiguous block.
  void (*add_block_rows)(const T* block, index_t rows, index_t cols, double* sum);
  /// out = w · in.
  void (*scale_row)(const T* in, T w, index_t n, T* out);
  /// Σ x_j · y_j in double.
  double (*dot)(const T* x, const T* y, index_t n);
  double (*dot_wide)(const T* x, const double* y, index_t n);
  /// Real Fourier features: for a in [0, n): out[a·ld] = c_0, then c_k cos(kθ_a), c_k sin(kθ_a), k = 1..kmax.
  /// |θ| ≤ π. coefficients: kmax + 1.
  void (*fourier)(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out, index_t ld);
  /// The same transposed: feature l of sample a goes to out[l·ld + a].
  void (*series_feature_columns)(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out,
                                 index_t ld);
  /// Whether any entry of the tile is not 0.
  bool (*radial_tile)(const RadialTile<T, T>&);
  bool (*radial_tile_wide)(const RadialTile<T, double>&);
};

/// Two views of n samples, x_r − shift and x'_r − shift in row rows[r] of both arrays (no shift where null):
/// u_r = a_r x_r + b_r y_r, v_r = c_r x_r + e_r y_r with y_r = x'_r − k_r x_r and, where `plain` is given, p_r x_r,
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
  index_t stride;
  T *u, *v, *plain;
};

/// Kernels that read data of type S and compute in T.
template <class T, class S>
struct ReadKernels {
  /// out = x − shift, the difference taken in double.
  void (*center_row)(const S* x, const double* shift, index_t n, T* out);
  /// out = x − y, taken in T.
  void (*delta_row)(const S* x, const S* y, index_t n, T* out);
  /// sum += x − origin, in double.
  void (*add_offsets)(const S* x, const S* origin, index_t n, double* sum);
  void (*dense_tile)(const DenseTile<T, S>&);
  void (*pack_views)(const PackViews<T, S>&);
};

/// Sums of the rows of a radial tile, running: (nearest, sum) stand for sum · e^(−nearest/τ), nearest the least of the
/// q^(p/2) seen, infinite at first. Column `skip + i` of row i is left out.
template <class S>
struct RadialStats {
  const S* dot;
  index_t ld_dot;
  const S* half_i;
  const S* half_j;
  index_t ni, nj;
  index_t skip;
  double power;
  S inv_tau;
  S* nearest;
  double* sum;
  S* scratch;  // nj
};

template <class S>
struct DistanceKernels {
  void (*radial_stats)(const RadialStats<S>&);
  /// dot[i·ld + j] = −½‖f_i − f_j‖², f_i: rows of `fi` (ni × m, row stride m), columns j of `fjt` (m × nj, row stride
  /// ld_fjt).
  void (*negative_half_distance)(const S* fi, index_t ni, index_t m, const S* fjt, index_t ld_fjt, index_t nj, S* dot,
                                 index_t ld);
};

/// Rows of a panel of a packed symmetric matrix; vectors beside one are padded with zeros to a multiple of it.
constexpr index_t symmetric_panel = 16;

/// Symmetric matrices of type S. n = d rounded up to a multiple of symmetric_panel.
template <class S>
struct PackKernels {
  /// The lower triangle of A as a square (n² entries) or as the panels of its lower triangle (n (n + 16) / 2).
  void (*pack_symmetric)(const S* a, index_t stride, index_t d, bool square, S* out);
  /// The largest magnitude; NaN when anything is not finite.
  S (*peak_of)(const S* a, index_t count);
};

/// y = A v of a packed A of type S, computed in T.
template <class T, class S>
struct ProductKernels {
  void (*square_product)(const S* a, index_t n, const T* v, T* y);
  void (*packed_product)(const S* a, index_t n, const T* v, T* y);
};

/// Bases of `rows` vectors, ld (a multiple of symmetric_panel) apart.
template <class T>
struct BasisKernels {
  /// h = Q w; returns ‖w‖².
  double (*project)(const T* basis, index_t ld, index_t rows, const T* w, double* h);
  /// w −= Qᵀ h; returns the new ‖w‖².
  double (*subtract)(const T* basis, index_t ld, index_t rows, const double* h, T* w);
};

/// A symmetric tridiagonal T: m diagonal entries `alpha`, m − 1 off-diagonal ones `beta`, all of these positive.
struct TridiagonalKernels {
  /// The largest eigenvalue, sought from `guess` down if that lies above it; *last: the last entry of its unit
  /// eigenvector, at most a tenth too large, or 0 where it cannot be told. scratch: 2m.
  double (*top)(const double* alpha, const double* beta, index_t m, double guess, double* last, double* scratch);
  /// s (m) = the unit eigenvector of the eigenvalue `top`, to all its small entries, with a residual of `enough` or
  /// what two steps of inverse iteration leave. scratch: m.
  void (*top_vector)(const double* alpha, const double* beta, index_t m, double top, double enough, double* s,
                     double* scratch);
};

/// h'(u) as the kernels take it. kind 0: 1; 1: 1 for u > 0, else `parameter`; 2: q u^(q − 1), q = `parameter`.
struct NodeGate {
  int kind;
  double parameter;
};

/// Harmonics of the longest series that the kernels of nodes take.
constexpr index_t most_series_terms = 512;

/// Rows over the samples of one node.
template <class T>
struct NodeKernels {
  /// out = scale · h'(p) u; u = 1 where null.
  void (*gate_row)(const NodeGate& h, const T* p, const T* u, T scale, index_t n, T* out);
  /// u becomes h'(p)(u + shift) − gate · shift.
  void (*gate_difference_row)(const NodeGate& h, const T* p, T shift, T gate, index_t n, T* u);
  /// With δ = a − a': a becomes h'(p)(t − rδ) and a' becomes h'(p') rδ. Returns the sum of both less gate · Σ t.
  double (*gate_laplacian)(const NodeGate& h, const T* p, const T* p_aug, const T* t, const T* r, T gate, index_t n,
                           T* a, T* a_aug);
  /// Σ a t − r (a − a')².
  double (*quadratic_form)(const T* a, const T* a_aug, const T* t, const T* r, index_t n);
  /// Packs p and a (may be null) of the samples with p > 0 or NaN; returns how many. Room for n each.
  index_t (*gather_open)(const T* p, const T* a, index_t n, T* s_open, T* a_open);
  /// Puts packed t and r back where p > 0 or NaN; t = 0 and r = r_closed elsewhere. One more entry may be read.
  void (*scatter_open)(const T* p, const T* t_open, const T* r_open, T r_closed, index_t n, T* t, T* r);
  /// out (1 + 2·terms) += Σ_i a_i, Σ_i a_i cos kθ_i, Σ_i a_i sin kθ_i, θ = scale (u − origin), |θ| ≤ π; a = 1 where
  /// null.
  void (*series_moments)(const T* u, const T* a, index_t n, double origin, double scale, index_t terms, double* out);
  /// out = the series with coefficients `ones`, in double.
  void (*series_values)(const T* u, index_t n, double origin, double scale, index_t terms, const double* ones,
                        double* out);
  /// r = the series with coefficients `ones` at θ, t = 2 (a r − the series with coefficients `moments`), in double.
  void (*series_laplacian)(const T* u, const T* a, index_t n, double origin, double scale, index_t terms,
                           const double* ones, const double* moments, T* t, T* r);
};

/// ψ of a pair loss, and what it is taken of: x_ij = offset_i + t_ij.
enum class PairForm {
  exponential,  // e^x; in log-sum-exp form
  hinge,        // [x]₊
  logistic,     // 1/(1 + e^−x)
  softplus,     // log(1 + e^x)
  square,       // ½ [x]₊²
};

/// Forms whose slope asks for the side of x = 0 that the truth is on.
constexpr bool has_kink(PairForm form) { return form == PairForm::hinge || form == PairForm::square; }

/// One tile of scores t_ij = scale · min(f_i·g_j − half_i − half_j, ceiling), and what is made of it.
template <class T>
struct PairTile {
  T* tile;  // ni × nj products f_i·g_j, row stride ld; overwritten
  index_t ld;
  index_t ni, nj;
  const T *half_i, *half_j;  // ½‖f‖² for distances, else zeros
  T scale, ceiling;
  index_t skip[3];  // columns skip[·] + i of row i, such as the pair of a sample with itself, are left out
  index_t first;    // row i starts at column max(0, i + first); what lies before is written as 0
  PairForm form;
  T* scratch;  // 4·nj
  /// Rows of the features as given, or null. Where the argument x of a form with a kink lies within
  /// doubt · scale · (half_i + half_j) of the kink, the score is taken from their differences.
  const T *given_i, *given_j;
  index_t features;
  T doubt;
};

/// Log-sum-exp of rows and columns, running: (peak, sum) stand for sum · e^peak. Columns may be null.
template <class T>
struct PairLogSums {
  T *row_peak, *col_peak;
  double *row_sum, *col_sum;
};

/// Σ_j ψ(row_i + t_ij) is added to row_sum_i, and Σ_i ψ(col_j + t_ij) to col_sum_j. Columns may be null.
template <class T>
struct PairSums {
  const T *row, *col;
  double *row_sum, *col_sum;
};

/// The tile becomes row_weight_i ψ'(row_i + t_ij) + col_weight_j ψ'(col_j + t_ij). Columns may be null.
/// e^x: row and col are the logarithms of the normalisers, or, when `shared`, weights are those beside
/// e^(t_ij − shift) and row and col are not read.
template <class T>
struct PairWeights {
  const T *row, *col, *row_weight, *col_weight;
  const T *row_low, *col_low;  // of forms with a kink: x_ij = low_i + (row_i + t_ij)
  bool shared;
  T shift;
  double *sum_i, *sum_j;  // += sums of the tile's rows and columns, or null
  double *own_i, *own_j;  // += sums over the row of the first term, over the column of the second; null with sum_i
};

template <class T>
struct PairKernels {
  void (*log_sums)(const PairTile<T>&, const PairLogSums<T>&);
  void (*sums)(const PairTile<T>&, const PairSums<T>&);
  void (*weights)(const PairTile<T>&, const PairWeights<T>&);
  /// ½‖a − b‖² of m numbers; the same bits wherever it is asked for.
  T (*half_square)(const T* a, const T* b, index_t m);
};

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
