// Sums over the differences x_i − x_j of all pairs, block by block of samples.
#include "covariance/literal_sums.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "isa/tables/kernels.h"
#include "packing/outer_sum.h"
#include "runtime/threads.h"
#include "runtime/twofold_sum.h"

namespace alphacl {
namespace {

constexpr index_t block = 256;       // samples; the α of two blocks is made at a time
constexpr index_t most_groups = 16;  // groups of pairs of blocks; fixed, so the number of threads changes no bit

index_t group_count(index_t n) {
  const index_t blocks = ceil_div(n, block);
  return std::min(most_groups, blocks * (blocks + 1) / 2);
}

// visit(i, j, α_ij + α_ji) for the pairs i < j of two blocks, or within one; pairs of weight 0 are left out.
template <class F>
void for_pairs(const Importance<double>& alpha, index_t left, index_t right, Buffer<double>& entries, F&& visit) {
  const index_t n = alpha.size();
  std::vector<index_t> samples(static_cast<std::size_t>(std::min(block, n - left)));
  std::iota(samples.begin(), samples.end(), left);
  const index_t first = left == right ? 0 : static_cast<index_t>(samples.size());
  for (index_t j = right; left < right && j < std::min(n, right + block); ++j) samples.push_back(j);
  const index_t count = static_cast<index_t>(samples.size());
  entries.resize(4 * block * block);
  alpha.restricted(samples.data(), count)->to_dense({entries.data(), count, count, count});
  for (index_t b = first; b < count; ++b) {
    poll();
    for (index_t a = 0; a < (left == right ? b : first); ++a) {
      const double weight = entries[a * count + b] + entries[b * count + a];
      if (weight != 0) visit(samples[static_cast<std::size_t>(a)], samples[static_cast<std::size_t>(b)], weight);
    }
  }
}

// visit(group, v, weight): all pairs v = x_i − x_j and all v = x_i − x'_i. Calls of one group come one after another.
template <class S, class F>
void for_differences(View<const S> x, View<const S> x_aug, const Importance<double>& given, F&& visit) {
  const index_t n = x.rows, d = x.cols, blocks = ceil_div(n, block), groups = group_count(n);
  const auto alpha = given.literal();
  Buffer<double> r(n);
  alpha->row_sums(r.data());
  parallel_for(groups, [&](index_t group, int) {
    Buffer<double> v(d), entries;
    index_t task = 0;
    for (index_t left = 0; left < blocks; ++left)
      for (index_t right = left; right < blocks; ++right, ++task) {
        if (task % groups != group) continue;
        for_pairs(*alpha, left * block, right * block, entries, [&](index_t i, index_t j, double weight) {
          read_kernels<double, S>().delta_row(x.row(i), x.row(j), d, v.data());
          visit(group, v.data(), weight);
        });
      }
    for (index_t i = n * group / groups; i < n * (group + 1) / groups; ++i) {
      read_kernels<double, S>().delta_row(x.row(i), x_aug.row(i), d, v.data());
      visit(group, v.data(), -r[i]);
    }
  });
}

// Σ w v of rows v, in double for some rows at a time, then in two doubles: equal terms round alike.
class VectorSum {
 public:
  explicit VectorSum(index_t d) : chunk_(static_cast<std::size_t>(d)), sums_(chunk_.size()) {}
  void add(const double* v, double w) {
    for (std::size_t j = 0; j < chunk_.size(); ++j) chunk_[j] += w * v[j];
    if (++held_ == most_held) flush();
  }
  void add_to(TwofoldSum* out) {
    flush();
    for (std::size_t j = 0; j < sums_.size(); ++j) out[j].add(sums_[j].value());
  }

 private:
  static constexpr int most_held = 64;
  void flush() {
    for (std::size_t j = 0; j < sums_.size(); ++j) sums_[j].add(chunk_[j]);
    chunk_.assign(chunk_.size(), 0.0);
    held_ = 0;
  }

  std::vector<double> chunk_;
  std::vector<TwofoldSum> sums_;
  int held_ = 0;
};

}  // namespace

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
  TwofoldSum sums[most_groups];
  for_differences(x, x_aug, alpha, [&](index_t group, const double* v, double weight) {
    sums[group].add(weight * kernels<double>().dot(v, v, x.cols));
  });
  TwofoldSum total;
  for (const TwofoldSum& sum : sums) total.add(sum.value());
  return total.value();
}

void product_of_differences(View<const double> x, View<const double> x_aug, const Importance<double>& alpha,
                            const double* v, double* out) {
  const index_t d = x.cols;
  std::vector<VectorSum> sums(static_cast<std::size_t>(group_count(x.rows)), VectorSum(d));
  for_differences(x, x_aug, alpha, [&](index_t group, const double* difference, double weight) {
    sums[static_cast<std::size_t>(group)].add(difference, weight * kernels<double>().dot(difference, v, d));
  });
  std::vector<TwofoldSum> total(static_cast<std::size_t>(d));
  for (VectorSum& sum : sums) sum.add_to(total.data());
  for (index_t j = 0; j < d; ++j) out[j] = total[static_cast<std::size_t>(j)].value();
}

template <class S>
void gradient_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& given, View<S> grad,
                             View<S> grad_aug) {
  const index_t n = x.rows, d = x.cols, blocks = ceil_div(n, block);
  const auto alpha = given.literal();
  Buffer<double> r(n);
  alpha->row_sums(r.data());
  // One worker per block of rows, so that each pair of blocks is visited from both sides.
  parallel_for(blocks, [&](index_t own, int) {
    const index_t begin = own * block, end = std::min(n, begin + block);
    std::vector<VectorSum> sums(static_cast<std::size_t>(end - begin), VectorSum(d));
    Buffer<double> v(d), entries;
    const auto add = [&](index_t i, index_t j, double weight) {
      if (i < begin || i >= end) return;
      read_kernels<double, S>().delta_row(x.row(i), x.row(j), d, v.data());
      sums[static_cast<std::size_t>(i - begin)].add(v.data(), weight);
    };
    for (index_t other = 0; other < blocks; ++other)
      for_pairs(*alpha, std::min(own, other) * block, std::max(own, other) * block, entries,
                [&](index_t i, index_t j, double weight) {
                  add(i, j, weight);
                  add(j, i, weight);
                });
    std::vector<TwofoldSum> sum;
    for (index_t i = begin; i < end; ++i) {
      read_kernels<double, S>().delta_row(x.row(i), x_aug.row(i), d, v.data());
      sum.assign(static_cast<std::size_t>(d), {});
      sums[static_cast<std::size_t>(i - begin)].add_to(sum.data());
      for (index_t k = 0; k < d; ++k) {
        grad.row(i)[k] = static_cast<S>(sum[static_cast<std::size_t>(k)].value() - r[i] * v[k]);
        grad_aug.row(i)[k] = static_cast<S>(r[i] * v[k]);
      }
    }
  });
}

template void covariance_of_differences<float>(View<const float>, View<const float>, const Importance<double>&,
                                               double*);
template void covariance_of_differences<double>(View<const double>, View<const double>, const Importance<double>&,
                                                double*);
template double trace_of_differences<float>(View<const float>, View<const float>, const Importance<double>&);
template double trace_of_differences<double>(View<const double>, View<const double>, const Importance<double>&);
template void gradient_of_differences<float>(View<const float>, View<const float>, const Importance<double>&,
                                             View<float>, View<float>);
template void gradient_of_differences<double>(View<const double>, View<const double>, const Importance<double>&,
                                              View<double>, View<double>);

}  // namespace alphacl
