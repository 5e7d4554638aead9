// TiledImportance: operations over an α that is made tile by tile.
#include "importances/tiled.h"

#include <algorithm>
#include <cmath>

#include "alphacl/precision.h"
#include "isa/tables/kernels.h"
#include "packing/packed_panels.h"
#include "packing/samples.h"
#include "runtime/blas.h"
#include "runtime/twofold_sum.h"

namespace alphacl {
namespace {

// Tiles of 64 … 512 × 384 stay in the second-level cache, and multiply_tile runs near the peak. Their height depends on
// N alone, so results do not depend on the number of threads.
constexpr index_t tile_cols = 384;
static_assert(tile_cols <= most_multiplied, "a tile is multiplied at once");
// Rows of a tile lie 25 cache lines apart in float32 and 50 in double: 24 lines apart they would share eight sets of
// the first-level cache.
constexpr index_t tile_stride = tile_cols + 16;
// Columns of a tile whose products are added up in T; chains of 384 had 3 times the error.
constexpr index_t most_added = 64;
// Columns of a product for which each entry of α + αᵀ is made once and used for both samples of its pair, where row
// sums follow from degrees.
constexpr index_t few_columns = 4;
// Entries that are summed in a double before that is added to a sum of two doubles: 1/N, N times, rounds one way.
constexpr index_t most_summed = 16;
constexpr index_t blocks_per_strip = 32;
constexpr index_t most_rows = 512;
index_t tile_rows(index_t n) {
  const index_t rows = ceil_div(ceil_div(n, blocks_per_strip), 32) * 32;
  return std::clamp<index_t>(rows, 64, most_rows);
}

template <class T>
struct Work {
  TileScratch<T> tile;
  Buffer<T> entries, transposed, product;
};

// Multiplies row i of a tile (ni × nj, row stride ld) with row_factor(i).
template <class T>
void scale_rows(T* tile, index_t ld, index_t ni, index_t nj) {
  for (index_t i = 0; i < ni; ++i)
    kernels<T>().scale_row(tile + i * ld, static_cast<T>(row_factor(i)), nj, tile + i * ld);
}

template <class T>
double strided_sum(const T* first, index_t stride, index_t count) {
  double sum = 0;
  for (index_t l = 0; l < count; ++l) sum += static_cast<double>(first[l * stride]);
  return sum;
}

// Packs the centred samples; `length`, where it has room, gets the sink's length of each.
template <class T>
void pack_samples(const Samples<T>& x, const LaplacianSink<T>& sink, PackedPanels<T>& packed, Buffer<double>& length) {
  const index_t n = x.size(), d = x.features(), height = tile_rows(n);
  PerWorker<Buffer<T>> rows;
  parallel_for(ceil_div(n, height), [&](index_t b, int worker) {
    Buffer<T>& row = rows[worker];
    row.resize(d);
    for (index_t i = b * height; i < std::min(n, (b + 1) * height); ++i) {
      x.centered(i, 1, nullptr, row.data());
      if (length.size() > 0) length[i] = sink.length(row.data());
      kernels<T>().pack_row(row.data(), nullptr, T(1), T(1), d, packed.rows(i), {});
    }
  });
}

}  // namespace

template <class T>
void TiledImportance<T>::laplacian(const Samples<T>& x, LaplacianSink<T>& sink) const {
  const index_t n = this->size(), d = x.features(), height = tile_rows(n);
  const Kernels<T>& kernel = kernels<T>();
  PackedPanels<T> packed(n, d);
  const index_t wide = packed.width(), probed = this->nonnegative() ? 0 : n;
  Buffer<double> length(probed), products(probed, 0.0);
  pack_samples(x, sink, packed, length);
  Buffer<T> probe(probed);
  const double longest = random_probe(length.data(), probed, 1, probe.data());
  Buffer<double> degree(n, 0.0), row_sum(n, 0.0);
  const index_t strip = blocks_per_strip * height;
  Buffer<T> y(std::min(strip, n) * wide);
  Buffer<double> parts(std::min(blocks_per_strip, ceil_div(n, height)) * n * (keeps_row_sums() ? 2 : 1));
  PerWorker<Work<T>> works;

  for (index_t begin = 0; begin < n; begin += strip) {
    const index_t end = std::min(n, begin + strip), blocks = ceil_div(end - begin, height);
    parallel_for(blocks, [&](index_t b, int worker) {
      Work<T>& work = works[worker];
      work.entries.resize(height * tile_stride);
      const index_t i0 = begin + b * height, ni = std::min(height, n - i0);
      const TileSums<T> sums = {parts.data() + b * n, keeps_row_sums() ? parts.data() + (blocks + b) * n : nullptr,
                                probed > 0 ? probe.data() : nullptr, products.data()};
      std::fill(sums.degree + i0, sums.degree + n, 0.0);
      if (sums.row_sum) std::fill(sums.row_sum + i0, sums.row_sum + n, 0.0);
      T* rows = y.data() + (i0 - begin) * wide;
      std::fill_n(rows, ni * wide, T(0));
      for (index_t j0 = i0; j0 < n; j0 += tile_cols) {
        poll();
        const Tile where = {i0, ni, j0, std::min(tile_cols, n - j0)};
        const index_t jn = j0 + tile_cols < n ? j0 + tile_cols : i0;
        TilePrefetch prefetch{};
        const bool prefetches = may_prefetch({i0, ni, jn, std::min(tile_cols, n - jn)}, prefetch);
        T* entries = work.entries.data();
        if (!half_tile(where, entries, tile_stride, sums, work.tile)) continue;
        // y_i = Σ_j (λ_i β_ij) x_j / λ_i, λ = row_factor: rows with equal entries then round differently.
        scale_rows(entries, tile_stride, ni, where.nj);
        kernel.multiply_tile({entries, tile_stride, ni, where.nj}, packed.read(j0), rows, wide,
                             prefetches ? &prefetch : nullptr);
      }
      for (index_t i = 0; i < ni; ++i)
        kernel.scale_row(rows + i * wide, static_cast<T>(1 / row_factor(i)), d, rows + i * wide);
    });
    parallel_for(ceil_div(n - begin, tile_cols), [&](index_t c, int) {
      const index_t j0 = begin + c * tile_cols, j1 = std::min(n, j0 + tile_cols);
      for (index_t b = 0; b < blocks; ++b) {
        const index_t from = std::max(j0, begin + b * height);  // sums of a block begin at its own rows
        for (index_t j = from; j < j1; ++j) degree[j] += parts[b * n + j];
        if (keeps_row_sums())
          for (index_t j = from; j < j1; ++j) row_sum[j] += parts[(blocks + b) * n + j];
      }
    });
    row_sums_of(begin, end, degree.data(), row_sum.data());
    sink.tiles(begin, end, nullptr, degree.data(), row_sum.data(), {y.data(), end - begin, d, wide});
  }
  if (longest == 0) return;
  double squares = 0;
  for (index_t i = 0; i < n; ++i) squares += length[i] * length[i] * (products[i] * products[i]);
  sink.terms(longest * std::sqrt(2 * squares));
}

// out (ni × nj) += the transpose of a tile (nj × ni), in squares that stay in the first-level cache.
template <class T>
void add_transposed(const T* tile, index_t ni, index_t nj, T* out) {
  constexpr index_t square = 32;
  for (index_t i0 = 0; i0 < ni; i0 += square)
    for (index_t j0 = 0; j0 < nj; j0 += square)
      for (index_t i = i0; i < std::min(ni, i0 + square); ++i)
        for (index_t j = j0; j < std::min(nj, j0 + square); ++j) out[i * nj + j] += tile[j * ni + i];
}

// Making entries costs most: those above the diagonal are made alone. All sums are double.
template <class T>
void TiledImportance<T>::product_of_few(View<const T> y, View<double> out, double* degree, double* row_sum) const {
  const index_t n = this->size(), q = y.cols, height = tile_rows(n), strip = blocks_per_strip * height;
  // The columns of y, and where the degrees are asked for one of ones.
  const index_t columns = q + (degree == nullptr ? 0 : 1);
  Buffer<double> factors(columns * n, 1.0);
  for (index_t k = 0; k < q; ++k)
    for (index_t i = 0; i < n; ++i) factors[k * n + i] = static_cast<double>(y.row(i)[k]);
  Buffer<double> sums(columns * n, 0.0);
  Buffer<double> parts(std::min(blocks_per_strip, ceil_div(n, height)) * columns * n);
  PerWorker<Work<T>> works;
  for (index_t begin = 0; begin < n; begin += strip) {
    const index_t end = std::min(n, begin + strip), blocks = ceil_div(end - begin, height);
    // Of column k: what the rows of block b give to samples j ≥ its first.
    const auto part = [&](index_t b, index_t k) { return parts.data() + (b * columns + k) * n; };
    parallel_for(blocks, [&](index_t b, int worker) {
      Work<T>& work = works[worker];
      work.entries.resize(height * tile_stride);
      const index_t i0 = begin + b * height, ni = std::min(height, n - i0);
      for (index_t k = 0; k < columns; ++k) std::fill(part(b, k) + i0, part(b, k) + n, 0.0);
      for (index_t j0 = i0; j0 < n; j0 += tile_cols) {
        poll();
        const Tile where = {i0, ni, j0, std::min(tile_cols, n - j0)};
        if (!half_tile(where, work.entries.data(), tile_stride, {}, work.tile)) continue;
        const BothSides vectors = {factors.data() + i0, factors.data() + j0, sums.data() + i0, part(b, 0) + j0, n};
        kernels<T>().multiply_both_ways({work.entries.data(), tile_stride, ni, where.nj}, vectors, columns);
      }
    });
    parallel_for(ceil_div(n - begin, tile_cols), [&](index_t c, int) {
      const index_t j0 = begin + c * tile_cols, j1 = std::min(n, j0 + tile_cols);
      for (index_t b = 0; b < blocks; ++b)
        for (index_t k = 0; k < columns; ++k)
          for (index_t j = std::max(j0, begin + b * height); j < j1; ++j) sums[k * n + j] += part(b, k)[j];
    });
  }
  for (index_t i = 0; i < n; ++i)
    for (index_t k = 0; k < q; ++k) out.row(i)[k] = sums[k * n + i];
  if (degree == nullptr) return;
  std::copy_n(sums.data() + q * n, n, degree);
  row_sums_of(0, n, degree, row_sum);
}

// The diagonal of α is left out of D and of out.
template <class T>
void TiledImportance<T>::symmetric_product(View<const T> y, View<double> out, double* degree, double* row_sum) const {
  const index_t n = this->size(), q = y.cols, height = tile_rows(n);
  const bool symmetric = this->symmetric(), sums = degree != nullptr;
  if (q <= few_columns && !keeps_row_sums()) return product_of_few(y, out, degree, row_sum);
  const Kernels<T>& kernel = kernels<T>();
  const Buffer<T> ones(tile_cols, T(1));
  PerWorker<Work<T>> works;
  parallel_for(ceil_div(n, height), [&](index_t b, int worker) {
    Work<T>& work = works[worker];
    work.entries.resize(height * tile_cols);
    const index_t i0 = b * height, ni = std::min(height, n - i0);
    work.product.resize(height * q);
    for (index_t i = 0; i < ni; ++i) std::fill_n(out.row(i0 + i), q, 0.0);
    double own[most_rows];
    if (sums) std::fill_n(degree + i0, ni, 0.0);
    if (sums) std::fill_n(row_sum + i0, ni, 0.0);
    for (index_t j0 = 0; j0 < n; j0 += tile_cols) {
      poll();
      const index_t nj = std::min(tile_cols, n - j0);
      T* entries = work.entries.data();
      tile({i0, ni, j0, nj}, entries, nj, work.tile);
      for (index_t i = std::max(i0, j0); i < std::min(i0 + ni, j0 + nj); ++i) {
        T& entry = entries[(i - i0) * nj + (i - j0)];
        own[i - i0] = static_cast<double>(entry);
        entry = T(0);
      }
      for (index_t i = 0; sums && i < ni; ++i) row_sum[i0 + i] += kernel.dot(entries + i * nj, ones.data(), nj);
      if (!symmetric) {
        work.transposed.resize(height * tile_cols);
        tile({j0, nj, i0, ni}, work.transposed.data(), ni, work.tile);
        for (index_t i = std::max(i0, j0); i < std::min(i0 + ni, j0 + nj); ++i)
          work.transposed[(i - j0) * ni + (i - i0)] = T(0);
        add_transposed(work.transposed.data(), ni, nj, entries);
        for (index_t i = 0; sums && i < ni; ++i) degree[i0 + i] += kernel.dot(entries + i * nj, ones.data(), nj);
      }
      if (q == 0) continue;
      // out_i = Σ_j (λ_i β_ij) y_j / λ_i, λ = row_factor: rows with equal entries then round differently.
      scale_rows(entries, nj, ni, nj);
      for (index_t k = 0; k < nj; k += most_added) {
        gemm<T>(Trans::no, Trans::no, ni, q, std::min(most_added, nj - k), T(1), entries + k, nj, y.row(j0 + k),
                y.stride, T(0), work.product.data(), q);
        kernel.add_block(out.row(i0), out.stride, work.product.data(), q, ni, q);
      }
    }
    for (index_t i = 0; i < ni; ++i) {
      const double factor = (symmetric ? 2 : 1) / static_cast<double>(static_cast<T>(row_factor(i)));
      for (index_t k = 0; k < q; ++k) out.row(i0 + i)[k] *= factor;
    }
    for (index_t i = 0; sums && i < ni; ++i) {
      if (symmetric) degree[i0 + i] = 2 * row_sum[i0 + i];
      row_sum[i0 + i] += own[i];
    }
  });
}

template <class T>
void TiledImportance<T>::matmul(View<const T> y, View<T> out) const {
  const index_t n = this->size(), q = y.cols, height = tile_rows(n);
  Buffer<T> packed(n * q);  // whatever the strides of y are
  for (index_t i = 0; i < n; ++i) std::copy_n(y.row(i), q, packed.data() + i * q);
  PerWorker<Work<T>> works;
  parallel_for(ceil_div(n, height), [&](index_t b, int worker) {
    Work<T>& work = works[worker];
    work.entries.resize(height * tile_cols);
    const index_t k0 = b * height, nk = std::min(height, n - k0);
    for (index_t l0 = 0; l0 < n; l0 += tile_cols) {
      poll();
      const index_t nl = std::min(tile_cols, n - l0);
      const Tile where = {k0, nk, l0, nl};
      tile(where, work.entries.data(), where.nj, work.tile);
      gemm<T>(Trans::no, Trans::no, nk, q, nl, T(1), work.entries.data(), where.nj, packed.data() + l0 * q, q,
              l0 == 0 ? T(0) : T(1), out.row(k0), out.stride);
    }
  });
}

template <class T>
void TiledImportance<T>::sums(double* out, bool of_columns) const {
  const index_t n = this->size(), height = tile_rows(n);
  PerWorker<Work<T>> works;
  parallel_for(ceil_div(n, height), [&](index_t b, int worker) {
    Work<T>& work = works[worker];
    work.entries.resize(height * tile_cols);
    const index_t k0 = b * height, nk = std::min(height, n - k0);
    TwofoldSum total[most_rows];
    for (index_t l0 = 0; l0 < n; l0 += tile_cols) {
      poll();
      const index_t nl = std::min(tile_cols, n - l0);
      const Tile where = of_columns ? Tile{l0, nl, k0, nk} : Tile{k0, nk, l0, nl};
      tile(where, work.entries.data(), where.nj, work.tile);
      const index_t along_k = of_columns ? 1 : nl, along_l = of_columns ? nk : 1;
      for (index_t l = 0; l < nl; l += most_summed)
        for (index_t k = 0; k < nk; ++k)
          total[k].add(
              strided_sum(work.entries.data() + k * along_k + l * along_l, along_l, std::min(most_summed, nl - l)));
    }
    for (index_t k = 0; k < nk; ++k) out[k0 + k] = total[k].value();
  });
}

template <class T>
void TiledImportance<T>::to_dense(View<T> out) const {
  const index_t n = this->size(), height = tile_rows(n);
  PerWorker<Work<T>> works;
  parallel_for(ceil_div(n, height), [&](index_t b, int worker) {
    const index_t i0 = b * height, ni = std::min(height, n - i0);
    for (index_t j0 = 0; j0 < n; j0 += tile_cols) {
      poll();
      tile({i0, ni, j0, std::min(tile_cols, n - j0)}, out.row(i0) + j0, out.stride, works[worker].tile);
    }
  });
}

template class TiledImportance<float>;
template class TiledImportance<double>;

}  // namespace alphacl
