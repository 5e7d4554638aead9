#include "alphacl/gated_operator.h"

#include "layer.h"
#include "node_line.h"

namespace alphacl {
namespace {

constexpr index_t most_numbers = index_t{1} << 24;  // in an array of nodes × N
constexpr index_t most_kept = index_t{1} << 26;     // pre-activations kept between products

index_t block_of(index_t n, index_t nodes) { return std::min(nodes, std::clamp<index_t>(most_numbers / n, 16, 256)); }

}  // namespace

/// Pre-activations of all nodes (K × N each) and their lines, where they are few enough to be kept.
template <class T>
struct GatedOperator<T>::Kept {
  Buffer<T> p, p_aug, p0;
  std::vector<Line<T>> lines;
};

template <class T>
struct GatedOperator<T>::Scratch {
  Buffer<T> w, rows, shifts, gates, u, u_aug, p, p_aug, p0, t;
};

template <class T>
GatedOperator<T>::GatedOperator(View<const T> x, View<const T> x_aug, View<const T> weights, const Activation& h,
                                const NodeImportance<T>& alpha, View<const T> alpha_weights)
    : GatedOperator(std::make_shared<Layer<T>>(x, x_aug, h, alpha), weights, alpha_weights) {}

template <class T>
GatedOperator<T>::GatedOperator(std::shared_ptr<const Layer<T>> layer, View<const T> weights,
                                View<const T> alpha_weights)
    : layer_(std::move(layer)), count_(weights.rows), size_(weights.cols), weights_(count_ * size_) {
  for (index_t k = 0; k < count_; ++k) std::copy_n(weights.row(k), size_, weights_.data() + k * size_);
  if (alpha_weights.data != nullptr) {
    alpha_weights_.resize(count_ * size_);
    for (index_t k = 0; k < count_; ++k) std::copy_n(alpha_weights.row(k), size_, alpha_weights_.data() + k * size_);
  }
  const index_t n = layer_->size();
  const bool own = layer_->alpha().shared == nullptr, other = other_outputs();
  if (count_ * n > most_kept / (other ? 3 : 2)) return;
  kept_ = std::make_unique<Kept>();
  kept_->p.resize(count_ * n);
  kept_->p_aug.resize(count_ * n);
  layer_->project(layer_->x(), weights_.data(), count_, kept_->p.data());
  layer_->project(layer_->x_aug(), weights_.data(), count_, kept_->p_aug.data());
  if (!own) return;
  if (other) {
    kept_->p0.resize(count_ * n);
    project_outputs(alpha_weights_.size() > 0 ? alpha_weights_.data() : weights_.data(), count_, kept_->p0.data());
  }
  kept_->lines = std::vector<Line<T>>(static_cast<std::size_t>(count_));
  PerWorker<LineScratch<T>> scratches;
  parallel_for(count_, [&](index_t k, int worker) {
    const T *p = kept_->p.data() + k * n, *p0 = other ? kept_->p0.data() + k * n : p;
    set_line(layer_->gate(), layer_->homogeneity(), layer_->alpha().tau, layer_->alpha().tol, p, p0, n,
             kept_->lines[static_cast<std::size_t>(k)], scratches[worker]);
  });
}

template <class T>
GatedOperator<T>::~GatedOperator() = default;

template <class T>
std::unique_ptr<GatedOperator<T>> GatedOperator<T>::with_weights(View<const T> weights) const {
  const index_t kept = alpha_weights_.size() > 0 ? count_ : 0;
  if (kept > 0 && weights.rows != kept)
    throw std::invalid_argument("weights: expected " + std::to_string(kept) + " nodes like alpha_weights, got " +
                                std::to_string(weights.rows));
  return std::unique_ptr<GatedOperator>(
      new GatedOperator(layer_, weights, {alpha_weights_.data(), kept, size_, size_}));
}

template <class T>
bool GatedOperator<T>::other_outputs() const {
  return alpha_weights_.size() > 0 || layer_->own_inputs().data != nullptr;
}

template <class T>
void GatedOperator<T>::project_outputs(const T* w, index_t nodes, T* out) const {
  if (layer_->own_inputs().data != nullptr) return layer_->project_own_inputs(w, nodes, out);
  layer_->project(layer_->x(), w, nodes, out);
}

template <class T>
void GatedOperator<T>::apply(View<const T> v, const index_t* active, View<T> out) const {
  const Layer<T>& layer = *layer_;
  const index_t n = layer.size(), d = size_;
  const bool own = layer.alpha().shared == nullptr, other = other_outputs();
  const index_t block = block_of(n, std::max<index_t>(1, v.rows));
  std::unique_ptr<Scratch> scratch;
  {
    const std::lock_guard<std::mutex> lock(spare_mutex_);
    scratch = std::move(spare_);
  }
  if (!scratch) scratch = std::make_unique<Scratch>();
  auto& [w, rows, shifts, gates, u, u_aug, p, p_aug, p0, t] = *scratch;
  for (Buffer<T>* vectors : {&w, &rows}) vectors->resize(block * d);
  for (Buffer<T>* lines : {&u, &u_aug}) lines->resize(block * n);
  for (Buffer<T>* numbers : {&shifts, &gates}) numbers->resize(block);
  if (!own) t.resize(block * n);
  if (!kept_) {
    p.resize(block * n);
    p_aug.resize(block * n);
    if (other) p0.resize(block * n);
  }
  Buffer<double> sums(block), products(block * d);
  struct Work {
    LineScratch<T> scratch;
    Buffer<T> t, r;
    Line<T> line;
  };
  PerWorker<Work> works;
  for (index_t first = 0; first < v.rows; first += block) {
    const index_t nodes = std::min(block, v.rows - first);
    for (index_t i = 0; i < nodes; ++i) {
      std::copy_n(weights_.data() + active[first + i] * d, d, w.data() + i * d);
      std::copy_n(v.row(first + i), d, rows.data() + i * d);
    }
    if (!kept_) {
      layer.project(layer.x(), w.data(), nodes, p.data());
      layer.project(layer.x_aug(), w.data(), nodes, p_aug.data());
      if (other) {
        if (alpha_weights_.size() > 0)
          for (index_t i = 0; i < nodes; ++i)
            std::copy_n(alpha_weights_.data() + active[first + i] * d, d, w.data() + i * d);
        project_outputs(w.data(), nodes, p0.data());
      }
    }
    layer.project_centred(layer.x(), rows.data(), nodes, u.data());
    layer.project_centred(layer.x_aug(), rows.data(), nodes, u_aug.data());
    layer.mean_outputs(rows.data(), nodes, shifts.data());
    const auto from = [&](const Buffer<T>& fresh, const Buffer<T>& kept, index_t i) {
      return kept_ ? kept.data() + active[first + i] * n : fresh.data() + i * n;
    };
    const Kept none;
    const Kept& kept = kept_ ? *kept_ : none;
    const auto open = [&](index_t i) {
      const T *here = from(p, kept.p, i), *there = from(p_aug, kept.p_aug, i);
      gates[i] = layer.reference_gate(weights_.data() + active[first + i] * d, here, there);
      node_kernels<T>().open_row(layer.gate(), here, shifts[i], gates[i], n, u.data() + i * n);
      node_kernels<T>().open_row(layer.gate(), there, shifts[i], gates[i], n, u_aug.data() + i * n);
    };
    if (!own) {
      parallel_for(nodes, [&](index_t i, int) { open(i); });
      layer.shared_laplacian(u.data(), nodes, t.data());
    }
    parallel_for(nodes, [&](index_t i, int worker) {
      Work& work = works[worker];
      const T *here = from(p, kept.p, i), *there = from(p_aug, kept.p_aug, i);
      T *a = u.data() + i * n, *a_aug = u_aug.data() + i * n;
      const T *t_row = own ? nullptr : t.data() + i * n, *r_row = layer.weight();
      if (own) {
        open(i);
        work.t.resize(n);
        work.r.resize(n);
        const T* inputs = other ? from(p0, kept.p0, i) : here;
        const Line<T>* line = &work.line;
        if (kept_) {
          line = &kept_->lines[static_cast<std::size_t>(active[first + i])];
        } else {
          set_line(layer.gate(), layer.homogeneity(), layer.alpha().tau, layer.alpha().tol, here, inputs, n, work.line,
                   work.scratch);
        }
        own_laplacian(layer.gate(), layer.homogeneity(), layer.alpha().tau, layer.alpha().tol, here, inputs, a,
                      gates[i], n, *line, work.t.data(), work.r.data(), work.scratch);
        t_row = work.t.data();
        r_row = work.r.data();
      }
      sums[i] = node_kernels<T>().back_row(layer.gate(), here, there, t_row, r_row, gates[i], n, a, a_aug);
    });
    layer.back(u.data(), u_aug.data(), sums.data(), nodes, products.data());
    for (index_t i = 0; i < nodes; ++i)
      for (index_t j = 0; j < d; ++j) out.row(first + i)[j] = static_cast<T>(layer.scale() * products[i * d + j]);
  }
  const std::lock_guard<std::mutex> lock(spare_mutex_);
  spare_ = std::move(scratch);
}

template <class T>
index_t Climb<T>::block(index_t n, index_t nodes) {
  return block_of(n, nodes);
}

template class GatedOperator<float>;
template class GatedOperator<double>;
template index_t Climb<float>::block(index_t, index_t);
template index_t Climb<double>::block(index_t, index_t);

}  // namespace alphacl
