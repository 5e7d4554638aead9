// One pass over the samples for a block of nodes: gate → Laplacian → quadratic form → gate back, all in double.
//
// For node k with weights w, gates g = h'(w·x), g' = h'(w·x'), and a vector v, with c a vector near most samples:
//
//     gate            a = g (x − c)·v + (g − ρ) c·v          all g x·v but for a number common to all samples
//                     δ = g (x − x')·v + (g − g')(x' − c)·v + (g − g') c·v
//     Laplacian       t = D a − (α + αᵀ) a,  r = α 1
//     quadratic form  Σ_i a_i t_i − r_i δ_i²                  2N² vᵀA(w)v
//     gate back       Σ_i g t (x − c) − g r δ (x − x') − (g − g') r δ (x' − c) + c (Σ_i (g − ρ) t − (g − g') r δ)
//                                                             2N² A(w) v
//
// ρ is the gate that most samples have: with it an offset of the data costs no digits. Where both gates are the same, δ
// has the digits of the difference of the views, however near these are: its second term is 0. Arrays are N × nodes.
#pragma once

#include "covariance/views.h"
#include "nodes/gates.h"
#include "nodes/layer.h"
#include "nodes/node_gaussian.h"
#include "sums/pair_tile.h"
#include "sums/rows.h"

namespace alphacl::cuda {

// out (N × nodes) = data · vectorsᵀ; a block has 64 samples and 64 nodes, a thread 16 products.
template <class A>
__global__ void __launch_bounds__(256) project_tiles(View<const A> data, View<const double> vectors, double* out) {
  auto& s = simt::shared<PairTileShared>();
  const int i0 = static_cast<int>(blockIdx.x) * pair_tile, k0 = static_cast<int>(blockIdx.y) * pair_tile;
  double sum[pair_each][pair_each];
  pair_tile_sums<false>(data, vectors, i0, k0, s, sum);
#pragma unroll
  for (int y = 0; y < pair_each; ++y)
#pragma unroll
    for (int x = 0; x < pair_each; ++x) {
      const index_t i = i0 + y * pair_side + static_cast<int>(threadIdx.y);
      const index_t k = k0 + x * pair_side + static_cast<int>(threadIdx.x);
      if (i < data.rows && k < vectors.rows) out[i * vectors.rows + k] = sum[y][x];
    }
}

template <class A>
void project(const Stream& on, View<const A> data, const double* vectors, index_t nodes, double* out) {
  const auto tiles = [](index_t length) { return static_cast<unsigned>(ceil_div(length, pair_tile)); };
  launch(on, "project_tiles", project_tiles<A>, dim3(tiles(data.rows), tiles(nodes)), dim3(pair_side, pair_side),
         sizeof(PairTileShared), data, View<const double>{vectors, nodes, data.cols, data.cols}, out);
}

// Sums over the samples of f(i, k), for every node k.
template <class F>
struct TermsOfNodes {
  F f;
  int n;
  TermsOfNodes from(int) const { return *this; }
  __device__ int rows(int) const { return n; }
  __device__ double left(int, int, int) const { return 1; }
  __device__ double right(int, int row, int b) const { return f(row, b); }
};

template <class F>
void sum_samples(const Stream& on, const F& f, index_t n, index_t nodes, double scale, double* out) {
  gram(on, TermsOfNodes<F>{f, static_cast<int>(n)}, GramShape{1, static_cast<int>(nodes), false, gram_groups(n)}, 1,
       scale, out);
}

struct GateOfOutput {
  NodeGate gate;
  double* u;  // becomes h'(u)
  __device__ void operator()(std::int64_t e) const { u[e] = gate_value(gate, u[e]); }
};

// h(u) = u h'(u) / degree.
struct OutputOf {
  NodeGate gate;
  double degree;
  double* u;
  __device__ void operator()(std::int64_t e) const { u[e] = u[e] * gate_value(gate, u[e]) / degree; }
};

// Half an open gate for each view.
struct IsOpen {
  const double *gates, *gates_aug;
  index_t nodes;
  __device__ double operator()(int i, int k) const {
    const index_t e = i * nodes + k;
    return (gates[e] == 1 ? 0.5 : 0.0) + (gates_aug[e] == 1 ? 0.5 : 0.0);
  }
};

// ρ of a node: the gate that seven eighths have, else 0, which keeps the closed gates of a ReLU closed.
struct ReferenceGate {
  NodeGate gate;
  const double *share_open, *centre_output;
  double* out;
  __device__ void operator()(std::int64_t k) const {
    if (gate.form == NodeGate::Form::one) out[k] = 1;
    if (gate.form == NodeGate::Form::power) out[k] = gate_value(gate, centre_output[k]);
    if (gate.form == NodeGate::Form::step)
      out[k] = share_open[k] > 0.875 ? 1 : share_open[k] < 0.125 ? gate.parameter : 0;
  }
};

/// What a pass has computed; see above. r is N × nodes, or N where the importance is shared.
struct NodeRows {
  index_t n, nodes;
  const double *gates, *gates_aug, *a, *delta, *t, *r;
  const double* reference;  // ρ of each node
  bool shared;
  __device__ double r_of(index_t i, index_t k) const { return r[shared ? i : i * nodes + k]; }
};

// Turns (x − c)·v into a and (x − x')·v into δ.
struct GateProjections {
  const double *gates, *gates_aug, *reference, *centre_along;
  index_t nodes;
  double *a, *delta;
  __device__ void operator()(std::int64_t e) const {
    const index_t k = e % nodes;
    const double gate = gates[e], gate_aug = gates_aug[e], u = a[e], apart = delta[e], along = centre_along[k];
    a[e] = fma(gate, u, (gate - reference[k]) * along);
    delta[e] = gate * apart + (gate - gate_aug) * ((u - apart) + along);
  }
};

struct QuadraticTerm {
  NodeRows rows;
  __device__ double operator()(int i, int k) const {
    const index_t e = i * rows.nodes + k;
    return fma(rows.a[e], rows.t[e], -rows.r_of(i, k) * rows.delta[e] * rows.delta[e]);
  }
};

// The squared lengths of the terms of `gate back`, with t as large as its own terms: what rounding is a share of.
struct MinuendTerm {
  NodeRows rows;
  LayerRows layer;
  const double *row_size, *square;  // N, null for the nodes' own: 2r; ‖v‖² of each node
  const double* centre_square;      // ‖c‖²
  __device__ double operator()(int i, int k) const {
    const index_t e = i * rows.nodes + k;
    const double gate = rows.gates[e], off = gate - rows.reference[k], other = gate - rows.gates_aug[e];
    const double length = gate * gate * layer.square[i] + off * off * *centre_square;
    const double r = rows.r_of(i, k), size = row_size == nullptr ? 2 * r : row_size[i];
    const double error = 0.1 * length * square[k] / static_cast<double>(layer.d < 1 ? 1 : layer.d);
    const double apart = gate * gate * layer.square_apart[i] + other * other * (layer.square_aug[i] + *centre_square);
    const double delta = r * rows.delta[e];
    return size * size * fma(rows.a[e], rows.a[e], error) * length + delta * delta * apart;
  }
};

// Written down before they are summed: within the Gram kernel their pointers would spill.
struct CentreTerms {
  NodeRows rows;
  double* out;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / rows.nodes, k = e % rows.nodes;
    const double gate = rows.gates[e], moved = rows.r_of(i, k) * rows.delta[e];
    out[e] = (gate - rows.reference[k]) * rows.t[e] - (gate - rows.gates_aug[e]) * moved;
  }
};

// Part 0, 1, 2 of the last line: rows x − c, x − x', x' − c, and their factors for every node.
struct BackRows {
  NodeRows pass;
  LayerRows layer;
  int first;
  BackRows from(int part) const { return {pass, layer, part}; }
  __device__ int rows(int) const { return static_cast<int>(pass.n); }
  __device__ double left(int part, int i, int k) const {
    const index_t e = i * pass.nodes + k;
    const double gate = pass.gates[e], moved = pass.r_of(i, k) * pass.delta[e];
    if (first + part == 0) return gate * pass.t[e];
    return first + part == 1 ? -gate * moved : -(gate - pass.gates_aug[e]) * moved;
  }
  __device__ double right(int part, int i, int b) const {
    const int which = first + part;
    const double* const of = which == 0 ? layer.centred : which == 1 ? layer.difference : layer.centred_aug;
    return of[i * layer.d + b];
  }
};

struct AddParts {
  const double *parts, *centre_factor, *centre;  // 3 × nodes × d, nodes, d
  index_t size, d;
  double scale;
  double* out;
  __device__ void operator()(std::int64_t e) const {
    const double sum = parts[e] + parts[size + e] + parts[2 * size + e];
    out[e] = scale * fma(centre_factor[e / d], centre[e % d], sum);
  }
};

/// What a product loses: √(the sum of MinuendTerm), or 2 Σ_i s_i a_i²/‖v‖ where that is larger, since samples that are
/// nearly equal have the errors of a shared importance's sums in common.
struct Minuend {
  const double *terms, *along, *square;
  double scale;
  double* out;
  __device__ void operator()(std::int64_t k) const {
    const double length = sqrt(square[k]), common = along == nullptr || !(length > 0) ? 0 : 2 * along[k] / length;
    out[k] = scale * fmax(sqrt(terms[k]), common);
  }
};

struct AlongTerm {
  NodeRows rows;
  const double* row_size;
  __device__ double operator()(int i, int k) const {
    const double a = rows.a[i * rows.nodes + k];
    return row_size[i] * a * a;
  }
};

/// The nodes of a pass: `count` rows each, of d numbers in double.
struct NodeVectors {
  index_t count;
  const double *weights, *vectors;
  const double* compared;  // whose outputs enter the nodes' own importance
};

/// Outputs h(w·x0) of the nodes' own importance; a shift of a linear layer changes nothing.
template <class S>
double* own_outputs(const Stream& on, const Layer<S>& layer, const NodeVectors& nodes) {
  const index_t n = layer.samples();
  double* const outputs = on.memory.take<double>(n * nodes.count);
  if (layer.own_inputs != nullptr)
    project(on, layer.rows.view(layer.own_inputs), nodes.compared, nodes.count, outputs);
  else
    project(on, layer.alpha.x0.data != nullptr ? layer.alpha.x0 : layer.x, nodes.compared, nodes.count, outputs);
  for_each(on, "output_of", n * nodes.count, OutputOf{layer.gate, layer.degree, outputs});
  return outputs;
}

/// gates (2 × N × nodes): h' of the first view, then of the second.
template <class S>
void gates_of(const Stream& on, const Layer<S>& layer, const double* weights, index_t nodes, double* gates) {
  const index_t size = layer.samples() * nodes;
  if (layer.gate.constant()) return for_each(on, "fill", 2 * size, Fill{1, gates});
  project(on, layer.x, weights, nodes, gates);
  project(on, layer.x_aug, weights, nodes, gates + size);
  for_each(on, "gate_of_output", 2 * size, GateOfOutput{layer.gate, gates});
}

template <class S>
void gate_nodes(const Stream& on, const Layer<S>& layer, const NodeVectors& nodes, double* a, double* delta,
                NodeRows& rows) {
  const index_t n = layer.samples(), d = layer.features(), count = nodes.count, size = n * count;
  double* const gates = on.memory.take<double>(2 * size);
  double* const numbers = on.memory.take<double>(3 * count);
  double *const reference = numbers, *const along = numbers + count, *const share = along + count;
  gates_of(on, layer, nodes.weights, count, gates);
  if (layer.gate.form == NodeGate::Form::step)
    sum_samples(on, IsOpen{gates, gates + size, count}, n, count, 1.0 / static_cast<double>(n), share);
  for_each_row(on, "row_dots", count, RowDots{nodes.weights, layer.rows.centre, d, along});
  for_each(on, "reference_gate", count, ReferenceGate{layer.gate, share, along, reference});
  for_each_row(on, "row_dots", count, RowDots{nodes.vectors, layer.rows.centre, d, along});
  project(on, layer.rows.view(layer.rows.centred), nodes.vectors, count, a);
  project(on, layer.rows.view(layer.rows.difference), nodes.vectors, count, delta);
  for_each(on, "gate_projections", size, GateProjections{gates, gates + size, reference, along, count, a, delta});
  rows.gates = gates;
  rows.gates_aug = gates + size;
  rows.reference = reference;
}

/// Gates and Laplacians of a block of nodes. Memory: seven arrays of N × nodes in double.
template <class S>
NodeRows node_rows(const Stream& on, const Layer<S>& layer, const NodeVectors& nodes) {
  const index_t n = layer.samples(), count = nodes.count, size = n * count;
  double* const a = on.memory.take<double>(3 * size);
  double *const delta = a + size, *const t = delta + size;
  NodeRows rows{n, count, nullptr, nullptr, a, delta, t, nullptr, nullptr, layer.alpha.shared != nullptr};
  gate_nodes(on, layer, nodes, a, delta, rows);
  if (rows.shared) {
    double* const r = on.memory.take<double>(n);
    layer.alpha.shared->laplacian(on, centred_samples(on, a, n, count), t, r);
    rows.r = r;
    return rows;
  }
  const double* const outputs = own_outputs(on, layer, nodes);
  double* const r = on.memory.take<double>(size);
  node_gaussian(on, outputs, a, n, count, layer.alpha.tau, r, t);
  rows.r = r;
  return rows;
}

/// out_k = vᵀA(w)v.
template <class S>
void quadratic_forms(const Stream& on, const Layer<S>& layer, const NodeRows& rows, double* out) {
  sum_samples(on, QuadraticTerm{rows}, rows.n, rows.nodes, layer.scale(), out);
}

/// out (nodes × d) = A(w) v. Memory: one more array of N × nodes.
template <class S>
void products(const Stream& on, const Layer<S>& layer, const NodeRows& rows, double* out) {
  const index_t count = rows.nodes, d = layer.features(), size = count * d;
  double* const parts = on.memory.take<double>(3 * size);
  double* const factor = on.memory.take<double>(count);
  gram(on, BackRows{rows, layer.rows, 0},
       GramShape{static_cast<int>(count), static_cast<int>(d), false, gram_groups(rows.n)}, 3, 1.0, parts);
  double* const terms = on.memory.take<double>(rows.n * count);
  for_each(on, "centre_terms", rows.n * count, CentreTerms{rows, terms});
  column_sums(on, View<const double>{terms, rows.n, count, count}, 1.0, factor);
  for_each(on, "add_parts", size, AddParts{parts, factor, layer.rows.centre, size, d, layer.scale(), out});
}

/// out_k: what the product of node k is a small difference of, to be compared with its length.
template <class S>
void minuends(const Stream& on, const Layer<S>& layer, const NodeRows& rows, const double* vectors, double* out) {
  const index_t count = rows.nodes, d = layer.features();
  double* const numbers = on.memory.take<double>(3 * count + 1);
  double *const square = numbers, *const terms = square + count, *const along = terms + count;
  double* const centre_square = along + count;
  for_each_row(on, "squared_lengths", count, SquaredLengths{vectors, d, square});
  for_each_row(on, "squared_lengths", 1, SquaredLengths{layer.rows.centre, d, centre_square});
  sum_samples(on, MinuendTerm{rows, layer.rows, layer.row_size, square, centre_square}, rows.n, count, 1.0, terms);
  if (rows.shared) sum_samples(on, AlongTerm{rows, layer.row_size}, rows.n, count, 1.0, along);
  for_each(on, "minuend", count, Minuend{terms, rows.shared ? along : nullptr, square, layer.scale(), out});
}

}  // namespace alphacl::cuda
