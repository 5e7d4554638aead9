// Binds the sums over pairs with their gradients, and the importances of pairs.
#include "alphacl/pair_sums.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "arrays.h"

namespace alphacl::bindings {
namespace {

PairForm form_named(const std::string& name) {
  if (const auto found = pair_form_named(name)) return *found;
  throw py::value_error("form: expected exponential, hinge, logistic, softplus or square, got " + name);
}

// The ψ of pair_sums; e^x has pair_log_sums.
PairForm summed_form(const std::string& name) {
  const PairForm form = form_named(name);
  if (form == PairForm::exponential) throw py::value_error("form: expected hinge, logistic, softplus or square");
  return form;
}

using Doubles = py::array_t<double>;

// The pairs that are scored, and the gradients of their features.
template <class T>
struct PairArguments {
  using Array = py::array_t<T>;
  Pairs<T> pairs;

  PairArguments(const Array& left, const std::optional<Array>& right, double scale, bool distances, bool skip_diagonal)
      : pairs{features_view<T>("left", left), {nullptr, 0, 0, 0}, scale, distances, skip_diagonal} {
    if (right) {
      pairs.right = features_view<T>("right", *right, any, pairs.left.cols);
      if (distances) refuse("distances", "False where right is given", "True");
    } else if (skip_diagonal && rows() % 2 != 0) {
      refuse("skip_diagonal", "two halves", std::to_string(rows()) + " samples");
    }
  }

  index_t rows() const { return pairs.left.rows; }
  bool one_set() const { return pairs.right.data == nullptr; }

  View<T> left_gradient(Array& grad) const { return mutable_view<T>("grad_left", grad, rows(), pairs.left.cols); }
  View<T> right_gradient(std::optional<Array>& grad) const {
    if (grad.has_value() == one_set())
      refuse("grad_right", one_set() ? "None without right" : "an array like right", grad ? "an array" : "None");
    return grad ? mutable_view<T>("grad_right", *grad, pairs.right.rows, pairs.right.cols) : View<T>{nullptr, 0, 0, 0};
  }

  /// One sum for each row, and with two sets one for each column.
  const double* of_columns(const char* name, const std::optional<Doubles>& a) const {
    check_columns(name, a.has_value());
    return entries<double>(name, a, {pairs.right.rows});
  }
  double* to_columns(const char* name, std::optional<Doubles>& a) const {
    check_columns(name, a.has_value());
    return mutable_entries<double>(name, a, {pairs.right.rows});
  }

 private:
  void check_columns(const char* name, bool given) const {
    if (given && one_set()) refuse(name, "None without right", "an array");
  }
};

template <class T>
void register_for(py::module_& m) {
  using Array = py::array_t<T>;
  using MaybeArray = std::optional<Array>;
  using MaybeDoubles = std::optional<Doubles>;
  m.def(
      "pair_log_sums",
      [](const Array& left, const MaybeArray& right, double scale, bool distances, bool skip_diagonal, Doubles& rows,
         MaybeDoubles& cols) {
        const PairArguments<T> given(left, right, scale, distances, skip_diagonal);
        double* r = mutable_entries<double>("rows", rows, {given.rows()});
        double* c = given.to_columns("cols", cols);
        const Released released;
        pair_log_sums<T>(given.pairs, r, c);
      },
      py::arg("left").noconvert(), py::arg("right").noconvert(), py::arg("scale"), py::arg("distances"),
      py::arg("skip_diagonal"), py::arg("rows").noconvert(), py::arg("cols").noconvert());
  m.def(
      "pair_log_sums_gradient",
      [](const Array& left, const MaybeArray& right, double scale, bool distances, bool skip_diagonal,
         const Doubles& rows, const MaybeDoubles& cols, const Doubles& a, const MaybeDoubles& b, Array& grad_left,
         MaybeArray& grad_right, Doubles& grad_scale) {
        const PairArguments<T> given(left, right, scale, distances, skip_diagonal);
        const double* r = entries<double>("rows", rows, {given.rows()});
        const double* of_rows = entries<double>("a", a, {given.rows()});
        if (cols.has_value() != b.has_value()) refuse("b", "as cols: both or none", b ? "an array" : "None");
        const double *c = given.of_columns("cols", cols), *of_cols = given.of_columns("b", b);
        const View<T> to_left = given.left_gradient(grad_left), to_right = given.right_gradient(grad_right);
        double* to_scale = mutable_entries<double>("grad_scale", grad_scale, {1});
        const Released released;
        *to_scale = pair_log_sums_gradient<T>(given.pairs, r, c, of_rows, of_cols, to_left, to_right);
      },
      py::arg("left").noconvert(), py::arg("right").noconvert(), py::arg("scale"), py::arg("distances"),
      py::arg("skip_diagonal"), py::arg("rows").noconvert(), py::arg("cols").noconvert(), py::arg("a").noconvert(),
      py::arg("b").noconvert(), py::arg("grad_left").noconvert(), py::arg("grad_right").noconvert(),
      py::arg("grad_scale").noconvert());
  m.def(
      "pair_sums",
      [](const Array& left, const MaybeArray& right, double scale, bool distances, bool skip_diagonal,
         const std::string& form, const Doubles& offset, Doubles& rows) {
        const PairArguments<T> given(left, right, scale, distances, skip_diagonal);
        const PairForm how = summed_form(form);
        const double* o = entries<double>("offset", offset, {given.rows()});
        double* r = mutable_entries<double>("rows", rows, {given.rows()});
        const Released released;
        pair_sums<T>(given.pairs, how, o, r);
      },
      py::arg("left").noconvert(), py::arg("right").noconvert(), py::arg("scale"), py::arg("distances"),
      py::arg("skip_diagonal"), py::arg("form"), py::arg("offset").noconvert(), py::arg("rows").noconvert());
  m.def(
      "pair_sums_gradient",
      [](const Array& left, const MaybeArray& right, double scale, bool distances, bool skip_diagonal,
         const std::string& form, const Doubles& offset, const Doubles& a, Array& grad_left, MaybeArray& grad_right,
         Doubles& grad_scale, Doubles& grad_offset) {
        const PairArguments<T> given(left, right, scale, distances, skip_diagonal);
        const PairForm how = summed_form(form);
        const double* o = entries<double>("offset", offset, {given.rows()});
        const double* of_rows = entries<double>("a", a, {given.rows()});
        const View<T> to_left = given.left_gradient(grad_left), to_right = given.right_gradient(grad_right);
        double* to_scale = mutable_entries<double>("grad_scale", grad_scale, {1});
        double* to_offset = mutable_entries<double>("grad_offset", grad_offset, {given.rows()});
        const Released released;
        *to_scale = pair_sums_gradient<T>(given.pairs, how, o, of_rows, to_left, to_right, to_offset);
      },
      py::arg("left").noconvert(), py::arg("right").noconvert(), py::arg("scale"), py::arg("distances"),
      py::arg("skip_diagonal"), py::arg("form"), py::arg("offset").noconvert(), py::arg("a").noconvert(),
      py::arg("grad_left").noconvert(), py::arg("grad_right").noconvert(), py::arg("grad_scale").noconvert(),
      py::arg("grad_offset").noconvert());
}

template <class T>
void register_importances(py::module_& m, const std::string& suffix) {
  m.def(("pair" + suffix).c_str(),
        [](const py::array_t<T>& features, double scale, const std::string& form, const Doubles& offset,
           const Doubles& weight) {
          const View<const T> f = features_view<T>("features", features);
          const PairForm how = form_named(form);
          check_positive("scale", scale);
          const double* o = entries<double>("offset", offset, {f.rows});
          const double* a = entries<double>("weight", weight, {f.rows});
          return made_from(features, [&] { return pair_importance<T, T>(f, scale, how, o, a); });
        },
        py::arg("features").noconvert(), py::arg("scale"), py::arg("form"), py::arg("offset").noconvert(),
        py::arg("weight").noconvert());
  m.def(("square_regularized" + suffix).c_str(),
        [](const py::array_t<T>& features, double tau) {
          const View<const T> f = features_view<T>("features", features);
          check_positive("tau", tau);
          return made_from(features, [&] { return simplex_importance<T, T>(f, tau); });
        },
        py::arg("features").noconvert(), py::arg("tau"));
}

}  // namespace

void register_pairs(py::module_& m) {
  register_for<float>(m);
  register_for<double>(m);
  register_importances<float>(m, "_f32");
  register_importances<double>(m, "_f64");
}

}  // namespace alphacl::bindings
