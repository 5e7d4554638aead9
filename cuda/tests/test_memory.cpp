// What loops hold of memory: rounds that grow, and operations whose rounds do.
#include <vector>

#include "importances/importance.h"
#include "nodes/gated_cov.h"
#include "nodes/gated_operator.h"
#include "runtime/reused_memory.h"
#include "tests/testing.h"

namespace {

using alphacl::Activation;
using alphacl::index_t;
using alphacl::View;
using alphacl::cuda::ReusedMemory;
using alphacl::cuda::Stream;
using testing::Array;
using testing::expect;
using testing::Memory;

void test_rounds() {
  Memory memory;
  {
    ReusedMemory outer(memory);
    void* const first = outer.bytes(100);
    outer.next_round();
    const bool same = outer.bytes(50) == first && memory.held() == 100;
    expect(same && outer.bytes(7) != first && memory.held() == 107, "a round has the memory of the round before");
    for (std::size_t size = 1; size <= 10; ++size) {
      outer.next_round();
      outer.bytes(100 * size);
      outer.bytes(70 * size);
    }
    expect(memory.held() == 1700 && memory.most() == 1700, "what is outgrown is given back before more is taken");
    outer.next_round();
    ReusedMemory inner(outer);
    inner.bytes(1000);
    inner.bytes(200);
    inner.next_round();
    inner.bytes(1500);
    expect(memory.held() == 1500 + 700, "a loop within a loop");
  }
  expect(memory.held() == 2200, "the end of a loop keeps what may still be read");
}

// The outputs of every next node lie further apart, so its series is longer.
void test_series_of_nodes() {
  const index_t n = 256, d = 2, nodes = 6;
  const Array<double> x(n * d), weights(nodes * d), out(nodes * d * d);
  std::uint64_t seed = 4;
  for (std::size_t e = 0; e < x.size(); ++e) x[e] = testing::next(seed);
  for (index_t k = 0; k < nodes; ++k) weights[k * d] = 2 * static_cast<double>(k + 1), weights[k * d + 1] = 0;
  const View<const double> views{x.data(), n, d, d};
  const auto most = [&](index_t first) {
    Memory memory;
    const View<const double> w{weights.data() + first * d, nodes - first, d, d};
    alphacl::cuda::gated_cov<double>({nullptr, memory}, views, views, w, {Activation::Kind::linear, 0}, {nullptr, 1.0},
                                     out.data(), n);
    testing::finish();
    return memory.most();
  };
  expect(most(0) == most(nodes - 1), "nodes hold what the widest of them does");
}

// The most memory of products with clusters far apart, of which pairs count within one alone, for `nodes` nodes. They
// are lost in the first and the last `lost`; those between multiply vectors of 0.
std::size_t most_of_products(index_t n, index_t d, index_t nodes, index_t lost) {
  const Array<double> x(n * d), weights(nodes * d), v(nodes * d), out(nodes * d);
  const Array<std::int64_t> cluster(n);
  std::uint64_t seed = 5;
  for (index_t i = 0; i < n; ++i) {
    cluster[i] = i % 2;
    for (index_t c = 0; c < d; ++c) x[i * d + c] = testing::next(seed) + (i % 2 == 0 ? 0x1p34 : -0x1p34);
  }
  std::vector<int> active;
  for (index_t k = 0; k < nodes; ++k) {
    for (index_t c = 0; c < d; ++c) {
      weights[k * d + c] = 1;
      v[k * d + c] = k < lost || k >= nodes - lost ? 1 : 0;
    }
    active.push_back(static_cast<int>(k));
  }
  Memory memory;
  const Stream on{nullptr, memory};
  const auto alpha = alphacl::cuda::labels<double>(on, cluster.data(), n, 1, 0, memory);
  const View<const double> views{x.data(), n, d, d};
  const auto layer =
      alphacl::cuda::layer_of<double>(on, memory, views, views, {Activation::Kind::linear, 0}, {alpha.get()});
  const alphacl::cuda::GatedOperator<double> a(layer, {weights.data(), nodes, d, d}, {nullptr, 0, 0, 0});
  a.matmul(on, active, {v.data(), nodes, d, d}, {out.data(), nodes, d, d});
  testing::finish();
  return memory.most();
}

// 50 nodes of 2500 samples are the most, at 64 columns.
void test_pairs_of_all_nodes() {
  expect(most_of_products(66, 2, 2, 1) > most_of_products(66, 2, 2, 0), "pairs of two nodes");
  expect(most_of_products(2500, 64, 52, 26) == most_of_products(2500, 64, 52, 0), "pairs of 52 nodes are too many");
}

// Two blocks of rows, in the type of the result.
void test_sparse_rows() {
  const index_t n = 2100;
  Memory memory;
  const Stream on{nullptr, memory};
  const Array<std::int64_t> starts(n + 1), columns(2 * n);
  const Array<float> values(2 * n), out(n * n);
  for (index_t i = 0; i <= n; ++i) starts[i] = 2 * i;
  for (index_t e = 0; e < 2 * n; ++e) columns[e] = 7 * (e / 2) % n, values[e] = e % 2 == 0 ? 1 : 0x1p-20f;
  const auto alpha = alphacl::cuda::sparse<float>(on, {starts.data(), columns.data(), values.data(), n, 2 * n}, memory);
  alpha->to_dense(on, {out.data(), n, n, n});
  testing::finish();
  bool right = true;
  for (index_t i = 0; i < n; ++i)
    for (index_t j = 0; j < n; ++j) right = right && out[i * n + j] == (j == 7 * i % n ? 1 + 0x1p-20f : 0.0f);
  expect(right && memory.most() < sizeof(double) * n * n, "a sparse matrix written out, some rows at a time");
}

}  // namespace

int main() {
  test_rounds();
  test_series_of_nodes();
  test_pairs_of_all_nodes();
  test_sparse_rows();
  return testing::failures;
}
