// The arrays that take eigenpairs, and start vectors that may be missing.
#pragma once

#include "alphacl/power_iteration.h"
#include "arrays.h"

namespace alphacl::bindings {

template <class T>
struct Results {
  TopEigenpairs<T> to;
  Results(py::array_t<T>& eigenvalue, py::array_t<T>& eigenvector, py::object& gap, py::array_t<T>& residual,
          py::array_t<std::int64_t>& n_iter, py::array_t<bool>& converged)
      : to{eigenvalue.mutable_data(),
           eigenvector.mutable_data(),
           gap.is_none() ? nullptr : py::cast<py::array_t<T>>(gap).mutable_data(),
           residual.mutable_data(),
           n_iter.mutable_data(),
           converged.mutable_data()} {}
};

template <class T>
View<const T> start_view(const py::object& v0) {
  return v0.is_none() ? View<const T>{nullptr, 0, 0, 0} : view<T>(py::cast<py::array_t<T>>(v0));
}

}  // namespace alphacl::bindings
