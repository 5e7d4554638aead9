// A pairwise importance α is a linear operator on N samples. What knows its row sums, its products and its
// Laplacian form serves every operation of the package.
#pragma once

#include <memory>

#include "alphacl/view.h"

namespace alphacl {

template <class T>
class Samples;  // packing/samples.h

/// Writes rows of a factor Φ of a low-rank importance α = ΦΦᵀ.
template <class T>
class Features {
 public:
  virtual ~Features() = default;
  virtual index_t rank() const = 0;  // p
  /// Whether no entry of ΦΦᵀ is negative, but for what it errs by.
  virtual bool nonnegative() const { return false; }
  /// out (n × p, contiguous): rows begin … begin + n − 1 of Φ.
  virtual void rows(index_t begin, index_t n, T* out) const = 0;
  /// The same for rows which[0 … n).
  virtual void rows_at(const index_t* which, index_t n, T* out) const {
    for (index_t r = 0; r < n; ++r) rows(which[r], 1, out + r * rank());
  }
  /// The same transposed: out (p × n, row stride ld).
  virtual void columns(const index_t* which, index_t n, T* out, index_t ld) const {
    Buffer<T> row(rank());
    for (index_t r = 0; r < n; ++r) {
      rows(which[r], 1, row.data());
      for (index_t l = 0; l < rank(); ++l) out[l * ld + r] = row[l];
    }
  }
};

/// Rows of a factor that stand in memory already.
template <class T>
class StoredFeatures final : public Features<T> {
 public:
  StoredFeatures(index_t size, index_t rank, bool nonnegative)
      : rank_(rank), nonnegative_(nonnegative), phi_(size * rank) {}
  index_t rank() const override { return rank_; }
  bool nonnegative() const override { return nonnegative_; }
  void rows(index_t begin, index_t n, T* out) const override {
    for (index_t e = 0; e < n * rank_; ++e) out[e] = phi_[begin * rank_ + e];
  }
  T* row(index_t i) const { return phi_.data() + i * rank_; }

 private:
  index_t rank_;
  bool nonnegative_;
  Buffer<T> phi_;
};

/// Receives the Laplacian form Σ_i D_i x_i x_iᵀ − Xᵀ(α + αᵀ)X − Σ_i R_i δ_i δ_iᵀ in pieces,
/// with D = r + c, R = r, r = α1, c = αᵀ1, x centred and δ = x − x'. Terms with j = i may be left out of D and of
/// α + αᵀ together. A sink is called from serial code and runs in parallel itself.
template <class T>
class LaplacianSink {
 public:
  virtual ~LaplacianSink() = default;

  /// Samples order[begin … end) (or begin … end): adds D_i x_i x_iᵀ − 2 x_i y_iᵀ − R_i δ_i δ_iᵀ; `degree` and `row_sum`
  /// (D and R) are indexed by sample, row 0 of y belongs to `begin`. Only the symmetric part counts,
  /// so y = Ux with U + Uᵀ = α + αᵀ will do.
  virtual void tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* row_sum,
                     View<const T> y) = 0;

  /// All samples, for α = ΦΦᵀ: adds Σ D_i x_i x_iᵀ − R_i δ_i δ_iᵀ − 2(ΦᵀX)ᵀ(ΦᵀX).
  virtual void factors(const double* degree, const double* row_sum, const Features<T>& phi) = 0;

  /// The length l of a sample, such that roundings of terms l_i l_j are those of the result.
  virtual double length(const T* x) const = 0;
  /// Beside tiles(), once, where α is not nonnegative(): an estimate of the root of Σ_ij (α_ij + α_ji)² l_i² l_j². The
  /// degrees say nothing of terms that cancel each other; their roundings do not cancel and are about ε times this.
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
  /// D and R as laplacian() uses them: without the diagonal where D would be lost beside it, at the same relative
  /// accuracy as α itself.
  virtual void degrees(double* degree, double* row_sum) const = 0;
  /// out = (α + αᵀ) y without what degrees() leaves out: the Laplacian of the pairs is diag(D) y − out. And degrees(),
  /// unless both are null. Rows of y lie at least y.cols apart. In double: where β = α + αᵀ joins tight clusters,
  /// β_i y is nearly D_i y_i and the same for all samples of a cluster, and so would be its rounding.
  virtual void symmetric_product(View<const T> y, View<double> out, double* degree, double* row_sum) const = 0;
  /// out = α y, y: N × q.
  virtual void matmul(View<const T> y, View<T> out) const = 0;
  virtual bool symmetric() const { return true; }
  /// Whether no entry of α is negative. Then nothing is added up to more than the degrees say.
  virtual bool nonnegative() const { return true; }
  /// Φ of a low-rank importance α = ΦΦᵀ, null for others.
  virtual const Features<T>* factor() const { return nullptr; }
  /// Hands the Laplacian form over x to `sink`.
  virtual void laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const = 0;
  /// α itself, N × N.
  virtual void to_dense(View<T> out) const = 0;
  /// α over the samples rows[0 … n) alone, entry for entry: normalisers and features are those of the whole.
  virtual std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const = 0;
  /// The same importance computed in double, from the same arrays.
  virtual std::unique_ptr<Importance<double>> widened() const = 0;
  /// The same for to_dense() of parts of it: every entry, however small, to the digits of a double.
  virtual std::unique_ptr<Importance<double>> literal() const { return widened(); }

 protected:
  explicit Importance(index_t size) : size_(size) {}

 private:
  index_t size_;
};

/// α given as an array (any sign, not necessarily symmetric). O(N²) memory is the caller's.
template <class T, class S>
std::unique_ptr<Importance<T>> dense(View<const S> alpha);

/// α = 1 for every pair; for those of a sample with itself only where `diagonal`, else 0.
template <class T>
std::unique_ptr<Importance<T>> uniform(index_t size, bool diagonal);

/// α = ΦΦᵀ, Φ: N × p. Time O(N p d), memory O(p d).
template <class T, class S>
std::unique_ptr<Importance<T>> low_rank(View<const S> phi);

/// What a radial importance α_ij = exp(−(½‖f_i − f_j‖²)^(p/2)/τ) is made of.
struct Radial {
  double tau;
  double power = 2;           // p
  bool unit_diagonal = true;  // α_ii = 1, else 0
  bool normalize = false;     // rows divided by their sums
};

/// Radial importance from features f: N × m, by tiles. Time O(N²(m + d)), memory O(N(m + d)).
template <class T, class S>
std::unique_ptr<Importance<T>> radial(View<const S> f, const Radial& radial);

/// How a Gaussian importance of scalars is computed; `automatic` takes the cheapest.
enum class GaussianMethod { automatic, tiles, fourier, sorted };

/// α_ij = exp(−‖f_i − f_j‖²/(2τ)), f: N × m. For m = 1 linear in N, with an error of at most `tol` in α.
template <class T, class S>
std::unique_ptr<Importance<T>> gaussian(View<const S> f, double tau, double tol, GaussianMethod method);

}  // namespace alphacl
