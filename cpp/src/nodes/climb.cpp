// The climb of nodes on the CPU: in float, and from there in double for nodes whose digits float has lost.
#include <limits>
#include <memory>
#include <vector>

#include "alphacl/gated_operator.h"
#include "alphacl/node_climb.h"
#include "nodes/climb_pass.h"

namespace alphacl {

namespace {
template <class T, class S>
using CpuClimb = NodeClimb<T, S, ClimbPass<T, S>>;

// Nodes that continue in double, from the weights at which float lost their digits.
template <class S>
struct WideClimb {
  std::vector<index_t> ids;
  std::unique_ptr<CpuClimb<double, S>> climb;
};

}  // namespace

template <class T>
struct Climb<T>::Parts {
  View<const T> x, x_aug;
  Buffer<T> starts;  // K × d
  Activation h;
  NodeImportance<T> alpha;
  ClimbOptions options;
  CpuClimb<T, T> climb;
  std::shared_ptr<const Layer<double, T>> wide_layer;  // shared by all that continue in double
  std::vector<WideClimb<T>> wide;

  // Continues the nodes that have given up in double.
  void take_over() {
    const std::vector<index_t> ids = climb.given_up();
    if (ids.empty()) return;
    const index_t count = static_cast<index_t>(ids.size()), d = x.cols;
    Buffer<T> weights(count * d), frozen_at(count * d);
    for (index_t i = 0; i < count; ++i) {
      const index_t id = ids[static_cast<std::size_t>(i)];
      climb.weights_of(id, weights.data() + i * d);
      std::copy_n(starts.data() + id * d, d, frozen_at.data() + i * d);
    }
    constexpr double never = std::numeric_limits<double>::infinity();
    if (!wide_layer) wide_layer = std::make_shared<Layer<double, T>>(x, x_aug, h, alpha);
    const View<const T> from{weights.data(), count, d, d}, frozen{frozen_at.data(), count, d, d};
    wide.push_back({ids, std::make_unique<CpuClimb<double, T>>(from, frozen, options, never, wide_layer)});
  }
};

template <class T>
Climb<T>::Climb(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
                const NodeImportance<T>& alpha, const ClimbOptions& options) {
  constexpr double most =
      std::is_same_v<T, float> ? largest_cancellation_of_products : std::numeric_limits<double>::infinity();
  Buffer<T> starts(weights.rows * weights.cols);
  for (index_t k = 0; k < weights.rows; ++k)
    std::copy_n(weights.row(k), weights.cols, starts.data() + k * weights.cols);
  parts_.reset(
      new Parts{x,
                x_aug,
                std::move(starts),
                h,
                alpha,
                options,
                CpuClimb<T, T>(weights, weights, options, most, std::make_shared<Layer<T, T>>(x, x_aug, h, alpha)),
                nullptr,
                {}});
}

template <class T>
Climb<T>::~Climb() = default;

template <class T>
index_t Climb<T>::step() {
  index_t left = parts_->climb.step();
  parts_->take_over();
  for (const WideClimb<T>& wide : parts_->wide) left += wide.climb->step();
  return left;
}

template <class T>
void Climb<T>::finish() {
  parts_->climb.finish();
  parts_->take_over();
  if constexpr (std::is_same_v<T, double>) parts_->climb.settle();
  for (const WideClimb<T>& wide : parts_->wide) {
    wide.climb->finish();
    wide.climb->settle();
  }
}

template <class T>
void Climb<T>::write(const ClimbResult<T>& out) const {
  parts_->climb.write(out);
  const index_t d = parts_->x.cols;
  for (const WideClimb<T>& wide : parts_->wide) {
    const index_t count = static_cast<index_t>(wide.ids.size());
    Buffer<T> weights(count * d), value(count), residual(count), energy(count);
    Buffer<std::int64_t> steps(count);
    Buffer<bool> converged(count);
    wide.climb->write({weights.data(), value.data(), residual.data(), energy.data(), steps.data(), converged.data()});
    for (index_t i = 0; i < count; ++i) {
      const index_t id = wide.ids[static_cast<std::size_t>(i)];
      std::copy_n(weights.data() + i * d, d, out.weights + id * d);
      out.eigenvalue[id] = value[i];
      out.residual[id] = residual[i];
      out.energy[id] = energy[i];
      out.steps[id] += steps[i];
      out.converged[id] = converged[i];
    }
  }
}

template class Climb<float>;
template class Climb<double>;

}  // namespace alphacl
