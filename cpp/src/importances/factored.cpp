// Importances α = Φ diag(s) Φᵀ of low rank: uniform, and given factors.
#include "importances/factored.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "alphacl/precision.h"
#include "isa/tables/kernels.h"
#include "packing/moments.h"
#include "packing/samples.h"
#include "runtime/blas.h"
#include "runtime/threads.h"
#include "runtime/twofold_sum.h"

namespace alphacl {
namespace {

constexpr index_t chunk = 512;        // rows of Φ in cache at a time
constexpr double most_twofold = 1e9;  // terms of a product that is summed again: some ten seconds of one core
constexpr index_t few_columns = 4;    // of a product with one column of Φ: too few for matrix products
constexpr index_t most_groups = 32;   // partial sums; fixed, so the number of threads changes no bit

index_t group_count(index_t n, index_t entries) {
  const index_t by_memory = (index_t{1} << 23) / std::max<index_t>(1, entries);
  return std::max<index_t>(1, std::min({n / chunk, by_memory, most_groups}));
}

template <class F>
void for_chunks(index_t n, index_t group, index_t groups, F&& body) {
  const index_t end = n * (group + 1) / groups;
  for (index_t i = n * group / groups; i < end; i += chunk) {
    poll();
    body(i, std::min(chunk, end - i));
  }
}

template <class T>
class Ones final : public Features<T> {
 public:
  index_t rank() const override { return 1; }
  bool nonnegative() const override { return true; }
  void rows(index_t, index_t n, T* out) const override { std::fill_n(out, n, T(1)); }
};

template <class T>
class Uniform final : public FactoredImportance<T> {
 public:
  explicit Uniform(index_t size) : FactoredImportance<T>(size, std::make_unique<Ones<T>>()) {}

  void row_sums(double* r) const override { std::fill_n(r, this->size(), static_cast<double>(this->size())); }
  std::unique_ptr<Importance<double>> widened() const override { return uniform<double>(this->size(), true); }
};

// α_ij = 1 − [i = j]. In laplacian() both D and β = α + αᵀ keep the diagonal of 1, which cancels.
template <class T>
class OffDiagonal final : public FactoredImportance<T> {
 public:
  explicit OffDiagonal(index_t size) : FactoredImportance<T>(size, std::make_unique<Ones<T>>()) {}

  void row_sums(double* r) const override { std::fill_n(r, this->size(), static_cast<double>(this->size() - 1)); }
  void degrees(double* degree, double* row_sum) const override {
    std::fill_n(degree, this->size(), 2 * static_cast<double>(this->size()));
    row_sums(row_sum);
  }
  void matmul(View<const T> y, View<T> out) const override {
    FactoredImportance<T>::matmul(y, out);
    for (index_t i = 0; i < y.rows; ++i)
      for (index_t j = 0; j < y.cols; ++j) out.row(i)[j] -= y.row(i)[j];
  }
  void to_dense(View<T> out) const override {
    for (index_t i = 0; i < out.rows; ++i)
      for (index_t j = 0; j < out.cols; ++j) out.row(i)[j] = i == j ? T(0) : T(1);
  }
  std::unique_ptr<Importance<T>> restricted(const index_t*, index_t n) const override {
    return std::make_unique<OffDiagonal>(n);
  }
  std::unique_ptr<Importance<double>> widened() const override {
    return std::make_unique<OffDiagonal<double>>(this->size());
  }
};

template <class T, class S>
class Given final : public Features<T> {
 public:
  Given(View<const S> phi, const double* signs) : phi_(phi) {
    const auto differs = [](double s) { return s != 1; };
    if (signs && std::any_of(signs, signs + phi.cols, differs)) signs_.assign(signs, signs + phi.cols);
  }
  index_t rank() const override { return phi_.cols; }
  const double* signs() const override { return signs_.empty() ? nullptr : signs_.data(); }
  void rows(index_t begin, index_t n, T* out) const override {
    for (index_t i = begin; i < begin + n; ++i, out += phi_.cols) std::copy_n(phi_.row(i), phi_.cols, out);
  }

 private:
  View<const S> phi_;
  std::vector<double> signs_;
};

template <class T, class S>
class LowRank final : public FactoredImportance<T> {
 public:
  LowRank(View<const S> phi, const double* signs)
      : FactoredImportance<T>(phi.rows, std::make_unique<Given<T, S>>(phi, signs)), view_(phi) {}
  std::unique_ptr<Importance<double>> widened() const override {
    return low_rank<double, S>(view_, this->factor()->signs());
  }

 private:
  View<const S> view_;
};

// α over some of the samples: their rows of Φ, copied.
template <class T>
class Restricted final : public FactoredImportance<T> {
 public:
  Restricted(index_t size, std::unique_ptr<Features<T>> phi) : FactoredImportance<T>(size, std::move(phi)) {}
  std::unique_ptr<Importance<double>> widened() const override {
    const Features<T>& phi = *this->factor();
    auto wide = std::make_unique<StoredFeatures<double>>(this->size(), phi.rank(), phi.signs(), phi.nonnegative());
    Buffer<T> row(phi.rank());
    for (index_t i = 0; i < this->size(); ++i) {
      phi.rows(i, 1, row.data());
      std::copy_n(row.data(), phi.rank(), wide->row(i));
    }
    return std::make_unique<Restricted<double>>(this->size(), std::move(wide));
  }
};

// Rows of |Φ|, and |s|.
template <class T>
class Magnitudes final : public Features<T> {
 public:
  explicit Magnitudes(const Features<T>& phi) : phi_(phi), signs_(static_cast<std::size_t>(phi.rank())) {
    for (index_t l = 0; l < phi.rank(); ++l) signs_[static_cast<std::size_t>(l)] = std::fabs(phi.signs()[l]);
  }
  index_t rank() const override { return phi_.rank(); }
  const double* signs() const override { return signs_.data(); }
  bool nonnegative() const override { return true; }
  void rows(index_t begin, index_t n, T* out) const override {
    phi_.rows(begin, n, out);
    for (index_t e = 0; e < n * rank(); ++e) out[e] = std::fabs(out[e]);
  }

 private:
  const Features<T>& phi_;
  std::vector<double> signs_;
};

}  // namespace

template <class T>
std::unique_ptr<Importance<T>> FactoredImportance<T>::sizes() const {
  if (phi_->signs() == nullptr) return nullptr;
  return std::make_unique<Restricted<T>>(this->size(), std::make_unique<Magnitudes<T>>(*phi_));
}

template <class T>
std::unique_ptr<Importance<T>> FactoredImportance<T>::restricted(const index_t* rows, index_t n) const {
  auto phi = std::make_unique<StoredFeatures<T>>(n, phi_->rank(), phi_->signs(), phi_->nonnegative());
  phi_->rows_at(rows, n, phi->row(0));
  return std::make_unique<Restricted<T>>(n, std::move(phi));
}

// With s of both signs the terms may be larger than their sum: every sum has twice the digits.
template <class T>
template <class U>
void FactoredImportance<T>::multiply_twofold(const View<const T>* y, View<U> out) const {
  const index_t n = this->size(), p = phi_->rank(), q = out.cols, groups = group_count(n, p * q);
  std::vector<TwofoldSum> parts(static_cast<std::size_t>(groups * p * q)), total(static_cast<std::size_t>(p * q));
  PerWorker<Buffer<T>> buffers;
  const auto for_rows = [&](auto&& body) {
    parallel_for(groups, [&](index_t g, int worker) {
      Buffer<T>& phi = buffers[worker];
      phi.resize(chunk * p);
      for_chunks(n, g, groups, [&](index_t i0, index_t ni) {
        phi_->rows(i0, ni, phi.data());
        for (index_t i = 0; i < ni; ++i) {
          if (q > 1) poll();
          body(parts.data() + g * p * q, i0 + i, phi.data() + i * p);
        }
      });
    });
  };
  for_rows([&](TwofoldSum* part, index_t i, const T* phi) {
    if (y == nullptr) {
      for (index_t l = 0; l < p; ++l) part[l].add(static_cast<double>(phi[l]));
      return;
    }
    for (index_t l = 0; l < p; ++l)
      for (index_t k = 0; k < q; ++k)
        part[l * q + k].add_product(static_cast<double>(phi[l]), static_cast<double>(y->row(i)[k]));
  });
  for (index_t e = 0; e < p * q; ++e) {
    TwofoldSum sum, &weighted = total[static_cast<std::size_t>(e)];
    for (index_t g = 0; g < groups; ++g) {
      const TwofoldSum& part = parts[static_cast<std::size_t>(g * p * q + e)];
      sum.add(part.high);
      sum.low += part.low;
    }
    weighted.add_product(phi_->signs()[e / q], sum.high);
    weighted.low += phi_->signs()[e / q] * sum.low;
  }
  for_rows([&](TwofoldSum*, index_t i, const T* phi) {
    for (index_t k = 0; k < q; ++k) {
      TwofoldSum sum;
      for (index_t l = 0; l < p; ++l) {
        const TwofoldSum& of_l = total[static_cast<std::size_t>(l * q + k)];
        sum.add_product(static_cast<double>(phi[l]), of_l.high);
        sum.low += static_cast<double>(phi[l]) * of_l.low;
      }
      out.row(i)[k] = static_cast<U>(sum.value());
    }
  });
}

template <class T>
void FactoredImportance<T>::row_sums(double* r) const {
  const index_t n = this->size(), p = phi_->rank(), groups = group_count(n, p);
  if (phi_->signs() != nullptr) return multiply_twofold(nullptr, View<double>{r, n, 1, 1});
  Buffer<double> parts(groups * p, 0.0), total(p, 0.0);
  PerWorker<Buffer<T>> buffers;
  PerWorker<Buffer<double>> chains;
  parallel_for(groups, [&](index_t g, int worker) {
    Buffer<T>& phi = buffers[worker];
    Buffer<double>& sums = chains[worker];
    phi.resize(chunk * p);
    sums.resize(p);
    for_chunks(n, g, groups, [&](index_t i0, index_t ni) {
      phi_->rows(i0, ni, phi.data());
      for (index_t i = 0; i < ni; i += chain_rows) {
        std::fill_n(sums.data(), p, 0.0);
        kernels<T>().add_block_rows(phi.data() + i * p, std::min(chain_rows, ni - i), p, sums.data());
        kernels<double>().add_block(parts.data() + g * p, p, sums.data(), p, 1, p);
      }
    });
  });
  for (index_t g = 0; g < groups; ++g)
    for (index_t l = 0; l < p; ++l) total[l] += parts[g * p + l];
  parallel_for(groups, [&](index_t g, int worker) {
    Buffer<T>& phi = buffers[worker];
    phi.resize(chunk * p);
    for_chunks(n, g, groups, [&](index_t i0, index_t ni) {
      phi_->rows(i0, ni, phi.data());
      for (index_t i = 0; i < ni; ++i) r[i0 + i] = kernels<T>().dot_wide(phi.data() + i * p, total.data(), p);
    });
  });
}

template <class T>
void FactoredImportance<T>::degrees(double* degree, double* row_sum) const {
  row_sums(row_sum);
  for (index_t i = 0; i < this->size(); ++i) degree[i] = 2 * row_sum[i];
}

template <class T>
template <class U>
void FactoredImportance<T>::multiply(View<const T> y, T factor, View<U> out, Buffer<T>* signed_moments) const {
  const index_t n = this->size(), p = phi_->rank(), q = y.cols, groups = group_count(n, p * q);
  const double* const signs = phi_->signs();
  const bool few = p == 1 && q <= few_columns;
  const index_t workers = few ? workers_for_numbers(n * q) : all_workers;
  Buffer<double> parts(groups * p * q, 0.0);
  Buffer<T> moments(p * q);
  struct Work {
    Buffer<T> phi, y, product;
  };
  PerWorker<Work> works;
  const auto add_up = [&](index_t g, int worker) {
    Work& work = works[worker];
    work.phi.resize(chunk * p);
    work.y.resize(chunk * q);
    work.product.resize(p * q);
    for_chunks(n, g, groups, [&](index_t i0, index_t ni) {
      phi_->rows(i0, ni, work.phi.data());
      for (index_t k = 0; few && k < q; ++k) {
        double sum = 0;
        for (index_t i = 0; i < ni; i += chain_rows) {
          double chain = 0;
          for (index_t r = i; r < std::min(ni, i + chain_rows); ++r)
            chain += static_cast<double>(work.phi[r]) * static_cast<double>(y.row(i0 + r)[k]);
          sum += chain;
        }
        parts[g * q + k] += sum;
      }
      if (few) return;
      for (index_t i = 0; i < ni; ++i) std::copy_n(y.row(i0 + i), q, work.y.data() + i * q);
      add_moments(work.phi.data(), p, work.y.data(), q, ni, work.product.data(), parts.data() + g * p * q);
    });
  };
  parallel_for(groups, add_up, workers);
  for (index_t e = 0; e < p * q; ++e) {
    double sum = 0;
    for (index_t g = 0; g < groups; ++g) sum += parts[g * p * q + e];
    moments[e] = static_cast<T>(signs ? signs[e / q] * sum : sum);
  }
  const auto give_back = [&](index_t g, int worker) {
    Work& work = works[worker];
    work.phi.resize(chunk * p);
    work.y.resize(chunk * q);
    for_chunks(n, g, groups, [&](index_t i0, index_t ni) {
      phi_->rows(i0, ni, work.phi.data());
      for (index_t i = 0; few && i < ni; ++i)
        for (index_t k = 0; k < q; ++k) out.row(i0 + i)[k] = static_cast<U>(factor * (work.phi[i] * moments[k]));
      if (few) return;
      gemm<T>(Trans::no, Trans::no, ni, q, p, factor, work.phi.data(), p, moments.data(), q, T(0), work.y.data(), q);
      for (index_t i = 0; i < ni; ++i)
        for (index_t k = 0; k < q; ++k) out.row(i0 + i)[k] = static_cast<U>(work.y[i * q + k]);
    });
  };
  parallel_for(groups, give_back, workers);
  if (signed_moments != nullptr) *signed_moments = std::move(moments);
}

// The moments and their products with rows of Φ err by ε of the first size, sums of moments by ε of the second.
template <class T>
Sizes FactoredImportance<T>::product_sizes(View<const T> y, const Buffer<T>& signed_moments, View<const T> out) const {
  const index_t n = this->size(), p = phi_->rank(), q = y.cols, groups = group_count(n, p);
  Buffer<double> parts(groups * 2 * p, 0.0), results(groups, 0.0);  // Σ_i φ_l(i)² and Σ_i φ_l(i)² ‖y_i‖²
  struct Work {
    Buffer<T> phi;
    Buffer<double> sums;
  };
  PerWorker<Work> works;
  parallel_for(groups, [&](index_t g, int worker) {
    Work& work = works[worker];
    work.phi.resize(chunk * p);
    work.sums.resize(2 * p);
    for_chunks(n, g, groups, [&](index_t i0, index_t ni) {
      phi_->rows(i0, ni, work.phi.data());
      std::fill_n(work.sums.data(), 2 * p, 0.0);
      for (index_t i = 0; i < ni; ++i) {
        const T *row = work.phi.data() + i * p, *of_y = y.row(i0 + i), *of_out = out.row(i0 + i);
        const double square = kernels<T>().dot(of_y, of_y, q);
        for (index_t l = 0; l < p; ++l) {
          const double of_phi = static_cast<double>(row[l]) * static_cast<double>(row[l]);
          work.sums[l] += of_phi;
          work.sums[p + l] += of_phi * square;
        }
        results[g] = std::hypot(results[g], std::sqrt(kernels<T>().dot(of_out, of_out, q)));
      }
      for (index_t e = 0; e < 2 * p; ++e) parts[g * 2 * p + e] += work.sums[e];
    });
  });
  Sizes sizes{0, 0, norm_of(results.data(), groups)};
  for (index_t l = 0; l < p; ++l) {
    double square = 0, weighted = 0;
    for (index_t g = 0; g < groups; ++g) {
      square += parts[g * 2 * p + l];
      weighted += parts[g * 2 * p + p + l];
    }
    const T* moment = signed_moments.data() + l * q;
    sizes.minuend += std::sqrt(square) * std::sqrt(kernels<T>().dot(moment, moment, q));
    sizes.terms = std::hypot(sizes.terms, phi_->signs()[l] * std::sqrt(square) * std::sqrt(weighted));
  }
  return sizes;
}

template <class T>
void FactoredImportance<T>::matmul(View<const T> y, View<T> out) const {
  if (phi_->signs() == nullptr) return multiply(y, T(1), out, nullptr);
  Buffer<T> signed_moments;
  multiply(y, T(1), out, &signed_moments);
  const double work = static_cast<double>(y.rows) * static_cast<double>(phi_->rank()) * static_cast<double>(y.cols);
  const Limits limits = sizeof(T) == 4 ? single_product : wide_limits<T>;
  if (work <= most_twofold && cancelled(product_sizes(y, signed_moments, out), limits)) multiply_twofold(&y, out);
}

template <class T>
void FactoredImportance<T>::symmetric_product(View<const T> y, View<double> out, double* degree,
                                              double* row_sum) const {
  if (degree != nullptr) degrees(degree, row_sum);
  multiply(y, T(2), out, nullptr);  // with the diagonal, as degrees() has it
}

template <class T>
void FactoredImportance<T>::laplacian(const Samples<T>&, LaplacianSink<T>& sink) const {
  Buffer<double> row_sum(this->size()), degree(this->size());
  degrees(degree.data(), row_sum.data());
  sink.factors(degree.data(), row_sum.data(), *phi_);
}

template <class T>
void FactoredImportance<T>::to_dense(View<T> out) const {
  const index_t n = this->size(), p = phi_->rank();
  const double* const signs = phi_->signs();
  Buffer<T> phi(n * p), right(signs ? n * p : 0);
  phi_->rows(0, n, phi.data());
  for (index_t e = 0; signs && e < n * p; ++e) right[e] = static_cast<T>(signs[e % p] * static_cast<double>(phi[e]));
  parallel_for(ceil_div(n, chunk), [&](index_t b, int) {
    const index_t i0 = b * chunk, ni = std::min(chunk, n - i0);
    gemm<T>(Trans::no, Trans::yes, ni, n, p, T(1), phi.data() + i0 * p, p, signs ? right.data() : phi.data(), p, T(0),
            out.row(i0), out.stride);
  });
}

template <class T>
std::unique_ptr<Importance<T>> uniform(index_t size, bool diagonal) {
  if (!diagonal) return std::make_unique<OffDiagonal<T>>(size);
  return std::make_unique<Uniform<T>>(size);
}

template <class T, class S>
std::unique_ptr<Importance<T>> low_rank(View<const S> phi, const double* signs) {
  return std::make_unique<LowRank<T, S>>(phi, signs);
}

template class FactoredImportance<float>;
template class FactoredImportance<double>;
template std::unique_ptr<Importance<float>> uniform<float>(index_t, bool);
template std::unique_ptr<Importance<double>> uniform<double>(index_t, bool);
template std::unique_ptr<Importance<float>> low_rank<float, float>(View<const float>, const double*);
template std::unique_ptr<Importance<double>> low_rank<double, double>(View<const double>, const double*);
template std::unique_ptr<Importance<double>> low_rank<double, float>(View<const float>, const double*);

}  // namespace alphacl
