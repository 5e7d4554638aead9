#include "alphacl/gram.h"

#include <algorithm>
#include <cmath>

#include "alphacl/blas.h"
#include "alphacl/kernels.h"
#include "alphacl/threads.h"
#include "upper_tiles.h"

namespace alphacl {
namespace {

constexpr index_t accumulator_bytes = index_t{1} << 26;  // of all groups together
constexpr index_t most_groups = 64;
constexpr index_t widest_block = 512;
// Rows from one packed panel to the next. Odd: powers of two apart they would share the sets of the first-level cache.
constexpr index_t packed_stride = gram_chunk + 1;

index_t group_count(index_t n, index_t d) {
  const index_t by_memory = accumulator_bytes / std::max<index_t>(1, d * d * static_cast<index_t>(sizeof(double)));
  const index_t by_rows = n / std::max<index_t>(1024, 2 * d);
  return std::max<index_t>(1, std::min({most_groups, by_memory, by_rows}));
}

// A sign for every feature from the bits of a multiplicative hash.
template <class T>
T random_sign(index_t j) {
  const std::uint64_t h = (static_cast<std::uint64_t>(j) + 1) * 0x9E3779B97F4A7C15ull;
  return ((h ^ (h >> 29)) >> 40 & 1) != 0 ? T(1) : T(-1);
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
  View<const T> y;
  const Features<T>* phi;
};

namespace {

template <class T>
struct Scratch {
  Buffer<T> row, a, b, weights, phi, packed_phi;
};

}  // namespace

template <class T>
GramSink<T>::GramSink(const Samples<T>& x) : x_(x) {
  const index_t d = x.features();
  groups_ = group_count(x.size(), d);
  panels_ = UpperTiles<T>::panels(d);
  upper_.resize(groups_ * UpperTiles<T>::entries(d));
  zero(upper_, groups_);
  const index_t padded = panels_ * kernels<T>().panel;
  probes_ = Buffer<double>(groups_ * padded, 0.0);
  signs_ = Buffer<T>(padded, T(0));
  for (index_t j = 0; j < d; ++j) signs_[j] = random_sign<T>(j);
}

template <class T>
void GramSink<T>::tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* weight,
                        View<const T> y) {
  accumulate(begin, end, {order, degree, weight, y, nullptr});
}

template <class T>
void GramSink<T>::factors(const double* degree, const double* weight, const Features<T>& phi) {
  rank_ = phi.rank();
  moments_.resize(groups_ * moment_entries());
  zero(moments_, groups_);
  accumulate(0, x_.size(), {nullptr, degree, weight, {nullptr, 0, 0, 0}, &phi});
}

template <class T>
index_t GramSink<T>::moment_entries() const {
  const index_t panel = kernels<T>().panel;
  return UpperTiles<T>::panels(rank_) * panels_ * panel * panel;
}

template <class T>
void GramSink<T>::accumulate(index_t begin, index_t end, const Task& task) {
  const Kernels<T>& kernel = kernels<T>();
  const index_t d = x_.features(), blocks = block_count(d), p = rank_, panel = kernel.panel;
  const index_t panels_phi = UpperTiles<T>::panels(p);
  PerWorker<Scratch<T>> scratches;
  parallel_for(groups_ * blocks, [&](index_t t, int worker) {
    Scratch<T>& s = scratches[worker];
    const index_t g = t / blocks, b = t % blocks;
    const index_t first = panels_ * b / blocks, last = panels_ * (b + 1) / blocks;
    const index_t stop = begin + (end - begin) * (g + 1) / groups_;
    s.row.resize(d);
    s.a.resize(packed_stride * panels_ * panel);
    s.b.resize(packed_stride * panels_ * panel);
    s.weights.resize(gram_chunk);
    if (task.phi) {
      s.phi.resize(gram_chunk * p);
      s.packed_phi.resize(2 * packed_stride * panels_phi * panel);
    }
    double* upper = upper_.data() + g * UpperTiles<T>::entries(d) + UpperTiles<T>::before(first);
    double* probes = probes_.data() + g * panels_ * panel;
    double* moments = moments_.data() + g * moment_entries() + first * panels_phi * panel * panel;
    for (index_t i = begin + (end - begin) * g / groups_; i < stop; i += gram_chunk) {
      const index_t n = std::min(gram_chunk, stop - i);
      for (index_t r = 0; r < n; ++r) {
        const double w = task.degree[task.order ? task.order[i + r] : i + r];
        s.weights[r] = static_cast<T>(std::fabs(w));
        x_.centered(i + r, 1, task.order, s.row.data());
        // With y half of D: x zᵀ + z xᵀ for z = ½ D x − y is what has to be added.
        kernel.pack_row(s.row.data(), task.y.data ? task.y.row(i + r - begin) : nullptr,
                        static_cast<T>(task.y.data ? 0.5 * w : w), d, packed_stride, s.a.data() + r * panel,
                        s.b.data() + r * panel);
      }
      if (b == 0) kernel.probe(s.a.data(), n, packed_stride, panels_, s.weights.data(), signs_.data(), probes);
      kernel.gram(s.a.data(), s.b.data(), n, packed_stride, first, last, upper);
      if (task.y.data) kernel.gram(s.b.data(), s.a.data(), n, packed_stride, first, last, upper);
      if (task.phi) {
        T* packed = s.packed_phi.data();
        task.phi->rows(i, n, s.phi.data());
        for (index_t r = 0; r < n; ++r)
          kernel.pack_row(s.phi.data() + r * p, nullptr, T(1), p, packed_stride, packed + r * panel,
                          packed + (packed_stride * panels_phi + r) * panel);
        kernel.cross_gram(packed, s.a.data(), n, packed_stride, panels_phi, first, last, moments);
      }
      for (index_t r = 0; r < n; ++r) {
        const double w = task.weight[task.order ? task.order[i + r] : i + r];
        x_.deltas(i + r, 1, task.order, s.row.data());
        kernel.pack_row(s.row.data(), nullptr, static_cast<T>(-w), d, packed_stride, s.a.data() + r * panel,
                        s.b.data() + r * panel);
      }
      kernel.gram(s.a.data(), s.b.data(), n, packed_stride, first, last, upper);
    }
  });
}

template <class T>
double GramSink<T>::minuend() const {
  const index_t padded = signs_.size();
  double square = 0;
  for (index_t j = 0; j < x_.features(); ++j) {
    double sum = 0;
    for (index_t g = 0; g < groups_; ++g) sum += probes_[g * padded + j];
    square += sum * sum;
  }
  return std::sqrt(square);
}

template <class T>
void GramSink<T>::finish(double scale, double* out) const {
  const index_t d = x_.features(), panel = kernels<T>().panel, tiles = UpperTiles<T>::entries(d);
  parallel_for(panels_, [&](index_t pb, int) {
    Buffer<double> tile(panel * panel);
    for (index_t pa = 0; pa <= pb; ++pa) {
      std::fill_n(tile.data(), panel * panel, 0.0);
      for (index_t g = 0; g < groups_; ++g) {
        const double* part = upper_.data() + g * tiles + UpperTiles<T>::before(pb) + pa * panel * panel;
        for (index_t e = 0; e < panel * panel; ++e) tile[e] += part[e];
      }
      for (index_t a = pa * panel; a < std::min(d, (pa + 1) * panel); ++a)
        for (index_t b = std::max(a, pb * panel); b < std::min(d, (pb + 1) * panel); ++b)
          out[a * d + b] = tile[a % panel * panel + b % panel];
    }
  });
  if (rank_ > 0) {
    const index_t panels_phi = UpperTiles<T>::panels(rank_);
    Buffer<double> moments(rank_ * d);  // ΦᵀX
    for (index_t l = 0; l < rank_; ++l) {
      for (index_t j = 0; j < d; ++j) {
        const index_t e = ((j / panel * panels_phi + l / panel) * panel + l % panel) * panel + j % panel;
        double sum = 0;
        for (index_t g = 0; g < groups_; ++g) sum += moments_[g * moment_entries() + e];
        moments[l * d + j] = sum;
      }
    }
    syrk<double>(d, rank_, -2.0, moments.data(), d, 1.0, out, d);
  }
  parallel_for(panels_, [&](index_t pa, int) {
    for (index_t a = pa * panel; a < std::min(d, (pa + 1) * panel); ++a)
      for (index_t b = a; b < d; ++b) out[b * d + a] = out[a * d + b] *= scale;
  });
}

template class GramSink<float>;
template class GramSink<double>;

}  // namespace alphacl
