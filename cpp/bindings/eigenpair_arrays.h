// The arrays that receive eigenpairs, and optional start vectors.
#pragma once

#include <pybind11/stl.h>

#include <optional>

#include "alphacl/power_iteration.h"
#include "arrays.h"

namespace alphacl::bindings {

template <class T>
struct Results {
  TopEigenpairs<T> to;
  Results(index_t count, index_t size, py::array_t<T>& eigenvalue, py::array_t<T>& eigenvector,
          std::optional<py::array_t<T>>& gap, py::array_t<T>& residual, py::array_t<std::int64_t>& n_iter,
          py::array_t<bool>& converged)
      : to{mutable_entries<T>("eigenvalue", eigenvalue, {count}),
           mutable_entries<T>("eigenvector", eigenvector, {count, size}),
           mutable_entries<T>("gap", gap, {count}),
           mutable_entries<T>("residual", residual, {count}),
           mutable_entries<std::int64_t>("n_iter", n_iter, {count}),
           mutable_entries<bool>("converged", converged, {count})} {}
};

/// One start vector for each of `count` matrices, or none at all.
template <class T>
View<const T> vectors_view(const char* name, const std::optional<py::array_t<T>>& v, index_t count, index_t size) {
  return v && count > 0 ? view<T>(name, *v, count, size) : View<const T>{nullptr, 0, 0, 0};
}

inline PowerOptions power_options(double tol, index_t max_iter, bool lanczos, std::uint64_t seed) {
  check_positive("tol", tol);
  check_at_least("max_iter", max_iter, 1);
  return {{tol, max_iter, lanczos}, seed};
}

}  // namespace alphacl::bindings
