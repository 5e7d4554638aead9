#include "alphacl/importance.h"

#include <string>

#include "arrays.h"

namespace alphacl::bindings {
namespace {

// Other Python threads run while the core computes.
using Released = py::call_guard<py::gil_scoped_release>;

GaussianMethod method_named(const std::string& name) {
  if (name == "auto") return GaussianMethod::automatic;
  if (name == "tiles") return GaussianMethod::tiles;
  if (name == "fourier") return GaussianMethod::fourier;
  if (name == "sorted") return GaussianMethod::sorted;
  throw py::value_error("method: expected auto, tiles, fourier or sorted, got " + name);
}

template <class T>
void register_for(py::module_& m, const std::string& suffix) {
  using Array = py::array_t<T>;
  py::class_<Importance<T>>(m, ("Importance" + suffix).c_str())
      .def("size", &Importance<T>::size)
      .def(
          "row_sums",
          [](const Importance<T>& a, py::array_t<double>& out) {
            double* r = out.mutable_data();
            py::gil_scoped_release release;
            a.row_sums(r);
          },
          py::arg("out").noconvert())
      .def(
          "col_sums",
          [](const Importance<T>& a, py::array_t<double>& out) {
            double* c = out.mutable_data();
            py::gil_scoped_release release;
            a.col_sums(c);
          },
          py::arg("out").noconvert())
      .def(
          "matmul",
          [](const Importance<T>& a, const Array& y, Array& out) {
            const View<const T> from = view<T>(y);
            const View<T> to = mutable_view<T>(out);
            py::gil_scoped_release release;
            a.matmul(from, to);
          },
          py::arg("y").noconvert(), py::arg("out").noconvert())
      .def(
          "to_dense",
          [](const Importance<T>& a, Array& out) {
            const View<T> to = mutable_view<T>(out);
            py::gil_scoped_release release;
            a.to_dense(to);
          },
          py::arg("out").noconvert());

  // The importance reads the arrays it was made from: they live as long as it does.
  using KeepFirst = py::keep_alive<0, 1>;
  m.def(("dense" + suffix).c_str(),
        [](const Array& alpha) {
          const View<const T> a = view<T>(alpha);
          py::gil_scoped_release release;
          return dense<T, T>(a);
        },
        py::arg("alpha").noconvert(), KeepFirst());
  m.def(("uniform" + suffix).c_str(), &uniform<T>, py::arg("size"), py::arg("diagonal"), Released());
  m.def(("low_rank" + suffix).c_str(),
        [](const Array& phi) {
          const View<const T> f = view<T>(phi);
          py::gil_scoped_release release;
          return low_rank<T, T>(f);
        },
        py::arg("phi").noconvert(), KeepFirst());
  m.def(("direct" + suffix).c_str(),
        [](const Array& features, double p, double tau, bool normalize) {
          const View<const T> f = view<T>(features);
          py::gil_scoped_release release;
          return radial<T, T>(f, Radial{tau, p, false, normalize});
        },
        py::arg("features").noconvert(), py::arg("p"), py::arg("tau"), py::arg("normalize"), KeepFirst());
  m.def(("gaussian" + suffix).c_str(),
        [](const Array& features, double tau, double tol, const std::string& method) {
          const View<const T> f = view<T>(features);
          const GaussianMethod how = method_named(method);
          py::gil_scoped_release release;
          return gaussian<T, T>(f, tau, tol, how);
        },
        py::arg("features").noconvert(), py::arg("tau"), py::arg("tol"), py::arg("method"), KeepFirst());
}

}  // namespace

void register_importance(py::module_& m) {
  register_for<float>(m, "_f32");
  register_for<double>(m, "_f64");
}

}  // namespace alphacl::bindings
