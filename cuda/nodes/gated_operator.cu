// Products with the covariances of gated nodes, block by block of nodes.
#include "nodes/gated_operator.h"

#include "nodes/literal_product.h"
#include "runtime/copies.h"
#include "runtime/reused_memory.h"

namespace alphacl::cuda {

struct ProductRow {
  int node, place;
};

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

// Nodes, and rows of vectors for them, as a pass takes them; `where` are the places of these rows.
struct Block {
  NodeVectors nodes;
  const int* where;
};

// compared: data null where the outputs are those of the weights.
template <class S>
Block block_of(const Stream& on, const std::vector<ProductRow>& rows, View<const S> weights, View<const S> compared,
               const double* v) {
  const index_t d = weights.cols, count = static_cast<index_t>(rows.size());
  // The nodes and their rows of v in one copy: each waits.
  std::vector<int> lists;
  for (const ProductRow& row : rows) lists.push_back(row.node);
  for (const ProductRow& row : rows) lists.push_back(row.place);
  const int* const which = on_device(on, lists);
  const int* const where = which + count;
  const double* const w = gathered(on, weights, which, count);
  const double* const vectors = gathered(on, View<const double>{v, 0, d, d}, where, count);
  return {{count, w, vectors, compared.data == nullptr ? w : gathered(on, compared, which, count)}, where};
}

// The products of a block of nodes that have lost their digits; waits for the stream.
template <class S>
std::vector<index_t> lost_products(const Stream& on, const Layer<S>& layer, const NodeVectors& block,
                                   const NodeRows& rows, const double* product) {
  const index_t count = block.count;
  double* const minuend = on.memory.take<double>(2 * count);
  double* const lost = minuend + count;
  minuends(on, layer, rows, block.vectors, minuend);
  for_each(on, "lost", count, Lost{minuend, product, layer.features(), lost});
  std::vector<double> found(static_cast<std::size_t>(count));
  read_back(on, lost, count, found.data());
  std::vector<index_t> again;
  for (index_t k = 0; k < count; ++k)
    if (found[static_cast<std::size_t>(k)] > wide_limits<S>.minuend) again.push_back(k);
  return again;
}

}  // namespace

index_t nodes_at_a_time(index_t n, index_t nodes) {
  return std::min(nodes, std::clamp<index_t>((index_t{1} << 23) / n, 16, 256));
}

template <class S>
void GatedOperator<S>::multiply(const Stream& given, const std::vector<ProductRow>& rows, const double* v,
                                double* out) const {
  const index_t total = static_cast<index_t>(rows.size()), d = size();
  if (total == 0 || d == 0) return;
  const index_t most = nodes_at_a_time(layer_.samples(), total);
  std::vector<ProductRow> again;
  ReusedMemory memory(given.memory);
  const Stream on{given.handle, memory};
  for (index_t first = 0; first < total; first += most, memory.next_round()) {
    const index_t nodes = std::min(most, total - first);
    const Block block = block_of(on, {rows.begin() + first, rows.begin() + first + nodes}, weights_, compared_, v);
    const NodeRows pass = node_rows(on, layer_, block.nodes);
    double* const product = on.memory.take<double>(nodes * d);
    products(on, layer_, pass, product);
    for (const index_t k : lost_products(on, layer_, block.nodes, pass, product))
      again.push_back(rows[static_cast<std::size_t>(first + k)]);
    for_each(on, "scatter", nodes * d, Scatter{product, block.where, d, out});
  }
  const index_t width = std::max<index_t>(2 * d, 64) * static_cast<index_t>(again.size());
  if (again.empty() || !few_pairs(layer_.samples(), width)) return;
  const Block lost = block_of(given, again, weights_, compared_, v);
  for (index_t k = 0; k < lost.nodes.count; ++k, memory.next_round())
    literal_product(on, layer_, lost.nodes, k, out + again[static_cast<std::size_t>(k)].place * d);
}

template <class S>
void GatedOperator<S>::apply(const Stream& on, const std::vector<int>& active, const double* v, double* out) const {
  std::vector<ProductRow> rows;
  for (const int k : active) rows.push_back({k, k});
  multiply(on, rows, v, out);
}

template <class S>
void GatedOperator<S>::matmul(const Stream& on, const std::vector<int>& active, View<const S> v, View<S> out) const {
  const index_t count = static_cast<index_t>(active.size()), d = size();
  std::vector<ProductRow> rows;
  for (const int k : active) rows.push_back({k, static_cast<int>(rows.size())});
  double *const vectors = on.memory.take<double>(2 * count * d), *const product = vectors + count * d;
  copy_rows(on, v, vectors);
  multiply(on, rows, vectors, product);
  for_each(on, "narrow", count * d, Narrow<S>{product, out});
}

template class GatedOperator<float>;
template class GatedOperator<double>;

}  // namespace alphacl::cuda
