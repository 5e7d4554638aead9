// The energy ½ tr C_α[f]: a sink that keeps the trace of the Laplacian form only.
#include <algorithm>
#include <cmath>
#include <vector>

#include "alphacl/contrastive_cov.h"
#include "alphacl/precision.h"
#include "covariance/literal_sums.h"
#include "isa/tables/kernels.h"
#include "packing/moments.h"
#include "packing/samples.h"
#include "runtime/threads.h"
#include "runtime/twofold_sum.h"

namespace alphacl {
namespace {

constexpr index_t chunk = 256;
constexpr index_t most_groups = 64;

// Collects the trace of the Laplacian form. Groups of rows depend on N alone: the same bits for any number of threads.
template <class T>
class TraceSink final : public LaplacianSink<T> {
 public:
  explicit TraceSink(const Samples<T>& x) : x_(x) {}

  void tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* row_sum,
             View<const T> y) override {
    pass(begin, end, order, degree, row_sum, y, nullptr);
  }

  void factors(const double* degree, const double* row_sum, const Features<T>& phi) override {
    pass(0, x_.size(), nullptr, degree, row_sum, {nullptr, 0, 0, 0}, &phi);
  }

  /// l⁴ = Σ_k x_k⁴. The squared rounding of x_i·x_j is ε² times Σ_k x_ik² x_jk² ≤ l_i² l_j².
  double length(const T* x) const override { return std::sqrt(std::sqrt(fourth_powers(x))); }
  void terms(double root) override { terms_ += root * root; }

  double trace() const { return trace_.value(); }
  Sizes sizes() const { return {positive_, std::sqrt(terms_), std::fabs(trace())}; }

 private:
  template <class E>
  double fourth_powers(const E* x) const {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (index_t k = 0; k < x_.features(); ++k) {
      const double square = static_cast<double>(x[k]) * static_cast<double>(x[k]);
      sum += square * square;
    }
    return sum;
  }

  void pass(index_t begin, index_t end, const index_t* order, const double* degree, const double* row_sum,
            View<const T> y, const Features<T>* phi) {
    const index_t d = x_.features(), p = phi ? phi->rank() : 0;
    const index_t by_memory = (index_t{1} << 23) / std::max<index_t>(1, p * d);
    const index_t groups = std::max<index_t>(1, std::min({(end - begin) / chunk, by_memory, most_groups}));
    std::vector<TwofoldSum> sums(static_cast<std::size_t>(groups));
    Buffer<double> positives(groups), moments(groups * p * d, 0.0);
    const index_t of_signs = phi && !phi->nonnegative() ? p : 0;
    Buffer<double> squares(groups * of_signs, 0.0);  // Σ_i φ_l(i)² l_i²
    struct Work {
      Buffer<T> x, phi, product;
    };
    PerWorker<Work> works;
    parallel_for(groups, [&](index_t g, int worker) {
      Work& work = works[worker];
      work.x.resize(chunk * d);
      work.phi.resize(chunk * p);
      work.product.resize(p * d);
      const index_t last = begin + (end - begin) * (g + 1) / groups;
      const auto dot = kernels<T>().dot;
      TwofoldSum& sum = sums[static_cast<std::size_t>(g)];
      double positive = 0;
      for (index_t i = begin + (end - begin) * g / groups; i < last; i += chunk) {
        poll();
        const index_t n = std::min(chunk, last - i);
        const T* row = work.x.data();
        x_.centered(i, n, order, work.x.data());
        for (index_t r = 0; r < n; ++r, row += d) {
          const double part = degree[order ? order[i + r] : i + r] * dot(row, row, d);
          sum.add(part);
          positive += std::fabs(part);
          if (y.data) sum.add(-2 * dot(row, y.row(i + r - begin), d));
        }
        if (phi) {
          phi->rows(i, n, work.phi.data());
          add_moments(work.phi.data(), p, work.x.data(), d, n, work.product.data(), moments.data() + g * p * d);
          for (index_t r = 0; of_signs > 0 && r < n; ++r) {
            const double square = std::sqrt(fourth_powers(work.x.data() + r * d));
            const T* features = work.phi.data() + r * p;
            for (index_t l = 0; l < p; ++l)
              squares[g * p + l] += static_cast<double>(features[l]) * static_cast<double>(features[l]) * square;
          }
        }
        x_.deltas(i, n, order, work.x.data());
        row = work.x.data();
        for (index_t r = 0; r < n; ++r, row += d) sum.add(-row_sum[order ? order[i + r] : i + r] * dot(row, row, d));
      }
      positives[g] = positive;
    });
    for (index_t g = 0; g < groups; ++g) {
      trace_.add(sums[static_cast<std::size_t>(g)].value());
      positive_ += positives[g];
    }
    subtract_squares(groups, p, phi ? phi->signs() : nullptr, moments, squares);
  }

  // −2 Σ_lk s_l m_lk² of the moments m of all groups; `squares` is empty where no term may be negative.
  void subtract_squares(index_t groups, index_t p, const double* signs, Buffer<double>& moments,
                        const Buffer<double>& squares) {
    const index_t d = x_.features();
    double of_signs = 0;  // Σ_lk 2|s_l| m_lk²
    for (index_t l = 0; l < p; ++l) {
      double square = 0;
      for (index_t g = 0; g < groups && squares.size() > 0; ++g) square += squares[g * p + l];
      for (index_t g = 1; g < groups; ++g)
        for (index_t e = l * d; e < (l + 1) * d; ++e) moments[e] += moments[g * p * d + e];
      const double sign = signs ? signs[l] : 1;
      for (index_t e = l * d; e < (l + 1) * d; ++e) trace_.add(-2 * sign * moments[e] * moments[e]);
      if (signs)
        of_signs += 2 * std::fabs(sign) * kernels<double>().dot(moments.data() + l * d, moments.data() + l * d, d);
      // A moment m = Σ_i φ_i x_i errs so that its term errs by 4 |s| m_k times the root of Σ_i φ_i² x_ik².
      if (squares.size() > 0) terms_ += 16 * sign * sign * std::sqrt(fourth_powers(moments.data() + l * d)) * square;
    }
    positive_ = std::max(positive_, of_signs);
  }

  const Samples<T>& x_;
  TwofoldSum trace_;
  double positive_ = 0, terms_ = 0;
};

struct Trace {
  double value;
  Sizes sizes;
};

template <class T>
Trace trace(const Samples<T>& f, const Importance<T>& alpha) {
  TraceSink<T> sink(f);
  alpha.laplacian(f, sink);
  return {sink.trace(), sink.sizes()};
}

template <class S>
Trace wide_trace(View<const S> f, View<const S> f_aug, const Importance<double>& alpha) {
  Trace wide = trace<double>(SamplesOf<double, S>(f, f_aug), alpha);
  if (cancelled(wide.sizes, wide_limits<S>) && few_pairs(f.rows, f.cols))
    wide.value = trace_of_differences(f, f_aug, alpha);
  return wide;
}

Trace trace(View<const double> f, View<const double> f_aug, const Importance<double>& alpha) {
  return wide_trace<double>(f, f_aug, alpha);
}

Trace trace(View<const float> f, View<const float> f_aug, const Importance<float>& alpha) {
  return in_float_else_double(
      [&] { return trace<float>(SamplesOf<float, float>(f, f_aug), alpha); },
      [&](const Trace& single) { return lost_in_float(single.sizes, limits_for(alpha, single_trace)); },
      [&] { return wide_trace<float>(f, f_aug, *alpha.widened()); });
}

}  // namespace

template <class S>
double energy(View<const S> f, View<const S> f_aug, const Importance<S>& alpha) {
  const double n = static_cast<double>(f.rows);
  return trace(f, f_aug, alpha).value / (4 * n * n);
}

template double energy<float>(View<const float>, View<const float>, const Importance<float>&);
template double energy<double>(View<const double>, View<const double>, const Importance<double>&);

}  // namespace alphacl
