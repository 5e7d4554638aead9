// Weighted Gram matrices in register tiles. Included inside the anonymous namespace of kernels.cpp.
//
// Rows are packed into panels of P columns (64 bytes), so that a tile of the result, P × P, reads two
// streams.
// The BLAS's syrk reaches 170 GFLOP/s at d = 256 and 110 at d = 64 on two Zen 4 cores, this 190 and 160.

// As many accumulators as the registers hold.
constexpr int gram_rows = vector_bytes == 64 ? 16 : (vector_bytes == 32 ? 4 : 2);

template <class T>
constexpr index_t panel_width = 64 / static_cast<index_t>(sizeof(T));
static_assert(panel_width<float> <= most_panel);

template <class T>
void pack_row(const T* x, const T* y, T w, T factor, index_t d, index_t stride, T* plain, T* weighted) {
  constexpr index_t P = panel_width<T>;
  if (weighted == nullptr) {
    for (index_t c = 0; c < d; c += P, plain += P * stride)
      for (index_t j = 0; j < P; ++j) plain[j] = c + j < d ? factor * x[c + j] : T(0);
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
void pack_rows(const T* x, index_t stride_x, const index_t* rows, const T* w, const T* factors, index_t n, index_t d,
               index_t stride, index_t first, T* plain, T* weighted) {
  constexpr index_t P = panel_width<T>;
  for (index_t r = 0; r < n; ++r) {
    // The rows that count are scattered: the next but three is asked for.
    if (r + 4 < n)
      for (index_t c = 0; c < d; c += P) __builtin_prefetch(x + rows[r + 4] * stride_x + c);
    pack_row(x + rows[r] * stride_x, static_cast<const T*>(nullptr), w[r], factors[first + r], d, stride,
             plain + (first + r) * P, weighted + (first + r) * P);
  }
}

template <class T, class S, bool shifted, bool with_plain>
void pack_view_rows(const PackViews<T, S>& q) {
  constexpr index_t P = panel_width<T>, lanes = Wide<T, S>::lanes;
  typedef typename Wide<T, S>::type V;
  const index_t whole = q.d / P * P;
  for (index_t r = 0; r < q.n; ++r) {
    const S *x = q.x + q.rows[r] * q.stride_x, *y = q.x_aug + q.rows[r] * q.stride_aug;
    const T a = q.a[r], b = q.b[r], c = q.c[r], e = q.e[r], k = q.k[r], p = with_plain ? q.p[r] : T(0);
    T *u = q.u + r * P, *v = q.v + r * P, *plain = with_plain ? q.plain + r * P : nullptr;
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
      u += P * q.stride;
      v += P * q.stride;
      if constexpr (with_plain) plain += P * q.stride;
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
  if (q.plain != nullptr) {
    q.shift != nullptr ? pack_view_rows<T, S, true, true>(q) : pack_view_rows<T, S, false, true>(q);
  } else {
    q.shift != nullptr ? pack_view_rows<T, S, true, false>(q) : pack_view_rows<T, S, false, false>(q);
  }
}

// Asks for the next `count` lines.
inline void prefetch_lines(RowPrefetch& ahead, index_t count) {
  while (count > 0 && ahead.row < ahead.n) {
    const index_t row = ahead.rows != nullptr ? ahead.rows[ahead.row] : ahead.first + ahead.row;
    const char* const x = ahead.base[0] + row * ahead.stride[0];
    const char* const x_aug = ahead.base[1] + row * ahead.stride[1];
    const index_t end = ahead.lines - ahead.line < count ? ahead.lines : ahead.line + count;
    count -= end - ahead.line;
    for (index_t l = ahead.line; l < end; ++l) {
      __builtin_prefetch(x + l * 64, 0, 2);
      __builtin_prefetch(x_aug + l * 64, 0, 2);
    }
    ahead.line = end < ahead.lines ? end : 0;
    ahead.row += end == ahead.lines;
  }
}

// Rows i0 … of a tile of the result, in registers.
template <class T>
struct GramTile {
  static constexpr index_t P = panel_width<T>, rows = gram_rows < P ? gram_rows : P;
  static constexpr index_t vectors = 64 / vector_bytes, lanes = P / vectors;
  typedef typename Wide<T, T>::type V;
  V sums[rows][vectors];

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
  inline __attribute__((always_inline)) void flush(double factor, double* acc) const {
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < P; ++j) acc[i * P + j] += factor * static_cast<double>(sums[i][j / lanes][j % lanes]);
  }
};

template <class T>
void gram(const T* a, const T* b, index_t n, index_t stride, index_t first, index_t last, double* acc) {
  typedef GramTile<T> Tile;
  constexpr index_t P = Tile::P;
  for (index_t pb = first; pb < last; ++pb)
    for (index_t pa = 0; pa <= pb; ++pa)
      for (index_t i0 = 0; i0 < P; i0 += Tile::rows, acc += Tile::rows * P) {
        Tile tile = {};
        tile.add(a + pa * P * stride + i0, b + pb * P * stride, n);
        tile.flush(1, acc);
      }
}

template <class T>
void cross_gram(const T* u, const T* v, index_t n, index_t stride, index_t first, index_t last, double* acc,
                RowPrefetch* ahead) {
  typedef GramTile<T> Tile;
  constexpr index_t P = Tile::P;
  const index_t tiles = (last * (last + 1) - first * (first + 1)) / 2 * (P / Tile::rows);
  const index_t each = ahead == nullptr || tiles == 0 ? 0 : ahead->n * ahead->lines / tiles + 1;
  for (index_t pb = first; pb < last; ++pb)
    for (index_t pa = 0; pa <= pb; ++pa)
      for (index_t i0 = 0; i0 < P; i0 += Tile::rows, acc += Tile::rows * P) {
        if (ahead != nullptr) prefetch_lines(*ahead, each);
        const index_t left = pa * P * stride + i0, right = pb * P * stride;
        Tile tile = {};
        tile.add(u + left, v + right, n);
        if (pa < pb) tile.add(v + left, u + right, n);
        tile.flush(pa < pb ? 1 : 2, acc);
      }
}

template <class T>
void probe(const T* panels, index_t n, index_t stride, index_t count, const T* weights, const T* signs, double* acc) {
  constexpr index_t P = panel_width<T>;
  T sums[gram_chunk * P] = {}, along[gram_chunk];
  for (index_t c = 0; c < count; ++c) {
    const T *rows = panels + c * P * stride, *sign = signs + c * P;
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
    const T* rows = panels + c * P * stride;
    T product[P] = {};
    for (index_t r = 0; r < n; ++r) {
#pragma omp simd
      for (index_t j = 0; j < P; ++j) product[j] += along[r] * rows[r * P + j];
    }
    for (index_t j = 0; j < P; ++j) acc[c * P + j] += static_cast<double>(product[j]);
  }
}

// out (rows × panels · P) += tile (rows × n) · the panels, while one line of `ahead` is asked for in eight steps.
// `across`: the tile is given as its transpose, n × rows.
template <class T, bool across, index_t rows, index_t panels>
inline void multiply_rows(const T* tile, index_t ld, index_t n, const T* packed, index_t stride, T* out, index_t ld_out,
                          const char* const* ahead) {
  constexpr index_t P = panel_width<T>, lanes = Wide<T, T>::lanes, vectors = panels * P / lanes, each = P / lanes;
  typedef typename Wide<T, T>::type V;
  V sums[rows][vectors] = {};
  for (index_t j = 0; j < n; ++j) {
    if (j % 8 == 0 && ahead != nullptr) __builtin_prefetch(ahead[j / 8], 0, 2);
    V x[vectors];
#pragma GCC unroll 8
    for (index_t v = 0; v < vectors; ++v)
      Wide<T, T>::load(packed + (v / each * stride + j) * P + v % each * lanes, &x[v]);
#pragma GCC unroll 8
    for (index_t i = 0; i < rows; ++i) {
      const T entry = across ? tile[j * ld + i] : tile[i * ld + j];
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

// The next lines to ask for, one for every eight rows of a panel; null where nothing is wanted.
inline const char* const* tile_lines(TilePrefetch* ahead, index_t count, const char** lines) {
  if (ahead == nullptr) return nullptr;
  for (index_t l = 0; l < count; ++l) {
    const TilePrefetch::Block& block = ahead->block[ahead->current];
    lines[l] = block.base + ahead->row * block.stride + ahead->line * 64;
    if (++ahead->line < block.lines) continue;
    ahead->line = 0;
    if (++ahead->row < block.rows) continue;
    ahead->row = 0;
    ahead->current = 1 - ahead->current;
  }
  return lines;
}

template <class T, bool across, index_t panels>
inline void multiply_panels(const T* tile, index_t ld, index_t ni, index_t n, const T* packed, index_t stride, T* out,
                            index_t ld_out, TilePrefetch* ahead) {
  constexpr index_t rows = vector_bytes == 64 ? 8 : (vector_bytes == 32 ? 4 : 2);
  const index_t step = across ? 1 : ld;
  const char* lines[most_multiplied / 8];
  index_t i = 0;
  for (; i + rows <= ni; i += rows)
    multiply_rows<T, across, rows, panels>(tile + i * step, ld, n, packed, stride, out + i * ld_out, ld_out,
                                           tile_lines(ahead, (n + 7) / 8, lines));
  if constexpr (rows > 4) {
    for (; i + 4 <= ni; i += 4)
      multiply_rows<T, across, 4, panels>(tile + i * step, ld, n, packed, stride, out + i * ld_out, ld_out, nullptr);
  }
  if constexpr (rows > 2) {
    for (; i + 2 <= ni; i += 2)
      multiply_rows<T, across, 2, panels>(tile + i * step, ld, n, packed, stride, out + i * ld_out, ld_out, nullptr);
  }
  for (; i < ni; ++i)
    multiply_rows<T, across, 1, panels>(tile + i * step, ld, n, packed, stride, out + i * ld_out, ld_out, nullptr);
}

template <class T, bool across>
void multiply_bands(const T* tile, index_t ld, index_t ni, index_t n, const T* packed, index_t stride, index_t count,
                    T* out, index_t ld_out, TilePrefetch* ahead) {
  constexpr index_t P = panel_width<T>, together = vector_bytes == 64 ? 2 : 1, band = 32;
  // A band of the tile stays in the first-level cache.
  for (index_t i = 0; i < ni; i += band) {
    const index_t height = ni - i < band ? ni - i : band;
    const T* from = tile + (across ? i : i * ld);
    T* to = out + i * ld_out;
    index_t c = 0;
    for (; c + together <= count; c += together)
      multiply_panels<T, across, together>(from, ld, height, n, packed + c * P * stride, stride, to + c * P, ld_out,
                                           ahead);
    for (; c < count; ++c)
      multiply_panels<T, across, 1>(from, ld, height, n, packed + c * P * stride, stride, to + c * P, ld_out, ahead);
  }
}

template <class T>
void multiply_tile(const T* tile, index_t ld, index_t ni, index_t n, const T* packed, index_t stride, index_t count,
                   T* out, index_t ld_out, TilePrefetch* ahead) {
  multiply_bands<T, false>(tile, ld, ni, n, packed, stride, count, out, ld_out, ahead);
}

template <class T>
void multiply_transposed(const T* tile, index_t ld, index_t ni, index_t n, const T* packed, index_t stride,
                         index_t count, T* out, index_t ld_out) {
  multiply_bands<T, true>(tile, ld, ni, n, packed, stride, count, out, ld_out, nullptr);
}
