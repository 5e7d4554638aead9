// α given as an array.
#include "importances/pairwise.h"

namespace alphacl::cuda {
namespace {

template <class S>
struct StoredEntries {
  View<const S> alpha;
  __device__ PairEntry operator()(int i, int j, double) const {
    return {static_cast<double>(alpha.data[i * alpha.stride + j]),
            static_cast<double>(alpha.data[j * alpha.stride + i])};
  }
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> dense(View<const S> alpha) {
  return pairwise<S>(PairFeatures{nullptr, static_cast<int>(alpha.rows), 0}, StoredEntries<S>{alpha});
}

template std::unique_ptr<Importance<float>> dense<float>(View<const float>);
template std::unique_ptr<Importance<double>> dense<double>(View<const double>);

}  // namespace alphacl::cuda
