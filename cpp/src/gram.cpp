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
constexpr index_t flush_rows = 1024;  // rows summed in T before they go to the double accumulator
constexpr index_t widest_block = 512;

index_t group_count(index_t n, index_t d) {
  const index_t by_memory = accumulator_bytes / std::max<index_t>(1, d * d * static_cast<index_t>(sizeof(double)));
  const index_t by_rows = n / std::max<index_t>(1024, 2 * d);
  return std::max<index_t>(1, std::min({most_groups, by_memory, by_rows}));
}

// Rows whose chunk fits half of a 1 MiB second-level cache. No more than 256 for small d, where the BLAS sums a chunk
// in one chain: 2048 rows gave errors of 7e-7 in float32, 256 give 3e-7.
index_t chunk_rows(index_t d) { return std::clamp<index_t>(131072 / std::max<index_t>(1, d), 128, d < 128 ? 256 : 512); }

// A sign for every feature from the bits of a multiplicative hash.
double random_sign(index_t j) {
  const std::uint64_t h = (static_cast<std::uint64_t>(j) + 1) * 0x9E3779B97F4A7C15ull;
  return ((h ^ (h >> 29)) >> 40 & 1) != 0 ? 1.0 : -1.0;
}

void zero(const Buffer<double>& parts, index_t groups) {
  const index_t size = parts.size() / groups;
  parallel_for(groups, [&](index_t g, int) { std::fill_n(parts.data() + g * size, size, 0.0); });
}

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
  upper_.resize(groups_ * d * d);
  zero(upper_, groups_);
  probes_ = Buffer<double>(groups_ * d, 0.0);
  signs_.resize(d);
  for (index_t j = 0; j < d; ++j) signs_[j] = random_sign(j);
}

template <class T>
void GramSink<T>::tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* weight,
                        const T* y) {
  if (!has_square_) {
    square_.resize(groups_ * x_.features() * x_.features());
    zero(square_, groups_);
    has_square_ = true;
  }
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
            const double w = std::fabs(task.degree[task.order ? task.order[i + r] : i + r]);
            kernels<T>().add_scaled(w * kernels<T>().dot_wide(x, signs_.data(), d), x, d, probes_.data() + g * d);
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
double GramSink<T>::minuend() const {
  double square = 0;
  for (index_t j = 0; j < x_.features(); ++j) {
    double sum = 0;
    for (index_t g = 0; g < groups_; ++g) sum += probes_[g * x_.features() + j];
    square += sum * sum;
  }
  return std::sqrt(square);
}

template <class T>
void GramSink<T>::finish(double scale, double* out) const {
  const index_t d = x_.features();
  parallel_for(d, [&](index_t a, int) {
    double* row = out + a * d;
    std::fill(row + a, row + d, 0.0);
    for (index_t g = 0; g < groups_; ++g) {
      const double* upper = upper_.data() + (g * d + a) * d;
      for (index_t b = a; b < d; ++b) row[b] += upper[b];
      if (!has_square_) continue;
      const double* square = square_.data() + g * d * d;
      for (index_t b = a; b < d; ++b) row[b] += 0.5 * (square[a * d + b] + square[b * d + a]);
    }
  });
  if (rank_ > 0) {
    const index_t size = rank_ * d;
    Buffer<double> moments(size, 0.0);
    for (index_t g = 0; g < groups_; ++g)
      for (index_t e = 0; e < size; ++e) moments[e] += moments_[g * size + e];
    syrk<double>(d, rank_, -2.0, moments.data(), d, 1.0, out, d);
  }
  parallel_for(d, [&](index_t a, int) {
    for (index_t b = a; b < d; ++b) out[b * d + a] = out[a * d + b] *= scale;
  });
}

template class GramSink<float>;
template class GramSink<double>;

}  // namespace alphacl
