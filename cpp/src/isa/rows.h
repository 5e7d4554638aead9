// Kernels over one row or one block. Included inside the anonymous namespace of kernels.cpp.

template <class T>
void add_block(double* acc, index_t ld_acc, const T* block, index_t ld, index_t rows, index_t cols) {
  for (index_t i = 0; i < rows; ++i) {
    double* a = acc + i * ld_acc;
    const T* b = block + i * ld;
#pragma omp simd
    for (index_t j = 0; j < cols; ++j) a[j] += static_cast<double>(b[j]);
  }
}

template <class T>
void add_block_rows(const T* block, index_t rows, index_t cols, double* sum) {
  for (index_t i = 0; i < rows; ++i) {
    const T* b = block + i * cols;
#pragma omp simd
    for (index_t j = 0; j < cols; ++j) sum[j] += static_cast<double>(b[j]);
  }
}

template <class T>
void scale_row(const T* in, T w, index_t n, T* out) {
#pragma omp simd
  for (index_t j = 0; j < n; ++j) out[j] = w * in[j];
}

template <class T, class U>
double dot(const T* x, const U* y, index_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (index_t j = 0; j < n; ++j) sum += static_cast<double>(x[j]) * static_cast<double>(y[j]);
  return sum;
}

template <class T>
void outer(const double* w, index_t rows, const T* y, index_t n, bool add, T* out, index_t ld) {
  for (index_t r = 0; r < rows; ++r) {
    T* row = out + r * ld;
    if (add) {
#pragma omp simd
      for (index_t j = 0; j < n; ++j)
        row[j] = static_cast<T>(static_cast<double>(row[j]) + w[r] * static_cast<double>(y[j]));
    } else {
#pragma omp simd
      for (index_t j = 0; j < n; ++j) row[j] = static_cast<T>(w[r] * static_cast<double>(y[j]));
    }
  }
}

// `rows` rows of a tile from row i on, and `count` vectors of both sides: each entry becomes a double once.
template <class T, int rows, int count>
void rows_both_ways(const LeftTile<T>& tile, index_t i, const BothSides& v) {
  using V = Wide<double, T>;
  using D = Wide<double, double>;
  typename V::type sum[rows][count] = {};
  double total[rows][count] = {}, of_row[rows][count];
  for (int r = 0; r < rows; ++r)
    for (int k = 0; k < count; ++k) of_row[r][k] = v.of_rows[k * v.stride + i + r];
  index_t j = 0;
  for (; j + V::lanes <= tile.n; j += V::lanes) {
    typename V::type of_column[count], to_column[count], x;
    for (int k = 0; k < count; ++k) D::load(v.of_columns + k * v.stride + j, &of_column[k]);
    for (int k = 0; k < count; ++k) D::load(v.to_columns + k * v.stride + j, &to_column[k]);
    for (int r = 0; r < rows; ++r) {
      V::load(tile.data + (i + r) * tile.ld + j, &x);
      for (int k = 0; k < count; ++k) sum[r][k] += x * of_column[k];
      for (int k = 0; k < count; ++k) to_column[k] += x * of_row[r][k];
    }
    for (int k = 0; k < count; ++k) D::store(to_column[k], v.to_columns + k * v.stride + j);
  }
  for (; j < tile.n; ++j)
    for (int r = 0; r < rows; ++r) {
      const double x = static_cast<double>(tile.data[(i + r) * tile.ld + j]);
      for (int k = 0; k < count; ++k) total[r][k] += x * v.of_columns[k * v.stride + j];
      for (int k = 0; k < count; ++k) v.to_columns[k * v.stride + j] += x * of_row[r][k];
    }
  for (int r = 0; r < rows; ++r)
    for (int k = 0; k < count; ++k) {
      for (index_t lane = 0; lane < V::lanes; ++lane) total[r][k] += sum[r][k][lane];
      v.to_rows[k * v.stride + i + r] += total[r][k];
    }
}

template <class T, int count>
void columns_both_ways(const LeftTile<T>& tile, const BothSides& v) {
  index_t i = 0;
  for (; i + 4 <= tile.ni; i += 4) rows_both_ways<T, 4, count>(tile, i, v);
  for (; i < tile.ni; ++i) rows_both_ways<T, 1, count>(tile, i, v);
}

template <class T>
void multiply_both_ways(const LeftTile<T>& tile, const BothSides& all, index_t count) {
  for (index_t k = 0; k < count; k += 2) {
    const index_t at = k * all.stride;
    const BothSides v = {all.of_rows + at, all.of_columns + at, all.to_rows + at, all.to_columns + at, all.stride};
    if (count - k > 1)
      columns_both_ways<T, 2>(tile, v);
    else
      columns_both_ways<T, 1>(tile, v);
  }
}

template <class T>
void sum_rows(const T* const* rows, index_t count, index_t n, T* out) {
  using V = Wide<T, T>;
  constexpr index_t together = 4;
  const index_t last = n - V::lanes;
  if (last < 0) {
    for (index_t j = 0; j < n; ++j) {
      T sum = T(0);
      for (index_t r = 0; r < count; ++r) sum += rows[r][j];
      out[j] = sum;
    }
    return;
  }
  for (index_t j = 0; j < n; j += together * V::lanes) {
    index_t at[together];  // vectors that overlap give the same numbers
    for (index_t v = 0; v < together; ++v) at[v] = j + v * V::lanes < last ? j + v * V::lanes : last;
    typename V::type sum[together] = {}, x;
    for (index_t r = 0; r < count; ++r)
      for (index_t v = 0; v < together; ++v) {
        V::load(rows[r] + at[v], &x);
        sum[v] += x;
      }
    for (index_t v = 0; v < together; ++v) V::store(sum[v], out + at[v]);
  }
}

template <class T, class S>
void center_row(const S* x, const double* shift, index_t n, T* out) {
#pragma omp simd
  for (index_t j = 0; j < n; ++j) out[j] = static_cast<T>(static_cast<double>(x[j]) - shift[j]);
}

template <class T, class S>
void delta_row(const S* x, const S* y, index_t n, T* out) {
#pragma omp simd
  for (index_t j = 0; j < n; ++j) out[j] = static_cast<T>(x[j]) - static_cast<T>(y[j]);
}

template <class T, class S>
void combine(const T* x, double a, const S* y, double b, const S* z, double c, index_t n, S* out) {
  const auto as_double = [](auto number) { return static_cast<double>(number); };
  if (y == nullptr) {
#pragma omp simd
    for (index_t j = 0; j < n; ++j) out[j] = static_cast<S>(a * as_double(x[j]));
  } else if (z == nullptr) {
#pragma omp simd
    for (index_t j = 0; j < n; ++j) out[j] = static_cast<S>(a * as_double(x[j]) + b * as_double(y[j]));
  } else {
#pragma omp simd
    for (index_t j = 0; j < n; ++j)
      out[j] = static_cast<S>(a * as_double(x[j]) + b * as_double(y[j]) + c * as_double(z[j]));
  }
}

template <class S>
void add_offsets(const S* x, const S* origin, index_t n, double* sum) {
#pragma omp simd
  for (index_t j = 0; j < n; ++j) sum[j] += static_cast<double>(x[j]) - static_cast<double>(origin[j]);
}

template <class T>
void exp_values(const T* x, index_t n, T* out) {
#pragma omp simd
  for (index_t j = 0; j < n; ++j) out[j] = exp_value(x[j]);
}
