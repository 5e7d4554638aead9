// Packing into panels, Gram matrices and products of tiles with panels, in registers. Included inside the anonymous
// namespace of kernels.cpp.
//
// A tile of a Gram matrix, P × P, reads two panels of P columns (isa/tables/panels.h). On two Zen 4 cores the BLAS's
// syrk reaches 170 GFLOP/s at d = 256 and 110 at d = 64, these kernels 190 and 160.

// The most rows of a product that are summed in registers. With AVX2 six take 8 loads for 12 multiply-adds, four 6 for
// 8: on two Zen 3 cores multiply_tile reaches 135 GFLOP/s with six and 95 with four, gram 122 and 105.
constexpr index_t gram_rows = vector_bytes == 64 ? 16 : (vector_bytes == 32 ? 6 : 2);
constexpr index_t product_rows = vector_bytes == 64 ? 8 : (vector_bytes == 32 ? 6 : 2);

template <class T>
constexpr index_t panel_width = 64 / static_cast<index_t>(sizeof(T));
static_assert(panel_width<float> <= most_panel);

template <class T>
void pack_row(const T* x, const T* y, T w, T factor, index_t d, Panels<T> plain_row, Panels<T> weighted_row) {
  constexpr index_t P = panel_width<T>;
  const index_t stride = plain_row.stride;
  T *plain = plain_row.data, *weighted = weighted_row.data;
  if (weighted == nullptr) {
    index_t c = 0;
    for (; c + P <= d; c += P, plain += P * stride) {
#pragma omp simd
      for (index_t j = 0; j < P; ++j) plain[j] = factor * x[c + j];
    }
    for (index_t j = 0; c < d && j < P; ++j) plain[j] = c + j < d ? factor * x[c + j] : T(0);
    return;
  }
  const T inverse = 1 / factor;
  w *= inverse;
  for (index_t c = 0; c < d; c += P, plain += P * stride, weighted += P * stride) {
    if (d - c < P) {
      for (index_t j = 0; j < P; ++j) {
        const T value = c + j < d ? x[c + j] : T(0);
        plain[j] = factor * value;
        weighted[j] = w * value - (y != nullptr && c + j < d ? inverse * y[c + j] : T(0));
      }
    } else if (y != nullptr) {
#pragma omp simd
      for (index_t j = 0; j < P; ++j) {
        plain[j] = factor * x[c + j];
        weighted[j] = w * x[c + j] - inverse * y[c + j];
      }
    } else {
#pragma omp simd
      for (index_t j = 0; j < P; ++j) {
        plain[j] = factor * x[c + j];
        weighted[j] = w * x[c + j];
      }
    }
  }
}

template <class T>
void pack_rows(const PackRows<T>& q) {
  constexpr index_t P = panel_width<T>;
  for (index_t r = 0; r < q.n; ++r) {
    // The rows are scattered: prefetch four rows ahead.
    if (r + 4 < q.n)
      for (index_t c = 0; c < q.d; c += P) __builtin_prefetch(q.x + q.rows[r + 4] * q.stride_x + c);
    const index_t at = q.first + r;
    const Panels<T> plain = {q.plain.data + at * P, q.plain.stride, q.plain.count};
    const Panels<T> weighted = {q.weighted.data + at * P, q.weighted.stride, q.weighted.count};
    pack_row(q.x + q.rows[r] * q.stride_x, static_cast<const T*>(nullptr), q.w[r], q.factors[at], q.d, plain, weighted);
  }
}

template <class T>
void pack_columns(View<const T> x, T* panel) {
  constexpr index_t P = panel_width<T>;
  transpose<T, T>(x.data, x.stride, x.cols, x.rows, panel, P);
  for (index_t k = 0; x.rows < P && k < x.cols; ++k)
    for (index_t r = x.rows; r < P; ++r) panel[k * P + r] = T(0);
}

template <class T, class S, bool shifted, bool with_plain>
void pack_view_rows(const PackViews<T, S>& q) {
  constexpr index_t P = panel_width<T>, lanes = Wide<T, S>::lanes;
  typedef typename Wide<T, S>::type V;
  const index_t whole = q.d / P * P;
  for (index_t r = 0; r < q.n; ++r) {
    const S *x = q.x + q.rows[r] * q.stride_x, *y = q.x_aug + q.rows[r] * q.stride_aug;
    const T a = q.a[r], b = q.b[r], c = q.c[r], e = q.e[r], k = q.k[r], p = with_plain ? q.p[r] : T(0);
    T *u = q.u.data + r * P, *v = q.v.data + r * P, *plain = with_plain ? q.plain.data + r * P : nullptr;
    index_t j = 0;
    for (; j < whole; j += P) {
#pragma GCC unroll 4
      for (index_t l = 0; l < P; l += lanes) {
        V first, second;
        Wide<T, S>::load(x + j + l, &first);
        Wide<T, S>::load(y + j + l, &second);
        if constexpr (shifted) {
          V shift;
          Wide<T, T>::load(q.shift + j + l, &shift);
          first -= shift;
          second -= shift;
        }
        second -= k * first;
        Wide<T, T>::store(a * first + b * second, u + l);
        Wide<T, T>::store(c * first + e * second, v + l);
        if constexpr (with_plain) Wide<T, T>::store(p * first, plain + l);
      }
      u += P * q.u.stride;
      v += P * q.u.stride;
      if constexpr (with_plain) plain += P * q.u.stride;
    }
    if (j == q.d) continue;
    for (index_t l = 0; l < P; ++l) {
      const bool inside = j + l < q.d;
      const T shift = inside && shifted ? q.shift[j + l] : T(0);
      const T first = inside ? static_cast<T>(x[j + l]) - shift : T(0);
      const T second = inside ? static_cast<T>(y[j + l]) - shift - k * first : T(0);
      u[l] = inside ? a * first + b * second : T(0);
      v[l] = inside ? c * first + e * second : T(0);
      if constexpr (with_plain) plain[l] = inside ? p * first : T(0);
    }
  }
}

template <class T, class S>
void pack_views(const PackViews<T, S>& q) {
  if (q.plain.data != nullptr) {
    q.shift != nullptr ? pack_view_rows<T, S, true, true>(q) : pack_view_rows<T, S, false, true>(q);
  } else {
    q.shift != nullptr ? pack_view_rows<T, S, true, false>(q) : pack_view_rows<T, S, false, false>(q);
  }
}

// Prefetches the next `count` lines.
inline void prefetch_lines(RowPrefetch& prefetch, index_t count) {
  while (count > 0 && prefetch.row < prefetch.n) {
    const index_t row = prefetch.rows != nullptr ? prefetch.rows[prefetch.row] : prefetch.first + prefetch.row;
    const char* const x = prefetch.base[0] + row * prefetch.stride[0];
    const char* const x_aug = prefetch.base[1] + row * prefetch.stride[1];
    const index_t end = prefetch.lines - prefetch.line < count ? prefetch.lines : prefetch.line + count;
    count -= end - prefetch.line;
    for (index_t l = prefetch.line; l < end; ++l) {
      __builtin_prefetch(x + l * 64, 0, 2);
      __builtin_prefetch(x_aug + l * 64, 0, 2);
    }
    prefetch.line = end < prefetch.lines ? end : 0;
    prefetch.row += end == prefetch.lines;
  }
}

// `rows` rows of a P × P tile of the result, in registers.
template <class T, index_t rows>
struct GramTile {
  static constexpr index_t P = panel_width<T>, vectors = 64 / vector_bytes, lanes = P / vectors;
  typedef typename Wide<T, T>::type V;
  V sums[rows][vectors];    // of the chain at hand
  V chains[rows][vectors];  // of the chains before

  // An initialiser of both would clear them in memory, not in registers.
  inline __attribute__((always_inline)) void clear() {
#pragma GCC unroll 16
    for (index_t i = 0; i < rows; ++i) {
#pragma GCC unroll 4
      for (index_t v = 0; v < vectors; ++v) sums[i][v] = chains[i][v] = V{};
    }
  }
  // += aᵀ b for the n rows of two panels.
  inline __attribute__((always_inline)) void add(const T* left, const T* right, index_t n) {
    for (index_t r = 0; r < n; ++r, left += P, right += P) {
      V row[vectors];
#pragma GCC unroll 4
      for (index_t v = 0; v < vectors; ++v) Wide<T, T>::load(right + v * lanes, &row[v]);
#pragma GCC unroll 16
      for (index_t i = 0; i < rows; ++i) {
#pragma GCC unroll 4
        for (index_t v = 0; v < vectors; ++v) sums[i][v] += left[i] * row[v];
      }
    }
  }
  // Every chain_rows rows (isa/tables/panels.h).
  inline __attribute__((always_inline)) void end_chain() {
#pragma GCC unroll 16
    for (index_t i = 0; i < rows; ++i) {
#pragma GCC unroll 4
      for (index_t v = 0; v < vectors; ++v) {
        chains[i][v] += sums[i][v];
        sums[i][v] = V{};
      }
    }
  }
  inline __attribute__((always_inline)) void flush(double factor, double* acc) const {
#pragma GCC unroll 16
    for (index_t i = 0; i < rows; ++i) {
#pragma GCC unroll 4
      for (index_t v = 0; v < vectors; ++v) {
#pragma GCC unroll 16
        for (index_t l = 0; l < lanes; ++l) acc[i * P + v * lanes + l] += factor * static_cast<double>(chains[i][v][l]);
      }
    }
  }
};

// A P × P tile of the result is as few pieces as have at most gram_rows rows each.
template <class T>
constexpr index_t gram_pieces = (panel_width<T> + gram_rows - 1) / gram_rows;

// body(piece, i0) for every piece of a tile, cleared, and its first row.
template <class T, index_t i0 = 0, class F>
inline __attribute__((always_inline)) void for_pieces(F&& body) {
  constexpr index_t P = panel_width<T>, most = (P + gram_pieces<T> - 1) / gram_pieces<T>;
  GramTile<T, (most < P - i0 ? most : P - i0)> piece;
  piece.clear();
  body(piece, i0);
  if constexpr (i0 + most < P) for_pieces<T, i0 + most>(body);
}

template <class T>
void gram(Panels<const T> a, Panels<const T> b, index_t n, index_t first, index_t last, double* acc) {
  constexpr index_t P = panel_width<T>;
  for (index_t pb = first; pb < last; ++pb)
    for (index_t pa = 0; pa <= pb; ++pa, acc += P * P)
      for_pieces<T>([&](auto& tile, index_t i0) __attribute__((always_inline)) {
        const T *left = a.data + pa * P * a.stride + i0, *right = b.data + pb * P * a.stride;
        for (index_t r = 0; r < n; r += chain_rows) {
          tile.add(left + r * P, right + r * P, n - r < chain_rows ? n - r : chain_rows);
          tile.end_chain();
        }
        tile.flush(1, acc + i0 * P);
      });
}

template <class T>
void cross_gram(Panels<const T> u, Panels<const T> v, index_t n, index_t first, index_t last, double* acc,
                RowPrefetch* prefetch) {
  constexpr index_t P = panel_width<T>;
  const index_t pieces = (last * (last + 1) - first * (first + 1)) / 2 * gram_pieces<T>;
  const index_t each = prefetch == nullptr || pieces == 0 ? 0 : prefetch->n * prefetch->lines / pieces + 1;
  for (index_t pb = first; pb < last; ++pb)
    for (index_t pa = 0; pa <= pb; ++pa, acc += P * P)
      for_pieces<T>([&](auto& tile, index_t i0) __attribute__((always_inline)) {
        if (prefetch != nullptr) prefetch_lines(*prefetch, each);
        const index_t left = pa * P * u.stride + i0, right = pb * P * u.stride;
        for (index_t r = 0; r < n; r += chain_rows) {
          const index_t count = n - r < chain_rows ? n - r : chain_rows;
          tile.add(u.data + left + r * P, v.data + right + r * P, count);
          if (pa < pb) tile.add(v.data + left + r * P, u.data + right + r * P, count);
          tile.end_chain();
        }
        tile.flush(pa < pb ? 1 : 2, acc + i0 * P);
      });
}

template <class T>
void probe(Panels<const T> x, index_t n, const T* weights, const T* signs, double* acc) {
  constexpr index_t P = panel_width<T>;
  const index_t stride = x.stride, count = x.count;
  T sums[gram_chunk * P] = {}, along[gram_chunk];
  for (index_t c = 0; c < count; ++c) {
    const T *rows = x.data + c * P * stride, *sign = signs + c * P;
    for (index_t r = 0; r < n; ++r) {
#pragma omp simd
      for (index_t j = 0; j < P; ++j) sums[r * P + j] += rows[r * P + j] * sign[j];
    }
  }
  for (index_t r = 0; r < n; ++r) {
    T sum = T(0);
    for (index_t j = 0; j < P; ++j) sum += sums[r * P + j];
    along[r] = weights[r] * sum;
  }
  for (index_t c = 0; c < count; ++c) {
    const T* rows = x.data + c * P * stride;
    T product[P] = {};
    for (index_t r = 0; r < n; ++r) {
#pragma omp simd
      for (index_t j = 0; j < P; ++j) product[j] += along[r] * rows[r * P + j];
    }
    for (index_t j = 0; j < P; ++j) acc[c * P + j] += static_cast<double>(product[j]);
  }
}

// out (rows × panels · P) += tile (rows × n) · the panels, prefetching one of `lines` every eight steps. `across`: the
// tile is given as its transpose, n × rows.
template <class T, bool across, index_t rows, index_t panels>
inline void multiply_rows(const LeftTile<T>& tile, Panels<const T> packed, T* out, index_t ld_out,
                          const char* const* lines) {
  constexpr index_t P = panel_width<T>, lanes = Wide<T, T>::lanes, vectors = panels * P / lanes, each = P / lanes;
  typedef typename Wide<T, T>::type V;
  const T *const left = tile.data, *const right = packed.data;
  const index_t ld = tile.ld, n = tile.n, stride = packed.stride;
  // Rows of `out` lie up to pages apart, beyond the hardware's prefetch: on a Zen 3 core with a busy neighbour products
  // with 128 columns were 5 to 10 % faster, with 768 up to 25 %.
  for (index_t i = 0; i < rows; ++i)
    for (index_t p = 0; p < panels; ++p) __builtin_prefetch(out + i * ld_out + p * P, 1);
  V sums[rows][vectors] = {};
  for (index_t j = 0; j < n; ++j) {
    if (j % 8 == 0 && lines != nullptr) __builtin_prefetch(lines[j / 8], 0, 2);
    V x[vectors];
#pragma GCC unroll 8
    for (index_t v = 0; v < vectors; ++v)
      Wide<T, T>::load(right + (v / each * stride + j) * P + v % each * lanes, &x[v]);
#pragma GCC unroll 8
    for (index_t i = 0; i < rows; ++i) {
      const T entry = across ? left[j * ld + i] : left[i * ld + j];
#pragma GCC unroll 8
      for (index_t v = 0; v < vectors; ++v) sums[i][v] += entry * x[v];
    }
  }
  for (index_t i = 0; i < rows; ++i) {
    for (index_t v = 0; v < vectors; ++v) {
      V y;
      Wide<T, T>::load(out + i * ld_out + v * lanes, &y);
      Wide<T, T>::store(y + sums[i][v], out + i * ld_out + v * lanes);
    }
  }
}

// The next `count` lines to prefetch, one for every eight rows of a panel; null where nothing is wanted.
inline const char* const* tile_lines(TilePrefetch* prefetch, index_t count, const char** lines) {
  if (prefetch == nullptr) return nullptr;
  for (index_t l = 0; l < count; ++l) {
    const TilePrefetch::Block& block = prefetch->block[prefetch->current];
    lines[l] = block.base + prefetch->row * block.stride + prefetch->line * 64;
    if (++prefetch->line < block.lines) continue;
    prefetch->line = 0;
    if (++prefetch->row < block.rows) continue;
    prefetch->row = 0;
    prefetch->current = 1 - prefetch->current;
  }
  return lines;
}

// `panels` panels of `packed` times the rows of a tile.
template <class T, bool across, index_t panels>
inline void multiply_panels(const LeftTile<T>& tile, Panels<const T> packed, T* out, index_t ld_out,
                            TilePrefetch* prefetch) {
  constexpr index_t rows = product_rows;
  const index_t step = across ? 1 : tile.ld, ni = tile.ni;
  const char* lines[most_multiplied / 8];
  index_t i = 0;
  const auto from = [&] { return LeftTile<T>{tile.data + i * step, tile.ld, ni - i, tile.n}; };
  for (; i + rows <= ni; i += rows)
    multiply_rows<T, across, rows, panels>(from(), packed, out + i * ld_out, ld_out,
                                           tile_lines(prefetch, (tile.n + 7) / 8, lines));
  if constexpr (rows > 4) {
    for (; i + 4 <= ni; i += 4) multiply_rows<T, across, 4, panels>(from(), packed, out + i * ld_out, ld_out, nullptr);
  }
  if constexpr (rows > 2) {
    for (; i + 2 <= ni; i += 2) multiply_rows<T, across, 2, panels>(from(), packed, out + i * ld_out, ld_out, nullptr);
  }
  for (; i < ni; ++i) multiply_rows<T, across, 1, panels>(from(), packed, out + i * ld_out, ld_out, nullptr);
}

template <class T, bool across>
void multiply_bands(const LeftTile<T>& tile, Panels<const T> packed, T* out, index_t ld_out, TilePrefetch* prefetch) {
  constexpr index_t P = panel_width<T>, together = vector_bytes == 64 ? 2 : 1;
  // A band of the tile stays in the first-level cache.
  constexpr index_t band = 32 / product_rows * product_rows;
  for (index_t i = 0; i < tile.ni; i += band) {
    const index_t height = tile.ni - i < band ? tile.ni - i : band;
    const LeftTile<T> rows = {tile.data + (across ? i : i * tile.ld), tile.ld, height, tile.n};
    T* to = out + i * ld_out;
    index_t c = 0;
    const auto from = [&] {
      return Panels<const T>{packed.data + c * P * packed.stride, packed.stride, packed.count - c};
    };
    for (; c + together <= packed.count; c += together)
      multiply_panels<T, across, together>(rows, from(), to + c * P, ld_out, prefetch);
    for (; c < packed.count; ++c) multiply_panels<T, across, 1>(rows, from(), to + c * P, ld_out, prefetch);
  }
}

template <class T>
void multiply_tile(const LeftTile<T>& tile, Panels<const T> packed, T* out, index_t ld_out, TilePrefetch* prefetch) {
  multiply_bands<T, false>(tile, packed, out, ld_out, prefetch);
}

template <class T>
void multiply_transposed(const LeftTile<T>& tile, Panels<const T> packed, T* out, index_t ld_out) {
  multiply_bands<T, true>(tile, packed, out, ld_out, nullptr);
}
