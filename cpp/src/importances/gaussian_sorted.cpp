// Gaussian importance of scalars with a range of many √τ: sorted, cut into blocks, near blocks only.
//
// The sorted line is cut into blocks of width q√τ, the distance beyond which α is below tol: a block meets itself and
// its two neighbours only. Crowded blocks meet through the cosine series of range 2q; its phases start at the centre of
// the block and are turned by the distance of the centres. Runs of thin blocks are gathered into segments, which meet
// entry by entry. So the cost does not depend on the number of blocks, nor on τ.
// A sample is lonely where its nearest neighbour is more than √τ away: all its pairs may weigh less than tol. Segments
// with a lonely sample meet others as far as α is a normal number, and diagonals of 1 are kept out of all sums.
#include "importances/gaussian_sorted.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "importances/gaussian_series.h"
#include "isa/tables/kernels.h"
#include "packing/samples.h"
#include "runtime/blas.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t gathered_rows = 64;  // samples of a segment at which a run of thin blocks ends
constexpr index_t chunk = 256;         // rows handled at a time
constexpr index_t tile_cols = 384;
constexpr index_t strip_rows = 8192;
// Entries per sample that pairs of lonely and crowded segments may cost; beyond that they are left out where below tol.
constexpr index_t most_lonely_entries = 64;

/// Sets the diagonal of a block of entries to 0.
template <class T>
void leave_diagonal_out(index_t i0, index_t ni, index_t j0, index_t nj, T* entries) {
  for (index_t i = std::max(i0, j0); i < std::min(i0 + ni, j0 + nj); ++i) entries[(i - i0) * nj + (i - j0)] = T(0);
}

template <class T>
class SortedGaussian final : public Importance<T> {
 public:
  SortedGaussian(const double* u, index_t n, double tau, double tol)
      : Importance<T>(n),
        tau_(tau),
        tol_(tol),
        inv_sqrt_tau_(1 / std::sqrt(tau)),
        series_(2 * gaussian_reach(tol), tol),
        order_(n),
        u_(n) {
    sort(u);
    cut();
  }

  void row_sums(double* r) const override;
  void col_sums(double* c) const override { row_sums(c); }
  void degrees(double* degree, double* row_sum) const override;
  void matmul(View<const T> y, View<T> out) const override { multiply(y, T(1), true, out); }
  void symmetric_product(View<const T> y, View<double> out, double* degree, double* row_sum) const override {
    if (degree != nullptr) degrees(degree, row_sum);
    multiply(y, T(2), false, out);
  }
  void laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const override;
  void to_dense(View<T> out) const override;

  std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const override {
    Buffer<double> all(this->size()), u(n);
    for (index_t i = 0; i < this->size(); ++i) all[order_[i]] = u_[i];
    for (index_t i = 0; i < n; ++i) u[i] = all[rows[i]];
    return gaussian_sorted<T>(u.data(), n, tau_, tol_);
  }

  std::unique_ptr<Importance<double>> widened() const override {
    Buffer<double> u(this->size());
    for (index_t i = 0; i < this->size(); ++i) u[order_[i]] = u_[i];
    return gaussian_sorted<double>(u.data(), this->size(), tau_, wide_tolerance);
  }

 private:
  struct Segment {
    index_t begin, end;
    double origin;  // centre of the block
    double block;   // number of its block (of its first, for gathered blocks)
    bool crowded;
    bool lonely;  // thin, with a sample whose nearest neighbour is more than √τ away
  };
  struct Rows {  // a chunk of one segment
    index_t segment, begin, end;
  };
  struct Scratch {
    Buffer<T> phi, entries, columns;
    Buffer<double> distances;
  };

  void sort(const double* u);
  void cut();
  /// Crowded segments in the same or adjacent blocks meet through the series, all others entry by entry if near enough.
  bool through_series(const Segment& a, const Segment& b) const {
    return a.crowded && b.crowded && std::fabs(a.block - b.block) < 1.5;
  }
  double gap(const Segment& a, const Segment& b) const {
    return a.begin < b.begin ? u_[b.begin] - u_[a.end - 1] : u_[a.begin] - u_[b.end - 1];
  }
  bool apart(const Segment& a, const Segment& b) const {
    const bool far = (a.lonely || b.lonely) && (lonely_see_crowds_ || !(a.crowded || b.crowded));
    return gap(a, b) > (far ? furthest_ : width_);
  }
  void find_lonely();
  /// out, for every crowded segment: Φᵀy summed over itself and its crowded neighbours, in its own phases. y: N × q,
  /// sorted, in T; or null: a column of ones, summed in double.
  template <class A>
  void gather(const A* y, index_t q, A* out) const;
  template <class A>
  void turn_and_add(const A* moments, double angle, index_t q, A* out) const;
  template <class U>
  void multiply(View<const T> y, T factor, bool diagonal, View<U> out) const;
  /// out (rows × q) = rows of α y, with or without the diagonal of α.
  void product(const Rows& rows, const T* y, const T* gathered, index_t q, bool diagonal, T* out,
               Scratch& scratch) const;
  /// Σ_{j ≠ i} α_ij.
  void pair_sums(double* sums) const;
  void entries(index_t i0, index_t ni, index_t j0, index_t nj, T* out, double* row_sum, Scratch& scratch) const;
  template <class F>
  void neighbours(index_t segment, F&& visit) const;

  double tau_, tol_, inv_sqrt_tau_, width_ = 0, furthest_ = 0;
  bool lonely_see_crowds_ = true;
  GaussianSeries series_;
  Buffer<index_t> order_;  // sample of each place in the sorted line
  Buffer<double> u_;       // sorted
  std::vector<Segment> segments_;
  std::vector<index_t> crowded_;  // index among the crowded segments, −1 for gathered ones
  index_t crowded_count_ = 0;
  std::vector<Rows> chunks_;
};

template <class T>
void SortedGaussian<T>::sort(const double* u) {
  for (index_t i = 0; i < this->size(); ++i) order_[i] = i;
  // Equal scalars keep the order of their samples, so that the result is unique.
  std::sort(order_.data(), order_.data() + this->size(),
            [u](index_t a, index_t b) { return u[a] < u[b] || (u[a] == u[b] && a < b); });
  for (index_t i = 0; i < this->size(); ++i) u_[i] = u[order_[i]];
}

template <class T>
void SortedGaussian<T>::cut() {
  const index_t n = this->size();
  const double low = u_[0], range = u_[n - 1] - low;
  const double reach = gaussian_reach(tol_) / inv_sqrt_tau_;
  // Block numbers must be exact in a double. Blocks wider than the series spans meet entry by entry.
  width_ = std::max(reach, std::ldexp(range, -50));
  furthest_ = std::max(width_, gaussian_reach(static_cast<double>(std::numeric_limits<T>::min())) / inv_sqrt_tau_);
  const bool series = width_ == reach;
  const index_t crowd = 2 * series_.rank();
  const auto number = [&](index_t i) { return std::floor((u_[i] - low) / width_); };
  for (index_t i = 0; i < n;) {
    const double block = number(i);
    index_t end = i + 1;
    while (end < n && number(end) == block) ++end;
    const bool crowded = series && end - i >= crowd;
    Segment* last = segments_.empty() ? nullptr : &segments_.back();
    if (!crowded && last != nullptr && !last->crowded && last->end - last->begin < gathered_rows) {
      last->end = end;
    } else {
      segments_.push_back({i, end, low + (block + 0.5) * width_, block, crowded, false});
    }
    i = end;
  }
  for (index_t s = 0; s < static_cast<index_t>(segments_.size()); ++s) {
    const Segment& segment = segments_[static_cast<std::size_t>(s)];
    crowded_.push_back(segment.crowded ? crowded_count_++ : -1);
    for (index_t i = segment.begin; i < segment.end; i += chunk)
      chunks_.push_back({s, i, std::min(segment.end, i + chunk)});
  }
  find_lonely();
}

template <class T>
void SortedGaussian<T>::find_lonely() {
  const index_t n = this->size();
  const double alone = 1 / inv_sqrt_tau_;
  const auto space = [&](index_t i) { return i == 0 || i == n ? furthest_ : u_[i] - u_[i - 1]; };  // before sample i
  for (Segment& segment : segments_)
    for (index_t i = segment.begin; !segment.crowded && !segment.lonely && i < segment.end; ++i)
      segment.lonely = std::min(space(i), space(i + 1)) > alone;
  double entries = 0;
  for (index_t s = 0; s < static_cast<index_t>(segments_.size()); ++s) {
    const Segment& segment = segments_[static_cast<std::size_t>(s)];
    if (!segment.lonely) continue;
    neighbours(s, [&](index_t, const Segment& other) {
      if (other.crowded && gap(segment, other) > width_)
        entries += static_cast<double>(segment.end - segment.begin) * static_cast<double>(other.end - other.begin);
    });
  }
  lonely_see_crowds_ = entries <= static_cast<double>(most_lonely_entries * n);
}

// visit(s, segment s) for the segments that may be near enough to meet, in their order.
template <class T>
template <class F>
void SortedGaussian<T>::neighbours(index_t segment, F&& visit) const {
  const index_t last = static_cast<index_t>(segments_.size()) - 1;
  const auto at = [this](index_t s) -> const Segment& { return segments_[static_cast<std::size_t>(s)]; };
  index_t low = std::max<index_t>(0, segment - 1), high = std::min(last, segment + 1);
  while (low > 0 && gap(at(low - 1), at(segment)) <= furthest_) --low;
  while (high < last && gap(at(high + 1), at(segment)) <= furthest_) ++high;
  for (index_t s = low; s <= high; ++s) visit(s, at(s));
}

// Rotates moments of cos kθ and sin kθ into those of cos k(θ + ψ) and sin k(θ + ψ), ψ = `angle`, for every column at
// once.
template <class T>
template <class A>
void SortedGaussian<T>::turn_and_add(const A* moments, double angle, index_t q, A* out) const {
  for (index_t l = 0; l < q; ++l) out[l] += moments[l];
  for (index_t k = 1; k <= series_.terms(); ++k) {
    const double psi = static_cast<double>(k) * angle;
    const A c = static_cast<A>(std::cos(psi)), s = static_cast<A>(std::sin(psi));
    const A *cosine = moments + (2 * k - 1) * q, *sine = cosine + q;
    A *out_cosine = out + (2 * k - 1) * q, *out_sine = out_cosine + q;
    for (index_t l = 0; l < q; ++l) {
      out_cosine[l] += c * cosine[l] - s * sine[l];
      out_sine[l] += s * cosine[l] + c * sine[l];
    }
  }
}

template <class T>
template <class A>
void SortedGaussian<T>::gather(const A* y, index_t q, A* out) const {
  const index_t p = series_.rank();
  Buffer<A> moments(crowded_count_ * p * q);
  const index_t segments = static_cast<index_t>(segments_.size());
  PerWorker<Scratch> scratches;
  // Wide products are cut by columns, which leaves the order of every sum as it is.
  const index_t columns = std::max<index_t>(1, q / 128);
  parallel_for(segments * columns, [&](index_t task, int worker) {
    const index_t s = task / columns, b = task % columns, q0 = q * b / columns, q1 = q * (b + 1) / columns;
    const Segment& segment = segments_[static_cast<std::size_t>(s)];
    if (!segment.crowded) return;
    Scratch& scratch = scratches[worker];
    scratch.phi.resize(chunk * p);
    A* m = moments.data() + crowded_[static_cast<std::size_t>(s)] * p * q + q0;
    for (index_t l = 0; l < p; ++l) std::fill_n(m + l * q, q1 - q0, A(0));
    for (index_t i = segment.begin; i < segment.end; i += chunk) {
      poll();
      const index_t n = std::min(chunk, segment.end - i);
      series_.features(u_.data() + i, n, segment.origin, inv_sqrt_tau_, scratch.phi.data());
      if constexpr (std::is_same<A, double>::value) {
        if (y == nullptr) kernels<T>().add_block_rows(scratch.phi.data(), n, p, m);
      }
      if constexpr (std::is_same<A, T>::value) {
        if (y != nullptr)
          gemm<T>(Trans::yes, Trans::no, p, q1 - q0, n, T(1), scratch.phi.data(), p, y + i * q + q0, q, T(1), m, q);
      }
    }
  });
  parallel_for(segments, [&](index_t s, int) {
    const Segment& segment = segments_[static_cast<std::size_t>(s)];
    if (!segment.crowded) return;
    A* w = out + crowded_[static_cast<std::size_t>(s)] * p * q;
    std::fill_n(w, p * q, A(0));
    neighbours(s, [&](index_t t, const Segment& other) {
      if (!through_series(segment, other)) return;
      const double angle = series_.omega() * ((other.origin - segment.origin) * inv_sqrt_tau_);
      turn_and_add(moments.data() + crowded_[static_cast<std::size_t>(t)] * p * q, angle, q, w);
    });
  });
}

template <class T>
void SortedGaussian<T>::entries(index_t i0, index_t ni, index_t j0, index_t nj, T* out, double* row_sum,
                                Scratch& scratch) const {
  scratch.distances.resize(ni * nj + nj + std::max(ni, nj));
  scratch.columns.resize(nj);
  double* zeros = scratch.distances.data() + ni * nj + nj;
  std::fill_n(zeros, std::max(ni, nj), 0.0);
  difference_kernels().negative_half_distance(u_.data() + i0, ni, 1, u_.data() + j0, this->size(), nj,
                                              scratch.distances.data(), nj);
  RadialTile<T, double> tile;
  tile.dot = scratch.distances.data();
  tile.ld_dot = nj;
  tile.half_i = tile.half_j = zeros;
  tile.share_i = tile.share_j = nullptr;
  tile.ni = ni;
  tile.nj = nj;
  tile.first = -ni;
  tile.power = 2;
  tile.inv_tau = std::min(1 / tau_, std::numeric_limits<double>::max());
  tile.factor = T(1);
  tile.out = out;
  tile.ld_out = nj;
  tile.row_sum = row_sum;
  tile.col_sum = nullptr;
  tile.scratch_s = scratch.distances.data() + ni * nj;
  tile.scratch_t = scratch.columns.data();
  radial_kernels<T, double>().tile(tile);
}

template <class T>
void SortedGaussian<T>::product(const Rows& rows, const T* y, const T* gathered, index_t q, bool diagonal, T* out,
                                Scratch& scratch) const {
  const index_t n = rows.end - rows.begin, p = series_.rank();
  const Segment& segment = segments_[static_cast<std::size_t>(rows.segment)];
  T keep = T(0);
  if (segment.crowded) {
    scratch.phi.resize(chunk * p);
    series_.features(u_.data() + rows.begin, n, segment.origin, inv_sqrt_tau_, scratch.phi.data());
    const index_t c = crowded_[static_cast<std::size_t>(rows.segment)];
    gemm<T>(Trans::no, Trans::no, n, q, p, T(1), scratch.phi.data(), p, gathered + c * p * q, q, T(0), out, q);
    for (index_t e = 0; !diagonal && e < n * q; ++e) out[e] -= y[rows.begin * q + e];
    keep = T(1);
  }
  neighbours(rows.segment, [&](index_t, const Segment& other) {
    if (through_series(segment, other) || apart(segment, other)) return;
    for (index_t j = other.begin; j < other.end; j += tile_cols) {
      poll();
      const index_t nj = std::min(tile_cols, other.end - j);
      scratch.entries.resize(chunk * tile_cols);
      entries(rows.begin, n, j, nj, scratch.entries.data(), nullptr, scratch);
      if (!diagonal) leave_diagonal_out(rows.begin, n, j, nj, scratch.entries.data());
      gemm<T>(Trans::no, Trans::no, n, q, nj, T(1), scratch.entries.data(), nj, y + j * q, q, keep, out, q);
      keep = T(1);
    }
  });
}

template <class T>
void SortedGaussian<T>::row_sums(double* r) const {
  pair_sums(r);
  for (index_t i = 0; i < this->size(); ++i) r[i] += 1;
}

template <class T>
void SortedGaussian<T>::pair_sums(double* r) const {
  const index_t p = series_.rank();
  Buffer<double> gathered(crowded_count_ * p);
  gather<double>(nullptr, 1, gathered.data());
  const Buffer<T> ones(tile_cols, T(1));
  PerWorker<Scratch> scratches;
  parallel_for(static_cast<index_t>(chunks_.size()), [&](index_t c, int worker) {
    Scratch& scratch = scratches[worker];
    const Rows& rows = chunks_[static_cast<std::size_t>(c)];
    const index_t n = rows.end - rows.begin;
    const Segment& segment = segments_[static_cast<std::size_t>(rows.segment)];
    double sums[chunk] = {};
    if (segment.crowded) {
      scratch.phi.resize(chunk * p);
      series_.features(u_.data() + rows.begin, n, segment.origin, inv_sqrt_tau_, scratch.phi.data());
      const double* w = gathered.data() + crowded_[static_cast<std::size_t>(rows.segment)] * p;
      for (index_t i = 0; i < n; ++i) sums[i] = kernels<T>().dot_wide(scratch.phi.data() + i * p, w, p) - 1;
    }
    neighbours(rows.segment, [&](index_t s, const Segment& other) {
      if (through_series(segment, other) || apart(segment, other)) return;
      const bool own = s == rows.segment;
      for (index_t j = other.begin; j < other.end; j += tile_cols) {
        poll();
        const index_t nj = std::min(tile_cols, other.end - j);
        scratch.entries.resize(chunk * tile_cols);
        entries(rows.begin, n, j, nj, scratch.entries.data(), own ? nullptr : sums, scratch);
        if (!own) continue;
        leave_diagonal_out(rows.begin, n, j, nj, scratch.entries.data());
        for (index_t i = 0; i < n; ++i) sums[i] += kernels<T>().dot(scratch.entries.data() + i * nj, ones.data(), nj);
      }
    });
    for (index_t i = 0; i < n; ++i) r[order_[rows.begin + i]] = sums[i];
  });
}

// The diagonal is left out of D, and of α + αᵀ in laplacian(): for small τ it is nearly all of both and would cancel.
template <class T>
void SortedGaussian<T>::degrees(double* degree, double* row_sum) const {
  pair_sums(row_sum);
  for (index_t i = 0; i < this->size(); ++i) {
    degree[i] = 2 * row_sum[i];
    row_sum[i] += 1;
  }
}

// out = factor · α y.
template <class T>
template <class U>
void SortedGaussian<T>::multiply(View<const T> y, T factor, bool diagonal, View<U> out) const {
  const index_t n = this->size(), q = y.cols, p = series_.rank();
  Buffer<T> sorted(n * q), gathered(crowded_count_ * p * q);
  for (index_t i = 0; i < n; ++i) std::copy_n(y.row(order_[i]), q, sorted.data() + i * q);
  gather<T>(sorted.data(), q, gathered.data());
  struct Work {
    Scratch scratch;
    Buffer<T> rows;
  };
  PerWorker<Work> works;
  parallel_for(static_cast<index_t>(chunks_.size()), [&](index_t c, int worker) {
    Work& work = works[worker];
    const Rows& rows = chunks_[static_cast<std::size_t>(c)];
    work.rows.resize(chunk * q);
    product(rows, sorted.data(), gathered.data(), q, diagonal, work.rows.data(), work.scratch);
    for (index_t i = rows.begin; i < rows.end; ++i)
      for (index_t j = 0; j < q; ++j)
        out.row(order_[i])[j] = static_cast<U>(factor * work.rows[(i - rows.begin) * q + j]);
  });
}

template <class T>
void SortedGaussian<T>::laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const {
  const index_t n = this->size(), d = x.features(), p = series_.rank();
  Buffer<double> row_sum(n), degree(n);
  degrees(degree.data(), row_sum.data());
  Buffer<T> sorted(n * d), gathered(crowded_count_ * p * d);
  parallel_for(ceil_div(n, chunk), [&](index_t b, int) {
    x.centered(b * chunk, std::min(chunk, n - b * chunk), order_.data(), sorted.data() + b * chunk * d);
  });
  gather<T>(sorted.data(), d, gathered.data());
  Buffer<T> y(std::min(n, strip_rows + chunk) * d);
  PerWorker<Scratch> scratches;
  const index_t chunks = static_cast<index_t>(chunks_.size());
  for (index_t c0 = 0; c0 < chunks;) {
    const index_t begin = chunks_[static_cast<std::size_t>(c0)].begin;
    index_t c1 = c0 + 1;
    while (c1 < chunks && chunks_[static_cast<std::size_t>(c1)].end <= begin + strip_rows) ++c1;
    parallel_for(c1 - c0, [&](index_t c, int worker) {
      const Rows& rows = chunks_[static_cast<std::size_t>(c0 + c)];
      T* out = y.data() + (rows.begin - begin) * d;
      product(rows, sorted.data(), gathered.data(), d, false, out, scratches[worker]);
    });
    sink.tiles(begin, chunks_[static_cast<std::size_t>(c1 - 1)].end, order_.data(), degree.data(), row_sum.data(),
               {y.data(), y.size() / d, d, d});
    c0 = c1;
  }
}

// Entry by entry: closer to α than products through the series.
template <class T>
void SortedGaussian<T>::to_dense(View<T> out) const {
  const index_t n = this->size();
  struct Work {
    Scratch scratch;
    Buffer<T> rows;
  };
  PerWorker<Work> works;
  parallel_for(ceil_div(n, chunk), [&](index_t b, int worker) {
    Work& work = works[worker];
    const index_t i0 = b * chunk, ni = std::min(chunk, n - i0);
    work.rows.resize(chunk * n);
    entries(i0, ni, 0, n, work.rows.data(), nullptr, work.scratch);
    for (index_t i = 0; i < ni; ++i)
      for (index_t j = 0; j < n; ++j) out.row(order_[i0 + i])[order_[j]] = work.rows[i * n + j];
  });
}

}  // namespace

template <class T>
std::unique_ptr<Importance<T>> gaussian_sorted(const double* u, index_t n, double tau, double tol) {
  return std::make_unique<SortedGaussian<T>>(u, n, tau, tol);
}

template std::unique_ptr<Importance<float>> gaussian_sorted<float>(const double*, index_t, double, double);
template std::unique_ptr<Importance<double>> gaussian_sorted<double>(const double*, index_t, double, double);

}  // namespace alphacl
