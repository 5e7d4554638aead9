// Importances that fall with the distance: Gaussian and Direct.
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

struct DirectEntries {
  PowerOf power;
  double tau;
  __device__ PairEntry operator()(int i, int j, double t) const {
    const double value = i == j ? t : exp_value(-power(t) / tau);
    return {value, value};
  }
};

// The shift of a row is its smallest power: no τ gives 0/0.
struct NormalizedEntries {
  PowerOf power;
  double tau;
  const RowState* rows;
  __device__ PairEntry operator()(int i, int j, double t) const {
    if (i == j) return {t, t};
    const double h = power(t);
    const RowState own = rows[i], other = rows[j];
    return {exp_value(-(h - own.shift) / tau) / own.value, exp_value(-(h - other.shift) / tau) / other.value};
  }
};

// Pass 0: the smallest power; pass 1: the sum of the exponentials.
struct NormalizerRule {
  PowerOf power;
  double tau;
  __device__ RowPart start(int pass) const {
    return {pass == 0 ? simt::as_double(std::uint64_t{0x7ff} << 52) : 0.0, 0};
  }
  __device__ void add(const RowState& state, int pass, double t, RowPart& part) const {
    const double h = power(t);
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
    return pass == 0;
  }
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> gaussian(const Stream& on, View<const S> f, double tau, Workspace& memory) {
  return pairwise<S>(features_in_double(on, f, memory), GaussianEntries{tau});
}

template <class S>
std::unique_ptr<Importance<S>> direct(const Stream& on, View<const S> f, double p, double tau, bool normalize,
                                      Workspace& memory) {
  const PairFeatures features = features_in_double(on, f, memory);
  const PowerOf power{0.5 * p};
  if (!normalize) return pairwise<S>(features, DirectEntries{power, tau});
  const RowState* const rows = row_states(on, features, NormalizerRule{power, tau}, memory);
  return pairwise<S>(features, NormalizedEntries{power, tau, rows});
}

template std::unique_ptr<Importance<float>> gaussian<float>(const Stream&, View<const float>, double, Workspace&);
template std::unique_ptr<Importance<double>> gaussian<double>(const Stream&, View<const double>, double, Workspace&);
template std::unique_ptr<Importance<float>> direct<float>(const Stream&, View<const float>, double, double, bool,
                                                          Workspace&);
template std::unique_ptr<Importance<double>> direct<double>(const Stream&, View<const double>, double, double, bool,
                                                            Workspace&);

}  // namespace alphacl::cuda
