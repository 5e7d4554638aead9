// GramSink: packs rows of both views and adds their weighted products to the upper triangle of a d × d matrix.
#include "covariance/gram_sink.h"

#include <algorithm>
#include <cmath>

#include "alphacl/precision.h"
#include "isa/tables/kernels.h"
#include "packing/samples.h"
#include "packing/upper_tiles.h"
#include "runtime/blas.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t accumulator_bytes = index_t{1} << 26;  // bytes of all groups together
constexpr index_t widest_block = 512;

// A unit vector near the main direction of the data: two steps of power iteration over at most 64 rows of length 1.
template <class T>
Buffer<double> main_direction(const Samples<T>& x) {
  constexpr index_t most_rows = 64;
  const index_t d = x.features(), n = std::min(most_rows, x.size());
  Buffer<T> rows(n * d);
  Buffer<double> direction(d), sum(d);
  for (index_t r = 0; r < n; ++r) x.centered(r * x.size() / n, 1, nullptr, rows.data() + r * d);
  for (index_t j = 0; j < d; ++j) direction[j] = random_factor(j);
  for (index_t r = 0; r < n; ++r) {
    T* row = rows.data() + r * d;
    T largest = T(0);
    for (index_t j = 0; j < d; ++j) largest = std::max(largest, std::fabs(row[j]));
    for (index_t j = 0; largest > T(0) && j < d; ++j) row[j] /= largest;
    const double length = std::sqrt(kernels<T>().dot(row, row, d));
    for (index_t j = 0; length > 0 && j < d; ++j) row[j] /= static_cast<T>(length);
  }
  for (int step = 0; step < 2; ++step) {
    std::fill_n(sum.data(), d, 0.0);
    for (index_t r = 0; r < n; ++r) {
      const T* row = rows.data() + r * d;
      double along = 0;
      for (index_t j = 0; j < d; ++j) along += row[j] * direction[j];
      for (index_t j = 0; j < d; ++j) sum[j] += along * row[j];
    }
    const double length = norm_of(sum.data(), d);
    for (index_t j = 0; j < d; ++j) direction[j] = length > 0 ? sum[j] / length : 0;
  }
  return direction;
}

void zero(Buffer<double>& parts, index_t groups) {
  const index_t size = parts.size() / groups;
  parallel_for(groups, [&](index_t g, int) { std::fill_n(parts.data() + g * size, size, 0.0); });
}

index_t block_count(index_t d) { return d <= widest_block ? 1 : ceil_div(d, widest_block / 2); }

}  // namespace

// Scratch of a worker: what it packs.
template <class T>
struct GramSink<T>::Scratch {
  PackedPanels<T> a, b, plain;
  Buffer<T> row, weights, phi, product, delta;
};

// Rows of u and v to be packed and multiplied together, and differences δ that are added on their own.
template <class T>
struct GramSink<T>::Entries {
  index_t count = 0, deltas = 0;
  index_t rows[gram_chunk], delta_rows[gram_chunk];
  T delta_weights[gram_chunk];
  T a[gram_chunk], b[gram_chunk], c[gram_chunk], e[gram_chunk], degree[gram_chunk];

  // u = λ (a x + b (x' − x)), v = ½ (c x + e (x' − x)) / λ, λ the factor of the row.
  void add(index_t row, double u, double u_difference, double v, double v_difference, double of_degree) {
    rows[count] = row;
    const double factor = row_factor(count), other = 0.5 / factor;
    a[count] = static_cast<T>(factor * u);
    b[count] = static_cast<T>(factor * u_difference);
    c[count] = static_cast<T>(other * v);
    e[count] = static_cast<T>(other * v_difference);
    degree[count++] = static_cast<T>(std::fabs(of_degree) / (factor * factor));
  }

  // D x xᵀ − R δδᵀ as D u vᵀ with s² = R/D, if 0 < s² ≤ 1. Otherwise δδᵀ may be most of the result and is added on its
  // own, from δ as it is: u = x − sδ would leave a rounding of ε ‖x‖ in it, which may exceed δ.
  void add(index_t row, double d, double r) {
    constexpr double symmetric = 0.70710678118654752440;
    if (r == 0) return add(row, 1, 0, d, 0, d);
    const double share = d == 2 * r ? 0.5 : r / d;
    if (share > 1 || share <= 0) {
      add(row, 1, 0, d, 0, d);
      delta_rows[deltas] = row;
      delta_weights[deltas++] = static_cast<T>(-r);
    } else {
      const double s = share == 0.5 ? symmetric : std::sqrt(share);
      add(row, 1, s, d, -d * s, d);
    }
  }
};

template <class T>
index_t GramSink<T>::groups(index_t n, index_t d) {
  constexpr index_t most = 64;
  const index_t by_memory = accumulator_bytes / std::max<index_t>(1, d * d * static_cast<index_t>(sizeof(double)));
  const index_t by_rows = n / std::max<index_t>(1024, 2 * d);
  return std::max<index_t>(1, std::min({most, by_memory, by_rows}));
}

template <class T>
GramSink<T>::GramSink(const Samples<T>& x, bool probed, index_t groups) : x_(x), probed_(probed), groups_(groups) {
  const index_t d = x.features();
  panels_ = UpperTiles<T>::panels(d);
  wide_ = panels_ * kernels<T>().panel;
  upper_.resize(groups_ * UpperTiles<T>::entries(d));
  zero(upper_, groups_);
  if (!probed) return;
  probes_ = Buffer<double>(groups_ * 2 * wide_, 0.0);
  vectors_ = Buffer<T>(2 * wide_, T(0));
  const Buffer<double> direction = main_direction(x);
  for (index_t j = 0; j < d; ++j) {
    vectors_[j] = static_cast<T>(random_factor(j));
    vectors_[wide_ + j] = static_cast<T>(direction[j]);
  }
}

template <class T>
void GramSink<T>::probe(const PackedPanels<T>& packed, index_t n, const T* weights, index_t g) {
  for (index_t v = 0; v < 2; ++v)
    kernels<T>().probe(packed.read(0), n, weights, vectors_.data() + v * wide_, probes_.data() + (2 * g + v) * wide_);
}

// upper += aᵀb of n packed rows, or aᵀb + bᵀa where symmetric.
template <class T>
void GramSink<T>::multiply(Scratch& s, index_t n, index_t first, index_t last, double* upper, bool symmetric,
                           RowPrefetch* prefetch) const {
  if (symmetric)
    kernels<T>().cross_gram(s.a.read(0), s.b.read(0), n, first, last, upper, prefetch);
  else
    kernels<T>().gram(s.a.read(0), s.b.read(0), n, first, last, upper);
}

// The sums of group g, beginning at column of tiles `first`.
template <class T>
double* GramSink<T>::tiles_of(index_t g, index_t first) const {
  return upper_.data() + g * UpperTiles<T>::entries(x_.features()) + UpperTiles<T>::before(first);
}

// body(group, i, end, first, last, scratch) for every group, its rows [i, end), and every block [first, last) of
// columns of tiles.
template <class T>
template <class F>
void GramSink<T>::for_groups(index_t groups, index_t n, F&& body) {
  if (n == 0) return;
  const index_t blocks = block_count(x_.features());
  PerWorker<Scratch> scratches;
  parallel_for(groups * blocks, [&](index_t t, int worker) {
    Scratch& s = scratches[worker];
    s.row.resize(x_.features());
    s.a.resize(gram_chunk, x_.features());
    s.b.resize(gram_chunk, x_.features());
    s.weights.resize(gram_chunk);
    const index_t g = t / blocks, b = t % blocks;
    body(g, n * g / groups, n * (g + 1) / groups, panels_ * b / blocks, panels_ * (b + 1) / blocks, s);
  });
}

template <class T>
void GramSink<T>::tiles(index_t begin, index_t end, const index_t* order, const double* degree, const double* row_sum,
                        View<const T> y) {
  const Kernels<T>& kernel = kernels<T>();
  const index_t d = x_.features();
  for_groups(groups_, end - begin, [&](index_t g, index_t i, index_t stop, index_t first, index_t last, Scratch& s) {
    double* upper = tiles_of(g, first);
    for (; i < stop; i += gram_chunk) {
      poll();
      const index_t n = std::min(gram_chunk, stop - i);
      for (index_t r = 0; r < n; ++r) {
        const double w = products_only_ ? 0 : degree[order ? order[begin + i + r] : begin + i + r];
        const double factor = row_factor(r);
        s.weights[r] = static_cast<T>(std::fabs(w) / (factor * factor));
        x_.centered(begin + i + r, 1, order, s.row.data());
        // Adds x zᵀ + z xᵀ with z = ½ D x − y.
        kernel.pack_row(s.row.data(), y.row(i + r), static_cast<T>(0.5 * w), static_cast<T>(factor), d, s.a.rows(r),
                        s.b.rows(r));
      }
      if (probed_ && first == 0) probe(s.a, n, s.weights.data(), g);
      multiply(s, n, first, last, upper, true, nullptr);
      if (products_only_) continue;
      for (index_t r = 0; r < n; ++r) {
        const double w = row_sum[order ? order[begin + i + r] : begin + i + r];
        x_.deltas(begin + i + r, 1, order, s.row.data());
        kernel.pack_row(s.row.data(), nullptr, static_cast<T>(-w), row_factors<T>()[r], d, s.a.rows(r), s.b.rows(r));
      }
      multiply(s, n, first, last, upper, false, nullptr);
    }
  });
}

template <class T>
void GramSink<T>::factors(const double* degree, const double* row_sum, const Features<T>& phi) {
  add_views(nullptr, x_.size(), degree, row_sum, &phi);
}

// The number of groups that share the work, fewer where the moments of all groups would not fit.
template <class T>
index_t GramSink<T>::groups_for(const Features<T>* phi) {
  if (phi == nullptr) return groups_;
  if (moment_groups_ == 0) {
    rank_ = phi->rank();
    const index_t bytes = std::max<index_t>(1, rank_ * wide_ * static_cast<index_t>(sizeof(double)));
    moment_groups_ = std::clamp<index_t>(accumulator_bytes / bytes, 1, groups_);
    moments_.resize(moment_groups_ * rank_ * wide_);
    zero(moments_, moment_groups_);
    if (!phi->nonnegative()) squares_ = Buffer<double>(moment_groups_ * rank_, 0.0);
    if (phi->signs()) signs_.assign(phi->signs(), phi->signs() + rank_);
  }
  return moment_groups_;
}

template <class T>
void GramSink<T>::add_views(const index_t* rows, index_t n, const double* degree, const double* row_sum,
                            const Features<T>* phi) {
  for_groups(groups_for(phi), n, [&](index_t g, index_t i, index_t stop, index_t first, index_t last, Scratch& s) {
    if (phi || probed_) s.plain.resize(gram_chunk, x_.features());
    Entries entries;
    for (; i < stop; ++i) {
      const index_t row = rows ? rows[i] : i;
      entries.add(row, degree[row], row_sum[row]);
      if (entries.count < gram_chunk && i + 1 < stop) continue;
      const index_t next = i + 1, left = std::min(gram_chunk, stop - next);
      RowPrefetch prefetch = x_.prefetch(rows ? rows + next : nullptr, next, left);
      flush(entries, prefetch, phi, g, first, last, s);
    }
  });
}

template <class T>
void GramSink<T>::flush(Entries& entries, RowPrefetch& prefetch, const Features<T>* phi, index_t g, index_t first,
                        index_t last, Scratch& s) {
  const Kernels<T>& kernel = kernels<T>();
  const index_t n = entries.count;
  poll();
  x_.pack({entries.rows, entries.a, entries.b, entries.c, entries.e, n, s.a.rows(0), s.b.rows(0),
           phi || probed_ ? s.plain.rows(0) : Panels<T>{}});
  if (probed_ && first == 0) probe(s.plain, n, entries.degree, g);
  multiply(s, n, first, last, tiles_of(g, first), true, &prefetch);
  if (phi) add_moments(*phi, entries.rows, s.plain, n, {g, first, last}, s);
  entries.count = 0;
  if (entries.deltas == 0) return;
  const index_t d = x_.features();
  s.delta.resize(gram_chunk * d);
  x_.deltas(0, entries.deltas, entries.delta_rows, s.delta.data());
  for (index_t r = 0; r < entries.deltas; ++r)
    kernel.pack_row(s.delta.data() + r * d, nullptr, entries.delta_weights[r], row_factors<T>()[r], d, s.a.rows(r),
                    s.b.rows(r));
  multiply(s, entries.deltas, first, last, tiles_of(g, first), false, nullptr);
  entries.deltas = 0;
}

template <class T>
void GramSink<T>::add_outer(const Samples<T>& z, const index_t* rows, index_t n, const double* weights,
                            const Features<T>* phi) {
  for_groups(groups_for(phi), n, [&](index_t g, index_t i, index_t stop, index_t first, index_t last, Scratch& s) {
    T one[gram_chunk], none[gram_chunk], none_aug[gram_chunk], w[gram_chunk];
    for (; i < stop; i += gram_chunk) {
      poll();
      const index_t count = std::min(gram_chunk, stop - i);
      for (index_t r = 0; r < count; ++r) {
        const double factor = row_factor(r);
        one[r] = static_cast<T>(factor);
        none[r] = none_aug[r] = T(0);
        w[r] = static_cast<T>(weights[rows[i + r]] / factor);
      }
      z.pack({rows + i, one, none, w, none_aug, count, s.a.rows(0), s.b.rows(0), {}});
      multiply(s, count, first, last, tiles_of(g, first), false, nullptr);
      if (phi) add_moments(*phi, rows + i, s.a, count, {g, first, last}, s);
    }
  });
}

// Adds the moments of n packed samples to those of a group; packed rows carry the factor of their row (row_factor).
template <class T>
void GramSink<T>::add_moments(const Features<T>& phi, const index_t* rows, const PackedPanels<T>& packed, index_t n,
                              const Share& share, Scratch& s) {
  const index_t panel = kernels<T>().panel, g = share.group, first = share.first;
  const index_t columns = (share.last - first) * panel;
  s.phi.resize(gram_chunk * rank_);
  s.product.resize(rank_ * columns);
  phi.columns(rows, n, s.phi.data(), gram_chunk);
  T inverse[gram_chunk];
  for (index_t r = 0; r < n; ++r) inverse[r] = static_cast<T>(1 / row_factor(r));
  for (index_t l = 0; l < rank_; ++l)
    for (index_t r = 0; r < n; ++r) s.phi[l * gram_chunk + r] *= inverse[r];
  for (index_t r = 0; r < n; r += moment_chunk) {
    std::fill_n(s.product.data(), rank_ * columns, T(0));
    const index_t end = std::min(n, r + moment_chunk);
    for (index_t c = r; c < end; c += chain_rows) {
      Panels<const T> of_share = packed.read(c, first);
      of_share.count = share.last - first;
      kernels<T>().multiply_tile({s.phi.data() + c, gram_chunk, rank_, std::min(chain_rows, end - c)}, of_share,
                                 s.product.data(), columns, nullptr);
    }
    kernels<T>().add_block(moments_.data() + g * rank_ * wide_ + first * panel, wide_, s.product.data(), columns, rank_,
                           columns);
  }
  if (squares_.size() == 0 || first != 0) return;
  double length[gram_chunk];
  for (index_t r = 0; r < n; ++r) {
    length[r] = 0;
    for (index_t p = 0; p < panels_; ++p) {
      const T* row = packed.read(r, p).data;
      length[r] += kernels<T>().dot(row, row, panel);
    }
  }
  double* squares = squares_.data() + g * rank_;
  for (index_t l = 0; l < rank_; ++l) {
    const T* row = s.phi.data() + l * gram_chunk;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (index_t r = 0; r < n; ++r) sum += static_cast<double>(row[r]) * static_cast<double>(row[r]) * length[r];
    squares[l] += sum;
  }
}

template <class T>
double GramSink<T>::length(const T* x) const {
  return std::sqrt(kernels<T>().dot(x, x, x_.features()));
}

template <class T>
double GramSink<T>::minuend() const {
  double norm[2] = {0, 0};
  for (index_t v = 0; v < 2; ++v)
    for (index_t e = v * wide_; e < (v + 1) * wide_; ++e) {
      double sum = 0;
      for (index_t g = 0; g < groups_; ++g) sum += probes_[g * 2 * wide_ + e];
      norm[v] = std::hypot(norm[v], sum);
    }
  return std::isnan(norm[1]) ? norm[1] : std::max(norm[0], norm[1]);
}

// diag(s) times the moments, nothing where all s are 1.
template <class T>
Buffer<double> GramSink<T>::signed_rows(const Buffer<double>& moments) const {
  Buffer<double> rows(signs_.empty() ? 0 : rank_ * wide_);
  for (index_t e = 0; !signs_.empty() && e < rank_ * wide_; ++e)
    rows[e] = signs_[static_cast<std::size_t>(e / wide_)] * moments[e];
  return rows;
}

template <class T>
typename GramSink<T>::Squared GramSink<T>::squared_moments() const {
  Squared squared;
  if (rank_ == 0) return squared;
  const index_t d = x_.features();
  Buffer<double> moments(rank_ * wide_, 0.0);  // ΦᵀX
  for (index_t g = 0; g < moment_groups_; ++g)
    for (index_t e = 0; e < rank_ * wide_; ++e) moments[e] += moments_[g * rank_ * wide_ + e];
  squared.matrix.resize(d * d);
  const Buffer<double> right = signed_rows(moments);
  if (right.size() == 0)
    syrk<double>(d, rank_, 2.0, moments.data(), wide_, 0.0, squared.matrix.data(), d);
  else
    gemm<double>(Trans::yes, Trans::no, d, d, rank_, 2.0, moments.data(), wide_, right.data(), wide_, 0.0,
                 squared.matrix.data(), d);
  // A moment m = Σ_i φ_i x_i enters as −2 s m mᵀ: its error is 2√2 |s| ‖m‖ times the root of Σ_i φ_i² ‖x_i‖² (times ε),
  // and where s has both signs, these terms may cancel each other.
  for (index_t l = 0; squares_.size() > 0 && l < rank_; ++l) {
    const double* moment = moments.data() + l * wide_;
    const double sign = signs_.empty() ? 1 : signs_[static_cast<std::size_t>(l)];
    double square = 0;
    for (index_t g = 0; g < moment_groups_; ++g) square += squares_[g * rank_ + l];
    const double length = kernels<double>().dot(moment, moment, wide_);
    squared.terms += 8 * sign * sign * length * square;
    if (!signs_.empty()) squared.size += 2 * std::fabs(sign) * length;
  }
  return squared;
}

template <class T>
GramNorms GramSink<T>::finish(double scale, double* out) const {
  const index_t d = x_.features(), panel = kernels<T>().panel, tiles = UpperTiles<T>::entries(d);
  Buffer<double> weighted(panels_), squares(panels_, 0.0), totals(panels_, 0.0);
  const Squared squared = squared_moments();
  parallel_for(panels_, [&](index_t pb, int) {
    double tile[most_panel * most_panel];
    const index_t size = panel * panel, first = pb * panel, columns = std::min(panel, d - first);
    double norm = 0;
    for (index_t pa = 0; pa <= pb; ++pa) {
      std::fill_n(tile, size, 0.0);
      for (index_t g = 0; g < groups_; ++g) {
        const double* part = upper_.data() + g * tiles + UpperTiles<T>::before(pb) + pa * size;
        kernels<double>().add_block(tile, size, part, size, 1, size);
      }
      for (index_t a = 0; pa == pb && a < panel; ++a)
        for (index_t b = 0; b < a; ++b)
          tile[a * panel + b] = tile[b * panel + a] = 0.5 * (tile[a * panel + b] + tile[b * panel + a]);
      norm = std::hypot(norm, (pa == pb ? 1 : std::sqrt(2.0)) * norm_of(tile, size));
      for (index_t a = pa * panel; a < std::min(d, (pa + 1) * panel); ++a)
        std::copy_n(tile + a % panel * panel, columns, out + a * d + first);
    }
    weighted[pb] = norm;
  });
  // The norm of a symmetric matrix over its rows a of a panel: `row` begins on the diagonal and has n numbers.
  const auto add_row = [](double norm, const double* row, index_t n) {
    return std::hypot(norm, std::hypot(row[0], std::sqrt(2.0) * norm_of(row + 1, n - 1)));
  };
  parallel_for(panels_, [&](index_t pa, int) {
    for (index_t a = pa * panel; a < std::min(d, (pa + 1) * panel); ++a) {
      double* row = out + a * d + a;
      if (rank_ > 0) {
        const double* subtrahend = squared.matrix.data() + a * d + a;
        squares[pa] = add_row(squares[pa], subtrahend, d - a);
        for (index_t b = 0; b < d - a; ++b) row[b] -= subtrahend[b];
      }
      kernels<double>().scale_row(row, scale, d - a, row);
      for (index_t b = 1; b < d - a; ++b) row[b * d] = row[b];
      totals[pa] = add_row(totals[pa], row, d - a);
    }
  });
  const auto norm = [](const Buffer<double>& parts) {
    return norm_of(parts.data(), static_cast<index_t>(parts.size()));
  };
  const double unit = std::fabs(scale);
  const double terms = std::sqrt(terms_ * terms_ + squared.terms);
  return {unit * std::max({norm(weighted), norm(squares), squared.size}), norm(totals), unit * terms};
}

template class GramSink<float>;
template class GramSink<double>;

}  // namespace alphacl
