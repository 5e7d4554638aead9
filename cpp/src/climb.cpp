#include <cmath>
#include <limits>

#include "alphacl/gated_operator.h"
#include "layer.h"
#include "node_line.h"

namespace alphacl {

template <class T>
struct Climb<T>::Node {
  index_t id;
  T* w;  // d, of length 1
  // Rows of pre-activations; those of a trial take their place when it is accepted.
  index_t row;
  double value = 0, residual = 0, energy = 0, norm = 0;
  double shift = 0;  // σ
  std::int64_t steps = 0;
  int idle = 0;
  bool converged = false, stopped = false, fresh = true;
};

template <class T>
struct Climb<T>::State {
  State(View<const T> x, View<const T> x_aug, const Activation& h, const NodeImportance<T>& alpha,
        const ClimbOptions& given)
      : layer(x, x_aug, h, alpha), options(given) {}

  Layer<T> layer;
  ClimbOptions options;
  Buffer<T> weights;
  std::vector<Node> nodes;
  std::vector<Line<T>> lines;
  // Pre-activations, K × N: where the nodes stand, and where the trial puts them; `outputs` belong to α.
  Buffer<T> p, p_aug, next_p, next_p_aug, outputs, next_outputs;
  Buffer<T> a, a_aug, t;
  Buffer<double> products;

  bool own() const { return layer.alpha().shared == nullptr; }
  bool other_inputs() const { return layer.own_inputs().data != nullptr; }
  /// Whether the outputs that α compares stand in an array of their own.
  bool own_outputs() const { return own() && (other_inputs() || options.frozen); }
};

namespace {

template <class T>
struct ClimbWork {
  LineScratch<T> scratch;
  Buffer<T> t, r;
};

}  // namespace

template <class T>
Climb<T>::Climb(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
                const NodeImportance<T>& alpha, const ClimbOptions& options)
    : state_(std::make_unique<State>(x, x_aug, h, alpha, options)) {
  State& s = *state_;
  const index_t n = x.rows, d = x.cols, count = weights.rows;
  s.weights.resize(count * d);
  s.nodes.resize(static_cast<std::size_t>(count));
  s.lines = std::vector<Line<T>>(static_cast<std::size_t>(s.own() ? count : 0));
  for (index_t k = 0; k < count; ++k) {
    Node& node = s.nodes[static_cast<std::size_t>(k)];
    node.id = node.row = k;
    node.w = s.weights.data() + k * d;
    double square = 0;
    for (index_t j = 0; j < d; ++j)
      square += static_cast<double>(weights.row(k)[j]) * static_cast<double>(weights.row(k)[j]);
    for (index_t j = 0; j < d; ++j)
      node.w[j] = static_cast<T>(static_cast<double>(weights.row(k)[j]) / std::sqrt(square));
  }
  for (Buffer<T>* rows : {&s.p, &s.p_aug, &s.next_p, &s.next_p_aug, &s.a, &s.a_aug}) rows->resize(count * n);
  if (s.own_outputs()) s.outputs.resize(count * n);
  if (s.other_inputs() && !options.frozen) s.next_outputs.resize(count * n);
  if (!s.own()) s.t.resize(count * n);
  s.products.resize(count * d);
  s.layer.project(x, s.weights.data(), count, s.p.data());
  s.layer.project(x_aug, s.weights.data(), count, s.p_aug.data());
  if (s.other_inputs())
    s.layer.project_own_inputs(s.weights.data(), count, s.outputs.data());
  else if (s.own_outputs())
    std::copy_n(s.p.data(), count * n, s.outputs.data());
}

template <class T>
Climb<T>::~Climb() = default;

// y = A(w)w, λ, the residual and the energy of every node of the list; those that have converged stop and leave it.
template <class T>
void Climb<T>::judge(std::vector<Node*>& nodes) {
  State& s = *state_;
  const Layer<T>& layer = s.layer;
  const index_t n = layer.size(), d = layer.features(), count = static_cast<index_t>(nodes.size());
  const double c = layer.homogeneity();
  const auto open = [&](index_t i) {
    const index_t row = nodes[static_cast<std::size_t>(i)]->row;
    const T *p = s.p.data() + row * n, *p_aug = s.p_aug.data() + row * n;
    node_kernels<T>().gated_row(layer.gate(), p, p, T(1), n, s.a.data() + i * n);
    node_kernels<T>().gated_row(layer.gate(), p_aug, p_aug, T(1), n, s.a_aug.data() + i * n);
  };
  if (!s.own()) {
    parallel_for(count, [&](index_t i, int) { open(i); });
    layer.shared_laplacian(s.a.data(), count, s.t.data());
  }
  PerWorker<ClimbWork<T>> works;
  Buffer<double> sums(count);
  parallel_for(count, [&](index_t i, int worker) {
    ClimbWork<T>& work = works[worker];
    Node& node = *nodes[static_cast<std::size_t>(i)];
    const T *p = s.p.data() + node.row * n, *p_aug = s.p_aug.data() + node.row * n;
    T *a = s.a.data() + i * n, *a_aug = s.a_aug.data() + i * n;
    const T *t = s.own() ? nullptr : s.t.data() + i * n, *r = layer.weight();
    const T reference = layer.reference_gate(node.w, p, p_aug);
    if (s.own()) {
      open(i);
      work.t.resize(n);
      work.r.resize(n);
      const T* outputs = s.own_outputs() ? s.outputs.data() + (s.options.frozen ? node.id : node.row) * n : p;
      Line<T>& line = s.lines[static_cast<std::size_t>(node.id)];
      if (node.fresh || !s.options.frozen)
        set_line(layer.gate(), c, layer.alpha().tau, layer.alpha().tol, p, outputs, n, line, work.scratch);
      node.fresh = false;
      own_laplacian(layer.gate(), c, layer.alpha().tau, layer.alpha().tol, p, outputs, a, reference, n, line,
                    work.t.data(), work.r.data(), work.scratch);
      t = work.t.data();
      r = work.r.data();
    }
    node.energy = 0.5 * layer.scale() / (c * c) * node_kernels<T>().form_row(a, a_aug, t, r, n);
    sums[i] = node_kernels<T>().back_row(layer.gate(), p, p_aug, t, r, reference, n, a, a_aug);
  });
  layer.back(s.a.data(), s.a_aug.data(), sums.data(), count, s.products.data());
  for (index_t i = 0; i < count; ++i) {
    Node& node = *nodes[static_cast<std::size_t>(i)];
    double* y = s.products.data() + i * d;
    double along = 0, square = 0, size = 0;
    for (index_t j = 0; j < d; ++j) {
      y[j] *= layer.scale();
      along += y[j] * static_cast<double>(node.w[j]);
      size += y[j] * y[j];
    }
    for (index_t j = 0; j < d; ++j) {
      const double off = y[j] - along * static_cast<double>(node.w[j]);
      square += off * off;
    }
    node.value = along;
    node.residual = std::sqrt(square);
    node.norm = std::max(node.norm, std::sqrt(size));
    node.converged = node.residual <= s.options.tol * node.norm;
    // NaN leads nowhere.
    node.stopped = node.converged || !std::isfinite(size);
  }
  index_t kept = 0;
  for (index_t i = 0; i < count; ++i) {
    if (nodes[static_cast<std::size_t>(i)]->stopped) continue;
    std::copy_n(s.products.data() + i * d, d, s.products.data() + kept * d);
    nodes[static_cast<std::size_t>(kept++)] = nodes[static_cast<std::size_t>(i)];
  }
  nodes.resize(static_cast<std::size_t>(kept));
}

// Moves every node of the list, whose products stand in s.products.
template <class T>
void Climb<T>::climb(const std::vector<Node*>& nodes) {
  constexpr int most_trials = 40;
  State& s = *state_;
  const Layer<T>& layer = s.layer;
  const index_t n = layer.size(), d = layer.features(), count = static_cast<index_t>(nodes.size());
  const double c = layer.homogeneity();
  // Energies are not known better than this.
  constexpr double rounding = 8 * static_cast<double>(std::numeric_limits<T>::epsilon());
  // So many steps in a row that raise the energy by nothing, against what the gradient promised, end a climb.
  constexpr int most_idle = 10;
  Buffer<T> w(count * d), again, again_aug;
  Buffer<double> promised(count);
  std::vector<index_t> pending(static_cast<std::size_t>(count));
  std::vector<char> accepted(static_cast<std::size_t>(count), 0);
  for (index_t i = 0; i < count; ++i) pending[static_cast<std::size_t>(i)] = i;
  PerWorker<ClimbWork<T>> works;
  for (int trial = 0; trial < most_trials && !pending.empty(); ++trial) {
    const index_t tried = static_cast<index_t>(pending.size());
    for (index_t q = 0; q < tried; ++q) {
      const index_t i = pending[static_cast<std::size_t>(q)];
      const Node& node = *nodes[static_cast<std::size_t>(i)];
      double square = 0;
      Buffer<double> moved(d);
      for (index_t j = 0; j < d; ++j) {
        moved[j] = s.products[i * d + j] + node.shift * static_cast<double>(node.w[j]);
        square += moved[j] * moved[j];
      }
      promised[i] = 0;
      for (index_t j = 0; j < d; ++j) {
        w[q * d + j] = square > 0 ? static_cast<T>(moved[j] / std::sqrt(square)) : node.w[j];
        promised[i] += s.products[i * d + j] * (static_cast<double>(w[q * d + j]) - static_cast<double>(node.w[j])) / c;
      }
    }
    // The first trial is all of them, in place; later ones are few.
    T *p = s.next_p.data(), *p_aug = s.next_p_aug.data();
    if (trial > 0) {
      again.resize(tried * n);
      again_aug.resize(tried * n);
      p = again.data();
      p_aug = again_aug.data();
    }
    layer.project(layer.x(), w.data(), tried, p);
    layer.project(layer.x_aug(), w.data(), tried, p_aug);
    const auto open = [&](index_t q) {
      node_kernels<T>().gated_row(layer.gate(), p + q * n, p + q * n, T(1), n, s.a.data() + q * n);
      node_kernels<T>().gated_row(layer.gate(), p_aug + q * n, p_aug + q * n, T(1), n, s.a_aug.data() + q * n);
    };
    if (!s.own()) {
      parallel_for(tried, [&](index_t q, int) { open(q); });
      layer.shared_laplacian(s.a.data(), tried, s.t.data());
    }
    parallel_for(tried, [&](index_t q, int worker) {
      ClimbWork<T>& work = works[worker];
      const index_t i = pending[static_cast<std::size_t>(q)];
      Node& node = *nodes[static_cast<std::size_t>(i)];
      T *a = s.a.data() + q * n, *a_aug = s.a_aug.data() + q * n;
      const T *t = s.own() ? nullptr : s.t.data() + q * n, *r = layer.weight();
      if (s.own()) {
        open(q);
        work.t.resize(n);
        work.r.resize(n);
        // α of the step: of the outputs before it, so the gates of those outputs cannot say where a is 0.
        const T* before = s.own_outputs() ? s.outputs.data() + (s.options.frozen ? node.id : node.row) * n
                                          : s.p.data() + node.row * n;
        own_laplacian(layer.gate(), c, layer.alpha().tau, layer.alpha().tol, p + q * n, before, a, T(0), n,
                      s.lines[static_cast<std::size_t>(node.id)], work.t.data(), work.r.data(), work.scratch);
        t = work.t.data();
        r = work.r.data();
      }
      const double energy = 0.5 * layer.scale() / (c * c) * node_kernels<T>().form_row(a, a_aug, t, r, n);
      const double unseen = rounding * std::fabs(node.energy);
      if (trial > 0 && promised[i] < unseen) return;  // no step of a length that can be seen raises the energy
      const double gain = energy - node.energy;
      if (!(gain >= -unseen)) {
        node.shift = std::max(2 * node.shift, node.norm);
        return;
      }
      node.idle = gain < unseen && promised[i] > std::max(unseen, 10 * gain) ? node.idle + 1 : 0;
      if (node.idle == most_idle) node.stopped = node.converged = true;
      accepted[static_cast<std::size_t>(i)] = 1;
      node.shift = trial == 0 ? 0.5 * node.shift : node.shift;
      node.steps += 1;
      std::copy_n(w.data() + q * d, d, node.w);
      if (trial > 0) {
        std::copy_n(p + q * n, n, s.next_p.data() + i * n);
        std::copy_n(p_aug + q * n, n, s.next_p_aug.data() + i * n);
      }
    });
    std::vector<index_t> rest;
    for (const index_t i : pending) {
      Node& node = *nodes[static_cast<std::size_t>(i)];
      if (accepted[static_cast<std::size_t>(i)]) continue;
      if (trial > 0 && promised[i] < rounding * std::fabs(node.energy))
        node.stopped = node.converged = true;
      else
        rest.push_back(i);
    }
    pending.swap(rest);
  }
  for (const index_t i : pending) nodes[static_cast<std::size_t>(i)]->stopped = true;
  if (s.other_inputs() && !s.options.frozen) {
    for (index_t i = 0; i < count; ++i) std::copy_n(nodes[static_cast<std::size_t>(i)]->w, d, w.data() + i * d);
    layer.project_own_inputs(w.data(), count, s.next_outputs.data());
    std::swap(s.outputs, s.next_outputs);
  }
  std::swap(s.p, s.next_p);
  std::swap(s.p_aug, s.next_p_aug);
  for (index_t i = 0; i < count; ++i) nodes[static_cast<std::size_t>(i)]->row = i;
}

template <class T>
index_t Climb<T>::step() {
  std::vector<Node*> going;
  for (Node& node : state_->nodes)
    if (!node.stopped) going.push_back(&node);
  if (going.empty()) return 0;
  judge(going);
  if (!going.empty()) climb(going);
  index_t left = 0;
  for (const Node* node : going) left += !node->stopped;
  return left;
}

template <class T>
void Climb<T>::finish() {
  std::vector<Node*> going;
  for (Node& node : state_->nodes)
    if (!node.stopped) going.push_back(&node);
  if (!going.empty()) judge(going);
}

template <class T>
void Climb<T>::write(const ClimbResult<T>& out) const {
  const index_t d = state_->layer.features();
  for (const Node& node : state_->nodes) {
    std::copy_n(node.w, d, out.weights + node.id * d);
    out.eigenvalue[node.id] = static_cast<T>(node.value);
    out.residual[node.id] = static_cast<T>(node.residual);
    out.energy[node.id] = static_cast<T>(node.energy);
    out.steps[node.id] = node.steps;
    out.converged[node.id] = node.converged;
  }
}

template class Climb<float>;
template class Climb<double>;

}  // namespace alphacl
