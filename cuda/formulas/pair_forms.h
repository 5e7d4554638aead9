// ψ and ψ' of sums over pairs, for kernels: those of alphacl/pair_form.h.
#pragma once

#include <type_traits>

#include "alphacl/pair_form.h"
#include "formulas/exponential.h"

namespace alphacl::cuda {

/// [x]₊; NaN stays.
__device__ __forceinline__ double positive_part(double x) { return x < 0 ? 0.0 : x; }

/// 1/(1 + e^−x). Here and below only e^−|x| is computed, which cannot overflow.
__device__ __forceinline__ double logistic(double x) {
  const double e = exp_value(x < 0 ? x : -x), part = 1.0 / (1.0 + e);
  return x < 0 ? e * part : part;
}

template <PairForm form>
__device__ __forceinline__ double pair_value(double x) {
  if constexpr (form == PairForm::hinge) {
    return positive_part(x);
  } else if constexpr (form == PairForm::logistic) {
    return logistic(x);
  } else if constexpr (form == PairForm::softplus) {
    return positive_part(x) + log_one_plus(exp_value(x < 0 ? x : -x));
  } else if constexpr (form == PairForm::square) {
    return 0.5 * positive_part(x) * positive_part(x);
  } else {
    return exp_value(x);
  }
}

template <PairForm form>
__device__ __forceinline__ double pair_slope(double x) {
  if constexpr (form == PairForm::hinge) {
    return x > 0 ? 1.0 : (x <= 0 ? 0.0 : x);
  } else if constexpr (form == PairForm::logistic) {
    const double e = exp_value(x < 0 ? x : -x), part = 1.0 / (1.0 + e);
    return e * part * part;
  } else if constexpr (form == PairForm::softplus) {
    return logistic(x);
  } else if constexpr (form == PairForm::square) {
    return positive_part(x);
  } else {
    return exp_value(x);
  }
}

/// body(a constant of the form): one branch for many pairs.
template <class Body>
__device__ __forceinline__ void with_form(PairForm form, Body&& body) {
  switch (form) {
    case PairForm::exponential:
      return body(std::integral_constant<PairForm, PairForm::exponential>{});
    case PairForm::hinge:
      return body(std::integral_constant<PairForm, PairForm::hinge>{});
    case PairForm::logistic:
      return body(std::integral_constant<PairForm, PairForm::logistic>{});
    case PairForm::softplus:
      return body(std::integral_constant<PairForm, PairForm::softplus>{});
    case PairForm::square:
      return body(std::integral_constant<PairForm, PairForm::square>{});
  }
}

}  // namespace alphacl::cuda
