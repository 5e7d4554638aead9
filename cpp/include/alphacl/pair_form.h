// The forms of ψ in sums over pairs.
#pragma once

#include <optional>
#include <string>

namespace alphacl {

/// ψ of a pair loss, a function of x_ij = offset_i + t_ij.
enum class PairForm {
  exponential,  // e^x; its sums are taken as log-sum-exp
  hinge,        // [x]₊
  logistic,     // 1/(1 + e^−x)
  softplus,     // log(1 + e^x)
  square,       // ½ [x]₊²
};

/// The form of a name, if there is one.
inline std::optional<PairForm> pair_form_named(const std::string& name) {
  if (name == "exponential") return PairForm::exponential;
  if (name == "hinge") return PairForm::hinge;
  if (name == "logistic") return PairForm::logistic;
  if (name == "softplus") return PairForm::softplus;
  if (name == "square") return PairForm::square;
  return std::nullopt;
}

/// Whether ψ or ψ' has a kink at x = 0, across which rounding must not move x.
constexpr bool has_kink(PairForm form) { return form == PairForm::hinge || form == PairForm::square; }

}  // namespace alphacl
