#include "pair_differences.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "alphacl/kernels.h"
#include "alphacl/threads.h"
#include "upper_tiles.h"

namespace alphacl {
namespace {

constexpr index_t columns_at_once = 512;  // of α
constexpr index_t groups = 16;            // of them; fixed, so the number of threads changes no bit
constexpr index_t stride = gram_chunk + 1;

// Collects w · v vᵀ for rows v, gram_chunk packed rows at a time.
class Outer {
 public:
  explicit Outer(index_t d) : d_(d), panels_(UpperTiles<double>::panels(d)), tiles_(UpperTiles<double>::entries(d), 0) {
    const index_t size = stride * panels_ * kernels<double>().panel;
    plain_.resize(size);
    weighted_.resize(size);
  }
  void add(const double* row, double weight) {
    const index_t at = held_ * kernels<double>().panel;
    kernels<double>().pack_row(row, nullptr, weight, d_, stride, plain_.data() + at, weighted_.data() + at);
    if (++held_ == gram_chunk) flush();
  }
  const double* tiles() {
    flush();
    return tiles_.data();
  }

 private:
  void flush() {
    kernels<double>().gram(plain_.data(), weighted_.data(), held_, stride, 0, panels_, tiles_.data());
    held_ = 0;
  }

  index_t d_, panels_, held_ = 0;
  Buffer<double> tiles_, plain_, weighted_;
};

// visit(group, v, weight) for the differences v of all pairs and of both views; calls of one group follow each other.
template <class S>
void for_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha,
                     const std::function<void(index_t group, const double* v, double weight)>& visit) {
  const index_t n = x.rows, d = x.cols;
  Buffer<double> r(n);
  alpha.row_sums(r.data());
  Buffer<double> unit(n * columns_at_once), a(n * columns_at_once), b;
  for (index_t j0 = 0; j0 < n; j0 += columns_at_once) {
    const index_t count = std::min(columns_at_once, n - j0);
    std::fill_n(unit.data(), n * count, 0.0);
    for (index_t j = 0; j < count; ++j) unit[(j0 + j) * count + j] = 1;
    const View<const double> columns = {unit.data(), n, count, count};
    alpha.matmul(columns, {a.data(), n, count, count});
    if (!alpha.symmetric()) {
      b.resize(n * columns_at_once);
      alpha.matmul_transposed(columns, {b.data(), n, count, count});
    }
    parallel_for(groups, [&](index_t group, int) {
      Buffer<double> v(d);
      for (index_t j = count * group / groups; j < count * (group + 1) / groups; ++j) {
        const S* own = x.row(j0 + j);
        for (index_t i = 0; i < j0 + j; ++i) {
          const double weight = a[i * count + j] + (alpha.symmetric() ? a[i * count + j] : b[i * count + j]);
          if (weight == 0) continue;
          read_kernels<double, S>().delta_row(x.row(i), own, d, v.data());
          visit(group, v.data(), weight);
        }
        read_kernels<double, S>().delta_row(own, x_aug.row(j0 + j), d, v.data());
        visit(group, v.data(), -r[j0 + j]);
      }
    });
  }
}

}  // namespace

bool few_pairs(index_t n, index_t width) {
  return static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(width) <= 1e11;
}

template <class S>
void covariance_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha, double* out) {
  const index_t d = x.cols;
  std::vector<Outer> sums;
  for (index_t g = 0; g < groups; ++g) sums.emplace_back(d);
  for_differences(x, x_aug, alpha, [&](index_t g, const double* v, double weight) {
    sums[static_cast<std::size_t>(g)].add(v, weight);
  });
  std::fill_n(out, d * d, 0.0);
  for (Outer& sum : sums) {
    const double* tiles = sum.tiles();
    for (index_t i = 0; i < d; ++i)
      for (index_t j = i; j < d; ++j) out[i * d + j] += tiles[UpperTiles<double>::entry(i, j)];
  }
  for (index_t i = 0; i < d; ++i)
    for (index_t j = i; j < d; ++j) out[j * d + i] = out[i * d + j];
}

template <class S>
double trace_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha) {
  double sums[groups] = {}, total = 0;
  for_differences(x, x_aug, alpha, [&](index_t g, const double* v, double weight) {
    sums[g] += weight * kernels<double>().dot(v, v, x.cols);
  });
  for (const double sum : sums) total += sum;
  return total;
}

template void covariance_of_differences<float>(View<const float>, View<const float>, const Importance<double>&,
                                               double*);
template void covariance_of_differences<double>(View<const double>, View<const double>, const Importance<double>&,
                                                double*);
template double trace_of_differences<float>(View<const float>, View<const float>, const Importance<double>&);
template double trace_of_differences<double>(View<const double>, View<const double>, const Importance<double>&);

}  // namespace alphacl
