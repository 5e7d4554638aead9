// Sums of products over the rows of many nodes against a double loop, exact because the numbers are integers.
#include "sums/gram.h"

#include <cstdio>
#include <vector>

#include "sums/total.h"
#include "tests/testing.h"

namespace {

using alphacl::index_t;
using alphacl::cuda::GramShape;
using testing::Array;
using testing::expect;
using testing::Memory;

// The rows of a node lie behind those of the node before: a row too many is another node's.
struct Nodes {
  const float *a, *b;
  const int *counts, *begins;
  int left_size, right_size, first;

  Nodes from(int node) const { return {a, b, counts, begins, left_size, right_size, node}; }
  __device__ int rows(int node) const { return counts[first + node]; }
  __device__ double left(int node, int row, int c) const {
    return a[static_cast<index_t>(begins[first + node] + row) * left_size + c];
  }
  __device__ double right(int node, int row, int c) const {
    return b[static_cast<index_t>(begins[first + node] + row) * right_size + c];
  }
};

constexpr int rows_of[] = {129, 0, 1, 2, 63, 64, 65, 0, 17}, nodes = 9;

template <class S>
void test_shape(const GramShape& shape, index_t most_numbers) {
  Memory memory;
  const Array<int> counts(nodes), begins(nodes);
  int rows = 0;
  for (std::size_t k = 0; k < nodes; ++k) {
    counts[k] = rows_of[k];
    begins[k] = rows;
    rows += rows_of[k];
  }
  const Array<float> left(static_cast<std::size_t>(rows) * shape.left_size);
  const Array<float> right(static_cast<std::size_t>(rows) * shape.right_size);
  fill_with_integers(left, 1);
  fill_with_integers(right, 2);
  const float* const b = shape.symmetric ? left.data() : right.data();
  const Nodes source{left.data(), b, counts.data(), begins.data(), shape.left_size, shape.right_size, 0};
  const std::size_t size = static_cast<std::size_t>(shape.left_size) * shape.right_size;
  const Array<S> out(nodes * size);
  const double scale = 1.0 / 3;
  alphacl::cuda::gram(alphacl::cuda::Stream{nullptr, memory}, source, shape, nodes, scale, out.data(), most_numbers);
  testing::finish();
  bool right_numbers = true;
  for (std::size_t k = 0; k < nodes; ++k)
    for (int y = 0; y < shape.left_size; ++y)
      for (int x = 0; x < shape.right_size; ++x) {
        double sum = 0;
        for (index_t r = begins[k]; r < begins[k] + counts[k]; ++r)
          sum += left[r * shape.left_size + y] * double{b[r * shape.right_size + x]};
        if (out[k * size + y * shape.right_size + x] != static_cast<S>(scale * sum)) right_numbers = false;
      }
  char what[80];  // no std::string, whose compiled part MemorySanitizer does not follow
  std::snprintf(what, sizeof what, "%d x %d%s, groups of rows: %d, at a time: %d", shape.left_size, shape.right_size,
                shape.symmetric ? " symmetric" : "", shape.groups, static_cast<int>(most_numbers >> 12));
  expect(right_numbers, what);
  testing::print_bits(what, out);
}

// Numbers whose sum in another order has other bits.
void test_order() {
  Memory memory;
  const alphacl::cuda::Stream on{nullptr, memory};
  const Array<double> numbers(9000);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = 1.0 / static_cast<double>(i + 1);
  numbers[0] = 0x1p53;  // what is added to it is lost, what is added before is not
  const Array<double> found(1);
  found[0] = alphacl::cuda::total(on, numbers.data(), 9000, 1.0);
  double sum = 0;
  for (int group = 0; group < 3; ++group) {
    double part = 0;
    for (std::size_t i = 0; i < 3000; ++i) part += numbers[group * 3000 + i];
    sum += part;
  }
  expect(found[0] == sum, "rows and groups are added in their order");
  testing::print_bits("a total", found);
}

void test_too_many_rows() {
  Memory memory;
  bool refused = false;
  try {
    alphacl::cuda::total({nullptr, memory}, nullptr, (index_t{1} << 31) + 7, 1.0);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  expect(refused, "a total of more numbers than an int counts");
}

}  // namespace

int main() {
  constexpr index_t all = index_t{1} << 25, tile = 64 * 64;
  constexpr int sizes[][2] = {{1, 1}, {1, 65}, {64, 3}, {65, 129}};
  for (const auto& size : sizes) test_shape<double>({size[0], size[1], false, 3}, all);
  for (const int size : {3, 64, 65, 129}) test_shape<float>({size, size, true, 2}, all);
  test_shape<float>({3, 65, false, 20}, all);  // more groups than most nodes have rows
  test_shape<double>({65, 65, true, 1}, 4 * 3 * tile);
  test_shape<double>({3, 3, false, 2}, 1);
  test_order();
  test_too_many_rows();
  return testing::failures;
}
