// The two augmented views of N samples, as the operations read them: centred rows and differences.
#pragma once

#include "alphacl/view.h"

namespace alphacl {

/// Rows of panels (kernels.h) made of samples rows[r], r < n: u_r = a_r x + b_r x', v_r = c_r x + e_r x' and x itself
/// (`plain`, may be null), x and x' less their shift.
template <class T>
struct PackedPairs {
  const index_t* rows;
  T *a, *b, *c, *e;  // may be overwritten
  index_t n;
  index_t stride;  // rows from one panel to the next
  T *u, *v, *plain;
};

/// Rows of x minus a common shift, and rows of x − x', computed in T whatever the type in memory is.
/// The contrastive covariance depends on differences only; with the mean taken out the Laplacian form does not
/// cancel when the data has an offset.
template <class T>
class Samples {
 public:
  virtual ~Samples() = default;

  index_t size() const { return size_; }          // N
  index_t features() const { return features_; }  // d

  /// out (n × d, contiguous): row r is x[i] − shift with i = order ? order[begin + r] : begin + r.
  virtual void centered(index_t begin, index_t n, const index_t* order, T* out) const = 0;
  /// The same for x[i] − x'[i].
  virtual void deltas(index_t begin, index_t n, const index_t* order, T* out) const = 0;
  virtual void pack(const PackedPairs<T>& pairs) const = 0;

 protected:
  Samples(index_t size, index_t features) : size_(size), features_(features) {}

 private:
  index_t size_, features_;
};

/// Samples that stand in memory as S.
template <class T, class S>
class SamplesOf final : public Samples<T> {
 public:
  SamplesOf(View<const S> x, View<const S> x_aug);
  void centered(index_t begin, index_t n, const index_t* order, T* out) const override;
  void deltas(index_t begin, index_t n, const index_t* order, T* out) const override;
  void pack(const PackedPairs<T>& pairs) const override;

 private:
  View<const S> x_, x_aug_;
  Buffer<double> shift_;
  Buffer<T> narrow_shift_, ones_;
};

/// The mean of the rows in double: the first row plus the mean offset from it, so that constant data gives exactly
/// that constant. The same bits for any number of threads.
template <class S>
void row_mean(View<const S> x, double* mean);

}  // namespace alphacl
