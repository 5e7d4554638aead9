// Weighted Gram matrices in register tiles. Included inside the anonymous namespace of kernels.cpp.
//
// Rows are packed into panels of P columns (64 bytes), so that a tile of the result, P × P, reads two
// streams. As many accumulators as the registers hold: 16 rows at once with AVX-512, 4 with AVX2, 2 with SSE.
// The BLAS's syrk reaches 170 GFLOP/s at d = 256 and 110 at d = 64 on two Zen 4 cores, this 190 and 160.

// The compiler takes vectors wider than the registers apart badly (80 times slower with AVX2): native width only.
#if defined(__AVX512F__)
constexpr int gram_rows = 16, gram_vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int gram_rows = 4, gram_vector_bytes = 32;
#else
constexpr int gram_rows = 2, gram_vector_bytes = 16;
#endif

template <class T>
struct Native;
template <>
struct Native<float> {
  typedef float type __attribute__((vector_size(gram_vector_bytes), aligned(4), may_alias));
};
template <>
struct Native<double> {
  typedef double type __attribute__((vector_size(gram_vector_bytes), aligned(8), may_alias));
};

template <class T>
constexpr index_t panel_width = 64 / static_cast<index_t>(sizeof(T));

template <class T>
void pack_row(const T* x, T w, index_t d, index_t capacity, T* plain, T* weighted) {
  constexpr index_t P = panel_width<T>;
  index_t c = 0;
  for (; c + P <= d; c += P) {
    T* p = plain + c * capacity;
    T* q = weighted + c * capacity;
#pragma omp simd
    for (index_t j = 0; j < P; ++j) {
      p[j] = x[c + j];
      q[j] = w * x[c + j];
    }
  }
  if (c == d) return;
  T* p = plain + c * capacity;
  T* q = weighted + c * capacity;
  for (index_t j = 0; j < P; ++j) {
    p[j] = c + j < d ? x[c + j] : T(0);
    q[j] = w * p[j];
  }
}

template <class T, class S>
void pack_rows(const S* x, index_t stride_x, const S* y, index_t stride_y, const double* shift, const index_t* rows,
               const T* w, index_t n, index_t d, index_t capacity, index_t first, T* plain, T* weighted) {
  constexpr index_t P = panel_width<T>;
  for (index_t r = 0; r < n; ++r) {
    const S* a = x + rows[r] * stride_x;
    const S* b = y == nullptr ? nullptr : y + rows[r] * stride_y;
    const T weight = w[r];
    for (index_t c = 0; c < d; c += P) {
      const index_t width = d - c < P ? d - c : P;
      T* p = plain + c * capacity + (first + r) * P;
      T* q = weighted + c * capacity + (first + r) * P;
      if (b != nullptr) {
        for (index_t j = 0; j < width; ++j) p[j] = static_cast<T>(a[c + j]) - static_cast<T>(b[c + j]);
      } else {
        for (index_t j = 0; j < width; ++j) p[j] = static_cast<T>(static_cast<double>(a[c + j]) - shift[c + j]);
      }
      for (index_t j = width; j < P; ++j) p[j] = T(0);
      for (index_t j = 0; j < P; ++j) q[j] = weight * p[j];
    }
  }
}

template <class T>
void gram(const T* plain, const T* weighted, index_t n, index_t capacity, index_t first, index_t last, double* acc) {
  constexpr index_t P = panel_width<T>;
  constexpr index_t rows = gram_rows < P ? gram_rows : P;
  constexpr index_t vectors = 64 / gram_vector_bytes, lanes = P / vectors;
  typedef typename Native<T>::type V;
  for (index_t pb = first; pb < last; ++pb) {
    for (index_t pa = 0; pa <= pb; ++pa, acc += P * P) {
      for (index_t i0 = 0; i0 < P; i0 += rows) {
        const T* a = plain + pa * P * capacity + i0;
        const T* b = weighted + pb * P * capacity;
        V sums[rows][vectors] = {};
        for (index_t r = 0; r < n; ++r, a += P, b += P) {
          V row[vectors];
#pragma GCC unroll 4
          for (index_t v = 0; v < vectors; ++v) row[v] = *reinterpret_cast<const V*>(b + v * lanes);
#pragma GCC unroll 16
          for (index_t i = 0; i < rows; ++i) {
#pragma GCC unroll 4
            for (index_t v = 0; v < vectors; ++v) sums[i][v] += a[i] * row[v];
          }
        }
        for (index_t i = 0; i < rows; ++i)
          for (index_t j = 0; j < P; ++j) acc[(i0 + i) * P + j] += static_cast<double>(sums[i][j / lanes][j % lanes]);
      }
    }
  }
}
