// From numpy arrays to views. Python has checked shapes, types and strides; this only reads them.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "alphacl/view.h"

namespace alphacl::bindings {

namespace py = pybind11;

/// A (N, d) array, or a (N,) array as one column; the last axis contiguous.
template <class T>
View<const T> view(const py::array_t<T>& a) {
  const index_t columns = a.ndim() == 1 ? 1 : a.shape(1);
  return {a.data(), a.shape(0), columns, a.strides(0) / static_cast<index_t>(sizeof(T))};
}

template <class T>
View<T> mutable_view(py::array_t<T>& a) {
  return {a.mutable_data(), a.shape(0), a.shape(1), a.strides(0) / static_cast<index_t>(sizeof(T))};
}

}  // namespace alphacl::bindings
