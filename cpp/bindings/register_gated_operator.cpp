// Binds the operator of gated covariances and the climb of nodes.
#include "alphacl/gated_operator.h"

#include <mutex>
#include <stdexcept>

#include "eigenpair_arrays.h"
#include "layer_arguments.h"

namespace alphacl::bindings {
namespace {

// The operator and the climb read the arrays that they are made from; these must live as long as they do.
using KeepFirst = py::keep_alive<1, 2>;
using KeepSecond = py::keep_alive<1, 3>;
using KeepAlpha = py::keep_alive<1, 7>;

static_assert(sizeof(index_t) == sizeof(std::int64_t), "indices go as they are");

// Copied: the core uses these numbers as indices, and Python could change the array meanwhile.
std::vector<index_t> rising_indices(const char* name, const py::array_t<std::int64_t>& a, index_t count, index_t end) {
  const std::int64_t* given = entries<std::int64_t>(name, a, {count});
  const std::vector<index_t> indices(given, given + count);
  index_t least = 0;
  for (const index_t index : indices) {
    if (index < least || index >= end)
      refuse(name, "rising indices below " + std::to_string(end), std::to_string(index));
    least = index + 1;
  }
  return indices;
}

template <class T>
void register_operator(py::module_& m, const std::string& suffix) {
  using Array = py::array_t<T>;
  using Operator = GatedOperator<T>;
  py::class_<Operator>(m, ("GatedOperator" + suffix).c_str())
      .def(py::init([](const Array& x, const Array& x_aug, const Array& weights, const std::string& name,
                       double parameter, const Importance<T>& alpha) {
             const LayerArguments<T> given(x, x_aug, weights);
             const Activation h = activation(name, parameter);
             const NodeImportance<T> shared = shared_importance(alpha, given.x);
             const Released released;
             return std::make_unique<Operator>(given.x, given.x_aug, given.weights, h, shared,
                                               View<const T>{nullptr, 0, 0, 0});
           }),
           py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(),
           py::arg("activation"), py::arg("parameter"), py::arg("alpha"), KeepFirst(), KeepSecond(), KeepAlpha())
      .def(py::init([](const Array& x, const Array& x_aug, const Array& weights, const std::string& name,
                       double parameter, const std::optional<Array>& x0, double tau, double tol,
                       const std::optional<Array>& alpha_weights) {
             const LayerArguments<T> given(x, x_aug, weights);
             const Activation h = activation(name, parameter);
             const NodeImportance<T> alpha = own_importance<T>(x0, tau, tol, given.x);
             const View<const T> outputs_of =
                 vectors_view<T>("alpha_weights", alpha_weights, given.weights.rows, given.weights.cols);
             const Released released;
             return std::make_unique<Operator>(given.x, given.x_aug, given.weights, h, alpha, outputs_of);
           }),
           py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(),
           py::arg("activation"), py::arg("parameter"), py::arg("x0").noconvert(), py::arg("tau"), py::arg("tol"),
           py::arg("alpha_weights").noconvert() = py::none(), KeepFirst(), KeepSecond(), KeepAlpha())
      .def(
          "with_weights",
          [](const py::object& self, const Array& weights) {
            const Operator& a = self.cast<const Operator&>();
            const View<const T> w = view<T>("weights", weights, any, a.size());
            return made_from(self, [&] { return a.with_weights(w); });
          },
          py::arg("weights").noconvert())
      .def(
          "matmul",
          [](const Operator& a, const Array& v, const py::array_t<std::int64_t>& active, Array& out) {
            const View<const T> from = view<T>("v", v, any, a.size());
            const std::vector<index_t> which = rising_indices("active", active, from.rows, a.count());
            const View<T> to = mutable_view<T>("out", out, from.rows, from.cols);
            const Released released;
            a.apply(from, which.data(), to);
          },
          py::arg("v").noconvert(), py::arg("active").noconvert(), py::arg("out").noconvert())
      .def(
          "power_iteration",
          [](const Operator& a, const std::optional<Array>& v0, double tol, index_t max_iter, bool lanczos,
             std::uint64_t seed, Array& eigenvalue, Array& eigenvector, std::optional<Array>& gap, Array& residual,
             py::array_t<std::int64_t>& n_iter, py::array_t<bool>& converged) {
            check_at_least("features", a.size(), 1);
            const PowerOptions options = power_options(tol, max_iter, lanczos, seed);
            const Results<T> results(a.count(), a.size(), eigenvalue, eigenvector, gap, residual, n_iter, converged);
            const View<const T> start = vectors_view<T>("v0", v0, a.count(), a.size());
            const Released released;
            power_iteration<T>(a, start, options, results.to);
          },
          py::arg("v0").noconvert(), py::arg("tol"), py::arg("max_iter"), py::arg("lanczos"), py::arg("seed"),
          py::arg("eigenvalue").noconvert(), py::arg("eigenvector").noconvert(), py::arg("gap").noconvert(),
          py::arg("residual").noconvert(), py::arg("n_iter").noconvert(), py::arg("converged").noconvert())
      .def(
          "top_eigenvalue_apart",
          [](const Operator& a, const Array& apart, const Array& sizes, double tol, index_t max_iter,
             std::uint64_t seed, Array& eigenvalue, py::array_t<bool>& converged) {
            const PowerOptions options = power_options(tol, max_iter, true, seed);
            const View<const T> vectors = view<T>("apart", apart, a.count(), a.size());
            const T* least = entries<T>("sizes", sizes, {a.count()});
            T* values = mutable_entries<T>("eigenvalue", eigenvalue, {a.count()});
            bool* done = mutable_entries<bool>("converged", converged, {a.count()});
            const Released released;
            top_eigenvalue_apart<T>(a, vectors, least, options, values, done);
          },
          py::arg("apart").noconvert(), py::arg("sizes").noconvert(), py::arg("tol"), py::arg("max_iter"),
          py::arg("seed"), py::arg("eigenvalue").noconvert(), py::arg("converged").noconvert());
}

// A climb with the sizes that its results are checked against. One caller at a time: a step changes it.
template <class T>
class ClimbOf {
 public:
  ClimbOf(const LayerArguments<T>& given, const Activation& h, const NodeImportance<T>& alpha, bool frozen, double tol)
      : nodes_(given.weights.rows),
        features_(given.weights.cols),
        climb_(given.x, given.x_aug, given.weights, h, alpha, ClimbOptions{tol, frozen}) {}

  index_t step() {
    const auto lock = alone();
    const Released released;
    return climb_.step();
  }
  void finish() {
    const auto lock = alone();
    const Released released;
    climb_.finish();
  }
  void write(py::array_t<T>& weights, py::array_t<T>& eigenvalue, py::array_t<T>& residual, py::array_t<T>& energy,
             py::array_t<std::int64_t>& steps, py::array_t<bool>& converged) {
    const auto lock = alone();
    climb_.write({mutable_entries<T>("weights", weights, {nodes_, features_}),
                  mutable_entries<T>("eigenvalue", eigenvalue, {nodes_}),
                  mutable_entries<T>("residual", residual, {nodes_}), mutable_entries<T>("energy", energy, {nodes_}),
                  mutable_entries<std::int64_t>("steps", steps, {nodes_}),
                  mutable_entries<bool>("converged", converged, {nodes_})});
  }

 private:
  // No waiting: the other caller may be this very thread, in a signal handler.
  std::unique_lock<std::mutex> alone() {
    std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock) throw std::runtime_error("Climb: expected one caller at a time");
    return lock;
  }

  index_t nodes_, features_;
  Climb<T> climb_;
  std::mutex mutex_;
};

template <class T>
void register_climb(py::module_& m, const std::string& suffix) {
  using Array = py::array_t<T>;
  const auto made = [](const LayerArguments<T>& given, const Activation& h, const NodeImportance<T>& alpha, bool frozen,
                       double tol) {
    check_at_least("features", given.weights.cols, 1);
    check_positive("tol", tol);
    const Released released;
    return std::make_unique<ClimbOf<T>>(given, h, alpha, frozen, tol);
  };
  py::class_<ClimbOf<T>>(m, ("Climb" + suffix).c_str())
      .def(py::init([made](const Array& x, const Array& x_aug, const Array& weights, const std::string& name,
                           double parameter, const Importance<T>& alpha, bool frozen, double tol) {
             const LayerArguments<T> given(x, x_aug, weights);
             return made(given, activation(name, parameter), shared_importance(alpha, given.x), frozen, tol);
           }),
           py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(),
           py::arg("activation"), py::arg("parameter"), py::arg("alpha"), py::arg("frozen"), py::arg("tol"),
           KeepFirst(), KeepSecond(), KeepAlpha())
      .def(py::init([made](const Array& x, const Array& x_aug, const Array& weights, const std::string& name,
                           double parameter, const std::optional<Array>& x0, double tau, double sup_error, bool frozen,
                           double tol) {
             const LayerArguments<T> given(x, x_aug, weights);
             return made(given, activation(name, parameter), own_importance<T>(x0, tau, sup_error, given.x), frozen,
                         tol);
           }),
           py::arg("x").noconvert(), py::arg("x_aug").noconvert(), py::arg("weights").noconvert(),
           py::arg("activation"), py::arg("parameter"), py::arg("x0").noconvert(), py::arg("tau"), py::arg("sup_error"),
           py::arg("frozen"), py::arg("tol"), KeepFirst(), KeepSecond(), KeepAlpha())
      .def("step", &ClimbOf<T>::step)
      .def("finish", &ClimbOf<T>::finish)
      .def("write", &ClimbOf<T>::write, py::arg("weights").noconvert(), py::arg("eigenvalue").noconvert(),
           py::arg("residual").noconvert(), py::arg("energy").noconvert(), py::arg("steps").noconvert(),
           py::arg("converged").noconvert())
      .def_static(
          "block",
          [](index_t n, index_t nodes) {
            check_at_least("n", n, 1);
            check_at_least("nodes", nodes, 1);
            return Climb<T>::block(n, nodes);
          },
          py::arg("n"), py::arg("nodes"));
}

}  // namespace

void register_gated_operator(py::module_& m) {
  register_operator<float>(m, "_f32");
  register_operator<double>(m, "_f64");
  register_climb<float>(m, "_f32");
  register_climb<double>(m, "_f64");
}

}  // namespace alphacl::bindings
