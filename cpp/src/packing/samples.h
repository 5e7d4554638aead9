// The two augmented views of N samples, as the operations read them: centred rows and differences.
#pragma once

#include "alphacl/view.h"
#include "isa/tables/kernels.h"

namespace alphacl {

/// Rows to be packed in panels (isa/tables/panels.h), from samples rows[r], r < n, x and x' less their shift: u_r = a_r
/// x + b_r (x' − x), v_r = c_r x + e_r (x' − x), and row_factor(r) x in `plain`, which may be null.
template <class T>
struct PackedViews {
  const index_t* rows;
  T *a, *b, *c, *e;  // may be overwritten
  index_t n;
  Panels<T> u, v, plain;
};

/// Rows of x minus a common shift, and rows of x − x', in T whatever the type in memory is. The contrastive covariance
/// depends on differences only; without its mean the data does not cancel in the Laplacian form.
template <class T>
class Samples {
 public:
  virtual ~Samples() = default;

  index_t size() const { return size_; }          // N
  index_t features() const { return features_; }  // d

  /// out (n × d, contiguous): row r is x[i] − shift with i = order ? order[begin + r] : begin + r.
  virtual void centered(index_t begin, index_t n, const index_t* order, T* out) const = 0;
  /// out (n × d, contiguous): row r is x[i] − x'[i], i as above.
  virtual void deltas(index_t begin, index_t n, const index_t* order, T* out) const = 0;
  virtual void pack(const PackedViews<T>& views) const = 0;
  /// Where pack() will read samples rows[0 … n), or first … first + n − 1 where null.
  virtual RowPrefetch prefetch(const index_t* rows, index_t first, index_t n) const = 0;

 protected:
  Samples(index_t size, index_t features) : size_(size), features_(features) {}

 private:
  index_t size_, features_;
};

/// The rows of both views as a prefetch.
template <class S>
RowPrefetch prefetch_rows(View<const S> x, View<const S> x_aug, const index_t* rows, index_t first, index_t n) {
  const index_t bytes = static_cast<index_t>(sizeof(S));
  return {{reinterpret_cast<const char*>(x.data), reinterpret_cast<const char*>(x_aug.data)},
          {x.stride * bytes, x_aug.stride * bytes},
          rows,
          first,
          n,
          ceil_div(x.cols * bytes, 64),
          0,
          0};
}

/// Samples that are held in memory as S.
template <class T, class S>
class SamplesOf final : public Samples<T> {
 public:
  SamplesOf(View<const S> x, View<const S> x_aug);
  void centered(index_t begin, index_t n, const index_t* order, T* out) const override;
  void deltas(index_t begin, index_t n, const index_t* order, T* out) const override;
  void pack(const PackedViews<T>& views) const override;
  RowPrefetch prefetch(const index_t* rows, index_t first, index_t n) const override {
    return prefetch_rows(x_, x_aug_, rows, first, n);
  }

 private:
  View<const S> x_, x_aug_;
  index_t together_;      // rows that are read as one, where they lie one behind the other
  Buffer<double> shift_;  // for so many rows
  Buffer<T> narrow_shift_, same_;
};

/// The mean of every step-th row, in double: the first row plus the mean offset from it, so that constant data gives
/// exactly that constant. The same bits for any number of threads.
template <class S>
void row_mean(View<const S> x, double* mean, index_t step = 1);

/// Reorders `count` numbers so that x[k] is the k-th in rising order, NaN last.
void nth_number(double* x, index_t k, index_t count);

/// Rounds a mean to an eighth of the median deviation from it (rounded to a power of two; of at most 64 rows). Any
/// shift near the data will do. x − shift of integers, or of ones and zeros, then has few bits: products and sums are
/// exact, where roundings of many equal samples would add up.
template <class S>
void shorten(View<const S> x, double* mean);

}  // namespace alphacl
