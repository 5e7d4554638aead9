// The importance of a pair loss: α_ij = w_i ψ'(o_i − s t_ij), t = ½‖f_i − f_j‖².
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
std::unique_ptr<Importance<S>> pair(const Stream& on, View<const S> f, double scale, PairForm form,
                                    const double* offset, const double* weight, Workspace& memory) {
  const PairFeatures features = features_in_double(on, f, memory);
  switch (form) {
    case PairForm::exponential:
      return pairwise<S>(features, LossEntries<PairForm::exponential>{scale, offset, weight});
    case PairForm::hinge:
      return pairwise<S>(features, LossEntries<PairForm::hinge>{scale, offset, weight});
    case PairForm::logistic:
      return pairwise<S>(features, LossEntries<PairForm::logistic>{scale, offset, weight});
    case PairForm::softplus:
      return pairwise<S>(features, LossEntries<PairForm::softplus>{scale, offset, weight});
    case PairForm::square:
      return pairwise<S>(features, LossEntries<PairForm::square>{scale, offset, weight});
  }
  return nullptr;
}

template std::unique_ptr<Importance<float>> pair<float>(const Stream&, View<const float>, double, PairForm,
                                                        const double*, const double*, Workspace&);
template std::unique_ptr<Importance<double>> pair<double>(const Stream&, View<const double>, double, PairForm,
                                                          const double*, const double*, Workspace&);

}  // namespace alphacl::cuda
