// Binds the sums over pairs and their gradients.
#include "pairs/pair_sums.h"

#include "bindings/tensors.h"

namespace alphacl::cuda::bindings {
namespace {

PairForm summed_form(const std::string& name) {
  const auto found = pair_form_named(name);
  if (found && found != PairForm::exponential) return *found;
  throw py::value_error("form: expected hinge, logistic, softplus or square, got " + name);
}

// What every operation begins with, as Python gives it.
struct PairTensors {
  Tensor left;
  std::optional<Tensor> right;
  double scale;
  bool distances, skip_diagonal;
  CurrentStream on;

  PairTensors(const py::object& l, const py::object& r, double s, bool of_distances, bool skip)
      : left("left", l),
        right(optional_tensor("right", r)),
        scale(s),
        distances(of_distances),
        skip_diagonal(skip),
        on(left) {
    if (right) on.check("right", right->device);
  }

  bool is_double() const { return bindings::is_double("left", left); }

  template <class S>
  Pairs<S> pairs() const {
    Pairs<S> p{view<S>("left", left), {nullptr, 0, 0, 0}, scale, distances, skip_diagonal};
    if (right) {
      p.right = view<S>("right", *right, any, p.left.cols);
      if (distances) refuse("distances", "False where right is given", "True");
    } else if (skip_diagonal && p.left.rows % 2 != 0) {
      refuse("skip_diagonal", "two halves", std::to_string(p.left.rows) + " samples");
    }
    return p;
  }

  double* doubles(const char* name, const Tensor& t, index_t count) const {
    on.check(name, t.device);
    return entries<double>(name, t, {count});
  }
  /// Numbers of the columns; null for None, the only thing there is without `right`.
  template <class S>
  double* of_columns(const char* name, const std::optional<Tensor>& t, const Pairs<S>& p) const {
    if (!t) return nullptr;
    if (!right) refuse(name, "None without right", "a tensor");
    return doubles(name, *t, p.right.rows);
  }
  template <class S>
  View<S> left_gradient(const Tensor& grad, const Pairs<S>& p) const {
    on.check("grad_left", grad.device);
    return mutable_view<S>("grad_left", grad, p.left.rows, p.left.cols);
  }
  template <class S>
  View<S> right_gradient(const std::optional<Tensor>& grad, const Pairs<S>& p) const {
    if (grad.has_value() != right.has_value())
      refuse("grad_right", right ? "a tensor like right" : "None without right", grad ? "a tensor" : "None");
    if (!grad) return {nullptr, 0, 0, 0};
    on.check("grad_right", grad->device);
    return mutable_view<S>("grad_right", *grad, p.right.rows, p.right.cols);
  }
};

// body(0.0f) or body(0.0), by the type of the features.
template <class Body>
void with_type(const PairTensors& given, Body&& body) {
  given.is_double() ? body(0.0) : body(0.0f);
}

void log_sums(const py::object& left, const py::object& right, double scale, bool distances, bool skip_diagonal,
              const py::object& rows, const py::object& cols) {
  PairTensors given(left, right, scale, distances, skip_diagonal);
  const Tensor to_rows("rows", rows);
  const std::optional<Tensor> to_cols = optional_tensor("cols", cols);
  with_type(given, [&](auto zero) {
    using S = decltype(zero);
    const Pairs<S> p = given.pairs<S>();
    double* const r = given.doubles("rows", to_rows, p.left.rows);
    double* const c = given.of_columns("cols", to_cols, p);
    pair_log_sums<S>(given.on.stream(), p, r, c);
  });
}

void log_sums_gradient(const py::object& left, const py::object& right, double scale, bool distances,
                       bool skip_diagonal, const py::object& rows, const py::object& cols, const py::object& a,
                       const py::object& b, const py::object& grad_left, const py::object& grad_right,
                       const py::object& grad_scale) {
  PairTensors given(left, right, scale, distances, skip_diagonal);
  const Tensor of_rows("rows", rows), weights("a", a), to_left("grad_left", grad_left),
      to_scale("grad_scale", grad_scale);
  const auto of_cols = optional_tensor("cols", cols), col_weights = optional_tensor("b", b);
  const auto to_right = optional_tensor("grad_right", grad_right);
  with_type(given, [&](auto zero) {
    using S = decltype(zero);
    const Pairs<S> p = given.pairs<S>();
    const double* const r = given.doubles("rows", of_rows, p.left.rows);
    const double* const of_row = given.doubles("a", weights, p.left.rows);
    if (of_cols.has_value() != col_weights.has_value())
      refuse("b", "as cols: both or none", col_weights ? "a tensor" : "None");
    const double* const c = given.of_columns("cols", of_cols, p);
    const double* const of_col = given.of_columns("b", col_weights, p);
    const View<S> l = given.left_gradient(to_left, p), other = given.right_gradient(to_right, p);
    double* const of_scale = given.doubles("grad_scale", to_scale, 1);
    pair_log_sums_gradient<S>(given.on.stream(), p, r, c, of_row, of_col, l, other, of_scale);
  });
}

void sums(const py::object& left, const py::object& right, double scale, bool distances, bool skip_diagonal,
          const std::string& form, const py::object& offset, const py::object& rows) {
  PairTensors given(left, right, scale, distances, skip_diagonal);
  const Tensor offsets("offset", offset), to_rows("rows", rows);
  const PairForm how = summed_form(form);
  with_type(given, [&](auto zero) {
    using S = decltype(zero);
    const Pairs<S> p = given.pairs<S>();
    const double* const o = given.doubles("offset", offsets, p.left.rows);
    double* const r = given.doubles("rows", to_rows, p.left.rows);
    pair_sums<S>(given.on.stream(), p, how, o, r);
  });
}

void sums_gradient(const py::object& left, const py::object& right, double scale, bool distances, bool skip_diagonal,
                   const std::string& form, const py::object& offset, const py::object& a, const py::object& grad_left,
                   const py::object& grad_right, const py::object& grad_scale, const py::object& grad_offset) {
  PairTensors given(left, right, scale, distances, skip_diagonal);
  const Tensor offsets("offset", offset), weights("a", a), to_left("grad_left", grad_left);
  const Tensor to_scale("grad_scale", grad_scale), to_offset("grad_offset", grad_offset);
  const auto to_right = optional_tensor("grad_right", grad_right);
  const PairForm how = summed_form(form);
  with_type(given, [&](auto zero) {
    using S = decltype(zero);
    const Pairs<S> p = given.pairs<S>();
    const double* const o = given.doubles("offset", offsets, p.left.rows);
    const double* const of_row = given.doubles("a", weights, p.left.rows);
    double* const of_offset = given.doubles("grad_offset", to_offset, p.left.rows);
    const View<S> l = given.left_gradient(to_left, p), other = given.right_gradient(to_right, p);
    double* const of_scale = given.doubles("grad_scale", to_scale, 1);
    pair_sums_gradient<S>(given.on.stream(), p, how, o, of_row, l, other, of_offset, of_scale);
  });
}

}  // namespace

void register_pairs(py::module_& m) {
  m.def("pair_log_sums", &log_sums, py::arg("left"), py::arg("right"), py::arg("scale"), py::arg("distances"),
        py::arg("skip_diagonal"), py::arg("rows"), py::arg("cols"));
  m.def("pair_log_sums_gradient", &log_sums_gradient, py::arg("left"), py::arg("right"), py::arg("scale"),
        py::arg("distances"), py::arg("skip_diagonal"), py::arg("rows"), py::arg("cols"), py::arg("a"), py::arg("b"),
        py::arg("grad_left"), py::arg("grad_right"), py::arg("grad_scale"));
  m.def("pair_sums", &sums, py::arg("left"), py::arg("right"), py::arg("scale"), py::arg("distances"),
        py::arg("skip_diagonal"), py::arg("form"), py::arg("offset"), py::arg("rows"));
  m.def("pair_sums_gradient", &sums_gradient, py::arg("left"), py::arg("right"), py::arg("scale"), py::arg("distances"),
        py::arg("skip_diagonal"), py::arg("form"), py::arg("offset"), py::arg("a"), py::arg("grad_left"),
        py::arg("grad_right"), py::arg("grad_scale"), py::arg("grad_offset"));
}

}  // namespace alphacl::cuda::bindings
