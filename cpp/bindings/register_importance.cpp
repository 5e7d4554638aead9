// Binds the importances, except those of pairs (register_pairs.cpp).
#include "alphacl/importance.h"

#include <pybind11/stl.h>

#include <string>

#include "arrays.h"

namespace alphacl::bindings {
namespace {

GaussianMethod method_named(const std::string& name) {
  if (name == "auto") return GaussianMethod::automatic;
  if (name == "tiles") return GaussianMethod::tiles;
  if (name == "fourier") return GaussianMethod::fourier;
  if (name == "sorted") return GaussianMethod::sorted;
  throw py::value_error("method: expected auto, tiles, fourier or sorted, got " + name);
}

// The matrix of compressed rows, whose indices may be anything.
template <class T>
SparseMatrix matrix_of(const py::array_t<std::int64_t>& starts, const py::array_t<std::int64_t>& columns,
                       const py::array_t<T>& values) {
  if (starts.ndim() != 1 || starts.shape(0) < 2) refuse("starts", "shape (N + 1,), N > 0", shape_text(starts));
  const index_t n = starts.shape(0) - 1, count = values.size();
  const std::int64_t *first = entries<std::int64_t>("starts", starts, {n + 1}),
                     *column = entries<std::int64_t>("columns", columns, {count});
  const T* value = entries<T>("values", values, {count});
  if (const char* fault = csr_fault(first, column, n, count)) refuse("matrix", fault, "others");
  return sparse_matrix(first, column, value, n);
}

// The parameters of an importance of n samples, as they came.
Radial checked(const Radial& how, index_t n) {
  check_positive("p", how.power);
  check_positive("tau", how.tau);
  check_not_negative("eps", how.eps);
  if (how.eps > 0 && !how.normalize) refuse("eps", "0 without normalize", std::to_string(how.eps));
  if (how.paired && n % 2 != 0) refuse("features", "an even number of rows, two views", std::to_string(n));
  return how;
}

template <class T>
void register_for(py::module_& m, const std::string& suffix) {
  using Array = py::array_t<T>;
  py::class_<Importance<T>>(m, ("Importance" + suffix).c_str())
      .def("size", &Importance<T>::size)
      .def(
          "row_sums",
          [](const Importance<T>& a, py::array_t<double>& out) {
            double* r = mutable_entries<double>("out", out, {a.size()});
            const Released released;
            a.row_sums(r);
          },
          py::arg("out").noconvert())
      .def(
          "col_sums",
          [](const Importance<T>& a, py::array_t<double>& out) {
            double* c = mutable_entries<double>("out", out, {a.size()});
            const Released released;
            a.col_sums(c);
          },
          py::arg("out").noconvert())
      .def(
          "matmul",
          [](const Importance<T>& a, const Array& y, Array& out) {
            const View<const T> from = view<T>("y", y, a.size());
            const View<T> to = mutable_view<T>("out", out, from.rows, from.cols);
            const Released released;
            a.matmul(from, to);
          },
          py::arg("y").noconvert(), py::arg("out").noconvert())
      .def(
          "to_dense",
          [](const Importance<T>& a, Array& out) {
            const View<T> to = mutable_view<T>("out", out, a.size(), a.size());
            const Released released;
            a.to_dense(to);
          },
          py::arg("out").noconvert());

  m.def(("dense" + suffix).c_str(),
        [](const Array& alpha) {
          const View<const T> a = view<T>("alpha", alpha);
          if (a.rows != a.cols) refuse("alpha", "a square array", "shape " + shape_text(alpha));
          return made_from(alpha, [&] { return dense<T, T>(a); });
        },
        py::arg("alpha").noconvert());
  m.def(("uniform" + suffix).c_str(),
        [](index_t size, bool diagonal) {
          check_at_least("size", size, 1);
          return uniform<T>(size, diagonal);
        },
        py::arg("size"), py::arg("diagonal"));
  m.def(("low_rank" + suffix).c_str(),
        [](const Array& phi, const std::optional<py::array_t<double>>& signs) {
          const View<const T> f = features_view<T>("phi", phi);
          const double* s = entries<double>("signs", signs, {f.cols});
          return made_from(phi, [&] { return low_rank<T, T>(f, s); });
        },
        py::arg("phi").noconvert(), py::arg("signs").noconvert());
  m.def(("labels" + suffix).c_str(),
        [](const py::array_t<std::int64_t>& of, double same, double different) {
          if (of.ndim() != 1 || of.shape(0) == 0) refuse("labels", "shape (N,), N > 0", shape_text(of));
          const std::int64_t* label = entries<std::int64_t>("labels", of, {of.shape(0)});
          check_finite("same", same);
          check_finite("different", different);
          return labels<T>(label, of.shape(0), same, different);
        },
        py::arg("labels").noconvert(), py::arg("same"), py::arg("different"));
  m.def(("sparse" + suffix).c_str(),
        [](const py::array_t<std::int64_t>& starts, const py::array_t<std::int64_t>& columns, const Array& values) {
          return sparse<T>(matrix_of<T>(starts, columns, values));
        },
        py::arg("starts").noconvert(), py::arg("columns").noconvert(), py::arg("values").noconvert());
  m.def(("direct" + suffix).c_str(),
        [](const Array& features, double p, double tau, bool normalize, bool paired, double eps) {
          const View<const T> f = features_view<T>("features", features);
          const Radial how = checked({tau, p, false, normalize, paired, eps}, f.rows);
          return made_from(features, [&] { return radial<T, T>(f, how); });
        },
        py::arg("features").noconvert(), py::arg("p"), py::arg("tau"), py::arg("normalize"), py::arg("paired"),
        py::arg("eps"));
  m.def(("inverse_distance" + suffix).c_str(),
        [](const Array& features, double p, double tau, double q, bool normalize, bool paired, double eps) {
          const View<const T> f = features_view<T>("features", features);
          check_positive("q", q);
          const Radial how = checked({tau, p, false, normalize, paired, eps, q}, f.rows);
          return made_from(features, [&] { return radial<T, T>(f, how); });
        },
        py::arg("features").noconvert(), py::arg("p"), py::arg("tau"), py::arg("q"), py::arg("normalize"),
        py::arg("paired"), py::arg("eps"));
  m.def(("gaussian" + suffix).c_str(),
        [](const Array& features, double tau, double tol, const std::string& method) {
          const View<const T> f = features_view<T>("features", features);
          const GaussianMethod how = method_named(method);
          check_positive("tau", tau);
          check_share("tol", tol);
          return made_from(features, [&] { return gaussian<T, T>(f, tau, tol, how); });
        },
        py::arg("features").noconvert(), py::arg("tau"), py::arg("tol"), py::arg("method"));
}

}  // namespace

void register_importance(py::module_& m) {
  register_for<float>(m, "_f32");
  register_for<double>(m, "_f64");
}

}  // namespace alphacl::bindings
