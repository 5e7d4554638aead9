// From numpy arrays to views. Every size that the core relies on is checked here: whatever Python passes, no memory
// outside an array is touched. Nothing is converted: arguments are noconvert.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>

#include "alphacl/importance.h"
#include "alphacl/view.h"
#include "released.h"

namespace alphacl::bindings {

constexpr index_t any = -1;  // a length that may be anything

[[noreturn]] inline void refuse(const char* name, const std::string& expected, const std::string& got) {
  throw py::value_error(std::string(name) + ": expected " + expected + ", got " + got);
}

inline std::string shape_text(const py::array& a) { return py::str(py::tuple(a.attr("shape"))); }
inline std::string strides_text(const py::array& a) { return py::str(py::tuple(a.attr("strides"))); }

inline std::string shape_text(std::initializer_list<index_t> shape) {
  std::string text;
  for (const index_t length : shape)
    text += (text.empty() ? "" : ", ") + (length == any ? "any" : std::to_string(length));
  return "(" + text + (shape.size() == 1 ? ",)" : ")");
}

template <class T>
void check_aligned(const char* name, const py::array_t<T>& a) {
  if (reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T) != 0) refuse(name, "an aligned array", "one that is not");
}

/// (rows, cols), or (rows,) as one column; at least one row. Rows may lie any distance apart; the entries of a row are
/// adjacent.
template <class T>
View<const T> view(const char* name, const py::array_t<T>& a, index_t rows = any, index_t cols = any) {
  constexpr index_t item = sizeof(T);
  const bool column = a.ndim() == 1;
  if (!column && a.ndim() != 2) refuse(name, "shape " + shape_text({rows, cols}), shape_text(a));
  const index_t n = a.shape(0), d = column ? 1 : a.shape(1);
  if ((rows != any && n != rows) || (cols != any && d != cols))
    refuse(name, "shape " + shape_text({rows, cols}), shape_text(a));
  if (n == 0) refuse(name, "at least one row", "shape " + shape_text(a));
  const bool adjacent = column || d <= 1 || a.strides(1) == item;
  if (!adjacent || (n > 1 && a.strides(0) % item != 0))
    refuse(name, "rows of adjacent entries, whole entries apart", "strides " + strides_text(a));
  check_aligned(name, a);
  return {a.data(), n, d, n > 1 ? a.strides(0) / item : d};
}

/// At least one column.
template <class T>
View<const T> features_view(const char* name, const py::array_t<T>& a, index_t rows = any, index_t cols = any) {
  const View<const T> f = view<T>(name, a, rows, cols);
  if (f.cols == 0) refuse(name, "at least one column", "shape " + shape_text(a));
  return f;
}

/// The entries of a C-contiguous array of the given shape.
template <class T>
const T* entries(const char* name, const py::array_t<T>& a, std::initializer_list<index_t> shape) {
  bool same = a.ndim() == static_cast<index_t>(shape.size());
  for (index_t axis = 0; same && axis < a.ndim(); ++axis) same = a.shape(axis) == shape.begin()[axis];
  if (!same) refuse(name, "shape " + shape_text(shape), shape_text(a));
  if ((a.flags() & py::array::c_style) == 0) refuse(name, "a C-contiguous array", "strides " + strides_text(a));
  check_aligned(name, a);
  return a.data();
}

template <class T>
T* mutable_entries(const char* name, py::array_t<T>& a, std::initializer_list<index_t> shape) {
  entries<T>(name, a, shape);
  if (!a.writeable()) refuse(name, "a writeable array", "a read-only one");
  return a.mutable_data();
}

/// (rows, cols), to be written: rows may lie apart.
template <class T>
View<T> mutable_view(const char* name, py::array_t<T>& a, index_t rows, index_t cols) {
  if (rows == 0 || cols == 0) return {mutable_entries<T>(name, a, {rows, cols}), rows, cols, cols};
  const View<const T> v = view<T>(name, a, rows, cols);
  if (a.ndim() != 2) refuse(name, "shape " + shape_text({rows, cols}), shape_text(a));
  // The BLAS can write rows in rising order, at most an int apart.
  if (rows > 1 && (v.stride < cols || v.stride > std::numeric_limits<int>::max()))
    refuse(name, "rows that do not overlap, in rising order", "strides " + strides_text(a));
  if (!a.writeable()) refuse(name, "a writeable array", "a read-only one");
  return {a.mutable_data(), rows, cols, v.stride};
}

/// None becomes null.
template <class T>
const T* entries(const char* name, const std::optional<py::array_t<T>>& a, std::initializer_list<index_t> shape) {
  return a ? entries<T>(name, *a, shape) : nullptr;
}
template <class T>
T* mutable_entries(const char* name, std::optional<py::array_t<T>>& a, std::initializer_list<index_t> shape) {
  return a ? mutable_entries<T>(name, *a, shape) : nullptr;
}

inline void check_positive(const char* name, double value) {
  if (!(value > 0 && std::isfinite(value))) refuse(name, "a positive finite number", std::to_string(value));
}

inline void check_finite(const char* name, double value) {
  if (!std::isfinite(value)) refuse(name, "a finite number", std::to_string(value));
}

/// `tol`, an error allowed in the entries of α; its logarithm is used as a length.
inline void check_share(const char* name, double value) {
  if (!(value >= 1e-30 && value < 1)) refuse(name, "a number from 1e-30 to 1", std::to_string(value));
}

inline void check_not_negative(const char* name, double value) {
  if (!(value >= 0 && std::isfinite(value))) refuse(name, "a finite number >= 0", std::to_string(value));
}

inline void check_at_least(const char* name, index_t value, index_t least) {
  if (value < least) refuse(name, "at least " + std::to_string(least), std::to_string(value));
}

template <class T>
void check_samples(const Importance<T>& alpha, index_t n) {
  if (alpha.size() != n) refuse("alpha", std::to_string(n) + " samples", std::to_string(alpha.size()));
}

}  // namespace alphacl::bindings
