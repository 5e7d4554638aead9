// The importance of a pair loss: α_ij = w_i ψ'(o_i − s t_ij), t = ½‖f_i − f_j‖².
#include <stdexcept>

#include "formulas/exponential.h"
#include "importances/pairwise.h"

namespace alphacl::cuda {
namespace {

struct ExponentialSlope {
  __device__ static double at(double x) { return exp_value(x); }
};
struct HingeSlope {
  __device__ static double at(double x) { return x > 0 ? 1.0 : (x <= 0 ? 0.0 : x); }
};
struct LogisticSlope {
  __device__ static double at(double x) {
    const double e = exp_value(x < 0 ? x : -x);
    return e / ((1 + e) * (1 + e));
  }
};
struct SoftplusSlope {
  __device__ static double at(double x) {
    const double e = exp_value(x < 0 ? x : -x);
    return (x < 0 ? e : 1) / (1 + e);
  }
};
struct SquareSlope {
  __device__ static double at(double x) { return x > 0 ? x : (x <= 0 ? 0.0 : x); }
};

template <class Slope>
struct LossEntries {
  double scale;
  const double *offset, *weight;
  __device__ PairEntry operator()(int i, int j, double t) const {
    if (i == j) return {t, t};
    return {weight[i] * Slope::at(offset[i] - scale * t), weight[j] * Slope::at(offset[j] - scale * t)};
  }
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> pair(const Stream& on, View<const S> f, double scale, const std::string& form,
                                    const double* offset, const double* weight, Workspace& memory) {
  const PairFeatures features = features_in_double(on, f, memory);
  if (form == "exponential") return pairwise<S>(features, LossEntries<ExponentialSlope>{scale, offset, weight});
  if (form == "hinge") return pairwise<S>(features, LossEntries<HingeSlope>{scale, offset, weight});
  if (form == "logistic") return pairwise<S>(features, LossEntries<LogisticSlope>{scale, offset, weight});
  if (form == "softplus") return pairwise<S>(features, LossEntries<SoftplusSlope>{scale, offset, weight});
  if (form == "square") return pairwise<S>(features, LossEntries<SquareSlope>{scale, offset, weight});
  throw std::invalid_argument("form: expected exponential, hinge, logistic, softplus or square, got " + form);
}

template std::unique_ptr<Importance<float>> pair<float>(const Stream&, View<const float>, double, const std::string&,
                                                        const double*, const double*, Workspace&);
template std::unique_ptr<Importance<double>> pair<double>(const Stream&, View<const double>, double, const std::string&,
                                                          const double*, const double*, Workspace&);

}  // namespace alphacl::cuda
