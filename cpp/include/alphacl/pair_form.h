// The forms of ψ that sums over pairs know.
#pragma once

namespace alphacl {

/// ψ of a pair loss, and what it is taken of: x_ij = offset_i + t_ij.
enum class PairForm {
  exponential,  // e^x; in log-sum-exp form
  hinge,        // [x]₊
  logistic,     // 1/(1 + e^−x)
  softplus,     // log(1 + e^x)
  square,       // ½ [x]₊²
};

/// Forms whose slope asks for the side of x = 0 that the truth is on.
constexpr bool has_kink(PairForm form) { return form == PairForm::hinge || form == PairForm::square; }

}  // namespace alphacl
