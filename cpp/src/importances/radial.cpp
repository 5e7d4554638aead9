// Radial importances exp(−q^(p/2)/τ), q = ½‖f_i − f_j‖²: Gaussian (p = 2) and direct, by tiles; and those that fall as
// an inverse power, 1/(q^(p/2) + τ)^s = τ^(−s) e^(−Q) with Q = s log(1 + q^(p/2)/τ).
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
  Buffer<double> total;  // the sums of normalised rows
  Buffer<S> zeros;       // in place of `half`, where Q has been made of the products

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
    if (normalised) part.total.resize(count);
    if (zeros.size() > 0) part.zeros = Buffer<S>(count, S(0));
    for (index_t i = 0; i < count; ++i) {
      std::copy_n(f.data() + rows[i] * m, m, part.f.data() + i * m);
      part.half[i] = half[rows[i]];
      if (normalised) part.nearest[i] = nearest[rows[i]];
      if (normalised) part.share[i] = share[rows[i]];
      if (normalised) part.total[i] = total[rows[i]];
      if (direct)
        for (index_t k = 0; k < m; ++k) part.ft[k * count + i] = f[rows[i] * m + k];
    }
    return part;
  }

  const S* shifts() const { return zeros.size() > 0 ? zeros.data() : half.data(); }

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
        power_(kernel.inverse > 0 ? 2 : kernel.power),
        scale_(kernel.inverse > 0 ? std::pow(kernel.tau, -kernel.inverse) : 1),
        // 1/τ of the smallest τ overflows, and 0 · inf is NaN.
        inv_tau_(kernel.inverse > 0 ? 1 : std::min(1 / kernel.tau, std::numeric_limits<double>::max())) {
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
        power_(whole.power_),
        scale_(whole.scale_),
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
        row_sum[i] = wide_ ? in_double_.total[i] : in_t_.total[i];
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
    // For p < 2 the exponent is steep at q = 0 and has no such bound: differences. The slope of Q is at most s h
    // τ^(−1/h).
    const bool inverse = kernel_.inverse > 0;
    const double slope =
        inverse ? kernel_.inverse * h * std::pow(kernel_.tau, -1 / h) : h * std::pow(2 * largest, h - 1) / kernel_.tau;
    const double steepness = h < 1 ? std::numeric_limits<double>::infinity() : slope * 1.5 * largest;
    const bool single = std::is_same<T, float>::value && !inverse;
    const double wanted = std::is_same<T, float>::value ? 5e-7 : 5e-14;
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
    if (inverse) in_double_.zeros = Buffer<double>(features_.rows, 0.0);
  }

  // What is added to a sum of rows whose nearest counts as 1: eps for each of its terms.
  double added(double nearest) const {
    const index_t terms = this->size() - (kernel_.paired ? 2 : 1);
    return kernel_.eps > 0 ? kernel_.eps * static_cast<double>(terms) / scale_ * std::exp(nearest * inv_tau_) : 0.0;
  }

  template <class S>
  void normalise(Distances<S>& f) {
    const index_t n = this->size(), height = 256, width = 384;
    f.nearest = Buffer<S>(n, std::numeric_limits<S>::infinity());
    f.share.resize(n);
    f.total.resize(n);
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
        scores(f, {i0, ni, j0, nj}, work.dots.data());
        distance_kernels<S>().radial_stats({work.dots.data(), nj, f.shifts() + i0, f.shifts() + j0, ni, nj, i0 - j0,
                                            power_, static_cast<S>(inv_tau_), f.nearest.data() + i0, sum.data(),
                                            work.scratch.data()});
      }
      for (index_t i = 0; i < ni; ++i) {
        const bool alone = sum[i] == 0;
        const double all = alone ? 1.0 : sum[i] + added(static_cast<double>(f.nearest[i0 + i]));
        f.share[i0 + i] = alone ? S(0) : static_cast<S>(1 / all);
        f.total[i0 + i] = sum[i] / all;
        if (static_cast<T>(f.share[i0 + i]) == T(0))
          f.share[i0 + i] = f.nearest[i0 + i] = S(0);  // inf · 0 would be NaN
      }
    });
  }

  // What the kernels make entries of: products, or −Q.
  template <class S>
  void scores(const Distances<S>& f, const Tile& w, S* dots) const {
    f.products(w, dots);
    if (kernel_.inverse > 0) invert(f, w, dots);
    if (kernel_.paired) leave_out_partners(w, dots);
  }

  template <class S>
  void invert(const Distances<S>& f, const Tile& w, S* dots) const {
    const double h = 0.5 * kernel_.power, tau = kernel_.tau, log_tau = std::log(tau);
    for (index_t i = 0; i < w.ni; ++i) {
      S* row = dots + i * w.nj;
      for (index_t j = 0; j < w.nj; ++j) {
        const double q = static_cast<double>(f.half[w.i0 + i] + f.half[w.j0 + j] - row[j]), near = q < 0 ? 0 : q;
        const double fall = h == 1 ? near : (h == 2 ? near * near : std::pow(near, h)), ratio = fall / tau;
        const double logarithm = std::isinf(ratio) ? std::log(fall) - log_tau : std::log1p(ratio);
        row[j] = static_cast<S>(-kernel_.inverse * logarithm);
      }
    }
  }

  // Two views of one sample are infinitely far apart; NaN stays.
  template <class S>
  void leave_out_partners(const Tile& w, S* dots) const {
    const index_t all = features_.rows;
    const auto sample = [&](index_t i) { return rows_.empty() ? i : rows_[static_cast<std::size_t>(i)]; };
    for (index_t i = 0; i < w.ni; ++i) {
      const index_t partner = (sample(w.i0 + i) + all / 2) % all;
      const index_t begin = rows_.empty() ? std::max(w.j0, partner) : w.j0;
      const index_t end = rows_.empty() ? std::min(w.j0 + w.nj, partner + 1) : w.j0 + w.nj;
      for (index_t j = begin; j < end; ++j) {
        S& dot = dots[i * w.nj + (j - w.j0)];
        if (sample(j) == partner && !std::isnan(dot)) dot = -std::numeric_limits<S>::infinity();
      }
    }
  }

  bool make(const Tile& w, const TileOut<T>& out, double* degree, TileScratch<T>& scratch) const {
    if constexpr (std::is_same<T, float>::value)
      if (kernel_.inverse > 0) return make_in_double(w, out, degree, scratch);
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

  // Powers have many digits in float32 where e^(−Q) has lost them: entries are made in double and rounded once.
  bool make_in_double(const Tile& w, const TileOut<T>& out, double* degree, TileScratch<T>& scratch) const {
    const index_t size = w.ni * w.nj;
    scratch.wide.resize(2 * size + 2 * w.nj);
    double* entries = scratch.wide.data() + size + w.nj;
    const TileOut<double> wide = {entries, w.nj, out.first, out.both};
    const bool any = fill_tile(in_double_, w, scratch.wide.data(), wide, degree, entries + size);
    for (index_t i = 0; i < w.ni; ++i)
      for (index_t j = 0; j < w.nj; ++j) out.data[i * out.ld + j] = static_cast<T>(entries[i * w.nj + j]);
    return any;
  }

  template <class S, class U>
  bool fill_tile(const Distances<S>& f, const Tile& w, S* dots, const TileOut<U>& out, double* degree,
                 U* columns) const {
    scores(f, w, dots);
    const bool of_columns = out.both && kernel_.normalize;
    RadialTile<U, S> args;
    args.dot = dots;
    args.ld_dot = w.nj;
    args.half_i = f.shifts() + w.i0;
    args.half_j = f.shifts() + w.j0;
    args.nearest_i = kernel_.normalize ? f.nearest.data() + w.i0 : nullptr;
    args.share_i = kernel_.normalize ? f.share.data() + w.i0 : nullptr;
    args.nearest_j = of_columns ? f.nearest.data() + w.j0 : nullptr;
    args.share_j = of_columns ? f.share.data() + w.j0 : nullptr;
    args.ni = w.ni;
    args.nj = w.nj;
    args.first = out.first;
    args.power = power_;
    args.inv_tau = static_cast<S>(inv_tau_);
    args.factor = kernel_.normalize ? U(1) : static_cast<U>(out.both ? 2 * scale_ : scale_);
    args.out = out.data;
    args.ld_out = out.ld;
    args.row_sum = degree ? degree + w.i0 : nullptr;
    args.col_sum = degree ? degree + w.j0 : nullptr;
    args.scratch_s = dots + w.ni * w.nj;
    args.scratch_t = columns;
    return radial_kernels<U, S>().tile(args);
  }

  View<const F> features_;
  Radial kernel_;
  double power_, scale_;  // p and 1, or those of Q: 2 and τ^(−s)
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
