// Tiles of radial importances exp(−q^(p/2)/τ). Included inside the anonymous namespace of kernels.cpp.

// t_j = (½‖f_i‖² + ½‖f_j‖² − f_i·f_j)^(p/2). A negative distance is rounding and becomes 0; NaN stays.
template <class S>
void powers(const S* dot, S half_i, const S* half_j, index_t begin, index_t n, double power, S* t) {
#pragma omp simd
  for (index_t j = begin; j < n; ++j) {
    const S q = (half_i + half_j[j]) - dot[j];
    t[j] = q < S(0) ? S(0) : q;
  }
  if (power == 2) return;
  if (power == 4) {
#pragma omp simd
    for (index_t j = begin; j < n; ++j) t[j] *= t[j];
  } else if (power == 1) {
#pragma omp simd
    for (index_t j = begin; j < n; ++j) t[j] = __builtin_sqrt(t[j]);
  } else {
    for (index_t j = begin; j < n; ++j) t[j] = static_cast<S>(__builtin_pow(t[j], 0.5 * power));
  }
}

template <class T, class S>
bool radial_tile(const RadialTile<T, S>& tile) {
  S* t = tile.scratch_s;
  T* column = tile.scratch_t;
  const index_t nj = tile.nj;
  const S inv_tau = tile.inv_tau;
  bool any = false;
  for (index_t j = 0; j < nj; ++j) column[j] = T(0);
  for (index_t i = 0; i < tile.ni; ++i) {
    const index_t wanted = i + tile.first;
    const index_t begin = wanted < 0 ? 0 : (wanted > nj ? nj : wanted);
    T* out = tile.out + i * tile.ld_out;
    powers(tile.dot + i * tile.ld_dot, tile.half_i[i], tile.half_j, begin, nj, tile.power, t);
    for (index_t j = 0; j < begin; ++j) out[j] = T(0);
    double total = 0;
    const T factor = tile.factor;
    if (tile.share_i == nullptr) {
      T sum = T(0);
#pragma omp simd reduction(+ : sum)
      for (index_t j = begin; j < nj; ++j) {
        const T e = factor * exp_value(static_cast<T>(-inv_tau * t[j]));
        out[j] = e;
        sum += e;
        column[j] += e;
      }
      total = static_cast<double>(sum);
    } else {
      const S nearest_i = tile.nearest_i[i];
      const T share_i = static_cast<T>(tile.share_i[i]);
#pragma omp simd
      for (index_t j = begin; j < nj; ++j) out[j] = share_i * exp_value(static_cast<T>((nearest_i - t[j]) * inv_tau));
      if (tile.share_j != nullptr) {
#pragma omp simd
        for (index_t j = begin; j < nj; ++j)
          out[j] += static_cast<T>(tile.share_j[j]) * exp_value(static_cast<T>((tile.nearest_j[j] - t[j]) * inv_tau));
      }
      // In double: entries of 1/N are all equal, and their roundings have one sign.
#pragma omp simd reduction(+ : total)
      for (index_t j = begin; j < nj; ++j) {
        total += static_cast<double>(out[j]);
        column[j] += out[j];
      }
    }
    any = any || total != 0;
    if (tile.row_sum != nullptr) tile.row_sum[i] += total;
    if (tile.col_sum != nullptr && (i % flush_rows == flush_rows - 1 || i == tile.ni - 1)) {
#pragma omp simd
      for (index_t j = 0; j < nj; ++j) {
        tile.col_sum[j] += static_cast<double>(column[j]);
        column[j] = T(0);
      }
    }
  }
  return any;
}

template <class S>
void radial_stats(const RadialStats<S>& tile) {
  S* t = tile.scratch;
  const S none = static_cast<S>(__builtin_inf()), inv_tau = tile.inv_tau;
  for (index_t i = 0; i < tile.ni; ++i) {
    powers(tile.dot + i * tile.ld_dot, tile.half_i[i], tile.half_j, 0, tile.nj, tile.power, t);
    const index_t self = tile.skip + i;
    if (self >= 0 && self < tile.nj) t[self] = none;
    S nearest = tile.nearest[i];
#pragma omp simd reduction(min : nearest)
    for (index_t j = 0; j < tile.nj; ++j) nearest = t[j] < nearest ? t[j] : nearest;
    // nearest = inf: no entry of this row has been seen yet, and inf − inf would be NaN.
    const S base = nearest == none ? S(0) : nearest;
    S sum = S(0);
#pragma omp simd reduction(+ : sum)
    for (index_t j = 0; j < tile.nj; ++j) sum += exp_value((base - t[j]) * inv_tau);
    const S moved = (base - tile.nearest[i]) * inv_tau;
    tile.sum[i] = tile.sum[i] * static_cast<double>(exp_value(moved)) + static_cast<double>(sum);
    tile.nearest[i] = nearest;
  }
}

void negative_half_distance(const double* fi, index_t ni, index_t m, const double* fjt, index_t ld_fjt, index_t nj,
                            double* dot, index_t ld) {
  for (index_t i = 0; i < ni; ++i) {
    double* row = dot + i * ld;
    for (index_t j = 0; j < nj; ++j) row[j] = 0;
    const double* f = fi + i * m;
    index_t k = 0;
    for (; k + 4 <= m; k += 4) {
      const double a = f[k], b = f[k + 1], c = f[k + 2], e = f[k + 3];
      const double* ta = fjt + k * ld_fjt;
      const double *tb = ta + ld_fjt, *tc = tb + ld_fjt, *te = tc + ld_fjt;
#pragma omp simd
      for (index_t j = 0; j < nj; ++j) {
        const double da = a - ta[j], db = b - tb[j], dc = c - tc[j], de = e - te[j];
        row[j] += (da * da + db * db) + (dc * dc + de * de);
      }
    }
    for (; k < m; ++k) {
      const double a = f[k];
      const double* ta = fjt + k * ld_fjt;
#pragma omp simd
      for (index_t j = 0; j < nj; ++j) {
        const double da = a - ta[j];
        row[j] += da * da;
      }
    }
#pragma omp simd
    for (index_t j = 0; j < nj; ++j) row[j] *= -0.5;
  }
}
