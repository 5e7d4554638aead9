// The climb of nodes: what a pass over the samples is on the device.
#include "nodes/climb.h"

#include <optional>
#include <vector>

#include "alphacl/node_climb.h"
#include "nodes/gated_operator.h"
#include "nodes/literal_product.h"
#include "runtime/copies.h"
#include "runtime/reused_memory.h"

namespace alphacl::cuda {
namespace {

// Where the passes of one step run: every pass takes the memory of the one before.
struct StepStream {
  std::optional<ReusedMemory> memory;
  void* handle = nullptr;

  void start(const Stream& on) {
    memory.emplace(on.memory);
    handle = on.handle;
  }
  Stream next_pass() {
    memory->next_round();
    return {handle, *memory};
  }
};

template <class S>
class ClimbPass {
 public:
  ClimbPass(StepStream& stream, const Layer<S>& layer, const double* weights, const double* compared, index_t count,
            bool frozen)
      : stream_(stream), layer_(layer), frozen_(frozen), at_(count * layer.features()) {
    std::copy_n(frozen ? compared : weights, at_.size(), at_.data());
  }

  index_t features() const { return layer_.features(); }
  index_t samples() const { return layer_.samples(); }
  double homogeneity() const { return layer_.degree; }

  void evaluate(const std::vector<index_t>& ids, const double* weights, double* energy, double* minuend,
                double* found) {
    const index_t count = static_cast<index_t>(ids.size()), d = features();
    const Stream on = stream_.next_pass();
    const double* const w = rows_of(on, ids, weights);
    const NodeVectors block{count, w, w, frozen_ ? compared(on, ids, w) : w};
    const NodeRows rows = node_rows(on, layer_, block);
    double* const numbers = on.memory.take<double>(count * (d + 2));
    double *const product = numbers + 2 * count, *const lost = numbers + count;
    quadratic_forms(on, layer_, rows, numbers);
    minuends(on, layer_, rows, w, lost);
    products(on, layer_, rows, product);
    Buffer<double> all(count * (d + 2));
    read_back(on, numbers, all.size(), all.data());
    energies(all.data(), count, energy);
    std::copy_n(all.data() + count, count, minuend);
    std::copy_n(all.data() + 2 * count, count * d, found);
  }

  void try_steps(const std::vector<index_t>& ids, const double* w, bool, double* energy) {
    const index_t count = static_cast<index_t>(ids.size());
    const Stream on = stream_.next_pass();
    const double* const trial = on_device(on, w, count * features());
    const NodeRows rows = node_rows(on, layer_, {count, trial, trial, compared(on, ids, trial)});
    double* const forms = on.memory.take<double>(count);
    quadratic_forms(on, layer_, rows, forms);
    Buffer<double> found(count);
    read_back(on, forms, count, found.data());
    energies(found.data(), count, energy);
  }

  void take(index_t, index_t) {}
  void move(const std::vector<index_t>& ids, const double* w) {
    if (frozen_) return;
    const index_t d = features();
    for (std::size_t i = 0; i < ids.size(); ++i)
      std::copy_n(w + static_cast<index_t>(i) * d, d, at_.data() + ids[i] * d);
  }

  void place(const double* weights) {
    if (!frozen_) std::copy_n(weights, at_.size(), at_.data());
  }

  void literal_product(index_t id, const double* w, double* y) const {
    const index_t d = features();
    const Stream on = stream_.next_pass();
    const double* const weights = on_device(on, w, d);
    const NodeVectors node{1, weights, weights, frozen_ ? on_device(on, at_.data() + id * d, d) : weights};
    double* const out = on.memory.take<double>(d);
    cuda::literal_product(on, layer_, node, 0, out);
    read_back(on, out, d, y);
  }

 private:
  // The weights whose outputs enter α; any where it is shared.
  const double* compared(const Stream& on, const std::vector<index_t>& ids, const double* any) const {
    return layer_.alpha.shared == nullptr ? rows_of(on, ids, at_.data()) : any;
  }
  // The rows `ids` of an array of the host, on the device.
  const double* rows_of(const Stream& on, const std::vector<index_t>& ids, const double* of) const {
    const index_t d = features(), count = static_cast<index_t>(ids.size());
    Buffer<double> rows(count * d);
    for (index_t i = 0; i < count; ++i) std::copy_n(of + ids[static_cast<std::size_t>(i)] * d, d, rows.data() + i * d);
    return on_device(on, rows.data(), count * d);
  }
  void energies(const double* forms, index_t count, double* energy) const {
    for (index_t i = 0; i < count; ++i) energy[i] = 0.5 * forms[i] / (homogeneity() * homogeneity());
  }

  StepStream& stream_;
  const Layer<S>& layer_;
  bool frozen_;
  Buffer<double> at_;  // K × d: the nodes whose outputs enter the own importances
};

// The rows of a view, read at once.
template <class S>
Buffer<S> on_host(const Stream& on, View<const S> rows) {
  const index_t count = rows.rows * rows.cols;
  double* const copy = on.memory.take<double>(count);
  copy_rows(on, rows, copy);
  Buffer<double> found(count);
  read_back(on, copy, count, found.data());
  Buffer<S> to(count);
  for (index_t e = 0; e < count; ++e) to[e] = static_cast<S>(found[e]);
  return to;
}

}  // namespace

template <class S>
struct Climb<S>::Parts {
  StepStream stream;
  Layer<S> layer;
  Buffer<S> starts;
  NodeClimb<double, S, ClimbPass<S>> climb;

  Parts(const Stream& on, const Layer<S>& of, View<const S> weights, const ClimbOptions& options)
      : layer(of),
        starts(on_host(on, weights)),
        climb(View<const S>{starts.data(), weights.rows, weights.cols, weights.cols},
              View<const S>{starts.data(), weights.rows, weights.cols, weights.cols}, options,
              std::numeric_limits<double>::infinity(), stream, layer) {}
};

template <class S>
Climb<S>::Climb(const Stream& on, const Layer<S>& layer, View<const S> weights, const ClimbOptions& options)
    : parts_(std::make_unique<Parts>(on, layer, weights, options)) {}

template <class S>
Climb<S>::~Climb() = default;

template <class S>
index_t Climb<S>::step(const Stream& on) {
  parts_->stream.start(on);
  return parts_->climb.step();
}

template <class S>
void Climb<S>::finish(const Stream& on) {
  parts_->stream.start(on);
  parts_->climb.finish();
  parts_->climb.settle();
}

template <class S>
void Climb<S>::write(const ClimbResult<S>& out) const {
  parts_->climb.write(out);
}

template <class S>
index_t Climb<S>::block(index_t n, index_t nodes) {
  return nodes_at_a_time(n, nodes);
}

template class Climb<float>;
template class Climb<double>;

}  // namespace alphacl::cuda
