// Weighted Gram matrices Σ_i w_i x_i x_iᵀ and their relatives, accumulated in double.
#pragma once

#include "alphacl/importance.h"
#include "packing/packed_panels.h"
#include "packing/samples.h"

namespace alphacl {

/// Frobenius norms of the result without (ΦᵀX)ᵀ(ΦᵀX), of the result, and of its terms where they may cancel.
struct GramNorms {
  double weighted, total, terms;
};

/// Collects the Laplacian form as a d × d matrix.
/// D x xᵀ − R δδᵀ = D sym(u vᵀ) with u = x − sδ, v = x + sδ, s² = R/D (½ where α is symmetric): one product in place of
/// two weighted Grams. Cost: 2 n d² operations for that, n d² more with y; memory G d²/2 doubles for G ≤ 64 groups of
/// rows that depend on N and d alone, so that the same bits come out for any number of threads.
template <class T>
class GramSink final : public LaplacianSink<T> {
 public:
  /// Groups of rows for N samples of d features, each with its own sums.
  static index_t groups(index_t n, index_t d);

  GramSink(const Samples<T>& x, bool probed) : GramSink(x, probed, groups(x.size(), x.features())) {}
  GramSink(const Samples<T>& x, bool probed, index_t groups);
  void tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* row_sum,
             View<const T> y) override;
  void factors(const double* degree, const double* row_sum, const Features<T>& phi) override;
  double length(const T* x) const override;
  void terms(double root) override { terms_ = root; }

  /// Samples rows[0 … n) (the first n where null): adds Σ D_i x_i x_iᵀ − R_i δ_i δ_iᵀ, and −2(ΦᵀX)ᵀ(ΦᵀX) over them
  /// where phi is given; then D and R have the same sign everywhere.
  void add_views(const index_t* rows, index_t n, const double* degree, const double* row_sum, const Features<T>* phi);
  /// Samples rows[0 … n) of z, which has the features of x: adds Σ w_i z_i z_iᵀ, half the work of add_views(), and
  /// their part of the moments ΦᵀX where phi, the one given to add_views(), is given. Not where probed.
  void add_outer(const Samples<T>& z, const index_t* rows, index_t n, const double* weights, const Features<T>* phi);
  /// From now on tiles() adds −2 x_i y_iᵀ alone.
  void products_only() { products_only_ = true; }

  /// out (d × d doubles, exactly symmetric) = scale · what was collected.
  GramNorms finish(double scale, double* out) const;
  /// Where probed, an estimate of ‖M‖_F, M = Σ |D_i| x_i x_iᵀ, the size of what the Laplacian form subtracts from: the
  /// larger of ‖Mv‖ for a random v, right on average, and for a unit vector along which much of the data lies, which a
  /// random one may be orthogonal to.
  double minuend() const;

 private:
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
  void add_moments(const Features<T>& phi, const index_t* rows, const PackedPanels<T>& packed, index_t n,
                   const Share& share, Scratch& s);

  const Samples<T>& x_;
  bool probed_, products_only_ = false;
  index_t groups_ = 0, moment_groups_ = 0, rank_ = 0, panels_ = 0, wide_ = 0;
  Buffer<double> upper_;  // groups × UpperTiles
  double terms_ = 0;
  Buffer<double> moments_;  // moment_groups × p × d (padded): ΦᵀX
  Buffer<double> squares_;  // moment_groups × p: Σ_i φ_l(i)² ‖x_i‖², where ΦΦᵀ may have negative entries
  Buffer<T> vectors_;       // 2 × d, padded: those that M is multiplied with
  Buffer<double> probes_;   // groups × 2 × d, padded
};

}  // namespace alphacl
