// Tiles of a given importance. Included inside the anonymous namespace of kernels.cpp.

// Blocks of 4 × 4 are transposed in registers, as 4-lane vectors, which every instruction set has in some form.
typedef float float4 __attribute__((vector_size(16)));
typedef double double4 __attribute__((vector_size(32)));
inline void load4(const float* p, float4* v) { __builtin_memcpy(v, p, sizeof(*v)); }
inline void load4(const double* p, double4* v) { __builtin_memcpy(v, p, sizeof(*v)); }
inline void load4(const float* p, double4* v) {
  float4 single;
  load4(p, &single);
  *v = __builtin_convertvector(single, double4);
}
inline void store4(float4 v, float* p) { __builtin_memcpy(p, &v, sizeof(v)); }
inline void store4(double4 v, double* p) { __builtin_memcpy(p, &v, sizeof(v)); }

template <class V>
inline void transpose4(V r[4]) {
  const V a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const V c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7), e = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  r[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  r[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  r[2] = __builtin_shufflevector(c, e, 0, 1, 4, 5);
  r[3] = __builtin_shufflevector(c, e, 2, 3, 6, 7);
}

template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float4 type;
};
template <>
struct Lanes<double> {
  typedef double4 type;
};

// out = (α_JI)ᵀ, ni × nj.
template <class T, class S>
void transpose(const S* at, index_t ld_at, index_t ni, index_t nj, T* out, index_t ld_out) {
  typedef typename Lanes<T>::type V;
  constexpr index_t band = 64;  // rows of `out` whose lines stay in the first-level cache
  const index_t nj4 = nj / 4 * 4;
  for (index_t i0 = 0; i0 < ni; i0 += band) {
    const index_t i1 = i0 + band < ni ? i0 + band : ni, i4 = i0 + (i1 - i0) / 4 * 4;
    for (index_t j = 0; j < nj4; j += 4) {
      // Rows of α lie pages apart, beyond the hardware's prefetch: sixteen rows ahead.
      for (int k = 0; i0 == 0 && j + 16 < nj4 && k < 4; ++k)
        for (index_t i = 0; i < ni; i += 16) __builtin_prefetch(at + (j + 16 + k) * ld_at + i);
      for (index_t i = i0; i < i4; i += 4) {
        V r[4];
        for (int k = 0; k < 4; ++k) load4(at + (j + k) * ld_at + i, &r[k]);
        transpose4(r);
        for (int k = 0; k < 4; ++k) store4(r[k], out + (i + k) * ld_out + j);
      }
      for (index_t i = i4; i < i1; ++i)
        for (int k = 0; k < 4; ++k) out[i * ld_out + j + k] = static_cast<T>(at[(j + k) * ld_at + i]);
    }
  }
  for (index_t j = nj4; j < nj; ++j)
    for (index_t i = 0; i < ni; ++i) out[i * ld_out + j] = static_cast<T>(at[j * ld_at + i]);
}

template <class T, class S>
void dense_tile(const DenseTile<T, S>& tile) {
  const index_t nj = tile.nj;
  transpose<T, S>(tile.at, tile.ld_at, tile.ni, nj, tile.out, tile.ld_out);
  T* beta_col = tile.scratch;
  T* alpha_col = tile.scratch + nj;
  const T* probe = tile.probe;
  for (index_t j = 0; j < 2 * nj; ++j) tile.scratch[j] = T(0);
  for (index_t i = 0; i < tile.ni; ++i) {
    for (index_t j = 0; i + 4 < tile.ni && j < nj; j += 16) __builtin_prefetch(tile.a + (i + 4) * tile.ld_a + j);
    const index_t wanted = i + tile.first;
    const index_t begin = wanted < 0 ? 0 : (wanted > nj ? nj : wanted);
    const S* a = tile.a + i * tile.ld_a;
    T* out = tile.out + i * tile.ld_out;
    for (index_t j = 0; j < begin; ++j) out[j] = T(0);
    T beta_sum = T(0), alpha_sum = T(0), probed = T(0);
#pragma omp simd reduction(+ : beta_sum, alpha_sum, probed)
    for (index_t j = begin; j < nj; ++j) {
      const T here = static_cast<T>(a[j]), there = out[j];
      const T beta = here + there;
      out[j] = beta;
      beta_sum += beta;
      probed += beta * probe[j];
      alpha_sum += here;
      beta_col[j] += beta;
      alpha_col[j] += there;
    }
    tile.beta_row[i] += static_cast<double>(beta_sum);
    tile.alpha_row[i] += static_cast<double>(alpha_sum);
    tile.probed_row[i] += static_cast<double>(probed);
    if (i % flush_rows == flush_rows - 1 || i == tile.ni - 1) {
#pragma omp simd
      for (index_t j = 0; j < nj; ++j) {
        tile.beta_col[j] += static_cast<double>(beta_col[j]);
        tile.alpha_col[j] += static_cast<double>(alpha_col[j]);
        beta_col[j] = alpha_col[j] = T(0);
      }
    }
  }
}
