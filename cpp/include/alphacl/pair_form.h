// The forms of ψ in sums over pairs.
#pragma once

namespace alphacl {

/// ψ of a pair loss, a function of x_ij = offset_i + t_ij.
enum class PairForm {
  exponential,  // e^x; its sums are taken as log-sum-exp
  hinge,        // [x]₊
  logistic,     // 1/(1 + e^−x)
  softplus,     // log(1 + e^x)
  square,       // ½ [x]₊²
};

/// Whether ψ or ψ' has a kink at x = 0, across which rounding must not move x.
constexpr bool has_kink(PairForm form) { return form == PairForm::hinge || form == PairForm::square; }

}  // namespace alphacl
