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

// cos θ and sin θ for |θ| ≤ π by Taylor series at θ/4 and two doublings (error 4e-16), then cos kθ, sin kθ by
// rotation: kmax ≤ 100 steps add less than 1e-14.
template <class T>
void fourier(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out, index_t ld) {
  constexpr index_t lanes = 64;
  double c1[lanes], s1[lanes], ck[lanes], sk[lanes];
  for (index_t a0 = 0; a0 < n; a0 += lanes) {
    const index_t na = n - a0 < lanes ? n - a0 : lanes;
#pragma omp simd
    for (index_t a = 0; a < na; ++a) {
      const double q = 0.25 * theta[a0 + a], q2 = q * q;
      double s = -7.6471637318198164759e-13;  // −1/15!, …
      s = s * q2 + 1.6059043836821614599e-10;
      s = s * q2 - 2.5052108385441718775e-8;
      s = s * q2 + 2.7557319223985890653e-6;
      s = s * q2 - 1.9841269841269841270e-4;
      s = s * q2 + 8.3333333333333333333e-3;
      s = s * q2 - 1.6666666666666666667e-1;
      s = s * q2 * q + q;
      // 1 − cos keeps its digits under doubling: v = 1 − cos q = 2 sin²(q/2).
      double v = 4.7794773323873852974e-14;  // 1/16!, …
      v = -v * q2 + 1.1470745597729724714e-11;
      v = -v * q2 + 2.0876756987868098979e-9;
      v = -v * q2 + 2.7557319223985890653e-7;
      v = -v * q2 + 2.4801587301587301587e-5;
      v = -v * q2 + 1.3888888888888888889e-3;
      v = -v * q2 + 4.1666666666666666667e-2;
      v = (-v * q2 + 0.5) * q2;
      const double s2 = 2 * s * (1 - v), v2 = 2 * s * s;
      s1[a] = 2 * s2 * (1 - v2);
      c1[a] = 1 - 2 * s2 * s2;
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
