// Radial importances exp(−q^(p/2)/τ), q = ½‖f_i − f_j‖²: Gaussian (p = 2) and direct, by tiles.
#include <algorithm>
#include <cmath>
#include <limits>

#include "importances/tiled.h"
#include "isa/tables/kernels.h"
#include "packing/samples.h"
#include "runtime/blas.h"

namespace alphacl {
namespace {

// Distances of features, held as S: ½‖f_i‖² + ½‖f_j‖² − f_i·f_j from a matrix product over centred features; or, where
// that would cancel too much, sums of squared differences of the features as given (`direct`).
template <class S>
struct Distances {
  index_t n = 0, m = 0;
  bool direct = false;
  Buffer<S> f;     // n × m
  Buffer<S> ft;    // m × n, for direct
  Buffer<S> half;  // ½‖f_i‖², or zeros
  // Normalised rows: nearest_i = min_j q_ij^(p/2), and share_i = 1/Σ_j e^((nearest_i − q_ij^(p/2))/τ), a sum of at
  // least 1. share_i = 0 for a row without partners.
  Buffer<S> nearest, share;

  template <class F>
  void fill(View<const F> features, const double* shift, bool sum_differences) {
    n = features.rows;
    m = features.cols;
    direct = sum_differences;
    f.resize(n * m);
    half.resize(n);
    if (direct) ft.resize(m * n);
    const Buffer<double> zero(m, 0.0);
    parallel_for(ceil_div(n, 1024), [&](index_t c, int) {
      for (index_t i = c * 1024; i < std::min(n, (c + 1) * 1024); ++i) {
        S* row = f.data() + i * m;
        read_kernels<S, F>().center_row(features.row(i), direct ? zero.data() : shift, m, row);
        half[i] = direct ? S(0) : static_cast<S>(0.5 * kernels<S>().dot(row, row, m));
        if (direct)
          for (index_t k = 0; k < m; ++k) ft[k * n + i] = row[k];
      }
    });
  }

  Distances restricted(const index_t* rows, index_t count) const {
    Distances part;
    part.n = count;
    part.m = m;
    part.direct = direct;
    part.f.resize(count * m);
    part.half.resize(count);
    if (direct) part.ft.resize(m * count);
    const bool normalised = share.size() > 0;
    if (normalised) part.nearest.resize(count);
    if (normalised) part.share.resize(count);
    for (index_t i = 0; i < count; ++i) {
      std::copy_n(f.data() + rows[i] * m, m, part.f.data() + i * m);
      part.half[i] = half[rows[i]];
      if (normalised) part.nearest[i] = nearest[rows[i]];
      if (normalised) part.share[i] = share[rows[i]];
      if (direct)
        for (index_t k = 0; k < m; ++k) part.ft[k * count + i] = f[rows[i] * m + k];
    }
    return part;
  }

  void products(const Tile& w, S* out) const {
    if constexpr (std::is_same<S, double>::value) {
      if (direct) {
        const double *rows = f.data() + w.i0 * m, *columns = ft.data() + w.j0;
        difference_kernels().negative_half_distance(rows, w.ni, m, columns, n, w.nj, out, w.nj);
        return;
      }
    }
    gemm<S>(Trans::no, Trans::yes, w.ni, w.nj, m, S(1), f.data() + w.i0 * m, m, f.data() + w.j0 * m, m, S(0), out,
            w.nj);
  }
};

template <class T, class F>
class RadialImportance final : public TiledImportance<T> {
 public:
  RadialImportance(View<const F> features, const Radial& kernel)
      : TiledImportance<T>(features.rows),
        features_(features),
        kernel_(kernel),
        // 1/τ of the smallest τ overflows, and 0 · inf is NaN.
        inv_tau_(std::min(1 / kernel.tau, std::numeric_limits<double>::max())) {
    choose_precision();
    if (kernel_.normalize) {
      if (wide_) {
        normalise(in_double_);
      } else {
        normalise(in_t_);
      }
    }
  }

  /// The samples rows[0 … n) of another importance.
  RadialImportance(const RadialImportance& whole, const index_t* rows, index_t n)
      : TiledImportance<T>(n),
        features_(whole.features_),
        kernel_(whole.kernel_),
        inv_tau_(whole.inv_tau_),
        rows_(rows, rows + n),
        finite_(whole.finite_),
        wide_(whole.wide_) {
    if (!whole.rows_.empty())
      for (index_t& row : rows_) row = whole.rows_[static_cast<std::size_t>(row)];
    if (wide_) {
      in_double_ = whole.in_double_.restricted(rows, n);
    } else {
      in_t_ = whole.in_t_.restricted(rows, n);
    }
  }

  std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const override {
    return std::make_unique<RadialImportance>(*this, rows, n);
  }

  std::unique_ptr<Importance<double>> widened() const override {
    auto whole = radial<double, F>(features_, kernel_);
    return rows_.empty() ? std::move(whole) : whole->restricted(rows_.data(), this->size());
  }

 protected:
  void tile(const Tile& w, T* out, index_t ld, TileScratch<T>& scratch) const override {
    make(w, {out, ld, -w.ni, false}, nullptr, scratch);
    const T diagonal = kernel_.unit_diagonal ? T(1) : T(0);
    for (index_t i = std::max(w.i0, w.j0); i < std::min(w.i0 + w.ni, w.j0 + w.nj); ++i)
      out[(i - w.i0) * ld + (i - w.j0)] = keep_nan(out[(i - w.i0) * ld + (i - w.j0)], diagonal);
  }

  bool half_tile(const Tile& w, T* out, index_t ld, const TileSums<T>& sums, TileScratch<T>& scratch) const override {
    return make(w, {out, ld, w.i0 - w.j0 + 1, true}, sums.degree, scratch);
  }

  bool symmetric() const override { return !kernel_.normalize; }
  bool keeps_row_sums() const override { return false; }

  void row_sums_of(index_t begin, index_t end, const double* degree, double* row_sum) const override {
    for (index_t i = begin; i < end; ++i) {
      if (!finite_) {  // for N = 1 too, where no tile is made
        row_sum[i] = std::numeric_limits<double>::quiet_NaN();
      } else if (kernel_.normalize) {
        const double share = wide_ ? in_double_.share[i] : static_cast<double>(in_t_.share[i]);
        row_sum[i] = share == 0 ? 0.0 : 1.0;
      } else {
        row_sum[i] = 0.5 * degree[i] + (kernel_.unit_diagonal ? 1.0 : 0.0);
      }
    }
  }

 private:
  static T keep_nan(T entry, T value) { return std::isnan(entry) ? entry : value; }

  // q errs by about 1.5 ε F, F = max ‖f‖² after centring, and α by a relative (p/2) Q^(p/2−1) · 1.5 ε F / τ, with Q =
  // 2F the largest q. Products in float32 serve where that stays below 5e-7, products in float64 where it stays below
  // 5e-14 (float32 α: 5e-7), sums of differences elsewhere and for few features.
  void choose_precision() {
    const index_t m = features_.cols;
    Buffer<double> shift(m);
    row_mean(features_, shift.data());
    double largest = 0;
    Buffer<double> row(m);
    for (index_t i = 0; i < features_.rows; ++i) {
      read_kernels<double, F>().center_row(features_.row(i), shift.data(), m, row.data());
      const double square = kernels<double>().dot(row.data(), row.data(), m);
      finite_ = finite_ && std::isfinite(square);
      largest = std::max(largest, square);
    }
    const double h = 0.5 * kernel_.power;
    // For p < 2 the exponent is steep at q = 0 and has no such bound: differences.
    const double steepness = h < 1 ? std::numeric_limits<double>::infinity()
                                   : h * std::pow(2 * largest, h - 1) / kernel_.tau * 1.5 * largest;
    const bool single = std::is_same<T, float>::value;
    const double wanted = single ? 5e-7 : 5e-14;
    constexpr index_t few_features = 4;
    const auto good = [&](double epsilon) { return largest == 0 || steepness * epsilon <= wanted; };
    // Features that are not finite take the product path: the centring makes all of α NaN there.
    if (finite_ && (m <= few_features || !good(1.1e-16))) {
      wide_ = true;
      in_double_.fill(features_, shift.data(), true);
    } else if (single && good(6e-8) && inv_tau_ > 1e-30 && inv_tau_ < 1e30) {  // 1/τ must be a float
      in_t_.fill(features_, shift.data(), false);
    } else {
      wide_ = true;
      in_double_.fill(features_, shift.data(), false);
    }
  }

  template <class S>
  void normalise(Distances<S>& f) {
    const index_t n = this->size(), height = 256, width = 384;
    f.nearest = Buffer<S>(n, std::numeric_limits<S>::infinity());
    f.share.resize(n);
    struct Work {
      Buffer<S> dots, scratch;
    };
    PerWorker<Work> works;
    parallel_for(ceil_div(n, height), [&](index_t b, int worker) {
      Work& work = works[worker];
      work.dots.resize(height * width);
      work.scratch.resize(width);
      const index_t i0 = b * height, ni = std::min(height, n - i0);
      Buffer<double> sum(ni, 0.0);
      for (index_t j0 = 0; j0 < n; j0 += width) {
        poll();
        const index_t nj = std::min(width, n - j0);
        f.products({i0, ni, j0, nj}, work.dots.data());
        distance_kernels<S>().radial_stats({work.dots.data(), nj, f.half.data() + i0, f.half.data() + j0, ni, nj,
                                            i0 - j0, kernel_.power, static_cast<S>(inv_tau_), f.nearest.data() + i0,
                                            sum.data(), work.scratch.data()});
      }
      for (index_t i = 0; i < ni; ++i) {
        const bool alone = sum[i] == 0;
        if (alone) f.nearest[i0 + i] = S(0);  // inf · 0 would be NaN
        f.share[i0 + i] = alone ? S(0) : static_cast<S>(1 / sum[i]);
      }
    });
  }

  bool make(const Tile& w, const TileOut<T>& out, double* degree, TileScratch<T>& scratch) const {
    // Scratch: the products and one row of exponents in S, one row of column sums in T.
    scratch.columns.resize(w.nj);
    T* columns = scratch.columns.data();
    if (wide_) {
      scratch.wide.resize((w.ni + 1) * w.nj);
      return fill_tile(in_double_, w, scratch.wide.data(), out, degree, columns);
    }
    scratch.narrow.resize((w.ni + 1) * w.nj);
    return fill_tile(in_t_, w, scratch.narrow.data(), out, degree, columns);
  }

  template <class S>
  bool fill_tile(const Distances<S>& f, const Tile& w, S* dots, const TileOut<T>& out, double* degree,
                 T* columns) const {
    f.products(w, dots);
    const bool of_columns = out.both && kernel_.normalize;
    RadialTile<T, S> args;
    args.dot = dots;
    args.ld_dot = w.nj;
    args.half_i = f.half.data() + w.i0;
    args.half_j = f.half.data() + w.j0;
    args.nearest_i = kernel_.normalize ? f.nearest.data() + w.i0 : nullptr;
    args.share_i = kernel_.normalize ? f.share.data() + w.i0 : nullptr;
    args.nearest_j = of_columns ? f.nearest.data() + w.j0 : nullptr;
    args.share_j = of_columns ? f.share.data() + w.j0 : nullptr;
    args.ni = w.ni;
    args.nj = w.nj;
    args.first = out.first;
    args.power = kernel_.power;
    args.inv_tau = static_cast<S>(inv_tau_);
    args.factor = out.both && !kernel_.normalize ? T(2) : T(1);
    args.out = out.data;
    args.ld_out = out.ld;
    args.row_sum = degree ? degree + w.i0 : nullptr;
    args.col_sum = degree ? degree + w.j0 : nullptr;
    args.scratch_s = dots + w.ni * w.nj;
    args.scratch_t = columns;
    return radial_kernels<T, S>().tile(args);
  }

  View<const F> features_;
  Radial kernel_;
  double inv_tau_;
  std::vector<index_t> rows_;  // samples of the whole, where this is a part of it
  bool finite_ = true;
  bool wide_ = false;
  Distances<T> in_t_;
  Distances<double> in_double_;
};

}  // namespace

template <class T, class S>
std::unique_ptr<Importance<T>> radial(View<const S> f, const Radial& kernel) {
  return std::make_unique<RadialImportance<T, S>>(f, kernel);
}

template std::unique_ptr<Importance<float>> radial<float, float>(View<const float>, const Radial&);
template std::unique_ptr<Importance<double>> radial<double, double>(View<const double>, const Radial&);
template std::unique_ptr<Importance<double>> radial<double, float>(View<const float>, const Radial&);

}  // namespace alphacl
