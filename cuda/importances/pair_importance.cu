// The importance of a pair loss: α_ij = w_i ψ'(o_i − s t_ij), t = ½‖f_i − f_j‖².
#include <stdexcept>

#include "formulas/pair_forms.h"
#include "importances/pairwise.h"

namespace alphacl::cuda {
namespace {

template <PairForm form>
struct LossEntries {
  double scale;
  const double *offset, *weight;
  __device__ PairEntry operator()(int i, int j, double t) const {
    if (i == j) return {t, t};
    return {weight[i] * pair_slope<form>(offset[i] - scale * t), weight[j] * pair_slope<form>(offset[j] - scale * t)};
  }
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> pair(const Stream& on, View<const S> f, double scale, const std::string& form,
                                    const double* offset, const double* weight, Workspace& memory) {
  const PairFeatures features = features_in_double(on, f, memory);
  if (form == "exponential") return pairwise<S>(features, LossEntries<PairForm::exponential>{scale, offset, weight});
  if (form == "hinge") return pairwise<S>(features, LossEntries<PairForm::hinge>{scale, offset, weight});
  if (form == "logistic") return pairwise<S>(features, LossEntries<PairForm::logistic>{scale, offset, weight});
  if (form == "softplus") return pairwise<S>(features, LossEntries<PairForm::softplus>{scale, offset, weight});
  if (form == "square") return pairwise<S>(features, LossEntries<PairForm::square>{scale, offset, weight});
  throw std::invalid_argument("form: expected exponential, hinge, logistic, softplus or square, got " + form);
}

template std::unique_ptr<Importance<float>> pair<float>(const Stream&, View<const float>, double, const std::string&,
                                                        const double*, const double*, Workspace&);
template std::unique_ptr<Importance<double>> pair<double>(const Stream&, View<const double>, double, const std::string&,
                                                          const double*, const double*, Workspace&);

}  // namespace alphacl::cuda
