// Tiles of pair losses. Included inside the anonymous namespace of kernels.cpp, after exp.h.

template <class T>
constexpr T minus_infinity = -static_cast<T>(__builtin_inf());

// How far logarithms of sums may differ for one shift: terms below e^−27 (float) or e^−108 (double) of the smallest sum
// are lost.
template <class T>
constexpr T widest_shared = sizeof(T) == 4 ? T(60) : T(600);

// log(1 + u) for 0 ≤ u ≤ 1: 2 artanh(s), s = u/(2 + u) ≤ 1/3, by its series.
template <class T>
inline T log_one_plus(T u) {
  constexpr int terms = sizeof(T) == 4 ? 7 : 16;
  const T s = u / (T(2) + u), square = s * s;
  T sum = T(1) / T(2 * terms + 1);
#pragma GCC unroll 16
  for (int k = terms - 1; k >= 0; --k) sum = sum * square + T(1) / T(2 * k + 1);
  return T(2) * s * sum;
}

// ψ and ψ'. Only e^−|x| is computed, which cannot overflow. kink: ψ or ψ' has a kink at x = 0.
struct Hinge {
  static constexpr bool kink = true;
  template <class T>
  static inline T value(T x) {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  static inline T slope(T x) {
    return x > T(0) ? T(1) : (x <= T(0) ? T(0) : x);  // NaN stays
  }
};
struct Logistic {
  static constexpr bool kink = false;
  template <class T>
  static inline T value(T x) {
    const T e = exp_value(x < T(0) ? x : -x), part = T(1) / (T(1) + e);
    return x < T(0) ? e * part : part;
  }
  template <class T>
  static inline T slope(T x) {
    const T e = exp_value(x < T(0) ? x : -x), part = T(1) / (T(1) + e);
    return e * part * part;
  }
};
struct Softplus {
  static constexpr bool kink = false;
  template <class T>
  static inline T value(T x) {
    const T e = exp_value(x < T(0) ? x : -x);
    return (x < T(0) ? T(0) : x) + log_one_plus(e);
  }
  template <class T>
  static inline T slope(T x) {
    return Logistic::value(x);
  }
};
struct Square {
  static constexpr bool kink = true;
  template <class T>
  static inline T value(T x) {
    return T(0.5) * Hinge::value(x) * Hinge::value(x);
  }
  template <class T>
  static inline T slope(T x) {
    return Hinge::value(x);
  }
};

// e^x, x = t − the logarithm of a normaliser.
struct Exponential {
  static constexpr bool kink = false;
  template <class T>
  static inline T slope(T x) {
    return exp_value(x);
  }
};

template <class T>
inline index_t first_column(const PairTile<T>& tile, index_t i) {
  const index_t wanted = i + tile.first;
  return wanted < 0 ? 0 : (wanted > tile.nj ? tile.nj : wanted);
}

// Not inlined, so that all callers get the same bits.
template <class T>
__attribute__((noinline)) T half_square(const T* a, const T* b, index_t m) {
  constexpr index_t lanes = Wide<T, T>::lanes;
  typename Wide<T, T>::type sum[2] = {}, x, y;
  index_t k = 0;
  for (index_t v = 0; k + lanes <= m; k += lanes, v = 1 - v) {
    Wide<T, T>::load(a + k, &x);
    Wide<T, T>::load(b + k, &y);
    sum[v] += (x - y) * (x - y);
  }
  T total = T(0);
  for (; k < m; ++k) total += (a[k] - b[k]) * (a[k] - b[k]);
  for (index_t l = 0; l < lanes; ++l) total += sum[0][l] + sum[1][l];
  return T(0.5) * total;
}

template <class T>
inline T magnitude(T x) {
  return x < T(0) ? -x : x;
}

// Recomputes from differences the scores of row i where distance(j) < doubt · scale · (half_i + half_j).
template <class T, class Distance>
inline void settle(const PairTile<T>& tile, index_t i, index_t begin, T* t, Distance&& distance) {
  if (tile.given_i == nullptr) return;
  const T half = tile.half_i[i], doubt = magnitude(tile.scale) * tile.doubt;
  const T* half_j = tile.half_j;
  const auto doubtful = [&](index_t j) { return distance(j) < doubt * (half + half_j[j]); };
  constexpr index_t group = 16;
  for (index_t first = begin; first < tile.nj; first += group) {
    const index_t last = first + group < tile.nj ? first + group : tile.nj;
    int any = 0;
#pragma omp simd reduction(| : any)
    for (index_t j = first; j < last; ++j) any |= static_cast<int>(doubtful(j));
    for (index_t j = first; any && j < last; ++j) {
      if (!doubtful(j)) continue;
      const T *a = tile.given_i + i * tile.features, *b = tile.given_j + j * tile.features;
      t[j] = -tile.scale * half_square(a, b, tile.features);
    }
  }
}

// Computes the scores of row i from column `begin` on, in place, unless they are there. Pairs that are left out become
// `self`; NaN stays. Without a kink, scores near 0 are settled here: their distances are those of near features.
template <class Form, class T>
inline T* scores(const PairTile<T>& tile, index_t i, index_t begin, T self) {
  T* t = tile.tile + i * tile.ld;
  if (tile.scored) return t;
  const T half = tile.half_i[i], ceiling = tile.ceiling, scale = tile.scale;
  const T* half_j = tile.half_j;
#pragma omp simd
  for (index_t j = begin; j < tile.nj; ++j) {
    const T s = t[j] - (half + half_j[j]);
    t[j] = scale * (s > ceiling ? ceiling : s);
  }
  for (const index_t skip : tile.skip) {
    const index_t own = skip + i;
    if (own >= begin && own < tile.nj && t[own] == t[own]) t[own] = self;
  }
  if constexpr (!Form::kink) settle(tile, i, begin, t, [&](index_t j) { return magnitude(t[j]); });
  return t;
}

// sum · e^x; 0 stays 0 even where e^x is infinite or NaN.
inline double moved(double sum, double x) { return sum == 0 ? 0 : sum * exp_value(x); }

// Adds part · e^base to sum · e^peak; the new peak is the larger of `peak` and `seen`.
template <class T>
inline void merge(T seen, T base, double part, T* peak, double* sum) {
  const T top = seen > *peak ? seen : *peak;
  // top = −inf: nothing has been seen yet, and −inf − (−inf) would be NaN.
  const double from = top == minus_infinity<T> ? 0 : static_cast<double>(top);
  *sum = moved(*sum, static_cast<double>(*peak) - from) + moved(part, static_cast<double>(base) - from);
  *peak = top;
}

template <class T>
inline void flush(T* column, index_t nj, double* sum) {
#pragma omp simd
  for (index_t j = 0; j < nj; ++j) {
    sum[j] += static_cast<double>(column[j]);
    column[j] = T(0);
  }
}

template <class T>
void pair_log_sums(const PairTile<T>& tile, const PairLogSums<T>& out) {
  const index_t nj = tile.nj;
  const bool both = out.col_peak != nullptr;
  T* col_top = tile.scratch;  // column maxima of this tile
  T* column = tile.scratch + nj;
  for (index_t j = 0; j < nj; ++j) col_top[j] = minus_infinity<T>;
  T highest = minus_infinity<T>, lowest = -minus_infinity<T>;
  constexpr index_t most_rows = 512;
  T row_top[most_rows];
  for (index_t i = 0; i < tile.ni; ++i) {
    const T* t = scores<Exponential>(tile, i, 0, minus_infinity<T>);
    T top = minus_infinity<T>;
    if (both) {
#pragma omp simd reduction(max : top)
      for (index_t j = 0; j < nj; ++j) {
        top = t[j] > top ? t[j] : top;
        col_top[j] = t[j] > col_top[j] ? t[j] : col_top[j];
      }
    } else {
#pragma omp simd reduction(max : top)
      for (index_t j = 0; j < nj; ++j) top = t[j] > top ? t[j] : top;
    }
    row_top[i] = top;
    highest = top > highest ? top : highest;
    const T reached = top > out.row_peak[i] ? top : out.row_peak[i];
    if (reached != minus_infinity<T>) lowest = reached < lowest ? reached : lowest;
  }
  for (index_t j = 0; both && j < nj; ++j) {
    const T reached = col_top[j] > out.col_peak[j] ? col_top[j] : out.col_peak[j];
    if (reached != minus_infinity<T>) lowest = reached < lowest ? reached : lowest;
  }
  const bool shared = highest - lowest <= widest_shared<T>;
  double* col_sum = reinterpret_cast<double*>(tile.scratch + 2 * nj);
  if (both) {
    for (index_t j = 0; j < nj; ++j) {
      column[j] = T(0);
      col_sum[j] = 0;
    }
  }
  for (index_t i = 0; i < tile.ni; ++i) {
    const T* t = tile.tile + i * tile.ld;
    const T wanted = shared ? highest : row_top[i], base = wanted == minus_infinity<T> ? T(0) : wanted;
    T sum = T(0);
    if (!both) {
#pragma omp simd reduction(+ : sum)
      for (index_t j = 0; j < nj; ++j) sum += exp_value(t[j] - base);
    } else if (shared) {
#pragma omp simd reduction(+ : sum)
      for (index_t j = 0; j < nj; ++j) {
        const T e = exp_value(t[j] - base);
        sum += e;
        column[j] += e;
      }
    } else {
#pragma omp simd reduction(+ : sum)
      for (index_t j = 0; j < nj; ++j) {
        sum += exp_value(t[j] - base);
        const T top = col_top[j] == minus_infinity<T> ? T(0) : col_top[j];
        column[j] += exp_value(t[j] - top);
      }
    }
    merge(row_top[i], base, static_cast<double>(sum), &out.row_peak[i], &out.row_sum[i]);
    if (both && (i % flush_rows == flush_rows - 1 || i == tile.ni - 1)) flush(column, nj, col_sum);
  }
  for (index_t j = 0; both && j < nj; ++j) {
    const T wanted = shared ? highest : col_top[j], base = wanted == minus_infinity<T> ? T(0) : wanted;
    merge(col_top[j], base, col_sum[j], &out.col_peak[j], &out.col_sum[j]);
  }
}

template <class Form, class T>
void sums_of(const PairTile<T>& tile, const PairSums<T>& out) {
  const index_t nj = tile.nj;
  T* column = tile.scratch;
  for (index_t j = 0; j < nj; ++j) column[j] = T(0);
  for (index_t i = 0; i < tile.ni; ++i) {
    // A score of −inf leaves a pair out: every ψ here is 0 there.
    T* t = scores<Form>(tile, i, 0, minus_infinity<T>);
    const T offset = out.row[i];
    if constexpr (Form::kink) {
      settle(tile, i, 0, t, [&](index_t j) {
        const T own = magnitude(offset + t[j]);
        if (out.col == nullptr) return own;
        const T other = magnitude(out.col[j] + t[j]);
        return other < own ? other : own;
      });
    }
    T sum = T(0);
    if (out.col == nullptr) {
#pragma omp simd reduction(+ : sum)
      for (index_t j = 0; j < nj; ++j) sum += Form::value(offset + t[j]);
    } else {
      const T* offset_j = out.col;
#pragma omp simd reduction(+ : sum)
      for (index_t j = 0; j < nj; ++j) {
        sum += Form::value(offset + t[j]);
        column[j] += Form::value(offset_j[j] + t[j]);
      }
    }
    out.row_sum[i] += static_cast<double>(sum);
    if (out.col != nullptr && (i % flush_rows == flush_rows - 1 || i == tile.ni - 1)) flush(column, nj, out.col_sum);
  }
}

template <class T>
void pair_sums(const PairTile<T>& tile, const PairSums<T>& out) {
  switch (tile.form) {
    case PairForm::hinge:
      return sums_of<Hinge>(tile, out);
    case PairForm::logistic:
      return sums_of<Logistic>(tile, out);
    case PairForm::softplus:
      return sums_of<Softplus>(tile, out);
    case PairForm::square:
      return sums_of<Square>(tile, out);
    case PairForm::exponential:
      return;  // pair_log_sums
  }
}

template <class Form, bool shared, class T>
void weights_of(const PairTile<T>& tile, const PairWeights<T>& out) {
  const index_t nj = tile.nj;
  T *column = tile.scratch, *own = tile.scratch + nj;
  for (index_t j = 0; j < 2 * nj; ++j) column[j] = T(0);
  // A logarithm is subtracted, an offset added.
  constexpr T sign = __is_same(Form, Exponential) ? T(-1) : T(1);
  for (index_t i = 0; i < tile.ni; ++i) {
    const index_t begin = first_column(tile, i);
    T *t = scores<Form>(tile, i, begin, minus_infinity<T>), *weights = tile.weights + i * tile.ld_weights;
    for (index_t j = 0; j < begin; ++j) weights[j] = T(0);
    const T offset = sign * (shared ? out.shift : out.row[i]), weight = out.row_weight[i];
    T low = T(0);
    if constexpr (Form::kink) {
      low = out.row_low[i];
      settle(tile, i, begin, t, [&](index_t j) {
        const T by_row = magnitude(low + (offset + t[j]));
        if (out.col == nullptr) return by_row;
        const T by_column = magnitude(out.col_low[j] + (out.col[j] + t[j]));
        return by_column < by_row ? by_column : by_row;
      });
    }
    // Forms without a kink have low = 0; adding it would cost an operation.
    const auto argument = [](T lower, T upper, T score) {
      if constexpr (Form::kink) return lower + (upper + score);
      return upper + score;
    };
    T sum = T(0), first = T(0);
    if (out.col_weight == nullptr) {
#pragma omp simd reduction(+ : sum)
      for (index_t j = begin; j < nj; ++j) {
        const T w = weight * Form::slope(argument(low, offset, t[j]));
        weights[j] = w;
        sum += w;
        column[j] += w;
      }
      first = sum;
    } else if (shared) {
      const T* weight_j = out.col_weight;
#pragma omp simd reduction(+ : sum, first)
      for (index_t j = begin; j < nj; ++j) {
        const T e = Form::slope(argument(low, offset, t[j]));
        const T here = weight * e, there = weight_j[j] * e, w = here + there;
        weights[j] = w;
        sum += w;
        first += here;
        column[j] += w;
        own[j] += there;
      }
    } else {
      const T *weight_j = out.col_weight, *offset_j = out.col, *low_j = Form::kink ? out.col_low : out.col;
#pragma omp simd reduction(+ : sum, first)
      for (index_t j = begin; j < nj; ++j) {
        const T here = weight * Form::slope(argument(low, offset, t[j]));
        const T there = weight_j[j] * Form::slope(argument(low_j[j], sign * offset_j[j], t[j])), w = here + there;
        weights[j] = w;
        sum += w;
        first += here;
        column[j] += w;
        own[j] += there;
      }
    }
    if (out.sum_i == nullptr) continue;
    out.sum_i[i] += static_cast<double>(sum);
    if (out.own_i != nullptr) out.own_i[i] += static_cast<double>(first);
    if (i % flush_rows == flush_rows - 1 || i == tile.ni - 1) {
      if (out.sum_j != nullptr) flush(column, nj, out.sum_j);
      if (out.own_j != nullptr) flush(own, nj, out.own_j);
    }
  }
}

template <class T>
void pair_weights(const PairTile<T>& tile, const PairWeights<T>& out) {
  switch (tile.form) {
    case PairForm::exponential:
      return out.shared ? weights_of<Exponential, true>(tile, out) : weights_of<Exponential, false>(tile, out);
    case PairForm::hinge:
      return weights_of<Hinge, false>(tile, out);
    case PairForm::logistic:
      return weights_of<Logistic, false>(tile, out);
    case PairForm::softplus:
      return weights_of<Softplus, false>(tile, out);
    case PairForm::square:
      return weights_of<Square, false>(tile, out);
  }
}
