#include "alphacl/gated_operator.h"

#include "layer_arguments.h"
#include "top_eigenpairs.h"

namespace alphacl::bindings {
namespace {

// The operator and the climb read the arrays they were made from: they live as long as it does.
using KeepFirst = py::keep_alive<1, 2>;
using KeepSecond = py::keep_alive<1, 3>;
using KeepAlpha = py::keep_alive<1, 7>;

template <class T>
void register_operator(py::module_& m, const std::string& suffix) {
  using Array = py::array_t<T>;
  using Operator = GatedOperator<T>;
  py::class_<Operator>(m, ("GatedOperator" + suffix).c_str())
      .def(py::init([](const Array& x, const Array& x_aug, const Array& weights, const std::string& name,
                       double parameter, const Importance<T>& alpha) {
             const View<const T> a = view<T>(x), b = view<T>(x_aug), w = view<T>(weights);
             const Activation h = activation(name, parameter);
             py::gil_scoped_release release;  // other Python threads run while the core computes
             return std::make_unique<Operator>(a, b, w, h, NodeImportance<T>{&alpha}, View<const T>{nullptr, 0, 0, 0});
           }),
           py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(),
           py::arg("activation"), py::arg("parameter"), py::arg("alpha"), KeepFirst(), KeepSecond(), KeepAlpha())
      .def(py::init([](const Array& x, const Array& x_aug, const Array& weights, const std::string& name,
                       double parameter, const std::optional<Array>& x0, double tau, double tol,
                       const py::object& alpha_weights) {
             const View<const T> a = view<T>(x), b = view<T>(x_aug), w = view<T>(weights);
             const Activation h = activation(name, parameter);
             const NodeImportance<T> alpha = own_importance<T>(x0, tau, tol);
             const View<const T> outputs_of = start_view<T>(alpha_weights);
             py::gil_scoped_release release;
             return std::make_unique<Operator>(a, b, w, h, alpha, outputs_of);
           }),
           py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(),
           py::arg("activation"), py::arg("parameter"), py::arg("x0").noconvert(), py::arg("tau"), py::arg("tol"),
           py::arg("alpha_weights") = py::none(), KeepFirst(), KeepSecond(), KeepAlpha())
      .def(
          "with_weights",
          [](const Operator& a, const Array& weights) {
            const View<const T> w = view<T>(weights);
            py::gil_scoped_release release;
            return a.with_weights(w);
          },
          py::arg("weights").noconvert(), py::keep_alive<0, 1>())
      .def(
          "matmul",
          [](const Operator& a, const Array& v, const py::array_t<std::int64_t>& active, Array& out) {
            const View<const T> from = view<T>(v);
            const View<T> to = mutable_view<T>(out);
            static_assert(sizeof(index_t) == sizeof(std::int64_t), "indices go as they are");
            const auto* which = reinterpret_cast<const index_t*>(active.data());
            py::gil_scoped_release release;
            a.apply(from, which, to);
          },
          py::arg("v").noconvert(), py::arg("active").noconvert(), py::arg("out").noconvert())
      .def(
          "power_iteration",
          [](const Operator& a, const py::object& v0, double tol, index_t max_iter, bool lanczos, std::uint64_t seed,
             Array& eigenvalue, Array& eigenvector, py::object gap, Array& residual, py::array_t<std::int64_t>& n_iter,
             py::array_t<bool>& converged) {
            const Results<T> results(eigenvalue, eigenvector, gap, residual, n_iter, converged);
            const View<const T> start = start_view<T>(v0);
            py::gil_scoped_release release;
            power_iteration<T>(a, start, {{tol, max_iter, lanczos}, seed}, results.to);
          },
          py::arg("v0"), py::arg("tol"), py::arg("max_iter"), py::arg("lanczos"), py::arg("seed"),
          py::arg("eigenvalue").noconvert(), py::arg("eigenvector").noconvert(), py::arg("gap"),
          py::arg("residual").noconvert(), py::arg("n_iter").noconvert(), py::arg("converged").noconvert())
      .def(
          "top_eigenvalue_apart",
          [](const Operator& a, const Array& apart, double tol, index_t max_iter, std::uint64_t seed, Array& eigenvalue,
             py::array_t<bool>& converged) {
            const View<const T> vectors = view<T>(apart);
            T* values = eigenvalue.mutable_data();
            bool* done = converged.mutable_data();
            py::gil_scoped_release release;
            top_eigenvalue_apart<T>(a, vectors, {{tol, max_iter, true}, seed}, values, done);
          },
          py::arg("apart").noconvert(), py::arg("tol"), py::arg("max_iter"), py::arg("seed"),
          py::arg("eigenvalue").noconvert(), py::arg("converged").noconvert());
}

template <class T>
void register_climb(py::module_& m, const std::string& suffix) {
  using Array = py::array_t<T>;
  py::class_<Climb<T>>(m, ("Climb" + suffix).c_str())
      .def(py::init([](const Array& x, const Array& x_aug, const Array& weights, const std::string& name,
                       double parameter, const Importance<T>& alpha, bool frozen, double tol) {
             const View<const T> a = view<T>(x), b = view<T>(x_aug), w = view<T>(weights);
             const Activation h = activation(name, parameter);
             py::gil_scoped_release release;
             return std::make_unique<Climb<T>>(a, b, w, h, NodeImportance<T>{&alpha}, ClimbOptions{tol, frozen});
           }),
           py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(),
           py::arg("activation"), py::arg("parameter"), py::arg("alpha"), py::arg("frozen"), py::arg("tol"),
           KeepFirst(), KeepSecond(), KeepAlpha())
      .def(py::init([](const Array& x, const Array& x_aug, const Array& weights, const std::string& name,
                       double parameter, const std::optional<Array>& x0, double tau, double sup_error, bool frozen,
                       double tol) {
             const View<const T> a = view<T>(x), b = view<T>(x_aug), w = view<T>(weights);
             const Activation h = activation(name, parameter);
             const NodeImportance<T> alpha = own_importance<T>(x0, tau, sup_error);
             py::gil_scoped_release release;
             return std::make_unique<Climb<T>>(a, b, w, h, alpha, ClimbOptions{tol, frozen});
           }),
           py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(),
           py::arg("activation"), py::arg("parameter"), py::arg("x0").noconvert(), py::arg("tau"), py::arg("sup_error"),
           py::arg("frozen"), py::arg("tol"), KeepFirst(), KeepSecond(), KeepAlpha())
      .def("step", &Climb<T>::step, py::call_guard<py::gil_scoped_release>())
      .def("finish", &Climb<T>::finish, py::call_guard<py::gil_scoped_release>())
      .def(
          "write",
          [](const Climb<T>& climb, Array& weights, Array& eigenvalue, Array& residual, Array& energy,
             py::array_t<std::int64_t>& steps, py::array_t<bool>& converged) {
            climb.write({weights.mutable_data(), eigenvalue.mutable_data(), residual.mutable_data(),
                         energy.mutable_data(), steps.mutable_data(), converged.mutable_data()});
          },
          py::arg("weights").noconvert(), py::arg("eigenvalue").noconvert(), py::arg("residual").noconvert(),
          py::arg("energy").noconvert(), py::arg("steps").noconvert(), py::arg("converged").noconvert())
      .def_static("block", &Climb<T>::block, py::arg("n"), py::arg("nodes"));
}

}  // namespace

void register_gated_operator(py::module_& m) {
  register_operator<float>(m, "_f32");
  register_operator<double>(m, "_f64");
  register_climb<float>(m, "_f32");
  register_climb<double>(m, "_f64");
}

}  // namespace alphacl::bindings
