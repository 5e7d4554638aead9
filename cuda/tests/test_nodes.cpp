// Products with gated covariances, their eigenpairs in lock-step and the climb, against loops over all pairs.
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "nodes/climb.h"
#include "nodes/gated_operator.h"
#include "nodes/node_gaussian.h"
#include "nodes/node_pass.h"
#include "tests/eigenpairs.h"

namespace {

using alphacl::Activation;
using alphacl::index_t;
using alphacl::View;
using alphacl::cuda::GatedOperator;
using alphacl::cuda::NodeImportance;
using testing::Array;
using testing::Eigenpairs;
using testing::expect;
using testing::Memory;

double gate_at(const Activation& h, double u) {
  if (h.kind == Activation::Kind::linear) return 1;
  if (h.kind == Activation::Kind::monomial) return h.parameter * std::pow(u, h.parameter - 1);
  return u > 0 ? 1 : h.parameter;
}

// Samples that differ, some of them at right angles to the node (1, 0, …).
template <class S>
struct Data {
  index_t n, d, nodes;
  Array<S> x, x_aug, w, v;
  Data(index_t samples, index_t features, index_t count)
      : n(samples), d(features), nodes(count), x(n * d), x_aug(n * d), w(nodes * d), v(nodes * d) {
    fill(x, 1);
    fill(x_aug, 2);
    fill(w, 3);
    fill(v, 4);
    for (index_t e = 0; e < n * d; ++e) x_aug[e] = x[e] + x_aug[e] / 8;
    for (index_t c = 0; c < d; ++c) w[c] = static_cast<S>(c == 0);
    for (index_t i = 0; i < n; i += 3) x[i * d] = 0;
  }
  static void fill(const Array<S>& array, std::uint32_t seed) {
    for (std::size_t i = 0; i < array.size(); ++i) {
      seed = seed * 1664525u + 1013904223u;
      array[i] = static_cast<S>(static_cast<int>(seed >> 24) - 128) / 64;
    }
  }
  View<const S> view(const Array<S>& of) const { return {of.data(), static_cast<index_t>(of.size()) / d, d, d}; }
};

// A(w) of node k; tau = 0: α = 1 for i ≠ j, else that of the outputs h(w·x), or those of other nodes at other inputs.
template <class S>
std::vector<double> matrix_of(const Data<S>& data, index_t k, const Activation& h, double tau,
                              const Array<S>* compared = nullptr, const Array<S>* inputs = nullptr) {
  const index_t n = data.n, d = data.d;
  std::vector<double> y(n * d), y_aug(n * d), outputs(n), a(d * d, 0.0);
  const auto at = [](index_t e) { return static_cast<std::size_t>(e); };
  for (index_t i = 0; i < n; ++i) {
    const Array<S>&nodes = compared == nullptr ? data.w : *compared, &of = inputs == nullptr ? data.x : *inputs;
    double u = 0, u_aug = 0, u0 = 0;
    for (index_t c = 0; c < d; ++c) {
      u += static_cast<double>(data.w[k * d + c]) * static_cast<double>(data.x[i * d + c]);
      u_aug += static_cast<double>(data.w[k * d + c]) * static_cast<double>(data.x_aug[i * d + c]);
    }
    for (index_t c = 0; c < d; ++c) u0 += static_cast<double>(nodes[k * d + c]) * static_cast<double>(of[i * d + c]);
    outputs[at(i)] = u0 * gate_at(h, u0) / h.degree();
    for (index_t c = 0; c < d; ++c) {
      y[at(i * d + c)] = gate_at(h, u) * static_cast<double>(data.x[i * d + c]);
      y_aug[at(i * d + c)] = gate_at(h, u_aug) * static_cast<double>(data.x_aug[i * d + c]);
    }
  }
  for (index_t i = 0; i < n; ++i)
    for (index_t j = 0; j < n; ++j) {
      const double apart = outputs[at(i)] - outputs[at(j)];
      const double alpha = tau == 0 ? (i == j ? 0.0 : 1.0) : std::exp(-apart * apart / (2 * tau));
      for (index_t p = 0; p < d; ++p)
        for (index_t q = 0; q < d; ++q)
          a[at(p * d + q)] +=
              alpha * ((y[at(i * d + p)] - y[at(j * d + p)]) * (y[at(i * d + q)] - y[at(j * d + q)]) -
                       (y[at(i * d + p)] - y_aug[at(i * d + p)]) * (y[at(i * d + q)] - y_aug[at(i * d + q)]));
    }
  for (double& entry : a) entry /= 2.0 * static_cast<double>(n) * static_cast<double>(n);
  return a;
}

template <class S>
double times(const std::vector<double>& a, index_t d, const S* v, index_t row) {
  double sum = 0;
  for (index_t c = 0; c < d; ++c) sum += a[static_cast<std::size_t>(row * d + c)] * static_cast<double>(v[c]);
  return sum;
}

template <class S>
void test_products(const Activation& h, double tau, const char* what) {
  const Data<S> data(70, 5, 3);
  Memory memory;
  const alphacl::cuda::Stream on{nullptr, memory};
  const auto shared = alphacl::cuda::uniform<S>(data.n, false);
  const NodeImportance<S> alpha{tau == 0 ? shared.get() : nullptr, tau};
  const auto layer = alphacl::cuda::layer_of<S>(on, memory, data.view(data.x), data.view(data.x_aug), h, alpha);
  const GatedOperator<S> a(layer, data.view(data.w), {nullptr, 0, 0, 0});
  const Array<S> out(2 * data.d);
  const Array<double> w(3 * data.d), v(3 * data.d), forms(3);
  for (std::size_t e = 0; e < w.size(); ++e) w[e] = data.w[e], v[e] = data.v[e];
  const alphacl::cuda::NodeVectors block{3, w.data(), v.data(), w.data()};
  quadratic_forms(on, layer, node_rows(on, layer, block), forms.data());
  const Array<double> applied(3 * data.d);
  for (std::size_t e = 0; e < applied.size(); ++e) applied[e] = 77;
  a.apply(on, {0, 2}, v.data(), applied.data());
  // The nodes 0 and 2, with the first two rows of v.
  a.matmul(on, {0, 2}, {data.v.data(), 2, data.d, data.d}, {out.data(), 2, data.d, data.d});
  testing::finish();
  const double tol = sizeof(S) == 4 ? 3e-7 : 1e-14;
  bool right = true;
  for (index_t k = 0; k < 3; ++k) {
    const auto matrix = matrix_of(data, k, h, tau);
    double form = 0, size = 0;
    for (index_t c = 0; c < data.d; ++c) {
      const double term = v[k * data.d + c] * times(matrix, data.d, v.data() + k * data.d, c);
      form += term;
      size += std::fabs(term);
    }
    right = right && std::fabs(forms[k] - form) <= 1e-13 * size;
    for (index_t c = 0; c < data.d; ++c) {
      const double product = k == 1 ? 77 : times(matrix, data.d, v.data() + k * data.d, c);
      right = right && std::fabs(applied[k * data.d + c] - product) <= 1e-12 * (k == 1 ? 0 : size + 1);
    }
  }
  for (index_t i = 0; i < 2; ++i) {
    const auto matrix = matrix_of(data, 2 * i, h, tau);
    double size = 0;
    for (const double entry : matrix) size += std::fabs(entry);
    for (index_t c = 0; c < data.d; ++c)
      right = right && std::fabs(static_cast<double>(out[i * data.d + c]) -
                                 times(matrix, data.d, data.v.data() + i * data.d, c)) <= tol * size;
  }
  expect(right, what);
  testing::print_bits(what, out);
}

// α frozen at other nodes, and at other inputs, far from 0 where the layer is linear.
void test_other_outputs(const Activation& h, const char* what) {
  const Data<double> data(70, 5, 3);
  const Array<double> inputs(data.x.size()), compared(data.w.size());
  for (std::size_t e = 0; e < inputs.size(); ++e) inputs[e] = data.x_aug[e];
  for (std::size_t e = 0; e < compared.size(); ++e) compared[e] = data.v[data.v.size() - 1 - e];
  const auto matrices = [&](index_t k) { return matrix_of(data, k, h, 0.5, &compared, &inputs); };
  std::vector<std::vector<double>> truth;
  for (index_t k = 0; k < 3; ++k) truth.push_back(matrices(k));
  if (h.kind == Activation::Kind::linear)
    for (std::size_t e = 0; e < inputs.size(); ++e) inputs[e] += 0x1p40;  // exact, products are not
  Memory memory;
  const alphacl::cuda::Stream on{nullptr, memory};
  NodeImportance<double> alpha{nullptr, 0.5};
  alpha.x0 = data.view(inputs);
  const auto layer = alphacl::cuda::layer_of<double>(on, memory, data.view(data.x), data.view(data.x_aug), h, alpha);
  const GatedOperator<double> a(layer, data.view(data.w), data.view(compared));
  const Array<double> out(3 * data.d), dense(3 * data.d * data.d);
  a.matmul(on, {0, 1, 2}, data.view(data.v), {out.data(), 3, data.d, data.d});
  alphacl::cuda::gated_cov<double>(on, data.view(data.x), data.view(data.x_aug), data.view(compared), h, alpha,
                                   dense.data());
  testing::finish();
  bool right = true;
  for (index_t k = 0; k < 3; ++k) {
    double size = 0;
    for (const double entry : truth[static_cast<std::size_t>(k)]) size += std::fabs(entry);
    for (index_t c = 0; c < data.d; ++c)
      right = right && std::fabs(out[k * data.d + c] - times(truth[static_cast<std::size_t>(k)], data.d,
                                                             data.v.data() + k * data.d, c)) <= 1e-13 * size;
  }
  if (h.kind == Activation::Kind::linear)  // there gated_cov of the compared nodes has the same matrices
    for (index_t e = 0; e < 3 * data.d * data.d; ++e) {
      const auto& matrix = truth[static_cast<std::size_t>(e / (data.d * data.d))];
      right = right && std::fabs(dense[e] - matrix[static_cast<std::size_t>(e % (data.d * data.d))]) <= 1e-13;
    }
  expect(right, what);
  testing::print_bits(what, out);
}

// More samples than a block of threads takes, and not a multiple of it.
void test_node_gaussian() {
  const index_t n = 300, nodes = 3;
  const Array<double> outputs(n * nodes), a(n * nodes), r(n * nodes), t(n * nodes);
  std::uint64_t seed = 21;
  for (std::size_t e = 0; e < outputs.size(); ++e) outputs[e] = testing::next(seed), a[e] = testing::next(seed);
  Memory memory;
  alphacl::cuda::node_gaussian({nullptr, memory}, outputs.data(), a.data(), n, nodes, 0.25, r.data(), t.data());
  testing::finish();
  bool right = true;
  for (index_t e = 0; e < n * nodes; ++e) {
    double sum = 0, moved = 0;
    for (index_t j = e % nodes; j < n * nodes; j += nodes) {
      const double entry = std::exp(-(outputs[e] - outputs[j]) * (outputs[e] - outputs[j]) / 0.5);
      sum += entry;
      moved += 2 * entry * (a[e] - a[j]);
    }
    right = right && std::fabs(r[e] - sum) <= 1e-12 * sum && std::fabs(t[e] - moved) <= 1e-12 * sum;
  }
  expect(right, "the Laplacians of nodes, 300 samples");
  testing::print_bits("the Laplacians of nodes, 300 samples", t);
}

// Views that are nearly equal: what is left of the sums is far below their terms.
void test_cancellation() {
  const Data<double> data(66, 3, 2);
  for (std::size_t e = 0; e < data.x.size(); ++e) {
    data.x[e] = 1e5 + std::ldexp(data.x[e], -17);
    data.x_aug[e] = data.x[e] + std::ldexp(static_cast<double>(e % 5) - 2, -40);
  }
  for (std::size_t e = 0; e < data.w.size(); ++e) data.w[e] = std::fabs(data.w[e]) + 0.125;
  Memory memory;
  const alphacl::cuda::Stream on{nullptr, memory};
  const Activation h{Activation::Kind::leaky_relu, 0.5};
  for (const double tau : {0.0, 1e-6}) {
    const auto shared = alphacl::cuda::uniform<double>(data.n, false);
    const NodeImportance<double> alpha{tau == 0 ? shared.get() : nullptr, tau};
    const auto layer = alphacl::cuda::layer_of<double>(on, memory, data.view(data.x), data.view(data.x_aug), h, alpha);
    const GatedOperator<double> a(layer, data.view(data.w), {nullptr, 0, 0, 0});
    const Array<double> out(2 * data.d), plain(2 * data.d);
    a.matmul(on, {0, 1}, data.view(data.v), {out.data(), 2, data.d, data.d});
    // All gates are open: a pass alone keeps the digits of a shared importance, whatever the offset.
    const alphacl::cuda::NodeVectors nodes{2, data.w.data(), data.v.data(), data.w.data()};
    products(on, layer, node_rows(on, layer, nodes), plain.data());
    testing::finish();
    bool right = true;
    for (index_t k = 0; k < 2; ++k) {
      const auto matrix = matrix_of(data, k, h, tau);
      for (index_t c = 0; c < data.d; ++c) {
        double size = 0;
        for (index_t b = 0; b < data.d; ++b) size += std::fabs(matrix[static_cast<std::size_t>(c * data.d + b)]);
        const double truth = times(matrix, data.d, data.v.data() + k * data.d, c);
        right = right && std::fabs(out[k * data.d + c] - truth) <= 1e-9 * size * 4 &&
                (tau != 0 || std::fabs(plain[k * data.d + c] - truth) <= 1e-9 * size * 4);
      }
    }
    expect(right, tau == 0 ? "an offset of 10^5, views 10^-12 apart, uniform" : "the same, own importance");
  }
}

// More nodes than a block has: one of the second block has the bits that it has alone.
void test_blocks() {
  const Data<double> data(4, 2, 260);
  Memory memory;
  const alphacl::cuda::Stream on{nullptr, memory};
  const auto layer = alphacl::cuda::layer_of<double>(on, memory, data.view(data.x), data.view(data.x_aug),
                                                     {Activation::Kind::relu, 0}, {nullptr, 0.5});
  const GatedOperator<double> a(layer, data.view(data.w), {nullptr, 0, 0, 0});
  for (index_t e = 0; e < 260 * 2; ++e) data.w[e] = data.v[(e + 7) % 520];
  const Array<double> all(260 * 2), alone(2);
  std::vector<int> nodes;
  for (int k = 0; k < 260; ++k) nodes.push_back(k);
  a.matmul(on, nodes, data.view(data.v), {all.data(), 260, 2, 2});
  a.matmul(on, {258}, {data.v.data() + 258 * 2, 1, 2, 2}, {alone.data(), 1, 2, 2});
  testing::finish();
  expect(all[516] == alone[0] && all[517] == alone[1] && alone[0] != 0, "a node of the second block");
}

// Clusters 2^35 apart, and only pairs of the same one count: a pass loses all digits, differences of pairs have them.
void test_literal_products() {
  const Data<double> data(30, 3, 2);
  const index_t n = data.n, d = data.d;
  const Array<double> alpha(n * n), out(2 * d), plain(2 * d);
  for (index_t e = 0; e < n * n; ++e) alpha[e] = e / n % 2 == e % n % 2 ? 1 : 0;
  for (index_t e = 0; e < n * d; ++e) {
    const double far = e / d % 2 == 0 ? 0x1p34 : -0x1p34;
    data.x[e] += far;
    data.x_aug[e] += far;
  }
  Memory memory;
  const alphacl::cuda::Stream on{nullptr, memory};
  const auto shared = alphacl::cuda::dense<double>({alpha.data(), n, n, n});
  const auto layer = alphacl::cuda::layer_of<double>(on, memory, data.view(data.x), data.view(data.x_aug),
                                                     {Activation::Kind::linear, 0}, {shared.get()});
  const GatedOperator<double> a(layer, data.view(data.w), {nullptr, 0, 0, 0});
  a.matmul(on, {0, 1}, data.view(data.v), {out.data(), 2, d, d});
  const alphacl::cuda::NodeVectors nodes{2, data.w.data(), data.v.data(), data.w.data()};
  products(on, layer, node_rows(on, layer, nodes), plain.data());
  testing::finish();
  std::vector<double> truth(2 * static_cast<std::size_t>(d), 0.0);
  const auto add = [&](const double* x, const double* y, double weight) {
    for (index_t k = 0; k < 2; ++k) {
      double along = 0;
      for (index_t c = 0; c < d; ++c) along += (x[c] - y[c]) * data.v[k * d + c];
      for (index_t c = 0; c < d; ++c) truth[static_cast<std::size_t>(k * d + c)] += weight * along * (x[c] - y[c]);
    }
  };
  for (index_t i = 0; i < n; ++i) {
    const double* const x = data.x.data() + i * d;
    for (index_t j = 0; j < n; ++j) add(x, data.x.data() + j * d, alpha[i * n + j] / (2.0 * n * n));
    add(x, data.x_aug.data() + i * d, -15 / (2.0 * n * n));
  }
  double off = 0, lost = 0, size = 0;
  for (std::size_t e = 0; e < truth.size(); ++e) {
    off += std::fabs(out[e] - truth[e]);
    lost += std::fabs(plain[e] - truth[e]);
    size += std::fabs(truth[e]);
  }
  expect(off <= 1e-13 * size && lost > 1e-10 * size, "products of clusters far apart");
}

// The largest eigenvalue of a matrix without its first row and column, by many steps of the power method.
double top_without_first(std::vector<double> a, index_t d) {
  double shift = 0, along = 0;
  for (const double entry : a) shift += std::fabs(entry);
  for (index_t c = 1; c < d; ++c) a[static_cast<std::size_t>(c * d + c)] += shift;
  std::vector<double> v(static_cast<std::size_t>(d), 1.0), y(v);
  v[0] = 0;
  for (int step = 0; step < 20000; ++step) {
    double square = 0;
    along = 0;
    for (index_t c = 1; c < d; ++c) {
      y[static_cast<std::size_t>(c)] = times(a, d, v.data(), c);
      along += v[static_cast<std::size_t>(c)] * y[static_cast<std::size_t>(c)];
      square += y[static_cast<std::size_t>(c)] * y[static_cast<std::size_t>(c)];
    }
    for (index_t c = 1; c < d; ++c) v[static_cast<std::size_t>(c)] = y[static_cast<std::size_t>(c)] / std::sqrt(square);
  }
  return along - shift;
}

void test_eigenpairs() {
  const Data<double> data(40, 4, 3);
  Memory memory;
  const alphacl::cuda::Stream on{nullptr, memory};
  const Activation h{Activation::Kind::relu, 0};
  const auto shared = alphacl::cuda::uniform<double>(data.n, false);
  const auto layer =
      alphacl::cuda::layer_of<double>(on, memory, data.view(data.x), data.view(data.x_aug), h, {shared.get()});
  const GatedOperator<double> a(layer, data.view(data.w), {nullptr, 0, 0, 0});
  for (const bool lanczos : {true, false}) {
    const Eigenpairs<double> found(3, data.d);
    const double tol = lanczos ? 1e-10 : 1e-3;
    alphacl::cuda::power_iteration<double>(on, a, {nullptr, 0, 0, 0}, {{tol, 300, lanczos}, 7}, found.to());
    testing::finish();
    bool right = true;
    for (index_t k = 0; k < 3; ++k) {
      const double* const v = found.eigenvector.data() + k * data.d;
      const auto matrix = matrix_of(data, k, h, 0);
      double off = 0, size = 0;
      for (index_t c = 0; c < data.d; ++c) {
        off += std::fabs(times(matrix, data.d, v, c) - found.eigenvalue[k] * v[c]);
        size += std::fabs(times(matrix, data.d, v, c));
      }
      right = right && found.converged[k] && off <= 3 * tol * size && found.gap[k] > 0;
    }
    expect(right, lanczos ? "eigenpairs by products, Lanczos" : "eigenpairs by products, power");
    testing::print_bits(lanczos ? "eigenpairs by products, Lanczos" : "eigenpairs by products, power",
                        found.eigenvector);
    if (!lanczos) continue;
    const Array<double> sizes(3), second(3);
    const Array<bool> done(3);
    for (index_t k = 0; k < 3; ++k) sizes[k] = found.eigenvalue[k];
    alphacl::cuda::top_eigenvalue_apart<double>(on, a, {found.eigenvector.data(), 3, data.d, data.d}, sizes.data(),
                                                {{tol, 300, true}, 7}, second.data(), done.data());
    testing::finish();
    bool same = true;
    for (index_t k = 0; k < 3; ++k)
      same = same && done[k] && std::fabs(found.eigenvalue[k] - second[k] - found.gap[k]) <= 1e-8 * sizes[k];
    expect(same, "the largest eigenvalue apart from a vector");
    // Apart from the first axis, which is no eigenvector: that of the matrix without its first row and column.
    const Array<double> axes(3 * data.d);
    for (std::size_t e = 0; e < axes.size(); ++e) axes[e] = e % static_cast<std::size_t>(data.d) == 0;
    alphacl::cuda::top_eigenvalue_apart<double>(on, a, data.view(axes), sizes.data(), {{tol, 300, true}, 7},
                                                second.data(), done.data());
    testing::finish();
    bool apart = true;
    for (index_t k = 0; k < 3; ++k)
      apart = apart && done[k] &&
              std::fabs(second[k] - top_without_first(matrix_of(data, k, h, 0), data.d)) <= 1e-8 * std::fabs(sizes[k]);
    expect(apart, "the largest eigenvalue apart from an axis");
  }
}

// One direction stands out, which few steps find.
template <class S>
void stretch(const Data<S>& data) {
  for (index_t i = 0; i < data.n; ++i) data.x[i * data.d + 3] *= 8, data.x_aug[i * data.d + 3] *= 8;
}

// λ, residual and energy are those of the weights that are returned: of float ones too, which are rounded. tau as in
// matrix_of; frozen: α stays that of the starts.
template <class S>
void test_climb(double tau, bool frozen, const char* what) {
  const Data<S> data(40, 4, 3);
  stretch(data);
  Memory memory;
  const alphacl::cuda::Stream on{nullptr, memory};
  const Activation h{Activation::Kind::linear, 0};  // no gate that a node could stop at
  const auto shared = alphacl::cuda::uniform<S>(data.n, false);
  const auto layer = alphacl::cuda::layer_of<S>(on, memory, data.view(data.x), data.view(data.x_aug), h,
                                                {tau == 0 ? shared.get() : nullptr, tau});
  const double tol = sizeof(S) == 4 ? 1e-10 : 1e-2;
  // Unit vectors of their own axes: as starts they are exact.
  for (index_t e = 0; e < 3 * data.d; ++e) data.w[e] = static_cast<S>(e % data.d == e / data.d);
  alphacl::cuda::Climb<S> climb(on, layer, data.view(data.w), {tol, frozen});
  for (int step = 0; step < 400 && climb.step(on) > 0; ++step) testing::finish();
  climb.finish(on);
  const Data<S> ended(data.n, data.d, data.nodes);
  stretch(ended);
  const Array<S> value(3), residual(3), energy(3);
  const Array<std::int64_t> steps(3);
  const Array<bool> converged(3);
  climb.write({ended.w.data(), value.data(), residual.data(), energy.data(), steps.data(), converged.data()});
  bool right = true;
  const double close = sizeof(S) == 4 ? 1e-6 : 1e-12;
  for (index_t k = 0; k < 3; ++k) {
    const auto matrix = matrix_of(ended, k, h, tau, frozen ? &data.w : nullptr);
    const S* const w = ended.w.data() + k * data.d;
    double along = 0, square = 0;
    for (index_t c = 0; c < data.d; ++c) along += static_cast<double>(w[c]) * times(matrix, data.d, w, c);
    for (index_t c = 0; c < data.d; ++c) {
      const double off = times(matrix, data.d, w, c) - along * static_cast<double>(w[c]);
      square += off * off;
    }
    const double own[] = {static_cast<double>(value[k]), static_cast<double>(energy[k]),
                          static_cast<double>(residual[k])};
    right = right && converged[k] && steps[k] > 0 && std::fabs(along - own[0]) <= close * std::fabs(along) &&
            std::fabs(own[1] - along / 2) <= close * along &&
            std::fabs(own[2] - std::sqrt(square)) <= close * std::sqrt(square) + 1e-13 * along;
  }
  expect(right, what);
  testing::print_bits(what, ended.w);
}

}  // namespace

int main() {
  const Activation linear{Activation::Kind::linear, 0}, relu{Activation::Kind::relu, 0},
      leaky{Activation::Kind::leaky_relu, 0.25}, square{Activation::Kind::monomial, 2};
  test_products<double>(linear, 0, "products, linear, uniform");
  test_products<double>(relu, 0, "products, relu, uniform");
  test_products<double>(leaky, 0.5, "products, leaky relu, own importance");
  test_products<float>(square, 0.5, "products, square, own importance, float");
  test_products<float>(relu, 0, "products, relu, uniform, float");
  test_other_outputs(linear, "products, linear, outputs of others");
  test_other_outputs(leaky, "products, leaky relu, outputs of others");
  test_node_gaussian();
  test_cancellation();
  test_literal_products();
  test_blocks();
  test_eigenpairs();
  test_climb<double>(0, false, "a climb");
  test_climb<float>(0, false, "a climb in float");
  test_climb<double>(50, false, "a climb, own importance");
  test_climb<double>(50, true, "a climb, frozen importance");
  test_climb<float>(50, true, "a climb in float, frozen importance");
  return testing::failures;
}
