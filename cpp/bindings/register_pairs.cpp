#include "alphacl/pairs.h"

#include <string>

#include "arrays.h"

namespace alphacl::bindings {
namespace {

PairForm form_named(const std::string& name) {
  if (name == "exponential") return PairForm::exponential;
  if (name == "hinge") return PairForm::hinge;
  if (name == "logistic") return PairForm::logistic;
  if (name == "softplus") return PairForm::softplus;
  if (name == "square") return PairForm::square;
  throw py::value_error("form: expected exponential, hinge, logistic, softplus or square, got " + name);
}

// Of sums of ψ itself; those of e^x are pair_log_sums.
PairForm summed_form(const std::string& name) {
  const PairForm form = form_named(name);
  if (form == PairForm::exponential) throw py::value_error("form: expected hinge, logistic, softplus or square");
  return form;
}

using Doubles = py::array_t<double>;

template <class T>
Pairs<T> pairs_of(const py::array_t<T>& left, const py::object& right, double scale, bool distances,
                  bool skip_diagonal) {
  Pairs<T> pairs = {view<T>(left), {nullptr, 0, 0, 0}, scale, distances, skip_diagonal};
  if (!right.is_none()) {
    pairs.right = view<T>(right.cast<py::array_t<T>>());
  } else if (skip_diagonal && pairs.left.rows % 2 != 0) {
    throw py::value_error("skip_diagonal: expected two halves, got " + std::to_string(pairs.left.rows) + " samples");
  }
  return pairs;
}

template <class T>
View<T> gradient_of(const py::object& right) {
  if (right.is_none()) return {nullptr, 0, 0, 0};
  auto array = right.cast<py::array_t<T>>();
  return mutable_view<T>(array);
}

const double* given(const py::object& a) { return a.is_none() ? nullptr : a.cast<Doubles>().data(); }
double* wanted(const py::object& a) { return a.is_none() ? nullptr : a.cast<Doubles>().mutable_data(); }

// All arrays are kept by Python for the length of a call; other Python threads run while the core computes.
template <class T>
void register_for(py::module_& m) {
  using Array = py::array_t<T>;
  m.def(
      "pair_log_sums",
      [](const Array& left, const py::object& right, double scale, bool distances, bool skip_diagonal, Doubles& rows,
         const py::object& cols) {
        const Pairs<T> pairs = pairs_of<T>(left, right, scale, distances, skip_diagonal);
        double *r = rows.mutable_data(), *c = wanted(cols);
        py::gil_scoped_release release;
        pair_log_sums<T>(pairs, r, c);
      },
      py::arg("left").noconvert(), py::arg("right"), py::arg("scale"), py::arg("distances"), py::arg("skip_diagonal"),
      py::arg("rows").noconvert(), py::arg("cols"));
  m.def(
      "pair_log_sums_gradient",
      [](const Array& left, const py::object& right, double scale, bool distances, bool skip_diagonal,
         const Doubles& rows, const py::object& cols, const Doubles& a, const py::object& b, Array& grad_left,
         const py::object& grad_right) {
        const Pairs<T> pairs = pairs_of<T>(left, right, scale, distances, skip_diagonal);
        const double *r = rows.data(), *c = given(cols), *of_rows = a.data(), *of_cols = given(b);
        const View<T> to_left = mutable_view<T>(grad_left), to_right = gradient_of<T>(grad_right);
        py::gil_scoped_release release;
        return pair_log_sums_gradient<T>(pairs, r, c, of_rows, of_cols, to_left, to_right);
      },
      py::arg("left").noconvert(), py::arg("right"), py::arg("scale"), py::arg("distances"), py::arg("skip_diagonal"),
      py::arg("rows").noconvert(), py::arg("cols"), py::arg("a").noconvert(), py::arg("b"),
      py::arg("grad_left").noconvert(), py::arg("grad_right"));
  m.def(
      "pair_sums",
      [](const Array& left, const py::object& right, double scale, bool distances, bool skip_diagonal,
         const std::string& form, const Doubles& offset, Doubles& rows) {
        const Pairs<T> pairs = pairs_of<T>(left, right, scale, distances, skip_diagonal);
        const PairForm how = summed_form(form);
        const double* o = offset.data();
        double* r = rows.mutable_data();
        py::gil_scoped_release release;
        pair_sums<T>(pairs, how, o, r);
      },
      py::arg("left").noconvert(), py::arg("right"), py::arg("scale"), py::arg("distances"), py::arg("skip_diagonal"),
      py::arg("form"), py::arg("offset").noconvert(), py::arg("rows").noconvert());
  m.def(
      "pair_sums_gradient",
      [](const Array& left, const py::object& right, double scale, bool distances, bool skip_diagonal,
         const std::string& form, const Doubles& offset, const Doubles& a, Array& grad_left,
         const py::object& grad_right, Doubles& grad_offset) {
        const Pairs<T> pairs = pairs_of<T>(left, right, scale, distances, skip_diagonal);
        const PairForm how = summed_form(form);
        const double *o = offset.data(), *of_rows = a.data();
        const View<T> to_left = mutable_view<T>(grad_left), to_right = gradient_of<T>(grad_right);
        double* to_offset = grad_offset.mutable_data();
        py::gil_scoped_release release;
        return pair_sums_gradient<T>(pairs, how, o, of_rows, to_left, to_right, to_offset);
      },
      py::arg("left").noconvert(), py::arg("right"), py::arg("scale"), py::arg("distances"), py::arg("skip_diagonal"),
      py::arg("form"), py::arg("offset").noconvert(), py::arg("a").noconvert(), py::arg("grad_left").noconvert(),
      py::arg("grad_right"), py::arg("grad_offset").noconvert());
}

template <class T>
void register_importances(py::module_& m, const std::string& suffix) {
  m.def(("pair" + suffix).c_str(),
        [](const py::array_t<T>& features, double scale, const std::string& form, const Doubles& offset,
           const Doubles& weight) {
          const View<const T> f = view<T>(features);
          const PairForm how = form_named(form);
          const double *o = offset.data(), *a = weight.data();
          py::gil_scoped_release release;
          return pair_importance<T, T>(f, scale, how, o, a);
        },
        py::arg("features").noconvert(), py::arg("scale"), py::arg("form"), py::arg("offset").noconvert(),
        py::arg("weight").noconvert(), py::keep_alive<0, 1>());  // reads the features as long as it lives
  m.def(("square_regularized" + suffix).c_str(),
        [](const py::array_t<T>& features, double tau) {
          const View<const T> f = view<T>(features);
          py::gil_scoped_release release;
          return simplex_importance<T, T>(f, tau);
        },
        py::arg("features").noconvert(), py::arg("tau"), py::keep_alive<0, 1>());
}

}  // namespace

void register_pairs(py::module_& m) {
  register_for<float>(m);
  register_for<double>(m);
  register_importances<float>(m, "_f32");
  register_importances<double>(m, "_f64");
}

}  // namespace alphacl::bindings
