// Symmetric matrices and Krylov bases. Included inside the anonymous namespace of kernels.cpp, after dense.h and
// vectors.h.

constexpr index_t rows_at_once = vector_bytes == 64 ? 8 : 4;

// out[0..4) += the sums of the lanes of v[0..4).
template <class T>
inline void add_lane_sums(const typename Wide<T, T>::type* v, T* out) {
  typedef typename Lanes<T>::type V;
  constexpr index_t quads = Wide<T, T>::lanes / 4;
  if constexpr (quads == 0) {
    for (int r = 0; r < 4; ++r) out[r] += v[r][0] + v[r][1];
  } else {
    V folded[4];
    for (int r = 0; r < 4; ++r) {
      V part[quads];
      __builtin_memcpy(part, &v[r], sizeof(part));
      folded[r] = part[0];
      for (index_t q = 1; q < quads; ++q) folded[r] += part[q];
    }
    transpose4(folded);
    V sum;
    load4(out, &sum);
    store4(sum + ((folded[0] + folded[1]) + (folded[2] + folded[3])), out);
  }
}

// Packs panels of 16 rows. square: every panel has all n columns. Otherwise panel p ends with its diagonal block, 16 (p
// + 1) columns. Diagonal blocks hold both triangles; entries outside d × d are 0.
template <class S>
void pack_symmetric(const S* a, index_t stride, index_t d, bool square, S* out) {
  constexpr index_t p = symmetric_panel;
  const index_t n = (d + p - 1) / p * p;
  S* panel = out;
  for (index_t i0 = 0; i0 < n; i0 += p) {
    const index_t ld = square ? n : i0 + p, cols = i0 + p < d ? i0 + p : d;
    for (index_t i = i0; i < i0 + p; ++i) {
      S* row = panel + (i - i0) * ld;
      const index_t held = i < d ? cols : 0;
      if (held > 0) __builtin_memcpy(row, a + i * stride, static_cast<unsigned long>(held) * sizeof(S));
      for (index_t j = held; j < i0 + p; ++j) row[j] = S(0);
    }
    S mirrored[p * p];
    transpose<S, S>(panel + i0, ld, p, p, mirrored, p);
    for (index_t i = 0; i < p; ++i)
      for (index_t j = i + 1; j < p; ++j) panel[i * ld + i0 + j] = mirrored[i * p + j];
    if (square && i0 > 0) transpose<S, S>(panel, ld, i0, p, out + i0, n);
    panel += p * ld;
  }
}

// The largest magnitude; NaN when anything is not finite.
template <class S>
S peak_of(const S* a, index_t count) {
  S peak = S(0), poison = S(0);
#pragma omp simd reduction(max : peak) reduction(+ : poison)
  for (index_t j = 0; j < count; ++j) {
    const S size = a[j] < S(0) ? -a[j] : a[j];
    peak = size > peak ? size : peak;
    poison += a[j] - a[j];
  }
  return peak + poison;
}

// y = A v, A square: entries of y stay in registers while rows of A stream by.
template <class T, class S, int vectors>
inline index_t square_columns(const S* a, index_t n, const T* v, index_t j, T* y) {
  typedef Wide<T, S> W;
  for (; j + vectors * W::lanes <= n; j += vectors * W::lanes) {
    typename W::type even[vectors] = {}, odd[vectors] = {};
    for (index_t i = 0; i < n; i += 2) {
      for (int k = 0; k < vectors; ++k) {
        typename W::type r, s;
        W::load(a + i * n + j + k * W::lanes, &r);
        W::load(a + (i + 1) * n + j + k * W::lanes, &s);
        even[k] += r * v[i];
        odd[k] += s * v[i + 1];
      }
    }
    for (int k = 0; k < vectors; ++k) W::store(even[k] + odd[k], y + j + k * W::lanes);
  }
  return j;
}

template <class T, class S>
void square_product(const S* a, index_t n, const T* v, T* y) {
  index_t j = square_columns<T, S, 4>(a, n, v, 0, y);
  j = square_columns<T, S, 2>(a, n, v, j, y);
  square_columns<T, S, 1>(a, n, v, j, y);
}

// y = A v, A as panels of its lower triangle: each entry is read once and serves its row and its column.
template <class T, class S>
void packed_product(const S* a, index_t n, const T* v, T* y) {
  typedef Wide<T, S> W;
  typedef Wide<T, T> Z;
  constexpr index_t p = symmetric_panel, rows = rows_at_once;
  for (index_t i0 = 0; i0 < n; i0 += p) {
    const index_t ld = i0 + p;
    for (index_t i = i0; i < i0 + p; ++i) y[i] = T(0);
    for (index_t i = i0; i < i0 + p; i += rows) {
      const S* block = a + (i - i0) * ld;
      typename W::type sum[rows] = {}, weight[rows];
      for (index_t r = 0; r < rows; ++r) weight[r] = typename W::type{} + v[i + r];
      for (index_t j = 0; j < i0; j += W::lanes) {
        typename W::type vj, yj, column = {};
        Z::load(v + j, &vj);
        Z::load(y + j, &yj);
        for (index_t r = 0; r < rows; ++r) {
          typename W::type e;
          W::load(block + r * ld + j, &e);
          sum[r] += e * vj;
          column += e * weight[r];
        }
        Z::store(yj + column, y + j);
      }
      for (index_t r = 0; r < rows; r += 4) add_lane_sums<T>(sum + r, y + i + r);
    }
    for (index_t j = i0; j < i0 + p; j += W::lanes) {
      typename W::type yj;
      Z::load(y + j, &yj);
      for (index_t i = 0; i < p; ++i) {
        typename W::type e;
        W::load(a + i * ld + j, &e);
        yj += e * v[i0 + i];
      }
      Z::store(yj, y + j);
    }
    a += p * ld;
  }
}

template <class T>
inline double lane_total(const typename Wide<T, T>::type& v) {
  const typename Wide<T, T>::type group[4] = {v};
  T total[4] = {};
  add_lane_sums<T>(group, total);
  return static_cast<double>(total[0]);
}

// h = the products of w with `count` < 4 rows, and *square = ‖w‖²; with four rows, no square.
template <class T, int count>
inline void project_group(const T* basis, index_t ld, const T* w, double* h, double* square) {
  typedef Wide<T, T> W;
  typename W::type sum[4] = {};
  for (index_t j = 0; j < ld; j += W::lanes) {
    typename W::type wj, q;
    W::load(w + j, &wj);
    for (int k = 0; k < count; ++k) {
      W::load(basis + k * ld + j, &q);
      sum[k] += q * wj;
    }
    if (count < 4) sum[count < 4 ? count : 0] += wj * wj;
  }
  T total[4] = {};
  add_lane_sums<T>(sum, total);
  for (int k = 0; k < count; ++k) h[k] = static_cast<double>(total[k]);
  if (count < 4) *square = static_cast<double>(total[count < 4 ? count : 0]);
}

template <class T>
double project(const T* basis, index_t ld, index_t rows, const T* w, double* h) {
  double square = 0;
  index_t r = 0;
  for (; r + 4 <= rows; r += 4) project_group<T, 4>(basis + r * ld, ld, w, h + r, &square);
  const T* rest = basis + r * ld;
  if (rows - r == 0) project_group<T, 0>(rest, ld, w, h + r, &square);
  if (rows - r == 1) project_group<T, 1>(rest, ld, w, h + r, &square);
  if (rows - r == 2) project_group<T, 2>(rest, ld, w, h + r, &square);
  if (rows - r == 3) project_group<T, 3>(rest, ld, w, h + r, &square);
  return square;
}

// Subtracts from `vectors` registers of w at a time.
template <class T, int vectors>
inline index_t subtract_columns(const T* basis, index_t ld, index_t rows, const double* h, T* w, index_t j,
                                typename Wide<T, T>::type* square) {
  typedef Wide<T, T> W;
  for (; j + vectors * W::lanes <= ld; j += vectors * W::lanes) {
    typename W::type even[vectors] = {}, odd[vectors] = {}, q, wj;
    index_t r = 0;
    for (; r + 2 <= rows; r += 2) {
      const T first = static_cast<T>(h[r]), second = static_cast<T>(h[r + 1]);
      for (int k = 0; k < vectors; ++k) {
        W::load(basis + r * ld + j + k * W::lanes, &q);
        even[k] += q * first;
        W::load(basis + (r + 1) * ld + j + k * W::lanes, &q);
        odd[k] += q * second;
      }
    }
    for (int k = 0; k < vectors; ++k) {
      if (r < rows) {
        W::load(basis + r * ld + j + k * W::lanes, &q);
        even[k] += q * static_cast<T>(h[r]);
      }
      W::load(w + j + k * W::lanes, &wj);
      wj -= even[k] + odd[k];
      W::store(wj, w + j + k * W::lanes);
      *square += wj * wj;
    }
  }
  return j;
}

template <class T>
double subtract(const T* basis, index_t ld, index_t rows, const double* h, T* w) {
  typename Wide<T, T>::type square = {};
  index_t j = subtract_columns<T, 4>(basis, ld, rows, h, w, 0, &square);
  j = subtract_columns<T, 2>(basis, ld, rows, h, w, j, &square);
  subtract_columns<T, 1>(basis, ld, rows, h, w, j, &square);
  return lane_total<T>(square);
}
