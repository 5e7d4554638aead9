// Weighted Gram matrices Σ_i w_i x_i x_iᵀ and their relatives, accumulated in double.
#pragma once

#include "alphacl/importance.h"

namespace alphacl {

/// Collects the Laplacian form as a d × d matrix.
/// Cost: n d² operations per weighted Gram, twice that with y; memory G d² doubles, G ≤ 64 groups of rows that depend
/// on N and d alone, so that the same bits come out for any number of threads.
template <class T>
class GramSink final : public LaplacianSink<T> {
 public:
  explicit GramSink(const Samples<T>& x);
  void tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* weight,
             View<const T> y) override;
  void factors(const double* degree, const double* weight, const Features<T>& phi) override;

  /// out (d × d doubles, exactly symmetric) = scale · what was collected.
  void finish(double scale, double* out) const;
  /// An estimate of ‖Σ |D_i| x_i x_iᵀ‖_F, the size of what the Laplacian form subtracts from: the norm of its product
  /// with one vector of random signs.
  double minuend() const;

 private:
  struct Task;
  void accumulate(index_t begin, index_t end, const Task& task);
  index_t moment_entries() const;

  const Samples<T>& x_;
  index_t groups_ = 0, rank_ = 0, panels_ = 0;
  Buffer<double> upper_;    // groups × UpperTiles: the symmetric part
  Buffer<double> moments_;  // groups × tiles of ΦᵀX, all of Φ for one panel of X after the other
  Buffer<T> signs_;         // d, padded
  Buffer<double> probes_;   // groups × d, padded
};

}  // namespace alphacl
