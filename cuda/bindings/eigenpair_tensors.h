// The arguments and results of power_iteration as Python gives them.
#pragma once

#include "alphacl/power_iteration.h"
#include "bindings/tensors.h"

namespace alphacl::cuda::bindings {

inline PowerOptions power_options(double tol, index_t max_iter, bool lanczos, std::uint64_t seed) {
  check_positive("tol", tol);
  if (max_iter < 1) refuse("max_iter", "at least 1", std::to_string(max_iter));
  return {{tol, max_iter, lanczos}, seed};
}

/// The tensors of the results and of the starts.
struct EigenpairTensors {
  Tensor eigenvalue, eigenvector, residual, n_iter, converged;
  std::optional<Tensor> v0, gap;

  EigenpairTensors(const py::object& v0_, const py::object& eigenvalue_, const py::object& eigenvector_,
                   const py::object& gap_, const py::object& residual_, const py::object& n_iter_,
                   const py::object& converged_)
      : eigenvalue("eigenvalue", eigenvalue_),
        eigenvector("eigenvector", eigenvector_),
        residual("residual", residual_),
        n_iter("n_iter", n_iter_),
        converged("converged", converged_),
        v0(optional_tensor("v0", v0_)),
        gap(optional_tensor("gap", gap_)) {}

  void check(const CurrentStream& on) const {
    on.check("eigenvalue", eigenvalue.device);
    on.check("eigenvector", eigenvector.device);
    on.check("residual", residual.device);
    on.check("n_iter", n_iter.device);
    on.check("converged", converged.device);
    if (v0) on.check("v0", v0->device);
    if (gap) on.check("gap", gap->device);
  }
  template <class S>
  TopEigenpairs<S> results(index_t count, index_t d) const {
    return {entries<S>("eigenvalue", eigenvalue, {count}),    entries<S>("eigenvector", eigenvector, {count, d}),
            gap ? entries<S>("gap", *gap, {count}) : nullptr, entries<S>("residual", residual, {count}),
            entries<std::int64_t>("n_iter", n_iter, {count}), entries<bool>("converged", converged, {count})};
  }
  template <class S>
  View<const S> starts(index_t count, index_t d) const {
    return v0 ? view<S>("v0", *v0, count, d) : View<const S>{nullptr, 0, 0, 0};
  }
};

}  // namespace alphacl::cuda::bindings
