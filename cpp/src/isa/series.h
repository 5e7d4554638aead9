// Kernels of cosine series. Included inside the anonymous namespace of kernels.cpp.

// cos θ and sin θ for |θ| ≤ π: Taylor series at θ/4, then two doublings. T double: error 4e-16; float: 1e-10
// is enough.
template <class T, class V>
inline void cosine_and_sine(V theta, V* cosine, V* sine) {
  const V q = 0.25 * theta, q2 = q * q;
  V s = {}, v = {};  // v = 1 − cos q keeps its digits under doubling
  if constexpr (sizeof(T) == 8) {
    s = s - 7.6471637318198164759e-13;
    s = s * q2 + 1.6059043836821614599e-10;
    v = v - 4.7794773323873852974e-14;
    v = v * q2 + 1.1470745597729724714e-11;
    v = v * q2 - 2.0876756987868098979e-9;
  } else {
    v = v - 2.0876756987868098979e-9;
  }
  s = s * q2 - 2.5052108385441718775e-8;
  s = s * q2 + 2.7557319223985890653e-6;
  s = s * q2 - 1.9841269841269841270e-4;
  s = s * q2 + 8.3333333333333333333e-3;
  s = s * q2 - 1.6666666666666666667e-1;
  s = s * q2 * q + q;
  v = v * q2 + 2.7557319223985890653e-7;
  v = v * q2 - 2.4801587301587301587e-5;
  v = v * q2 + 1.3888888888888888889e-3;
  v = v * q2 - 4.1666666666666666667e-2;
  v = (v * q2 + 0.5) * q2;
  const V s2 = 2.0 * s * (1.0 - v), v2 = 2.0 * s * s;
  *sine = 2.0 * s2 * (1.0 - v2);
  *cosine = 1.0 - 2.0 * s2 * s2;
}

// cos kθ and sin kθ by rotation: kmax ≤ 100 steps add less than 1e-14.
template <class T>
void series_features(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out, index_t ld) {
  constexpr index_t lanes = 64;
  double c1[lanes], s1[lanes], ck[lanes], sk[lanes];
  for (index_t a0 = 0; a0 < n; a0 += lanes) {
    const index_t na = n - a0 < lanes ? n - a0 : lanes;
#pragma omp simd
    for (index_t a = 0; a < na; ++a) {
      cosine_and_sine<double>(theta[a0 + a], &c1[a], &s1[a]);
      ck[a] = 1;
      sk[a] = 0;
    }
    for (index_t a = 0; a < na; ++a) out[(a0 + a) * ld] = static_cast<T>(coefficients[0]);
    for (index_t k = 1; k <= kmax; ++k) {
      const double coefficient = coefficients[k];
#pragma omp simd
      for (index_t a = 0; a < na; ++a) {
        const double c = ck[a] * c1[a] - sk[a] * s1[a];
        sk[a] = sk[a] * c1[a] + ck[a] * s1[a];
        ck[a] = c;
      }
      T* cosine = out + a0 * ld + 2 * k - 1;
      for (index_t a = 0; a < na; ++a) {
        cosine[a * ld] = static_cast<T>(coefficient * ck[a]);
        cosine[a * ld + 1] = static_cast<T>(coefficient * sk[a]);
      }
    }
  }
}

constexpr index_t series_vectors = 4;  // vectors of samples in a block

// cos kθ and sin kθ of a block of samples, k = 1, 2, …; float32 by Chebyshev's recurrence, which loses k² ε (of
// double).
template <class T>
struct HarmonicBlock {
  typedef typename Wide<double, T>::type V;
  static constexpr index_t lanes = Wide<double, T>::lanes, block = series_vectors * lanes;
  V c1[series_vectors], s1[series_vectors], c[series_vectors], s[series_vectors];
  V c_before[series_vectors], s_before[series_vectors];

  template <class U>
  inline void start(const U* u, double origin, double scale) {
    for (index_t v = 0; v < series_vectors; ++v) {
      V x;
      Wide<double, U>::load(u + v * lanes, &x);
      cosine_and_sine<T, V>(scale * (x - origin), &c1[v], &s1[v]);
      c[v] = c1[v];
      s[v] = s1[v];
      c_before[v] = V{} + 1.0;
      s_before[v] = V{};
    }
  }
  inline void next() {
    for (index_t v = 0; v < series_vectors; ++v) {
      V cn, sn;
      if constexpr (sizeof(T) == 8) {
        cn = c[v] * c1[v] - s[v] * s1[v];
        sn = s[v] * c1[v] + c[v] * s1[v];
      } else {
        const V twice = c1[v] + c1[v];
        cn = twice * c[v] - c_before[v];
        sn = twice * s[v] - s_before[v];
        c_before[v] = c[v];
        s_before[v] = s[v];
      }
      c[v] = cn;
      s[v] = sn;
    }
  }
};

template <class V>
inline double lane_sum(const V& v) {
  double sum = 0;
  for (unsigned long l = 0; l < sizeof(V) / sizeof(double); ++l) sum += v[l];
  return sum;
}

template <class T>
void series_moments(const T* u, const T* a, index_t n, const Harmonics& harmonics, double* out) {
  const double origin = harmonics.origin, scale = harmonics.scale;
  const index_t terms = harmonics.terms;
  typedef HarmonicBlock<T> H;
  typedef typename H::V V;
  V sums[1 + 2 * most_series_terms];
  for (index_t l = 0; l <= 2 * terms; ++l) sums[l] = V{};
  T u_tail[H::block], a_tail[H::block];
  for (index_t i = 0; i < n; i += H::block) {
    const T *from = u + i, *weights = a == nullptr ? nullptr : a + i;
    if (n - i < H::block || a == nullptr) {
      for (index_t j = 0; j < H::block; ++j) {
        const bool inside = i + j < n;
        u_tail[j] = inside ? u[i + j] : static_cast<T>(origin);
        a_tail[j] = inside ? (a == nullptr ? T(1) : a[i + j]) : T(0);
      }
      from = u_tail;
      weights = a_tail;
    }
    V w[series_vectors];
    for (index_t v = 0; v < series_vectors; ++v) {
      Wide<double, T>::load(weights + v * H::lanes, &w[v]);
      sums[0] += w[v];
    }
    H h;
    h.start(from, origin, scale);
    for (index_t k = 1; k <= terms; ++k) {
      V c = w[0] * h.c[0], s = w[0] * h.s[0];
      for (index_t v = 1; v < series_vectors; ++v) {
        c += w[v] * h.c[v];
        s += w[v] * h.s[v];
      }
      sums[2 * k - 1] += c;
      sums[2 * k] += s;
      h.next();
    }
  }
  for (index_t l = 0; l <= 2 * terms; ++l) out[l] += lane_sum(sums[l]);
}

template <class T, class H>
void harmonic_columns(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out, index_t ld) {
  for (index_t i = 0; i < n; i += H::block) {
    const index_t count = n - i < H::block ? n - i : H::block;
    double tail[H::block] = {};
    const double* from = theta + i;
    if (count < H::block) {
      for (index_t j = 0; j < count; ++j) tail[j] = from[j];
      from = tail;
    }
    T rest[2 * H::block];
    T* row = out + i;
    for (index_t j = 0; j < count; ++j) row[j] = static_cast<T>(coefficients[0]);
    H h;
    h.start(from, 0, 1);
    for (index_t k = 1; k <= kmax; ++k) {
      T *cosine = count < H::block ? rest : row + (2 * k - 1) * ld, *sine = cosine + (count < H::block ? H::block : ld);
#pragma GCC unroll 4
      for (index_t v = 0; v < series_vectors; ++v) {
        Wide<double, T>::narrow(coefficients[k] * h.c[v], cosine + v * H::lanes);
        Wide<double, T>::narrow(coefficients[k] * h.s[v], sine + v * H::lanes);
      }
      for (index_t j = 0; cosine == rest && j < count; ++j) {
        row[(2 * k - 1) * ld + j] = rest[j];
        row[2 * k * ld + j] = rest[H::block + j];
      }
      h.next();
    }
  }
}

// In a long series the features of float32 would show what its short polynomials and the recurrence lose.
constexpr index_t most_terms_of_float = 192;

template <class T>
void series_feature_columns(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out,
                            index_t ld) {
  kmax <= most_terms_of_float ? harmonic_columns<T, HarmonicBlock<T>>(theta, n, coefficients, kmax, out, ld)
                              : harmonic_columns<T, HarmonicBlock<double>>(theta, n, coefficients, kmax, out, ld);
}

template <class T>
void series_laplacian(const T* u, const T* a, index_t n, const Harmonics& harmonics, const SeriesPair& series, T* t,
                      T* r) {
  const double origin = harmonics.origin, scale = harmonics.scale, *ones = series.ones, *moments = series.moments;
  const index_t terms = harmonics.terms;
  typedef HarmonicBlock<T> H;
  typedef typename H::V V;
  T u_tail[H::block], a_tail[H::block];
  for (index_t i = 0; i < n; i += H::block) {
    const T *from = u + i, *values = a + i;
    if (n - i < H::block) {
      for (index_t j = 0; j < H::block; ++j) {
        u_tail[j] = i + j < n ? u[i + j] : static_cast<T>(origin);
        a_tail[j] = i + j < n ? a[i + j] : T(0);
      }
      from = u_tail;
      values = a_tail;
    }
    V sums[series_vectors], products[series_vectors];
    for (index_t v = 0; v < series_vectors; ++v) {
      sums[v] = V{} + ones[0];
      products[v] = V{} + moments[0];
    }
    H h;
    h.start(from, origin, scale);
    for (index_t k = 1; k <= terms; ++k) {
      const double oc = ones[2 * k - 1], os = ones[2 * k], mc = moments[2 * k - 1], ms = moments[2 * k];
      for (index_t v = 0; v < series_vectors; ++v) {
        sums[v] += oc * h.c[v];
        sums[v] += os * h.s[v];
        products[v] += mc * h.c[v];
        products[v] += ms * h.s[v];
      }
      h.next();
    }
    const index_t count = n - i < H::block ? n - i : H::block;
    double sum[H::block], product[H::block];
    for (index_t v = 0; v < series_vectors; ++v) {
      Wide<double, double>::store(sums[v], sum + v * H::lanes);
      Wide<double, double>::store(products[v], product + v * H::lanes);
    }
    for (index_t j = 0; j < count; ++j) {
      t[i + j] = static_cast<T>(2 * (static_cast<double>(values[j]) * sum[j] - product[j]));
      r[i + j] = static_cast<T>(sum[j]);
    }
  }
}

template <class T>
void series_values(const T* u, index_t n, const Harmonics& harmonics, const double* ones, double* out) {
  const double origin = harmonics.origin, scale = harmonics.scale;
  const index_t terms = harmonics.terms;
  typedef HarmonicBlock<T> H;
  typedef typename H::V V;
  T u_tail[H::block];
  double values[H::block];
  for (index_t i = 0; i < n; i += H::block) {
    const index_t count = n - i < H::block ? n - i : H::block;
    const T* from = u + i;
    if (count < H::block) {
      for (index_t j = 0; j < H::block; ++j) u_tail[j] = j < count ? u[i + j] : static_cast<T>(origin);
      from = u_tail;
    }
    V sums[series_vectors];
    for (index_t v = 0; v < series_vectors; ++v) sums[v] = V{} + ones[0];
    H h;
    h.start(from, origin, scale);
    for (index_t k = 1; k <= terms; ++k) {
      for (index_t v = 0; v < series_vectors; ++v) {
        sums[v] += ones[2 * k - 1] * h.c[v];
        sums[v] += ones[2 * k] * h.s[v];
      }
      h.next();
    }
    for (index_t v = 0; v < series_vectors; ++v) Wide<double, double>::store(sums[v], values + v * H::lanes);
    for (index_t j = 0; j < count; ++j) out[i + j] = values[j];
  }
}
