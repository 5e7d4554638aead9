// Importances with a factor, α = ΦΦᵀ: Uniform and LowRank, in time linear in N.
#include "covariance/gram.h"
#include "importances/importance.h"
#include "runtime/elementwise.h"

namespace alphacl::cuda {
namespace {

// The factor of Uniform: one column of ones. `without`: what the diagonal of α lacks of that of ΦΦᵀ.
struct Ones {
  index_t rows, cols;
  double without;
  __device__ double at(index_t, index_t) const { return 1; }
};

template <class S>
struct Stored {
  const S* data;
  index_t stride, rows, cols;
  double without;
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

template <class Phi, class S>
struct FactorEntries {
  Phi phi;
  View<S> out;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / out.cols, j = e % out.cols;
    double sum = i == j ? -phi.without : 0;
    for (index_t k = 0; k < phi.cols; ++k) sum = fma(phi.at(i, k), phi.at(j, k), sum);
    out.data[i * out.stride + j] = static_cast<S>(sum);
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
  void laplacian(const Stream& on, const double* x, index_t d, double* l, double* row_sum) const override {
    const double* const ones = moments(on, FactorAlone<Phi>{phi_}, 1);
    const double* const found = moments(on, FactorRows<Phi, double>{phi_, x, d}, d);
    for_each(on, "factor_laplacian", phi_.rows * d, FactorLaplacian<Phi>{phi_, ones, found, x, d, l});
    for_each(on, "row_sums", phi_.rows, RowSums<Phi>{phi_, ones, row_sum});
  }
  void to_dense(const Stream& on, View<S> out) const override {
    for_each(on, "to_dense", phi_.rows * phi_.rows, FactorEntries<Phi, S>{phi_, out});
  }

 private:
  // p × q numbers.
  template <class Source>
  const double* moments(const Stream& on, const Source& source, index_t q) const {
    double* const out = on.memory.take<double>(phi_.cols * q);
    const GramShape shape{static_cast<int>(phi_.cols), static_cast<int>(q), false, gram_groups(phi_.rows)};
    gram(on, source, shape, 1, 1.0, out);
    return out;
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
