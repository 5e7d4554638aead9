// Kernels over the row of one node. Included inside the anonymous namespace of kernels.cpp, after vectors.h.

// h'(u) of the activations, one type each, so that the loops below have no branch.
struct LinearGate {
  template <class T>
  T operator()(T) const {
    return T(1);
  }
};
template <class T>
struct LeakyGate {
  T slope;
  T operator()(T u) const { return u > T(0) ? T(1) : (u <= T(0) ? slope : u); }  // NaN stays
};
template <class T>
struct PowerGate {
  int exponent;  // q − 1
  T factor;      // q
  T operator()(T u) const {
    T value = factor, base = u;
    for (int e = exponent; e > 0; e >>= 1) {
      if (e & 1) value *= base;
      base *= base;
    }
    return value;
  }
};

template <class T, class F>
inline void with_gate(const NodeGate& h, F&& body) {
  switch (h.form) {
    case NodeGate::Form::one:
      return body(LinearGate{});
    case NodeGate::Form::step:
      return body(LeakyGate<T>{static_cast<T>(h.parameter)});
    default:
      // The exponent must be an int: powers beyond a billion are 0, ±1 or infinite anyway.
      return body(
          PowerGate<T>{static_cast<int>(h.parameter < 1e9 ? h.parameter : 1e9) - 1, static_cast<T>(h.parameter)});
  }
}

template <class T>
void gate_row(const NodeGate& h, const T* p, const T* u, T scale, index_t n, T* out) {
  with_gate<T>(h, [&](auto gate) {
    if (u == nullptr) {
#pragma omp simd
      for (index_t i = 0; i < n; ++i) out[i] = scale * gate(p[i]);
      return;
    }
#pragma omp simd
    for (index_t i = 0; i < n; ++i) out[i] = scale * gate(p[i]) * u[i];
  });
}

template <class T>
void gate_difference_row(const NodeGate& h, const T* p, T shift, T reference, index_t n, T* u) {
  with_gate<T>(h, [&](auto gate) {
#pragma omp simd
    for (index_t i = 0; i < n; ++i) {
      const T g = gate(p[i]);
      u[i] = g * u[i] + (g - reference) * shift;
    }
  });
}

template <class T>
double gate_laplacian(const NodeGate& h, const GateLaplacian<T>& q) {
  const T *p = q.p, *p_aug = q.p_aug, *t = q.t, *r = q.r, reference = q.reference;
  const index_t n = q.n;
  T *a = q.a, *a_aug = q.a_aug;
  double sum = 0;
  with_gate<T>(h, [&](auto gate) {
#pragma omp simd reduction(+ : sum)
    for (index_t i = 0; i < n; ++i) {
      const T moved = r[i] * (a[i] - a_aug[i]), still = t[i] - moved, g = gate(p[i]), g_aug = gate(p_aug[i]);
      a[i] = g * still;
      a_aug[i] = g_aug * moved;
      sum += static_cast<double>((g - reference) * still) + static_cast<double>((g_aug - reference) * moved);
    }
  });
  return sum;
}

template <class T>
double quadratic_form(const T* a, const T* a_aug, const T* t, const T* r, index_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (index_t i = 0; i < n; ++i) {
    const double moved = static_cast<double>(a[i]) - static_cast<double>(a_aug[i]);
    sum += static_cast<double>(a[i]) * static_cast<double>(t[i]) - static_cast<double>(r[i]) * moved * moved;
  }
  return sum;
}

// gather_open and scatter_open are branch-free: gates are as good as random, and a misprediction costs more than a
// sample.
template <class T>
index_t gather_open(const T* p, const T* a, index_t n, T* s_open, T* a_open) {
  index_t open = 0;
  for (index_t i = 0; i < n; ++i) {
    s_open[open] = p[i];
    if (a != nullptr) a_open[open] = a[i];
    open += !(p[i] <= T(0));  // NaN stays
  }
  return open;
}

template <class T>
void scatter_open(const T* p, const T* t_open, const T* r_open, T r_closed, index_t n, T* t, T* r) {
  constexpr index_t block = 256;
  T t_next[block], r_next[block];
  index_t open = 0;
  for (index_t i0 = 0; i0 < n; i0 += block) {
    const index_t count = n - i0 < block ? n - i0 : block;
    for (index_t i = 0; i < count; ++i) {
      t_next[i] = t_open[open];
      r_next[i] = r_open[open];
      open += !(p[i0 + i] <= T(0));
    }
#pragma omp simd
    for (index_t i = 0; i < count; ++i) {
      t[i0 + i] = p[i0 + i] <= T(0) ? T(0) : t_next[i];
      r[i0 + i] = p[i0 + i] <= T(0) ? r_closed : r_next[i];
    }
  }
}
