// A pairwise importance α as a linear operator on N samples: the interface between importances and operations.
//
// α gives a weight α_ij to every pair of samples (i, j), and the package never needs it as an N × N array. With row
// sums r = α1 and column sums c = αᵀ1 the contrastive covariance is the Laplacian form
//
//     2N² C_α[x] = Σ_i D_i x_i x_iᵀ − Xᵀ(α + αᵀ)X − Σ_i R_i δ_i δ_iᵀ,      D = r + c,  R = r,  δ_i = x_i − x'_i.
//
// So an importance is a class that can form sums (row_sums, degrees), products (matmul, symmetric_product) and this
// form over given samples (laplacian). It hands the form piece by piece to a LaplacianSink: blocks of rows where α is
// made in tiles, or a factor Φ where α = Φ diag(s) Φᵀ. An operation is such a sink: one collects the d × d matrix,
// another its trace. Hence a new importance changes no operation, and a new operation changes no importance. Entries
// come out by to_dense() only, for small N.
#pragma once

#include <memory>
#include <vector>

#include "alphacl/sparse_matrix.h"
#include "alphacl/view.h"

namespace alphacl {

template <class T>
class Samples;  // packing/samples.h

/// Writes rows of a factor Φ of a low-rank importance α = Φ diag(s) Φᵀ.
template <class T>
class Features {
 public:
  virtual ~Features() = default;
  virtual index_t rank() const = 0;  // p
  /// s, of any sign; null where all are 1.
  virtual const double* signs() const { return nullptr; }
  /// Whether no entry of α is negative, apart from its approximation error.
  virtual bool nonnegative() const { return false; }
  /// out (n × p, contiguous): rows begin … begin + n − 1 of Φ.
  virtual void rows(index_t begin, index_t n, T* out) const = 0;
  /// out (n × p): rows which[0 … n) of Φ.
  virtual void rows_at(const index_t* which, index_t n, T* out) const {
    for (index_t r = 0; r < n; ++r) rows(which[r], 1, out + r * rank());
  }
  /// out (p × n, row stride ld): rows which[0 … n) of Φ, transposed.
  virtual void columns(const index_t* which, index_t n, T* out, index_t ld) const {
    Buffer<T> row(rank());
    for (index_t r = 0; r < n; ++r) {
      rows(which[r], 1, row.data());
      for (index_t l = 0; l < rank(); ++l) out[l * ld + r] = row[l];
    }
  }
};

/// A factor Φ that is held in memory.
template <class T>
class StoredFeatures final : public Features<T> {
 public:
  StoredFeatures(index_t size, index_t rank, const double* signs, bool nonnegative)
      : rank_(rank), nonnegative_(nonnegative), signs_(signs, signs + (signs ? rank : 0)), phi_(size * rank) {}
  index_t rank() const override { return rank_; }
  const double* signs() const override { return signs_.empty() ? nullptr : signs_.data(); }
  bool nonnegative() const override { return nonnegative_; }
  void rows(index_t begin, index_t n, T* out) const override {
    for (index_t e = 0; e < n * rank_; ++e) out[e] = phi_[begin * rank_ + e];
  }
  T* row(index_t i) const { return phi_.data() + i * rank_; }

 private:
  index_t rank_;
  bool nonnegative_;
  std::vector<double> signs_;
  Buffer<T> phi_;
};

/// Receives the Laplacian form (top of this file) in pieces; x is centred. An importance may leave the diagonal out of
/// D and of α + αᵀ together: it cancels. A sink is called from serial code and is parallel itself.
template <class T>
class LaplacianSink {
 public:
  virtual ~LaplacianSink() = default;

  /// Samples order[begin … end), or begin … end where null: adds D_i x_i x_iᵀ − 2 x_i y_iᵀ − R_i δ_i δ_iᵀ. `degree` and
  /// `row_sum` (D and R) are indexed by sample; row 0 of y belongs to `begin`. Only the symmetric part counts, so y =
  /// Ux for any U with U + Uᵀ = α + αᵀ.
  virtual void tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* row_sum,
                     View<const T> y) = 0;

  /// All samples, for α = Φ diag(s) Φᵀ: adds Σ_i D_i x_i x_iᵀ − R_i δ_i δ_iᵀ, and − 2(ΦᵀX)ᵀ diag(s) (ΦᵀX).
  virtual void factors(const double* degree, const double* row_sum, const Features<T>& phi) = 0;

  /// The length l_i of a sample in the norm of the result: the term of a pair has the size |α_ij + α_ji| l_i l_j.
  virtual double length(const T* x) const = 0;
  /// Called once beside tiles() where D does not bound all that is added up: an estimate of √Σ_ij (α_ij + α_ji)² l_i²
  /// l_j². Terms of both signs may cancel in D, their roundings do not: they are about ε times this root.
  virtual void terms(double root) = 0;
};

template <class T>
class Importance {
 public:
  virtual ~Importance() = default;

  index_t size() const { return size_; }  // N

  /// r = α1 and c = αᵀ1, in double.
  virtual void row_sums(double* r) const = 0;
  virtual void col_sums(double* c) const = 0;
  /// D and R as laplacian() takes them, at the relative accuracy of α. The diagonal of α is left out of D where it
  /// would swallow the other entries; R always has it.
  virtual void degrees(double* degree, double* row_sum) const = 0;
  /// out = (α + αᵀ) y, with or without the diagonal as in degrees(), so that diag(D) y − out is the Laplacian of the
  /// pairs. Also does degrees(), unless both pointers are null. Rows of y lie at least y.cols apart. `out` is double:
  /// where a tiled β = α + αᵀ joins tight clusters, β_i y is nearly D_i y_i, and a rounding would be the same for all
  /// samples of a cluster.
  virtual void symmetric_product(View<const T> y, View<double> out, double* degree, double* row_sum) const = 0;
  /// out = α y, y: N × q, which share no memory.
  virtual void matmul(View<const T> y, View<T> out) const = 0;
  virtual bool symmetric() const { return true; }
  /// Whether no entry of α is negative. Then D bounds all that is added up on the way.
  virtual bool nonnegative() const { return true; }
  /// Φ of a low-rank importance α = Φ diag(s) Φᵀ, null for others.
  virtual const Features<T>* factor() const { return nullptr; }
  /// Where entries of α are differences of larger terms (s of both signs): the sums of the sizes of these terms, as an
  /// importance that lives no longer than this one. Its products bound what rounding leaves in those of α.
  virtual std::unique_ptr<Importance<T>> sizes() const { return nullptr; }
  /// Hands the Laplacian form over x to `sink`.
  virtual void laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const = 0;
  /// Hands − Xᵀ(α + αᵀ)X alone to a sink that takes no more of what laplacian() hands to it, the diagonal as in
  /// degrees().
  virtual void products(const Samples<T>& x, LaplacianSink<T>& sink) const { laplacian(x, sink); }
  /// α itself, N × N.
  virtual void to_dense(View<T> out) const = 0;
  /// α over the samples rows[0 … n) alone. Entries are those of the whole: normalisers are not computed again.
  virtual std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const = 0;
  /// The same importance computed in double, from the same arrays.
  virtual std::unique_ptr<Importance<double>> widened() const = 0;
  /// An importance in double whose restricted() parts give every entry in to_dense() to the digits of a double, however
  /// small.
  virtual std::unique_ptr<Importance<double>> literal() const { return widened(); }

 protected:
  explicit Importance(index_t size) : size_(size) {}

 private:
  index_t size_;
};

/// α given as an array (any sign, not necessarily symmetric). O(N²) memory is the caller's.
template <class T, class S>
std::unique_ptr<Importance<T>> dense(View<const S> alpha);

/// α_ij = 1 for i ≠ j; α_ii = 1 where `diagonal`, else 0.
template <class T>
std::unique_ptr<Importance<T>> uniform(index_t size, bool diagonal);

/// α = Φ diag(s) Φᵀ, Φ: N × p; signs: the p numbers s, which are copied, null: ones. Time O(N p d), memory O(p d).
template <class T, class S>
std::unique_ptr<Importance<T>> low_rank(View<const S> phi, const double* signs);

/// α_ij = same where samples i and j have one label, else different; the labels are copied. Time O(N q) for a product
/// with q columns, O(N d²) for a covariance; memory O(N d).
template <class T>
std::unique_ptr<Importance<T>> labels(const std::int64_t* of, index_t size, double same, double different);

/// α as a sparse matrix, any sign, not necessarily symmetric. Time O(nnz q) for a product with q columns; memory O(nnz
/// + N d).
template <class T>
std::unique_ptr<Importance<T>> sparse(SparseMatrix matrix);

/// The parameters of a radial importance e_ij = exp(−d^p/τ), or 1/(d^p + τ)^q, of d² = ½‖f_i − f_j‖².
struct Radial {
  double tau;
  double power = 2;           // p
  bool unit_diagonal = true;  // α_ii = 1, else 0
  bool normalize = false;     // α_ij = e_ij/(Σ_k e_ik + eps · n), n the number of terms of the sum
  bool paired = false;        // samples i and i + N/2 are two views of one: α is 0 there, and e in no sum
  double eps = 0;
  double inverse = 0;  // q; 0: exponential
};

/// Radial importance from features f: N × m, by tiles. Time O(N²(m + d)), memory O(N(m + d)).
template <class T, class S>
std::unique_ptr<Importance<T>> radial(View<const S> f, const Radial& radial);

/// How a Gaussian importance of scalars is computed; `automatic` takes the cheapest (importances/gaussian_series.h).
enum class GaussianMethod { automatic, tiles, fourier, sorted };

/// α_ij = exp(−‖f_i − f_j‖²/(2τ)), f: N × m. For m = 1 linear in N, with an error of at most `tol` in α.
template <class T, class S>
std::unique_ptr<Importance<T>> gaussian(View<const S> f, double tau, double tol, GaussianMethod method);

}  // namespace alphacl
