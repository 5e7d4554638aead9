// Products with the covariances of gated nodes, block by block of nodes.
#include "nodes/gated_operator.h"

#include "nodes/literal_product.h"
#include "runtime/copies.h"
#include "runtime/reused_memory.h"

namespace alphacl::cuda {
namespace {

// Row i of `to` is row list_i of `from`, in double.
template <class A>
struct Gather {
  View<const A> from;
  const int* list;
  double* to;
  __device__ void operator()(std::int64_t e) const {
    to[e] = static_cast<double>(from.data[list[e / from.cols] * from.stride + e % from.cols]);
  }
};

struct Scatter {
  const double* from;
  const int* list;
  index_t d;
  double* to;
  __device__ void operator()(std::int64_t e) const { to[list[e / d] * d + e % d] = from[e]; }
};

// How many times the result what it is a difference of is.
struct Lost {
  const double *minuend, *product;
  index_t d;
  double* out;
  __device__ void operator()(std::int64_t k) const {
    double largest = 0, square = 0;
    for (index_t e = k * d; e < (k + 1) * d; ++e) largest = fmax(largest, fabs(product[e]));
    for (index_t e = k * d; largest > 0 && e < (k + 1) * d; ++e) {
      const double share = product[e] / largest;  // its square is in the range of a double
      square = fma(share, share, square);
    }
    out[k] = minuend[k] / (largest * sqrt(square));
  }
};

template <class A>
double* gathered(const Stream& on, View<const A> from, const int* list, index_t count) {
  double* const to = on.memory.take<double>(count * from.cols);
  for_each(on, "gather", count * from.cols, Gather<A>{from, list, to});
  return to;
}

// The products of a block of nodes that have lost their digits, once more.
template <class S>
void literal_products(const Stream& on, const Layer<S>& layer, const NodeVectors& block, const NodeRows& rows,
                      double* out) {
  const index_t d = layer.features(), count = block.count;
  double* const minuend = on.memory.take<double>(2 * count);
  double* const lost = minuend + count;
  minuends(on, layer, rows, block.vectors, minuend);
  for_each(on, "lost", count, Lost{minuend, out, d, lost});
  std::vector<double> found(static_cast<std::size_t>(count));
  read_back(on, lost, count, found.data());
  std::vector<index_t> again;
  for (index_t k = 0; k < count; ++k)
    if (found[static_cast<std::size_t>(k)] > wide_limits<S>.minuend) again.push_back(k);
  if (!few_pairs(layer.samples(), std::max<index_t>(2 * d, 64) * static_cast<index_t>(again.size()))) return;
  ReusedMemory memory(on.memory);
  const Stream round{on.handle, memory};
  for (const index_t k : again) {
    literal_product(round, layer, block, k, out + k * d);
    memory.next_round();
  }
}

}  // namespace

index_t nodes_at_a_time(index_t n, index_t nodes) {
  return std::min(nodes, std::clamp<index_t>((index_t{1} << 23) / n, 16, 256));
}

template <class S>
void GatedOperator<S>::multiply(const Stream& given, const std::vector<int>& active, const std::vector<int>& rows,
                                const double* v, double* out) const {
  const index_t total = static_cast<index_t>(active.size()), d = size();
  if (total == 0 || d == 0) return;
  const index_t most = nodes_at_a_time(layer_.samples(), total);
  ReusedMemory memory(given.memory);
  const Stream on{given.handle, memory};
  for (index_t first = 0; first < total; first += most, memory.next_round()) {
    const index_t nodes = std::min(most, total - first);
    // The nodes and their rows of v in one copy: each waits.
    std::vector<int> lists(active.begin() + first, active.begin() + first + nodes);
    lists.insert(lists.end(), rows.begin() + first, rows.begin() + first + nodes);
    const int* const which = on_device(on, lists.data(), 2 * nodes);
    const int* const where = which + nodes;
    const double* const weights = gathered(on, weights_, which, nodes);
    const double* const vectors = gathered(on, View<const double>{v, 0, d, d}, where, nodes);
    const double* const compared = compared_.data == nullptr ? weights : gathered(on, compared_, which, nodes);
    const NodeVectors block{nodes, weights, vectors, compared};
    const NodeRows pass = node_rows(on, layer_, block);
    double* const product = on.memory.take<double>(nodes * d);
    products(on, layer_, pass, product);
    literal_products(on, layer_, block, pass, product);
    for_each(on, "scatter", nodes * d, Scatter{product, where, d, out});
  }
}

template <class S>
void GatedOperator<S>::apply(const Stream& on, const std::vector<int>& active, const double* v, double* out) const {
  multiply(on, active, active, v, out);
}

template <class S>
void GatedOperator<S>::matmul(const Stream& on, const std::vector<int>& active, View<const S> v, View<S> out) const {
  const index_t count = static_cast<index_t>(active.size()), d = size();
  std::vector<int> rows(active.size());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int>(i);
  double *const vectors = on.memory.take<double>(2 * count * d), *const product = vectors + count * d;
  copy_rows(on, v, vectors);
  multiply(on, active, rows, vectors, product);
  for_each(on, "narrow", count * d, Narrow<S>{product, out});
}

template class GatedOperator<float>;
template class GatedOperator<double>;

}  // namespace alphacl::cuda
