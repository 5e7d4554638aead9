// The lists of open rows of nodes, and gated_outer, which sums over them.
#include "nodes/compaction.h"

#include <cmath>

#include "nodes/gated_outer.h"
#include "tests/testing.h"

namespace {

using alphacl::index_t;
using alphacl::View;
using alphacl::cuda::CompactionShared;
using testing::Array;
using testing::expect;
using testing::Memory;

constexpr int nodes = 6;

// Which weights node k has: none, all, the last, every third, none in a whole warp, any.
double weight_of(int k, int i, int n) {
  const std::uint32_t any = static_cast<std::uint32_t>(i) * 2654435761u;
  const bool open[nodes] = {false, true, i == n - 1, i % 3 == 0, i / 32 % 2 == 1, any >> 31 == 1};
  if (!open[k]) return i % 2 == 0 ? 0.0 : -0.0;
  return i % 7 == 6 ? -1e-40 : 1 + i % 5;
}

template <class S>
bool lists_are_right(int n) {
  constexpr int stride = nodes + 2;
  const Array<S> weights(static_cast<std::size_t>(n) * stride);
  const Array<int> rows(static_cast<std::size_t>(n) * nodes), counts(nodes);
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < stride; ++k) weights[i * stride + k] = k < nodes ? static_cast<S>(weight_of(k, i, n)) : S(1);
  weights[1] = static_cast<S>(NAN);
  for (std::size_t e = 0; e < rows.size(); ++e) rows[e] = -1;
  testing::launch(alphacl::cuda::open_rows<S>, dim3(nodes), dim3(256), sizeof(CompactionShared), weights.data(),
                  index_t{stride}, index_t{1}, n, rows.data(), counts.data());
  bool right = true;
  for (int k = 0; k < nodes; ++k) {
    int found = 0;
    for (int i = 0; i < n; ++i)
      if (weights[i * stride + k] != S(0)) right = rows[k * n + found++] == i && right;
    right = counts[k] == found && right;
    for (int r = found; r < n; ++r) right = rows[k * n + r] == -1 && right;
  }
  if (n == 513) testing::print_bits("lists of 513 samples", rows);
  return right;
}

// The weights of a node lie one behind the other.
bool lists_of_rows_are_right(int n) {
  Memory memory;
  const Array<double> weights(static_cast<std::size_t>(nodes) * (n + 3));
  const Array<int> rows(static_cast<std::size_t>(n) * nodes), counts(nodes);
  for (std::size_t e = 0; e < weights.size(); ++e) weights[e] = 1;
  for (int k = 0; k < nodes; ++k)
    for (int i = 0; i < n; ++i) weights[k * (n + 3) + i] = weight_of(k, i, n);
  alphacl::cuda::list_open_rows({nullptr, memory}, weights.data(), 1, n + 3, n, nodes, rows.data(), counts.data());
  testing::finish();
  bool right = true;
  for (int k = 0; k < nodes; ++k) {
    int found = 0;
    for (int i = 0; i < n; ++i)
      if (weights[k * (n + 3) + i] != 0) right = rows[k * n + found++] == i && right;
    right = counts[k] == found && right;
  }
  return right;
}

// Sums of integers, exact. A sample that no node weighs may be anything. `few`: lists of four nodes at a time, sums of
// one, or all at once.
template <class S>
bool outer_is_right(int n, int d, bool few) {
  Memory memory;
  const index_t x_stride = d + 2, stride = nodes + 1;
  const Array<S> x(n * x_stride), omega(n * stride), out(static_cast<std::size_t>(nodes) * d * d);
  const Array<float> numbers(x.size());
  fill_with_integers(numbers, 3);
  for (int i = 0; i < n; ++i) {
    bool open = false;
    for (int k = 0; k < nodes; ++k) {
      const double weight = k == 1 ? i % 4 : std::round(weight_of(k, i, n));
      omega[i * stride + k] = static_cast<S>(weight);
      open = open || weight != 0;
    }
    for (int c = 0; c < d; ++c) x[i * x_stride + c] = open ? numbers[i * x_stride + c] : static_cast<S>(NAN);
  }
  const View<const S> samples{x.data(), n, d, x_stride}, weights{omega.data(), n, nodes, stride};
  if (few)
    alphacl::cuda::gated_outer<S>({nullptr, memory}, samples, weights, out.data(), 4 * n, 1);
  else
    alphacl::cuda::gated_outer<S>({nullptr, memory}, samples, weights, out.data());
  testing::finish();
  bool right = true;
  for (int k = 0; k < nodes; ++k)
    for (int a = 0; a < d; ++a)
      for (int b = 0; b < d; ++b) {
        double sum = 0;
        for (int i = 0; i < n; ++i) {
          const double weight = omega[i * stride + k];
          if (weight != 0) sum += weight * x[i * x_stride + a] * x[i * x_stride + b];
        }
        right = out[(k * d + a) * d + b] == static_cast<S>(sum) && right;
      }
  if (n == 257) testing::print_bits("gated_outer of 257 samples", out);
  return right;
}

template <class S>
void test(const char* lists, const char* outer) {
  bool right[2] = {true, true};
  for (const int n : {1, 2, 31, 32, 33, 63, 64, 65, 255, 256, 257, 513}) right[0] = lists_are_right<S>(n) && right[0];
  for (const int n : {1, 65, 257})
    for (const int d : {3, 65}) right[1] = outer_is_right<S>(n, d, d == 3) && right[1];
  expect(right[0], lists);
  expect(right[1], outer);
}

}  // namespace

int main() {
  expect(lists_of_rows_are_right(257), "lists of weights that lie in rows");
  test<float>("lists of float weights", "gated_outer of floats");
  test<double>("lists of double weights", "gated_outer of doubles");
  return testing::failures;
}
