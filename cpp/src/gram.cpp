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
constexpr index_t widest_block = 512;
// Rows of a chunk: what is packed of them stays in the second-level cache. float32 sums are chains of that length; in
// chains of 2048 their rounding reached 7e-7.
constexpr index_t chunk_rows = 128;

index_t group_count(index_t n, index_t d) {
  const index_t by_memory = accumulator_bytes / std::max<index_t>(1, d * d * static_cast<index_t>(sizeof(double)));
  const index_t by_rows = n / std::max<index_t>(1024, 2 * d);
  return std::max<index_t>(1, std::min({most_groups, by_memory, by_rows}));
}

// Entries of the tiles of upper triangle panel columns [0, last).
index_t tile_entries(index_t last, index_t panel) { return last * (last + 1) / 2 * panel * panel; }

// A sign for every feature from the bits of a multiplicative hash.
double random_sign(index_t j) {
  const std::uint64_t h = (static_cast<std::uint64_t>(j) + 1) * 0x9E3779B97F4A7C15ull;
  return ((h ^ (h >> 29)) >> 40 & 1) != 0 ? 1.0 : -1.0;
}

void zero(Buffer<double>& parts, index_t groups) {
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
  Buffer<T> x, plain, weighted, scaled, square, phi, moments;
};

// Tiles of block columns [first, last) += Σ w_i x_i x_iᵀ over n ≤ chunk_rows rows; also of weight 0: 0 · NaN is NaN.
template <class T>
void weighted_gram(const T* x, index_t d, index_t begin, index_t n, const index_t* order, const double* w, double sign,
                   index_t first, index_t last, Scratch<T>& s, double* acc) {
  for (index_t r = 0; r < n; ++r) {
    const double wi = w[order ? order[begin + r] : begin + r];
    kernels<T>().pack_row(x + r * d, static_cast<T>(sign * wi), d, chunk_rows, s.plain.data() + r * kernels<T>().panel,
                          s.weighted.data() + r * kernels<T>().panel);
  }
  kernels<T>().gram(s.plain.data(), s.weighted.data(), n, chunk_rows, first, last, acc);
}

}  // namespace

template <class T>
GramSink<T>::GramSink(const Samples<T>& x) : x_(x) {
  const index_t d = x.features();
  groups_ = group_count(x.size(), d);
  panels_ = ceil_div(d, kernels<T>().panel);
  upper_.resize(groups_ * tile_entries(panels_, kernels<T>().panel));
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
  const index_t d = x_.features(), blocks = block_count(d), p = rank_, panel = kernels<T>().panel;
  PerWorker<Scratch<T>> scratches;
  parallel_for(groups_ * blocks, [&](index_t t, int worker) {
    Scratch<T>& s = scratches[worker];
    const index_t g = t / blocks, b = t % blocks;
    const index_t first = panels_ * b / blocks, last = panels_ * (b + 1) / blocks;
    const index_t c0 = first * panel, width = std::min(d, last * panel) - c0;
    const index_t stop = begin + (end - begin) * (g + 1) / groups_;
    s.x.resize(chunk_rows * d);
    s.plain.resize(chunk_rows * panels_ * panel);
    s.weighted.resize(chunk_rows * panels_ * panel);
    if (task.y) {
      s.scaled.resize(chunk_rows * width);
      s.square.resize(d * width);
    }
    if (task.phi) {
      s.phi.resize(chunk_rows * p);
      s.moments.resize(p * width);
    }
    double* upper = upper_.data() + g * tile_entries(panels_, panel) + tile_entries(first, panel);
    for (index_t i = begin + (end - begin) * g / groups_; i < stop; i += chunk_rows) {
      const index_t n = std::min(chunk_rows, stop - i);
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
        gemm<T>(Trans::yes, Trans::no, d, width, n, T(1), s.x.data(), d, s.scaled.data(), width, T(0), s.square.data(),
                width);
        kernels<T>().add_block(square_.data() + g * d * d + c0, d, s.square.data(), width, d, width);
      } else {
        weighted_gram<T>(s.x.data(), d, i, n, task.order, task.degree, 1, first, last, s, upper);
      }
      if (task.phi) {
        task.phi->rows(i, n, s.phi.data());
        gemm<T>(Trans::yes, Trans::no, p, width, n, T(1), s.phi.data(), p, s.x.data() + c0, d, T(0), s.moments.data(),
                width);
        kernels<T>().add_block(moments_.data() + g * p * d + c0, d, s.moments.data(), width, p, width);
      }
      x_.deltas(i, n, task.order, s.x.data());
      weighted_gram<T>(s.x.data(), d, i, n, task.order, task.weight, -1, first, last, s, upper);
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
  const index_t d = x_.features(), panel = kernels<T>().panel, tiles = tile_entries(panels_, panel);
  Buffer<double> moments(rank_ * d, 0.0);
  for (index_t g = 0; g < groups_; ++g)
    for (index_t e = 0; e < rank_ * d; ++e) moments[e] += moments_[g * rank_ * d + e];
  parallel_for(panels_, [&](index_t pb, int) {
    Buffer<double> tile(panel * panel);
    for (index_t pa = 0; pa <= pb; ++pa) {
      std::fill_n(tile.data(), panel * panel, 0.0);
      for (index_t g = 0; g < groups_; ++g) {
        const double* part = upper_.data() + g * tiles + tile_entries(pb, panel) + pa * panel * panel;
        for (index_t e = 0; e < panel * panel; ++e) tile[e] += part[e];
      }
      for (index_t a = pa * panel; a < std::min(d, (pa + 1) * panel); ++a) {
        for (index_t b = std::max(a, pb * panel); b < std::min(d, (pb + 1) * panel); ++b) {
          double sum = tile[a % panel * panel + b % panel];
          for (index_t g = 0; has_square_ && g < groups_; ++g) {
            const double* square = square_.data() + g * d * d;
            sum += 0.5 * (square[a * d + b] + square[b * d + a]);
          }
          out[a * d + b] = sum;
        }
      }
    }
  });
  if (rank_ > 0) syrk<double>(d, rank_, -2.0, moments.data(), d, 1.0, out, d);
  parallel_for(panels_, [&](index_t pa, int) {
    for (index_t a = pa * panel; a < std::min(d, (pa + 1) * panel); ++a)
      for (index_t b = a; b < d; ++b) out[b * d + a] = out[a * d + b] *= scale;
  });
}

template class GramSink<float>;
template class GramSink<double>;

}  // namespace alphacl
