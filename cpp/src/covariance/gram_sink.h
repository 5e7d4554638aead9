// Weighted Gram matrices Σ_i w_i x_i x_iᵀ and their relatives, accumulated in double.
#pragma once

#include <vector>

#include "alphacl/importance.h"
#include "packing/packed_panels.h"
#include "packing/samples.h"

namespace alphacl {

/// Frobenius norms: of the larger of the two parts that the result is the difference of, the weighted products and
/// 2(ΦᵀX)ᵀ diag(s) (ΦᵀX); of the result; and of the terms that may cancel.
struct GramNorms {
  double parts, total, terms;
};

/// Collects the Laplacian form as a d × d matrix.
/// With s² = R/D (½ where α is symmetric), D x xᵀ − R δδᵀ is the symmetric part of D u vᵀ, u = x − sδ, v = x + sδ: one
/// product of packed rows takes the place of two weighted Gram matrices. Cost: 2 n d² operations, and n d² more with y.
/// Memory: G d²/2 doubles for G ≤ 64 groups of rows. G depends on N and d alone, so the result has the same bits for
/// any number of threads.
template <class T>
class GramSink final : public LaplacianSink<T> {
 public:
  /// The number of groups of rows for N samples of d features; each group has its own sums.
  static index_t groups(index_t n, index_t d);

  GramSink(const Samples<T>& x, bool probed) : GramSink(x, probed, groups(x.size(), x.features())) {}
  GramSink(const Samples<T>& x, bool probed, index_t groups);
  void tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* row_sum,
             View<const T> y) override;
  void factors(const double* degree, const double* row_sum, const Features<T>& phi) override;
  double length(const T* x) const override;
  void terms(double root) override { terms_ = root; }

  /// Samples rows[0 … n), or the first n where null: adds Σ_i D_i x_i x_iᵀ − R_i δ_i δ_iᵀ. With phi also −2(ΦᵀX)ᵀ
  /// diag(s) (ΦᵀX) over them; D and R must then have the same sign everywhere.
  void add_views(const index_t* rows, index_t n, const double* degree, const double* row_sum, const Features<T>* phi);
  /// Samples rows[0 … n) of z, with as many features as x: adds Σ_i w_i z_i z_iᵀ, half the work of add_views(). With
  /// phi, the one given to add_views(), also their part of the moments ΦᵀX. Not where `probed`.
  void add_outer(const Samples<T>& z, const index_t* rows, index_t n, const double* weights, const Features<T>* phi);
  /// From now on tiles() adds only −2 x_i y_iᵀ.
  void products_only() { products_only_ = true; }

  /// out (d × d doubles, exactly symmetric) = scale · the sum so far.
  GramNorms finish(double scale, double* out) const;
  /// Where probed, an estimate of ‖M‖_F, M = Σ_i |D_i| x_i x_iᵀ, the size of what the Laplacian form subtracts from:
  /// the larger of ‖Mv‖ for a random v, right on average, and for a unit v along the main direction of the data, to
  /// which a random one may be orthogonal.
  double minuend() const;

 private:
  // 2(ΦᵀX)ᵀ diag(s) (ΦᵀX), upper triangle: the square of what its terms lose (times ε), and with s of both signs the
  // size of its terms.
  struct Squared {
    Buffer<double> matrix;
    double terms = 0, size = 0;
  };
  struct Scratch;
  struct Entries;
  // The columns of tiles [first, last) of a group.
  struct Share {
    index_t group, first, last;
  };
  template <class F>
  void for_groups(index_t groups, index_t n, F&& body);
  double* tiles_of(index_t g, index_t first) const;
  void probe(const PackedPanels<T>& packed, index_t n, const T* weights, index_t g);
  void multiply(Scratch& s, index_t n, index_t first, index_t last, double* upper, bool symmetric,
                RowPrefetch* prefetch) const;
  index_t groups_for(const Features<T>* phi);
  void flush(Entries& entries, RowPrefetch& prefetch, const Features<T>* phi, index_t g, index_t first, index_t last,
             Scratch& s);
  Buffer<double> signed_rows(const Buffer<double>& moments) const;
  Squared squared_moments() const;
  void add_moments(const Features<T>& phi, const index_t* rows, const PackedPanels<T>& packed, index_t n,
                   const Share& share, Scratch& s);

  const Samples<T>& x_;
  bool probed_, products_only_ = false;
  index_t groups_ = 0, moment_groups_ = 0, rank_ = 0, panels_ = 0, wide_ = 0;
  Buffer<double> upper_;  // groups × UpperTiles
  double terms_ = 0;
  Buffer<double> moments_;     // moment_groups × p × d (padded): ΦᵀX
  Buffer<double> squares_;     // moment_groups × p: Σ_i φ_l(i)² ‖x_i‖², where α may have negative entries
  std::vector<double> signs_;  // s, empty where all are 1
  Buffer<T> vectors_;          // 2 × d, padded: the vectors v of minuend()
  Buffer<double> probes_;      // groups × 2 × d, padded
};

}  // namespace alphacl
