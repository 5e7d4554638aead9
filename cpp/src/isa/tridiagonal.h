// The top eigenpair of a small symmetric tridiagonal matrix T with positive off-diagonal entries. Included inside the
// anonymous namespace of kernels.cpp: the loops are chains of dependent steps, and a fused multiply-add halves them.

struct Gershgorin {
  double low, high;  // no eigenvalue lies outside
  double size() const { return -low > high ? -low : high; }
};

inline Gershgorin gershgorin(const double* alpha, const double* beta, index_t m) {
  const double first = m > 1 ? beta[0] : 0, final = m > 1 ? beta[m - 2] : 0;
  double low = alpha[0] - first < alpha[m - 1] - final ? alpha[0] - first : alpha[m - 1] - final;
  double high = alpha[0] + first > alpha[m - 1] + final ? alpha[0] + first : alpha[m - 1] + final;
#pragma omp simd reduction(min : low) reduction(max : high)
  for (index_t j = 1; j < m - 1; ++j) {
    const double radius = beta[j - 1] + beta[j], below = alpha[j] - radius, above = alpha[j] + radius;
    low = below < low ? below : low;
    high = above > high ? above : high;
  }
  return {low, high};
}

// The largest eigenvalue by Laguerre's iteration from above: it falls monotonically to the largest root of the
// characteristic polynomial, at third order. It starts at `guess` if that lies above all roots (then all leading minors
// are positive), else at Gershgorin's bound.
// The polynomial is evaluated by its recurrence, which has no division in its chain. Only ratios of it and of its
// derivatives are used, so all of them are rescaled when they leave the middle of the range. Unit: half of Gershgorin's
// interval, about its middle.
double tridiagonal_top(const double* alpha, const double* beta, index_t m, double guess, double* last,
                       double* scratch) {
  const Gershgorin bounds = gershgorin(alpha, beta, m);
  const double middle = 0.5 * bounds.low + 0.5 * bounds.high, half = 0.5 * bounds.high - 0.5 * bounds.low;
  *last = 1;
  if (!(half > 0)) return bounds.high;
  const double unit = 1 / half, degree = static_cast<double>(m);
  double *diagonal = scratch, *squares = scratch + m;
  for (index_t j = 0; j < m; ++j) {
    const double off = j > 0 ? unit * beta[j - 1] : 0;
    diagonal[j] = unit * (alpha[j] - middle);
    squares[j] = off * off;
  }
  bool guessed = guess < bounds.high, near = false;
  double x = guessed ? (guess - middle) * unit : 1, step = 1;
  for (int round = 0; round < 200 && step > 1e-13 && !near; ++round) {
    double p = 1, p1 = 0, p2 = 0, q = 0, q1 = 0, q2 = 0;  // the last two polynomials and their derivatives
    int negative = 0;
    for (index_t j = 0; j < m;) {
      for (const index_t stop = m - j < 8 ? m : j + 8; j < stop; ++j) {
        const double shift = x - diagonal[j], off = squares[j];
        // The brackets shorten the chain from one minor to the next, which takes the time.
        const double r = shift * p - off * q, r1 = shift * p1 + (p - off * q1), r2 = shift * p2 + (2 * p1 - off * q2);
        q = p, q1 = p1, q2 = p2;
        p = r, p1 = r1, p2 = r2;
        negative |= __builtin_signbit(p);
      }
      const double magnitude = __builtin_fabs(p);
      if (magnitude > 1e-60 && magnitude < 1e60) continue;
      const double factor = 1 / (magnitude + __builtin_fabs(q));
      p *= factor, p1 *= factor, p2 *= factor;
      q *= factor, q1 *= factor, q2 *= factor;
    }
    if (guessed && negative != 0) {
      guessed = false;
      x = 1;
      continue;
    }
    guessed = false;
    // At an eigenvalue s_m² = p_{m−1}/p_m'. At a distance δ above it the other eigenvalues λ disturb this; p p''/p'² =
    // 2δ Σ 1/(x − λ) tells by how much, and how far the next step goes beyond this one.
    const double inverse = 1 / p1, newton = p * inverse, others = newton * (p2 * inverse), square = q * inverse;
    *last = square > 0 ? __builtin_sqrt(square) : 0;
    if (!(newton >= 0)) break;
    near = others < 1e-3 && others < 0.2 * square;
    if (near) {
      x -= newton * (1 + 0.5 * others);  // Newton step with the second-order term
    } else {
      const double inside = (degree - 1) * (degree * (1 - others) - 1);
      step = degree * newton / (1 + (inside > 0 ? __builtin_sqrt(inside) : 0));
      x -= step;
    }
  }
  if (!near) *last = 0;
  return middle + x * half;
}

// The unit eigenvector s (m) of the largest eigenvalue, exact in its small entries: one step of inverse iteration just
// above the eigenvalue, where every pivot is positive and no sum cancels; a second one where the residual exceeds
// `enough` or the last entry is tiny. pivots: m.
void tridiagonal_vector(const double* alpha, const double* beta, index_t m, double top, double enough, double* s,
                        double* pivots) {
  // In units of ‖T‖, so that the squares of s stay in the range of numbers.
  constexpr double tiny = 1e-15;
  const double size = gershgorin(alpha, beta, m).size(), unit = size > 0 ? 1 / size : 0;
  const double above = unit * top + 4 * tiny;
  for (index_t j = 0; j < m; ++j) {
    const double off = j > 0 ? unit * beta[j - 1] : 0;
    const double pivot = above - unit * alpha[j] - (j > 0 ? off * off * pivots[j - 1] : 0);
    pivots[j] = 1 / (pivot > tiny ? pivot : tiny);
    s[j] = 1;
  }
  double residual = 0;
  for (int round = 0; round < 2 && (round == 0 || residual > enough || s[m - 1] < 1e-8); ++round) {
    for (index_t j = 1; j < m; ++j) s[j] += unit * beta[j - 1] * pivots[j - 1] * s[j - 1];
    s[m - 1] *= pivots[m - 1];
    for (index_t j = m - 2; j >= 0; --j) s[j] = pivots[j] * s[j] + pivots[j] * (unit * beta[j]) * s[j + 1];
    double square = 0;
    for (index_t j = 0; j < m; ++j) square += s[j] * s[j];
    const double factor = 1 / __builtin_sqrt(square);
    residual =
        size * __builtin_sqrt(static_cast<double>(m)) * factor;  // after the first step, whose right side is m ones
    for (index_t j = 0; j < m; ++j) s[j] *= factor;
  }
}
