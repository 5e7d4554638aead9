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

template <class T>
void add_scaled(const T* x, double w, index_t n, double* sum) {
#pragma omp simd
  for (index_t j = 0; j < n; ++j) sum[j] += w * static_cast<double>(x[j]);
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
