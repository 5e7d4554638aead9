// Binds the importances.
#include <pybind11/stl.h>

#include <cmath>

#include "bindings/importance_object.h"

namespace alphacl::cuda::bindings {
namespace {

PairForm form_named(const std::string& name) {
  if (const auto found = pair_form_named(name)) return *found;
  throw py::value_error("form: expected exponential, hinge, logistic, softplus or square, got " + name);
}

ScalarMethod method_named(const std::string& name) {
  if (name == "auto") return ScalarMethod::automatic;
  if (name == "fourier") return ScalarMethod::series;
  if (name == "tiles" || name == "sorted") return ScalarMethod::pairs;
  throw py::value_error("method: expected auto, tiles, fourier or sorted, got " + name);
}

template <class S>
View<const S> features_view(const char* name, const Tensor& t) {
  const View<const S> f = view<S>(name, t);
  if (f.cols == 0) refuse(name, "at least one column", "a tensor without any");
  return f;
}

void check_finite(const char* name, double value) {
  if (!std::isfinite(value)) refuse(name, "a finite number", std::to_string(value));
}

// What rows of n samples are divided by, as it came.
RowSumRule checked(const RowSumRule& rule, index_t n) {
  if (!(rule.eps >= 0 && std::isfinite(rule.eps))) refuse("eps", "a finite number >= 0", std::to_string(rule.eps));
  if (rule.eps > 0 && !rule.normalize) refuse("eps", "0 without normalize", std::to_string(rule.eps));
  if (rule.paired && n % 2 != 0) refuse("features", "an even number of rows, two views", std::to_string(n));
  return rule;
}

// The length of a tensor of one axis.
index_t length_of(const char* name, const Tensor& t, index_t least) {
  if (t.shape.size() != 1 || t.shape[0] < least || t.shape[0] > most_samples)
    refuse(name, "one axis of " + std::to_string(least) + " to " + std::to_string(most_samples) + " numbers",
           "shape " + text(t.shape));
  return t.shape[0];
}

index_t entries_of(const char* name, const Tensor& t) {
  if (t.shape.size() != 1) refuse(name, "one axis", "shape " + text(t.shape));
  return t.shape[0];
}

template <class S>
void register_for(py::module_& m, const std::string& suffix) {
  using Object = ImportanceObject<S>;
  py::class_<Object>(m, ("Importance" + suffix).c_str())
      .def("size", [](const Object& a) { return a.get().size(); })
      .def(
          "row_sums", [](const Object& a, const py::object& out) { a.sums(out, true); }, py::arg("out"))
      .def(
          "col_sums", [](const Object& a, const py::object& out) { a.sums(out, false); }, py::arg("out"))
      .def("matmul", &Object::matmul, py::arg("y"), py::arg("out"))
      .def("to_dense", &Object::to_dense, py::arg("out"));

  m.def(("dense" + suffix).c_str(),
        [](const py::object& alpha) {
          const Tensor t("alpha", alpha);
          const View<const S> a = view<S>("alpha", t);
          if (a.rows != a.cols) refuse("alpha", "a square array", std::to_string(a.cols) + " columns");
          return Object(t.device, {alpha}, [&](const Stream&, Workspace&) { return dense<S>(a); });
        },
        py::arg("alpha"));
  m.def(("uniform" + suffix).c_str(),
        [](index_t size, bool diagonal) {
          if (size < 1 || size > most_samples)
            refuse("size", "at least 1 and at most " + std::to_string(most_samples), std::to_string(size));
          return Object(uniform<S>(size, diagonal));
        },
        py::arg("size"), py::arg("diagonal"));
  m.def(("low_rank" + suffix).c_str(),
        [](const py::object& phi, const py::object& signs) {
          const Tensor t("phi", phi);
          const View<const S> f = features_view<S>("phi", t);
          const std::optional<Tensor> given = optional_tensor("signs", signs);
          const double* const s = given ? entries<double>("signs", *given, {f.cols}) : nullptr;
          std::vector<py::object> read = {phi};
          if (given) read.push_back(signs);
          return Object(t.device, read, [&](const Stream&, Workspace&) { return low_rank<S>(f, s); });
        },
        py::arg("phi"), py::arg("signs"));
  m.def(("labels" + suffix).c_str(),
        [](const py::object& of, double same, double different) {
          const Tensor t("labels", of);
          const index_t n = length_of("labels", t, 1);
          const std::int64_t* const label = entries<std::int64_t>("labels", t, {n});
          check_finite("same", same);
          check_finite("different", different);
          return Object(t.device, {}, [&](const Stream& on, Workspace& memory) {
            return labels<S>(on, label, n, same, different, memory);
          });
        },
        py::arg("labels"), py::arg("same"), py::arg("different"));
  m.def(("sparse" + suffix).c_str(),
        [](const py::object& starts, const py::object& columns, const py::object& values) {
          const Tensor s("starts", starts), c("columns", columns), v("values", values);
          const index_t n = length_of("starts", s, 2) - 1,
                        count = entries_of("columns", c);  // as many as there is memory for
          const CompressedRows<S> given{entries<std::int64_t>("starts", s, {n + 1}),
                                        entries<std::int64_t>("columns", c, {count}), entries<S>("values", v, {count}),
                                        n, count};
          const CurrentStream here(v);
          here.check("starts", s.device);
          here.check("columns", c.device);
          return Object(v.device, {},
                        [&](const Stream& on, Workspace& memory) { return sparse<S>(on, given, memory); });
        },
        py::arg("starts"), py::arg("columns"), py::arg("values"));
  m.def(("direct" + suffix).c_str(),
        [](const py::object& features, double p, double tau, bool normalize, bool paired, double eps) {
          const Tensor t("features", features);
          const View<const S> f = features_view<S>("features", t);
          check_positive("p", p);
          check_positive("tau", tau);
          const RowSumRule rule = checked({normalize, paired, eps}, f.rows);
          return Object(t.device, {},
                        [&](const Stream& on, Workspace& memory) { return direct<S>(on, f, p, tau, rule, memory); });
        },
        py::arg("features"), py::arg("p"), py::arg("tau"), py::arg("normalize"), py::arg("paired"), py::arg("eps"));
  m.def(("inverse_distance" + suffix).c_str(),
        [](const py::object& features, double p, double tau, double q, bool normalize, bool paired, double eps) {
          const Tensor t("features", features);
          const View<const S> f = features_view<S>("features", t);
          check_positive("p", p);
          check_positive("tau", tau);
          check_positive("q", q);
          const RowSumRule rule = checked({normalize, paired, eps}, f.rows);
          return Object(t.device, {}, [&](const Stream& on, Workspace& memory) {
            return inverse_distance<S>(on, f, p, tau, q, rule, memory);
          });
        },
        py::arg("features"), py::arg("p"), py::arg("tau"), py::arg("q"), py::arg("normalize"), py::arg("paired"),
        py::arg("eps"));
  m.def(("gaussian" + suffix).c_str(),
        [](const py::object& features, double tau, double tol, const std::string& method) {
          const Tensor t("features", features);
          const View<const S> f = features_view<S>("features", t);
          check_positive("tau", tau);
          check_share("tol", tol);
          const ScalarMethod how = method_named(method);
          return Object(t.device, {}, [&](const Stream& on, Workspace& memory) {
            return scalar_gaussian<S>(on, f, tau, tol, how, memory);
          });
        },
        py::arg("features"), py::arg("tau"), py::arg("tol"), py::arg("method"));
  m.def(("square_regularized" + suffix).c_str(),
        [](const py::object& features, double tau) {
          const Tensor t("features", features);
          const View<const S> f = features_view<S>("features", t);
          check_positive("tau", tau);
          return Object(t.device, {},
                        [&](const Stream& on, Workspace& memory) { return square_regularized<S>(on, f, tau, memory); });
        },
        py::arg("features"), py::arg("tau"));
  m.def(("pair" + suffix).c_str(),
        [](const py::object& features, double scale, const std::string& form, const py::object& offset,
           const py::object& weight) {
          const Tensor t("features", features), o("offset", offset), w("weight", weight);
          const View<const S> f = features_view<S>("features", t);
          const PairForm how = form_named(form);
          check_positive("scale", scale);
          const double* const of = entries<double>("offset", o, {f.rows});
          const double* const by = entries<double>("weight", w, {f.rows});
          return Object(t.device, {offset, weight}, [&](const Stream& on, Workspace& memory) {
            return pair<S>(on, f, scale, how, of, by, memory);
          });
        },
        py::arg("features"), py::arg("scale"), py::arg("form"), py::arg("offset"), py::arg("weight"));
}

}  // namespace

void register_importance(py::module_& m) {
  register_for<float>(m, "_f32");
  register_for<double>(m, "_f64");
}

}  // namespace alphacl::cuda::bindings
