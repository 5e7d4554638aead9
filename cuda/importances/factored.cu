// Importances with a factor, α = Φ diag(s) Φᵀ: Uniform, LowRank and series, in time linear in N.
#include <cmath>
#include <type_traits>
#include <utility>

#include "alphacl/precision.h"
#include "importances/importance.h"
#include "sums/elementwise.h"
#include "sums/gram.h"
#include "sums/total.h"
#include "sums/two_doubles.h"

namespace alphacl::cuda {
namespace {

// The factor of Uniform: one column of ones. `without`: what the diagonal of α lacks of that of ΦΦᵀ.
struct Ones {
  index_t rows, cols;
  double without;
  // 2N (x_i − x̄) of centred samples is a difference of nothing that is larger.
  static constexpr bool cancels = false;
  __device__ double at(index_t, index_t) const { return 1; }
  __host__ __device__ bool is_signed() const { return false; }
  __device__ double sign(index_t) const { return 1; }
  std::optional<Factor> view() const { return Factor{nullptr, true, 0, 1, without}; }
};

template <class S>
struct Stored {
  const S* data;
  index_t stride, rows, cols;
  double without;
  const double* signs;  // null: ones
  static constexpr bool cancels = true;
  __device__ double at(index_t i, index_t l) const { return static_cast<double>(data[i * stride + l]); }
  __host__ __device__ bool is_signed() const { return signs != nullptr; }
  __device__ double sign(index_t l) const { return signs != nullptr ? signs[l] : 1; }
  std::optional<Factor> view() const {  // without signs
    if (signs != nullptr) return std::nullopt;
    return Factor{data, std::is_same<S, double>::value, stride, cols, without};
  }
};

// Rows φ_i and y_i.
template <class Phi, class Y>
struct FactorRows {
  Phi phi;
  const Y* y;
  index_t stride;
  FactorRows from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(phi.rows); }
  __device__ double left(int, int row, int a) const { return phi.at(row, a); }
  __device__ double right(int, int row, int b) const { return static_cast<double>(y[row * stride + b]); }
};

// Rows φ_i and 1.
template <class Phi>
struct FactorAlone {
  Phi phi;
  FactorAlone from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(phi.rows); }
  __device__ double left(int, int row, int a) const { return phi.at(row, a); }
  __device__ double right(int, int, int) const { return 1; }
};

// Row l of the moments times s_l.
template <class Phi>
struct SignedMoments {
  Phi phi;
  index_t q;
  double* moments;
  __device__ void operator()(std::int64_t e) const { moments[e] *= phi.sign(e / q); }
};

// r_i = φ_i · (s ∘ Φᵀ1) − without.
template <class Phi>
struct RowSums {
  Phi phi;
  const double* ones;
  double* r;
  __device__ void operator()(std::int64_t i) const {
    double sum = 0;
    for (index_t l = 0; l < phi.cols; ++l) sum = fma(phi.at(i, l), ones[l], sum);
    r[i] = sum - phi.without;
  }
};

// (Φᵀ1)_k in two doubles, one thread a column: columns of opposite signs may leave of it what rounding of either is.
template <class Phi>
struct ExactTotals {
  Phi phi;
  double *high, *low;
  __device__ void operator()(std::int64_t k) const {
    TwoDoubles sum;
    for (index_t i = 0; i < phi.rows; ++i) sum.add(phi.at(i, k));
    high[k] = sum.high;
    low[k] = sum.low;
  }
};

// r_i = Σ_k s_k φ_ik (Φᵀ1)_k where s has both signs; s φ in two doubles too.
template <class Phi>
struct SignedRowSums {
  Phi phi;
  const double *high, *low;
  double* r;
  __device__ void operator()(std::int64_t i) const {
    TwoDoubles sum;
    for (index_t k = 0; k < phi.cols; ++k) {
      const double sign = phi.sign(k), at = phi.at(i, k), weight = sign * at;
      sum.add_product(weight, high[k]);
      sum.low = fma(weight, low[k], fma(fma(sign, at, -weight), high[k], sum.low));
    }
    r[i] = sum.value();
  }
};

// out_i = φ_i · (s ∘ ΦᵀY) − without y_i.
template <class Phi, class S>
struct FactorProduct {
  Phi phi;
  const double* moments;  // p × q
  View<const S> y;
  View<S> out;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / y.cols, c = e % y.cols;
    double sum = 0;
    for (index_t l = 0; l < phi.cols; ++l) sum = fma(phi.at(i, l), moments[l * y.cols + c], sum);
    if (phi.without != 0) sum -= phi.without * static_cast<double>(y.data[i * y.stride + c]);
    out.data[i * out.stride + c] = static_cast<S>(sum);
  }
};

// l_i = 2 (x_i φ_i · (s ∘ Φᵀ1) − φ_i · (s ∘ ΦᵀX)); the diagonal cancels.
template <class Phi>
struct FactorLaplacian {
  Phi phi;
  const double *ones, *moments, *x;
  index_t d;
  double* l;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / d, c = e % d;
    double sum = 0;
    for (index_t k = 0; k < phi.cols; ++k) sum = fma(phi.at(i, k), fma(ones[k], x[e], -moments[k * d + c]), sum);
    l[e] = 2 * sum;
  }
};

// Rows `first` … of α.
template <class Phi, class T>
struct FactorEntries {
  Phi phi;
  index_t first;
  View<T> out;
  __device__ void operator()(std::int64_t e) const {
    const index_t row = e / out.cols, i = first + row, j = e % out.cols;
    double sum = i == j ? -phi.without : 0;
    for (index_t k = 0; k < phi.cols; ++k) sum = fma(phi.sign(k) * phi.at(i, k), phi.at(j, k), sum);
    out.data[row * out.stride + j] = static_cast<T>(sum);
  }
};

// Rows φ_i² and x_i², 1.
template <class Phi>
struct SquaredRows {
  Phi phi;
  Samples x;
  SquaredRows from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(phi.rows); }
  __device__ double left(int, int row, int a) const { return phi.at(row, a) * phi.at(row, a); }
  __device__ double right(int, int row, int b) const {
    const double value = b < x.d ? x.centred[row * x.d + b] : 1;
    return value * value;
  }
};

// Rows 1 and the squares of 2r_i x_i, l_i. Where s has both signs, r_i itself is a difference of what it sums, and so
// is φ_i · ΦᵀX: then 2 Σ_k |φ_ik| (|(Φᵀ1)_k x_i| + |(ΦᵀX)_k|) stands for the first.
template <class Phi>
struct SizesOfRow {
  Phi phi;
  Samples x;
  const double *ones, *moments, *row_sum, *l;
  SizesOfRow from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(x.n); }
  __device__ double left(int, int, int) const { return 1; }
  __device__ double right(int, int row, int b) const {
    const double value = b < x.d ? minuend(row, b) : l[row * x.d + b - x.d];
    return value * value;
  }
  __device__ double minuend(int row, int c) const {
    const double at = x.centred[row * x.d + c];
    if (!phi.is_signed()) return 2 * row_sum[row] * at;
    double size = 0;
    for (index_t k = 0; k < phi.cols; ++k)
      size = fma(2 * fabs(phi.at(row, k)), fabs(ones[k] * at) + fabs(moments[k * x.d + c]), size);
    return size;
  }
};

// Whether column c of l has lost its digits. A moment m = s Σ_i φ_i x_i errs by ε|s| times the root of Σ_i φ_i² x_i²,
// so l, 2Φm of each moment, by ε times the root of 4 s² Σ_i φ_i² Σ_i φ_i² x_i², summed over the columns of Φ.
struct ColumnCancelled {
  const double *squares, *sizes;  // of SquaredRows, times s: p × (d + 1); of SizesOfRow: 2d
  index_t p, d;
  Limits limits;
  double* out;  // 1 or 0
  __device__ void operator()(std::int64_t c) const {
    double terms = 0;
    for (index_t k = 0; k < p; ++k) terms = fma(squares[k * (d + 1) + d], squares[k * (d + 1) + c], terms);
    out[c] = cancelled({sqrt(sizes[c]), 2 * sqrt(terms), sqrt(sizes[d + c])}, limits) ? 1 : 0;
  }
};

// The same from differences, in the columns that have cancelled: l_i = 2 Σ_j φ_i · (s ∘ φ_j) (x_i − x_j). A thread
// makes an entry for eight columns at once.
template <class Phi>
struct LiteralLaplacian {
  Phi phi;
  Samples x;
  const double* lost;
  double* l;
  static constexpr int together = 8;
  __host__ __device__ index_t strips() const { return (x.d + together - 1) / together; }
  __device__ bool any_lost(index_t first, int width) const {
    bool any = false;
    for (int c = 0; c < width; ++c) any = any || lost[first + c] != 0;
    return any;
  }
  __device__ double entry(index_t i, index_t j) const {
    double sum = 0;
    for (index_t k = 0; k < phi.cols; ++k) sum = fma(phi.sign(k) * phi.at(i, k), phi.at(j, k), sum);
    return sum;
  }
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / strips(), first = e % strips() * together;
    const int width = static_cast<int>(smaller<index_t>(together, x.d - first));
    if (!any_lost(first, width)) return;
    const double* const own = x.raw + i * x.d + first;
    double total[together] = {};
    for (index_t j = 0; j < x.n; ++j) {
      const double weight = entry(i, j), *const other = x.raw + j * x.d + first;
#pragma unroll
      for (int c = 0; c < together; ++c)
        if (c < width) total[c] = fma(weight, own[c] - other[c], total[c]);
    }
#pragma unroll
    for (int c = 0; c < together; ++c)
      if (c < width && lost[first + c] != 0) l[i * x.d + first + c] = 2 * total[c];
  }
};

struct ExactColumns {
  const double *lost, *exact;
  index_t d;
  double* l;
  __device__ void operator()(std::int64_t e) const {
    if (lost[e % d] != 0) l[e] = exact[e];
  }
};

template <class S, class Phi>
class Factored final : public Importance<S> {
 public:
  /// exact: what α is, where ΦΦᵀ is only near it; else null.
  explicit Factored(const Phi& phi, std::unique_ptr<Importance<S>> exact = nullptr)
      : Importance<S>(phi.rows), phi_(phi), exact_(std::move(exact)) {}

  void sums(const Stream& on, double* r, double* c) const override {
    const double* const ones = moments(on, FactorAlone<Phi>{phi_}, 1);
    for (double* to : {r, c})
      if (to != nullptr) row_sums(on, ones, to);
  }
  void matmul(const Stream& on, View<const S> y, View<S> out) const override {
    const double* const found = moments(on, FactorRows<Phi, S>{phi_, y.data, y.stride}, y.cols);
    for_each(on, "factor_product", y.rows * y.cols, FactorProduct<Phi, S>{phi_, found, y, out});
  }
  void laplacian(const Stream& on, const Samples& x, double* l, double* row_sum) const override {
    const double* const ones = moments(on, FactorAlone<Phi>{phi_}, 1);
    const double* const found = moments(on, FactorRows<Phi, double>{phi_, x.centred, x.d}, x.d);
    for_each(on, "factor_laplacian", x.n * x.d, FactorLaplacian<Phi>{phi_, ones, found, x.centred, x.d, l});
    row_sums(on, ones, row_sum);
    // float32 does not ask: in double the difference keeps the digits of a float up to a ratio of 10^7. Of a series it
    // asks: entries that are off by 1e-15 are all that is left of a sum of smaller ones.
    if constexpr (Phi::cancels)
      if ((std::is_same<S, double>::value || exact_) && few_pairs(x.n, x.d)) mend(on, x, ones, found, row_sum, l);
  }
  void to_dense(const Stream& on, View<S> out) const override {
    if (exact_) return exact_->to_dense(on, out);
    for_each(on, "to_dense", phi_.rows * phi_.rows, FactorEntries<Phi, S>{phi_, 0, out});
  }
  void rows(const Stream& on, index_t first, index_t count, double* out) const override {
    if (exact_) return exact_->rows(on, first, count, out);
    const View<double> to{out, count, phi_.rows, phi_.rows};
    for_each(on, "rows", count * phi_.rows, FactorEntries<Phi, double>{phi_, first, to});
  }
  std::optional<Factor> factor() const override { return phi_.view(); }

 private:
  // s ∘ Φᵀ of the source's right side: p × q numbers.
  template <class Source>
  const double* moments(const Stream& on, const Source& source, index_t q) const {
    double* const out = sums_over_rows(on, source, phi_.cols, q);
    if (phi_.is_signed()) for_each(on, "signed_moments", phi_.cols * q, SignedMoments<Phi>{phi_, q, out});
    return out;
  }
  void row_sums(const Stream& on, const double* ones, double* r) const {
    if (!phi_.is_signed()) return for_each(on, "row_sums", phi_.rows, RowSums<Phi>{phi_, ones, r});
    double *const high = on.memory.take<double>(2 * phi_.cols), *const low = high + phi_.cols;
    for_each(on, "exact_totals", phi_.cols, ExactTotals<Phi>{phi_, high, low});
    for_each(on, "signed_row_sums", phi_.rows, SignedRowSums<Phi>{phi_, high, low, r});
  }
  template <class Source>
  double* sums_over_rows(const Stream& on, const Source& source, index_t p, index_t q) const {
    double* const out = on.memory.take<double>(p * q);
    gram(on, source, GramShape{static_cast<int>(p), static_cast<int>(q), false, gram_groups(phi_.rows)}, 1, 1.0, out);
    return out;
  }
  // Computes columns of l again that have lost their digits. Each decides for itself, on the device: a node among
  // others, whose column it is, gets the bits that it gets alone. The host waits only where `exact_` has to be asked.
  void mend(const Stream& on, const Samples& x, const double* ones, const double* found, const double* row_sum,
            double* l) const {
    const double* const squares = moments(on, SquaredRows<Phi>{phi_, x}, x.d + 1);
    const double* const sizes = sums_over_rows(on, SizesOfRow<Phi>{phi_, x, ones, found, row_sum, l}, 1, 2 * x.d);
    double* const lost = on.memory.take<double>(x.d);
    // What a column errs by is alike in samples that are alike, and Σ_i x_i l_i adds it up: the loss is the square.
    const Limits limits{std::sqrt(wide_limits<S>.minuend), wide_limits<S>.terms};
    for_each(on, "column_cancelled", x.d, ColumnCancelled{squares, sizes, phi_.cols, x.d, limits, lost});
    if (!exact_) {
      const LiteralLaplacian<Phi> literal{phi_, x, lost, l};
      for_each(on, "literal_laplacian", x.n * literal.strips(), literal);
      return;
    }
    if (total(on, lost, x.d, 1.0) == 0) return;
    double *const exact = on.memory.take<double>(x.n * x.d), *const sums = on.memory.take<double>(x.n);
    exact_->laplacian(on, x, exact, sums);
    for_each(on, "exact_columns", x.n * x.d, ExactColumns{lost, exact, x.d, l});
  }

  Phi phi_;
  std::unique_ptr<Importance<S>> exact_;
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> uniform(index_t size, bool diagonal) {
  return std::make_unique<Factored<S, Ones>>(Ones{size, 1, diagonal ? 0.0 : 1.0});
}

template <class S>
std::unique_ptr<Importance<S>> low_rank(View<const S> phi, const double* signs) {
  return std::make_unique<Factored<S, Stored<S>>>(Stored<S>{phi.data, phi.stride, phi.rows, phi.cols, 0.0, signs});
}

template <class S>
std::unique_ptr<Importance<S>> factored(View<const double> phi, std::unique_ptr<Importance<S>> exact) {
  const Stored<double> factor{phi.data, phi.stride, phi.rows, phi.cols, 0.0, nullptr};
  return std::make_unique<Factored<S, Stored<double>>>(factor, std::move(exact));
}

template std::unique_ptr<Importance<float>> uniform<float>(index_t, bool);
template std::unique_ptr<Importance<double>> uniform<double>(index_t, bool);
template std::unique_ptr<Importance<float>> low_rank<float>(View<const float>, const double*);
template std::unique_ptr<Importance<double>> low_rank<double>(View<const double>, const double*);
template std::unique_ptr<Importance<float>> factored<float>(View<const double>, std::unique_ptr<Importance<float>>);
template std::unique_ptr<Importance<double>> factored<double>(View<const double>, std::unique_ptr<Importance<double>>);

}  // namespace alphacl::cuda
