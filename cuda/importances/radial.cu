// Importances that fall with the distance: Gaussian, Direct and InverseDistance.
#include "formulas/exponential.h"
#include "importances/pairwise.h"
#include "importances/row_passes.h"

namespace alphacl::cuda {
namespace {

// (½d²)^(p/2); NaN stays.
struct PowerOf {
  double half_power;
  __device__ double operator()(double t) const {
    if (half_power == 1) return t;
    if (half_power == 2) return t * t;
    return t > 0 ? exp_value(half_power * log_value(t)) : t;
  }
};

struct GaussianEntries {
  double tau;
  __device__ PairEntry operator()(int i, int j, double t) const {
    const double value = i == j ? 1.0 + t : exp_value(-t / tau);
    return {value, value};
  }
};

// q log((½d²)^(p/2) + τ): an inverse power is its exponential.
struct LogarithmOf {
  PowerOf power;
  double tau, q;
  __device__ double operator()(double t) const { return q * log_value(power(t) + tau); }
};

// A sample and itself, and its two views where there are N = 2 · half of them.
struct LeftOut {
  int half;
  __device__ bool operator()(int i, int j) const { return i == j || i - j == half || j - i == half; }
};

__device__ inline double zero_or_nan(double t) { return t == t ? 0.0 : t; }

template <class Fall>
struct DirectEntries {
  Fall fall;
  double tau;
  LeftOut left_out;
  __device__ PairEntry operator()(int i, int j, double t) const {
    const double value = left_out(i, j) ? zero_or_nan(t) : exp_value(-fall(t) / tau);
    return {value, value};
  }
};

// The shift of a row is its smallest fall: no τ gives 0/0.
template <class Fall>
struct NormalizedEntries {
  Fall fall;
  double tau;
  LeftOut left_out;
  const RowState* rows;
  __device__ PairEntry operator()(int i, int j, double t) const {
    if (left_out(i, j)) return {zero_or_nan(t), zero_or_nan(t)};
    const double h = fall(t);
    const RowState own = rows[i], other = rows[j];
    return {exp_value(-(h - own.shift) / tau) / own.value, exp_value(-(h - other.shift) / tau) / other.value};
  }
};

// Pass 0: the smallest fall; pass 1: the sum of the exponentials, and what is added to it.
template <class Fall>
struct NormalizerRule {
  Fall fall;
  double tau;
  LeftOut left_out;
  double added;
  __device__ RowPart start(int pass) const {
    return {pass == 0 ? simt::as_double(std::uint64_t{0x7ff} << 52) : 0.0, 0};
  }
  __device__ bool counts(int i, int j) const { return !left_out(i, j); }
  __device__ void add(const RowState& state, int pass, double t, RowPart& part) const {
    const double h = fall(t);
    if (pass == 0)
      part.first = h < part.first ? h : part.first;
    else
      part.first += exp_value(-(h - state.shift) / tau);
  }
  __device__ void join(int pass, RowPart& part, const RowPart& other) const {
    if (pass == 0)
      part.first = other.first < part.first ? other.first : part.first;
    else
      part.first += other.first;
  }
  __device__ bool update(RowState& state, int pass, const RowPart& part) const {
    (pass == 0 ? state.shift : state.value) = part.first;
    if (pass > 0 && added > 0) state.value += added * exp_value(state.shift / tau);
    return pass == 0;
  }
};

template <class S, class Fall>
std::unique_ptr<Importance<S>> falling(const Stream& on, const PairFeatures& f, const Fall& fall, double tau,
                                       const RowSumRule& rule, Workspace& memory) {
  const LeftOut left_out{rule.paired ? f.n / 2 : 0};
  if (!rule.normalize) return pairwise<S>(f, DirectEntries<Fall>{fall, tau, left_out});
  const double added = rule.eps * (f.n - (rule.paired ? 2 : 1));
  const RowState* const rows = row_states(on, f, NormalizerRule<Fall>{fall, tau, left_out, added}, memory);
  return pairwise<S>(f, NormalizedEntries<Fall>{fall, tau, left_out, rows});
}

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> gaussian(const Stream& on, View<const S> f, double tau, Workspace& memory) {
  return pairwise<S>(features_in_double(on, f, memory), GaussianEntries{tau});
}

template <class S>
std::unique_ptr<Importance<S>> direct(const Stream& on, View<const S> f, double p, double tau, const RowSumRule& rule,
                                      Workspace& memory) {
  return falling<S>(on, features_in_double(on, f, memory), PowerOf{0.5 * p}, tau, rule, memory);
}

template <class S>
std::unique_ptr<Importance<S>> inverse_distance(const Stream& on, View<const S> f, double p, double tau, double q,
                                                const RowSumRule& rule, Workspace& memory) {
  const LogarithmOf fall{{0.5 * p}, tau, q};
  return falling<S>(on, features_in_double(on, f, memory), fall, 1.0, rule, memory);
}

template std::unique_ptr<Importance<float>> gaussian<float>(const Stream&, View<const float>, double, Workspace&);
template std::unique_ptr<Importance<double>> gaussian<double>(const Stream&, View<const double>, double, Workspace&);
template std::unique_ptr<Importance<float>> direct<float>(const Stream&, View<const float>, double, double,
                                                          const RowSumRule&, Workspace&);
template std::unique_ptr<Importance<double>> direct<double>(const Stream&, View<const double>, double, double,
                                                            const RowSumRule&, Workspace&);
template std::unique_ptr<Importance<float>> inverse_distance<float>(const Stream&, View<const float>, double, double,
                                                                    double, const RowSumRule&, Workspace&);
template std::unique_ptr<Importance<double>> inverse_distance<double>(const Stream&, View<const double>, double, double,
                                                                      double, const RowSumRule&, Workspace&);

}  // namespace alphacl::cuda
