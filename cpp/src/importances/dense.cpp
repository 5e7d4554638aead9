// α given as an (N, N) array.
#include <algorithm>

#include "importances/tiled.h"
#include "isa/tables/kernels.h"

namespace alphacl {
namespace {

template <class T, class S>
class Dense final : public TiledImportance<T> {
 public:
  explicit Dense(View<const S> alpha) : TiledImportance<T>(alpha.rows), alpha_(alpha) {}
  /// Owns its entries.
  Dense(Buffer<S> entries, index_t n)
      : TiledImportance<T>(n), kept_(std::move(entries)), alpha_{kept_.data(), n, n, n} {}

  std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const override {
    Buffer<S> entries(n * n);
    parallel_for(n, [&](index_t i, int) {
      const S* row = alpha_.row(rows[i]);
      for (index_t j = 0; j < n; ++j) entries[i * n + j] = row[rows[j]];
    });
    return std::make_unique<Dense<T, S>>(std::move(entries), n);
  }

  std::unique_ptr<Importance<double>> widened() const override { return dense<double, S>(alpha_); }

 protected:
  void tile(const Tile& w, T* out, index_t ld, TileScratch<T>&) const override {
    for (index_t i = 0; i < w.ni; ++i) {
      const S* row = alpha_.row(w.i0 + i) + w.j0;
      std::copy(row, row + w.nj, out + i * ld);
    }
  }

  bool half_tile(const Tile& w, T* out, index_t ld, const TileSums<T>& sums, TileScratch<T>& scratch) const override {
    scratch.columns.resize(2 * w.nj);
    DenseTile<T, S> args;
    args.a = alpha_.row(w.i0) + w.j0;
    args.at = alpha_.row(w.j0) + w.i0;
    args.ld_a = args.ld_at = alpha_.stride;
    args.ni = w.ni;
    args.nj = w.nj;
    args.first = w.i0 - w.j0 + 1;
    args.out = out;
    args.ld_out = ld;
    args.beta_row = sums.degree + w.i0;
    args.beta_col = sums.degree + w.j0;
    args.alpha_row = sums.row_sum + w.i0;
    args.alpha_col = sums.row_sum + w.j0;
    args.probe = sums.probe + w.j0;
    args.probed_row = sums.probed + w.i0;
    args.scratch = scratch.columns.data();
    read_kernels<T, S>().dense_tile(args);
    return true;
  }

  bool may_prefetch(const Tile& w, TilePrefetch& prefetch) const override {
    const index_t item = static_cast<index_t>(sizeof(S)), stride = alpha_.stride * item;
    const auto block = [&](index_t i, index_t ni, index_t j, index_t nj) {
      return TilePrefetch::Block{reinterpret_cast<const char*>(alpha_.row(i) + j), ni, stride, ceil_div(nj * item, 64)};
    };
    prefetch = {{block(w.j0, w.nj, w.i0, w.ni), block(w.i0, w.ni, w.j0, w.nj)}, 0, 0, 0};
    return true;
  }

  bool symmetric() const override { return false; }
  bool nonnegative() const override { return false; }
  bool keeps_row_sums() const override { return true; }

  void row_sums_of(index_t begin, index_t end, const double*, double* row_sum) const override {
    for (index_t i = begin; i < end; ++i) row_sum[i] += static_cast<double>(alpha_.row(i)[i]);
  }

 private:
  Buffer<S> kept_;
  View<const S> alpha_;
};

}  // namespace

template <class T, class S>
std::unique_ptr<Importance<T>> dense(View<const S> alpha) {
  return std::make_unique<Dense<T, S>>(alpha);
}

template std::unique_ptr<Importance<float>> dense<float, float>(View<const float>);
template std::unique_ptr<Importance<double>> dense<double, double>(View<const double>);
template std::unique_ptr<Importance<double>> dense<double, float>(View<const float>);

}  // namespace alphacl
