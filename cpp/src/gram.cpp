#include "alphacl/gram.h"

#include <algorithm>
#include <cmath>

#include "alphacl/blas.h"
#include "alphacl/kernels.h"
#include "alphacl/threads.h"

namespace alphacl {
namespace {

constexpr index_t accumulator_bytes = index_t{1} << 26;  // of all groups together
constexpr index_t most_groups = 64;
constexpr index_t flush_rows = 2048;  // rows summed in T before they go to the double accumulator
constexpr index_t widest_block = 512;

index_t group_count(index_t n, index_t d) {
  const index_t by_memory = accumulator_bytes / std::max<index_t>(1, d * d * static_cast<index_t>(sizeof(double)));
  const index_t by_rows = n / std::max<index_t>(256, d);
  return std::max<index_t>(1, std::min({most_groups, by_memory, by_rows}));
}

// Rows whose chunk fits half of a 1 MiB second-level cache.
index_t chunk_rows(index_t d) { return std::clamp<index_t>(131072 / std::max<index_t>(1, d), 128, flush_rows); }

index_t block_count(index_t d) { return d <= widest_block ? 1 : ceil_div(d, widest_block / 2); }

}  // namespace

template <class T>
struct GramSink<T>::Task {
  const index_t* order;
  const double* degree;
  const double* weight;
  const T* y;
  const Features<T>* phi;
};

namespace {

template <class T>
struct Scratch {
  Buffer<T> x, scaled, block, square, phi, moments;
};

// Upper triangle of block column [c0, c1) += sign(w_i)|w_i| x_i x_iᵀ: rows are scaled by √|w| and sorted by the sign
// of their weight, rows of weight 0 are dropped, and the two kinds go through syrk and gemm.
template <class T>
void weighted_gram(const T* x, index_t d, index_t begin, index_t n, const index_t* order, const double* w, T sign,
                   index_t c0, index_t c1, T* scaled, T* block) {
  index_t front = 0, back = n;
  for (index_t r = 0; r < n; ++r) {
    const double wi = w[order ? order[begin + r] : begin + r];
    if (wi == 0) continue;
    const index_t slot = wi < 0 ? --back : front++;
    kernels<T>().scale_row(x + r * d, static_cast<T>(std::sqrt(std::fabs(wi))), c1, scaled + slot * d);
  }
  const auto add = [&](index_t first, index_t rows, T factor) {
    if (rows == 0) return;
    const T* a = scaled + first * d;
    syrk<T>(c1 - c0, rows, factor, a + c0, d, T(1), block + c0 * (c1 - c0), c1 - c0);
    gemm<T>(Trans::yes, Trans::no, c0, c1 - c0, rows, factor, a, d, a + c0, d, T(1), block, c1 - c0);
  };
  add(0, front, sign);
  add(back, n - back, -sign);
}

}  // namespace

template <class T>
GramSink<T>::GramSink(const Samples<T>& x) : x_(x) {
  const index_t d = x.features();
  groups_ = group_count(x.size(), d);
  upper_ = Buffer<double>(groups_ * d * d, 0.0);
  trace_ = Buffer<double>(groups_, 0.0);
}

template <class T>
void GramSink<T>::tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* weight,
                        const T* y) {
  if (!has_square_) square_ = Buffer<double>(groups_ * x_.features() * x_.features(), 0.0);
  has_square_ = true;
  accumulate(begin, end, {order, degree, weight, y, nullptr});
}

template <class T>
void GramSink<T>::factors(const double* degree, const double* weight, const Features<T>& phi) {
  rank_ = phi.rank();
  moments_ = Buffer<double>(groups_ * rank_ * x_.features(), 0.0);
  accumulate(0, x_.size(), {nullptr, degree, weight, nullptr, &phi});
}

template <class T>
void GramSink<T>::accumulate(index_t begin, index_t end, const Task& task) {
  const index_t d = x_.features(), blocks = block_count(d), chunk = chunk_rows(d), p = rank_;
  PerWorker<Scratch<T>> scratches;
  parallel_for(groups_ * blocks, [&](index_t t, int worker) {
    Scratch<T>& s = scratches[worker];
    const index_t g = t / blocks, b = t % blocks;
    const index_t c0 = d * b / blocks, c1 = d * (b + 1) / blocks, width = c1 - c0;
    const index_t first = begin + (end - begin) * g / groups_, last = begin + (end - begin) * (g + 1) / groups_;
    s.x.resize(chunk * d);
    s.scaled.resize(chunk * d);
    s.block.resize(c1 * width);
    if (task.y) s.square.resize(d * width);
    if (task.phi) {
      s.phi.resize(chunk * p);
      s.moments.resize(p * width);
    }
    for (index_t flush = first; flush < last; flush += flush_rows) {
      const index_t stop = std::min(last, flush + flush_rows);
      std::fill_n(s.block.data(), c1 * width, T(0));
      if (task.y) std::fill_n(s.square.data(), d * width, T(0));
      if (task.phi) std::fill_n(s.moments.data(), p * width, T(0));
      for (index_t i = flush; i < stop; i += chunk) {
        const index_t n = std::min(chunk, stop - i);
        x_.centered(i, n, task.order, s.x.data());
        if (b == 0) {
          for (index_t r = 0; r < n; ++r) {
            const T* x = s.x.data() + r * d;
            trace_[g] += std::fabs(task.degree[task.order ? task.order[i + r] : i + r]) * kernels<T>().dot(x, x, d);
          }
        }
        if (task.y) {
          for (index_t r = 0; r < n; ++r) {
            const T w = static_cast<T>(task.degree[task.order ? task.order[i + r] : i + r]);
            kernels<T>().laplacian_row(s.x.data() + r * d + c0, task.y + (i + r - begin) * d + c0, w, width,
                                       s.scaled.data() + r * width);
          }
          gemm<T>(Trans::yes, Trans::no, d, width, n, T(1), s.x.data(), d, s.scaled.data(), width, T(1),
                  s.square.data(), width);
        } else {
          weighted_gram<T>(s.x.data(), d, i, n, task.order, task.degree, T(1), c0, c1, s.scaled.data(),
                           s.block.data());
        }
        if (task.phi) {
          task.phi->rows(i, n, s.phi.data());
          gemm<T>(Trans::yes, Trans::no, p, width, n, T(1), s.phi.data(), p, s.x.data() + c0, d, T(1),
                  s.moments.data(), width);
        }
        x_.deltas(i, n, task.order, s.x.data());
        weighted_gram<T>(s.x.data(), d, i, n, task.order, task.weight, T(-1), c0, c1, s.scaled.data(),
                         s.block.data());
      }
      kernels<T>().add_block(upper_.data() + g * d * d + c0, d, s.block.data(), width, c1, width);
      if (task.y) kernels<T>().add_block(square_.data() + g * d * d + c0, d, s.square.data(), width, d, width);
      if (task.phi) kernels<T>().add_block(moments_.data() + g * p * d + c0, d, s.moments.data(), width, p, width);
    }
  });
}

template <class T>
double GramSink<T>::positive_trace() const {
  double sum = 0;
  for (index_t g = 0; g < groups_; ++g) sum += trace_[g];
  return sum;
}

template <class T>
void GramSink<T>::finish(double scale, double* out) const {
  const index_t d = x_.features();
  const auto total = [&](const Buffer<double>& parts, index_t size, index_t entry) {
    double sum = 0;
    for (index_t g = 0; g < groups_; ++g) sum += parts[g * size + entry];
    return sum;
  };
  parallel_for(d, [&](index_t a, int) {
    for (index_t b = a; b < d; ++b) {
      double sum = total(upper_, d * d, a * d + b);
      if (has_square_) sum += 0.5 * (total(square_, d * d, a * d + b) + total(square_, d * d, b * d + a));
      out[a * d + b] = sum;
    }
  });
  if (rank_ > 0) {
    Buffer<double> moments(rank_ * d);
    for (index_t e = 0; e < rank_ * d; ++e) moments[e] = total(moments_, rank_ * d, e);
    syrk<double>(d, rank_, -2.0, moments.data(), d, 1.0, out, d);
  }
  parallel_for(d, [&](index_t a, int) {
    for (index_t b = a; b < d; ++b) out[b * d + a] = out[a * d + b] *= scale;
  });
}

template class GramSink<float>;
template class GramSink<double>;

}  // namespace alphacl
