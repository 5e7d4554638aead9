// SquareRegularized: rows of −d²/τ projected on the simplex, α_ij = [μ_i − t_ij]₊/τ, t = ½‖f_i − f_j‖².
//
// With the k pairs of t < μ the sum of the row is 1 at μ = (τ + Σ t)/k. Starting from all pairs, each μ leaves out
// those beyond it and is smaller than the one before, until none is left out (Michelot 1986): mostly about ten passes.
#include "importances/pairwise.h"
#include "importances/row_passes.h"

namespace alphacl::cuda {
namespace {

// shift: the smallest t of the row; value: μ − shift.
struct SimplexEntries {
  double tau;
  const RowState* rows;
  __device__ double entry(const RowState& row, double t) const {
    const double above = row.value - (t - row.shift);
    return above > 0 ? above / tau : above - above;  // 0, or NaN
  }
  __device__ PairEntry operator()(int i, int j, double t) const {
    if (i == j) return {t, t};
    return {entry(rows[i], t), entry(rows[j], t)};
  }
};

// Pass 0: the smallest t. Then: how many lie below μ, and the sum of t − shift over them.
struct SimplexRule {
  double tau;
  static constexpr int most_passes = 200;
  __device__ static double infinity() { return simt::as_double(std::uint64_t{0x7ff} << 52); }
  __device__ RowPart start(int pass) const { return {pass == 0 ? infinity() : 0.0, 0}; }
  __device__ bool counts(int i, int j) const { return i != j; }
  __device__ void add(const RowState& state, int pass, double t, RowPart& part) const {
    if (pass == 0) {
      part.first = t < part.first ? t : part.first;
    } else if (pass == 1 || t - state.shift < state.value) {
      part.first += t - state.shift;
      part.second += 1;
    }
  }
  __device__ void join(int pass, RowPart& part, const RowPart& other) const {
    if (pass == 0)
      part.first = other.first < part.first ? other.first : part.first;
    else
      part.first += other.first;
    part.second += other.second;
  }
  __device__ bool update(RowState& state, int pass, const RowPart& part) const {
    if (pass == 0) {
      state.shift = part.first;
      state.value = infinity();
      return true;
    }
    const double before = state.value;
    state.value = (tau + part.first) / part.second;
    if (state.value == infinity()) state.value -= infinity();  // distances beyond double: NaN
    return state.value < before && pass < most_passes;
  }
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> square_regularized(const Stream& on, View<const S> f, double tau, Workspace& memory) {
  const PairFeatures features = features_in_double(on, f, memory);
  const RowState* const rows = row_states(on, features, SimplexRule{tau}, memory);
  return pairwise<S>(features, SimplexEntries{tau, rows});
}

template std::unique_ptr<Importance<float>> square_regularized<float>(const Stream&, View<const float>, double,
                                                                      Workspace&);
template std::unique_ptr<Importance<double>> square_regularized<double>(const Stream&, View<const double>, double,
                                                                        Workspace&);

}  // namespace alphacl::cuda
