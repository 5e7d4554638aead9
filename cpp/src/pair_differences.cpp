#include "pair_differences.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "alphacl/kernels.h"
#include "alphacl/threads.h"
#include "outer_sum.h"

namespace alphacl {
namespace {

constexpr index_t block = 256;       // samples whose α is looked at together with that of another block
constexpr index_t most_groups = 16;  // of pairs of blocks; fixed, so the number of threads changes no bit

index_t group_count(index_t n) {
  const index_t blocks = ceil_div(n, block);
  return std::min(most_groups, blocks * (blocks + 1) / 2);
}

// visit(group, v, weight) for the differences v of all pairs and of both views; calls of one group follow each other.
template <class S, class F>
void for_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha, F&& visit) {
  const index_t n = x.rows, d = x.cols, blocks = ceil_div(n, block), groups = group_count(n);
  Buffer<double> r(n);
  alpha.row_sums(r.data());
  parallel_for(groups, [&](index_t group, int) {
    Buffer<double> v(d), entries(4 * block * block);
    const auto pairs_between = [&](index_t left, index_t right) {
      std::vector<index_t> samples(static_cast<std::size_t>(std::min(block, n - left)));
      std::iota(samples.begin(), samples.end(), left);
      const index_t first = left == right ? 0 : static_cast<index_t>(samples.size());
      for (index_t j = right; left < right && j < std::min(n, right + block); ++j) samples.push_back(j);
      const index_t count = static_cast<index_t>(samples.size());
      alpha.restricted(samples.data(), count)->to_dense({entries.data(), count, count, count});
      for (index_t b = first; b < count; ++b) {
        const S* own = x.row(samples[static_cast<std::size_t>(b)]);
        for (index_t a = 0; a < (left == right ? b : first); ++a) {
          const double weight = entries[a * count + b] + entries[b * count + a];
          if (weight == 0) continue;
          read_kernels<double, S>().delta_row(x.row(samples[static_cast<std::size_t>(a)]), own, d, v.data());
          visit(group, v.data(), weight);
        }
      }
    };
    index_t task = 0;
    for (index_t left = 0; left < blocks; ++left)
      for (index_t right = left; right < blocks; ++right, ++task)
        if (task % groups == group) pairs_between(left * block, right * block);
    for (index_t i = n * group / groups; i < n * (group + 1) / groups; ++i) {
      read_kernels<double, S>().delta_row(x.row(i), x_aug.row(i), d, v.data());
      visit(group, v.data(), -r[i]);
    }
  });
}

}  // namespace

bool few_pairs(index_t n, index_t width) {
  const double size = static_cast<double>(n), each = static_cast<double>(std::max<index_t>(width, 64));
  return size * size * each <= 4e10;
}

template <class S>
void covariance_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha, double* out) {
  const index_t d = x.cols;
  std::vector<OuterSum<double>> sums(static_cast<std::size_t>(group_count(x.rows)));
  for (OuterSum<double>& sum : sums) sum.start(d);
  for_differences(x, x_aug, alpha, [&](index_t group, const double* v, double weight) {
    sums[static_cast<std::size_t>(group)].add(v, weight);
  });
  std::fill_n(out, d * d, 0.0);
  for (OuterSum<double>& sum : sums) {
    const double* tiles = sum.finish();
    for (index_t i = 0; i < d; ++i)
      for (index_t j = i; j < d; ++j) out[i * d + j] += tiles[UpperTiles<double>::entry(i, j)];
  }
  for (index_t i = 0; i < d; ++i)
    for (index_t j = i; j < d; ++j) out[j * d + i] = out[i * d + j];
}

template <class S>
double trace_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha) {
  double sums[most_groups] = {};
  for_differences(x, x_aug, alpha, [&](index_t group, const double* v, double weight) {
    sums[group] += weight * kernels<double>().dot(v, v, x.cols);
  });
  return std::accumulate(sums, sums + most_groups, 0.0);
}

void laplacian_of_differences(const Importance<double>& alpha, const double* a, index_t nodes, double* t) {
  const index_t n = alpha.size(), blocks = ceil_div(n, block);
  struct Work {
    Buffer<double> entries;
    std::vector<index_t> samples;
  };
  PerWorker<Work> works;
  parallel_for(blocks, [&](index_t b, int worker) {
    Work& work = works[worker];
    work.entries.resize(4 * block * block);
    const index_t i0 = b * block, ni = std::min(block, n - i0);
    for (index_t k = 0; k < nodes; ++k) std::fill_n(t + k * n + i0, ni, 0.0);
    for (index_t j0 = 0; j0 < n; j0 += block) {
      const index_t nj = std::min(block, n - j0), first = i0 == j0 ? 0 : ni, count = first + nj;
      work.samples.resize(static_cast<std::size_t>(count));
      std::iota(work.samples.begin(), work.samples.begin() + ni, i0);
      std::iota(work.samples.begin() + first, work.samples.end(), j0);
      alpha.restricted(work.samples.data(), count)->to_dense({work.entries.data(), count, count, count});
      for (index_t k = 0; k < nodes; ++k)
        for (index_t i = 0; i < ni; ++i)
          for (index_t j = 0; j < nj; ++j)
            t[k * n + i0 + i] += (work.entries[i * count + first + j] + work.entries[(first + j) * count + i]) *
                                 (a[k * n + i0 + i] - a[k * n + j0 + j]);
    }
  });
}

template void covariance_of_differences<float>(View<const float>, View<const float>, const Importance<double>&,
                                               double*);
template void covariance_of_differences<double>(View<const double>, View<const double>, const Importance<double>&,
                                                double*);
template double trace_of_differences<float>(View<const float>, View<const float>, const Importance<double>&);
template double trace_of_differences<double>(View<const double>, View<const double>, const Importance<double>&);

}  // namespace alphacl
