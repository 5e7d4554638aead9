// Importances with a factor, α = ΦΦᵀ: Uniform and LowRank, in time linear in N.
#include <type_traits>

#include "alphacl/precision.h"
#include "importances/importance.h"
#include "sums/elementwise.h"
#include "sums/gram.h"

namespace alphacl::cuda {
namespace {

// The factor of Uniform: one column of ones. `without`: what the diagonal of α lacks of that of ΦΦᵀ.
struct Ones {
  index_t rows, cols;
  double without;
  // 2N (x_i − x̄) of centred samples is a difference of nothing that is larger.
  static constexpr bool cancels = false;
  __device__ double at(index_t, index_t) const { return 1; }
};

template <class S>
struct Stored {
  const S* data;
  index_t stride, rows, cols;
  double without;
  static constexpr bool cancels = true;
  __device__ double at(index_t i, index_t l) const { return static_cast<double>(data[i * stride + l]); }
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

// r_i = φ_i · Φᵀ1 − without.
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

// out_i = φ_i · ΦᵀY − without y_i.
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

// l_i = 2 (x_i φ_i · Φᵀ1 − φ_i · ΦᵀX); the diagonal cancels.
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
    for (index_t k = 0; k < phi.cols; ++k) sum = fma(phi.at(i, k), phi.at(j, k), sum);
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

// Rows 1 and (2r_i x_i)², l_i².
struct SizesOfRow {
  Samples x;
  const double *row_sum, *l;
  SizesOfRow from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(x.n); }
  __device__ double left(int, int, int) const { return 1; }
  __device__ double right(int, int row, int b) const {
    const double value = b < x.d ? 2 * row_sum[row] * x.centred[row * x.d + b] : l[row * x.d + b - x.d];
    return value * value;
  }
};

// Whether column c of l has lost its digits. A moment m = Σ_i φ_i x_i errs by ε times the root of Σ_i φ_i² x_i², so l,
// 2Φm of each moment, by ε times the root of 4 Σ_i φ_i² Σ_i φ_i² x_i², summed over the columns of Φ.
struct ColumnCancelled {
  const double *squares, *sizes;  // of SquaredRows: p × (d + 1); of SizesOfRow: 2d
  index_t p, d;
  Limits limits;
  double* out;  // 1 or 0
  __device__ void operator()(std::int64_t c) const {
    double terms = 0;
    for (index_t k = 0; k < p; ++k) terms = fma(squares[k * (d + 1) + d], squares[k * (d + 1) + c], terms);
    out[c] = cancelled({sqrt(sizes[c]), 2 * sqrt(terms), sqrt(sizes[d + c])}, limits) ? 1 : 0;
  }
};

// The same from differences, in the columns that have cancelled: l_i = 2 Σ_j φ_i · φ_j (x_i − x_j).
template <class Phi>
struct LiteralLaplacian {
  Phi phi;
  Samples x;
  const double* lost;
  double* l;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / x.d, c = e % x.d;
    if (lost[c] == 0) return;
    double total = 0;
    for (index_t j = 0; j < x.n; ++j) {
      double entry = 0;
      for (index_t k = 0; k < phi.cols; ++k) entry = fma(phi.at(i, k), phi.at(j, k), entry);
      total = fma(entry, x.raw[e] - x.raw[j * x.d + c], total);
    }
    l[e] = 2 * total;
  }
};

template <class S, class Phi>
class Factored final : public Importance<S> {
 public:
  explicit Factored(const Phi& phi) : Importance<S>(phi.rows), phi_(phi) {}

  void sums(const Stream& on, double* r, double* c) const override {
    const double* const ones = moments(on, FactorAlone<Phi>{phi_}, 1);
    for (double* to : {r, c})
      if (to != nullptr) for_each(on, "row_sums", phi_.rows, RowSums<Phi>{phi_, ones, to});
  }
  void matmul(const Stream& on, View<const S> y, View<S> out) const override {
    const double* const found = moments(on, FactorRows<Phi, S>{phi_, y.data, y.stride}, y.cols);
    for_each(on, "factor_product", y.rows * y.cols, FactorProduct<Phi, S>{phi_, found, y, out});
  }
  void laplacian(const Stream& on, const Samples& x, double* l, double* row_sum) const override {
    const double* const ones = moments(on, FactorAlone<Phi>{phi_}, 1);
    const double* const found = moments(on, FactorRows<Phi, double>{phi_, x.centred, x.d}, x.d);
    for_each(on, "factor_laplacian", x.n * x.d, FactorLaplacian<Phi>{phi_, ones, found, x.centred, x.d, l});
    for_each(on, "row_sums", phi_.rows, RowSums<Phi>{phi_, ones, row_sum});
    // float32 does not ask: in double the difference keeps the digits of a float up to a ratio of 10^7.
    if constexpr (Phi::cancels && std::is_same<S, double>::value)
      if (few_pairs(x.n, phi_.cols)) mend(on, x, row_sum, l);
  }
  void to_dense(const Stream& on, View<S> out) const override {
    for_each(on, "to_dense", phi_.rows * phi_.rows, FactorEntries<Phi, S>{phi_, 0, out});
  }
  void rows(const Stream& on, index_t first, index_t count, double* out) const override {
    const View<double> to{out, count, phi_.rows, phi_.rows};
    for_each(on, "rows", count * phi_.rows, FactorEntries<Phi, double>{phi_, first, to});
  }

 private:
  // p × q numbers.
  template <class Source>
  const double* moments(const Stream& on, const Source& source, index_t q) const {
    return sums_over_rows(on, source, phi_.cols, q);
  }
  template <class Source>
  const double* sums_over_rows(const Stream& on, const Source& source, index_t p, index_t q) const {
    double* const out = on.memory.take<double>(p * q);
    gram(on, source, GramShape{static_cast<int>(p), static_cast<int>(q), false, gram_groups(phi_.rows)}, 1, 1.0, out);
    return out;
  }
  // Computes columns of l again that have lost their digits. Each decides for itself, on the device: nobody waits, and
  // a node among others, whose column it is, gets the bits that it gets alone.
  void mend(const Stream& on, const Samples& x, const double* row_sum, double* l) const {
    const double* const squares = moments(on, SquaredRows<Phi>{phi_, x}, x.d + 1);
    const double* const sizes = sums_over_rows(on, SizesOfRow{x, row_sum, l}, 1, 2 * x.d);
    double* const lost = on.memory.take<double>(x.d);
    for_each(on, "column_cancelled", x.d, ColumnCancelled{squares, sizes, phi_.cols, x.d, wide_limits<S>, lost});
    for_each(on, "literal_laplacian", x.n * x.d, LiteralLaplacian<Phi>{phi_, x, lost, l});
  }

  Phi phi_;
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> uniform(index_t size, bool diagonal) {
  return std::make_unique<Factored<S, Ones>>(Ones{size, 1, diagonal ? 0.0 : 1.0});
}

template <class S>
std::unique_ptr<Importance<S>> low_rank(View<const S> phi) {
  return std::make_unique<Factored<S, Stored<S>>>(Stored<S>{phi.data, phi.stride, phi.rows, phi.cols, 0.0});
}

template std::unique_ptr<Importance<float>> uniform<float>(index_t, bool);
template std::unique_ptr<Importance<double>> uniform<double>(index_t, bool);
template std::unique_ptr<Importance<float>> low_rank<float>(View<const float>);
template std::unique_ptr<Importance<double>> low_rank<double>(View<const double>);

}  // namespace alphacl::cuda
