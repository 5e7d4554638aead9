// Binds power_iteration over tensors.
#include "bindings/tensors.h"
#include "eigen/power_iteration.h"

namespace alphacl::cuda::bindings {
namespace {

struct Arguments {
  Tensor a, eigenvalue, eigenvector, residual, n_iter, converged;
  std::optional<Tensor> v0, gap;
};

template <class S>
Matrices<S> matrices_of(const Tensor& a) {
  const std::vector<index_t>& shape = a.shape;
  if (shape.size() != 3 || shape[1] != shape[2] || shape[1] == 0)
    refuse("a", "shape (B, d, d)", "shape " + text(shape));
  const index_t count = shape[0], d = shape[1];
  if (count > most_samples || d > most_samples)
    refuse("a", "at most " + std::to_string(most_samples) + " matrices, rows and columns on the GPU",
           "shape " + text(shape));
  if (count > 0 && d > 1 && a.strides[2] != 1) refuse("a", "rows of adjacent entries", "strides " + text(a.strides));
  return {static_cast<const S*>(a.data), count, d, a.strides[0], a.strides[1]};
}

template <class S>
void iterate(CurrentStream& on, const Arguments& given, const PowerOptions& options) {
  const Matrices<S> a = matrices_of<S>(given.a);
  const index_t count = a.count, d = a.size;
  const TopEigenpairs<S> out{entries<S>("eigenvalue", given.eigenvalue, {count}),
                             entries<S>("eigenvector", given.eigenvector, {count, d}),
                             given.gap ? entries<S>("gap", *given.gap, {count}) : nullptr,
                             entries<S>("residual", given.residual, {count}),
                             entries<std::int64_t>("n_iter", given.n_iter, {count}),
                             entries<bool>("converged", given.converged, {count})};
  if (count == 0) return;
  const View<const S> v0 = given.v0 ? view<S>("v0", *given.v0, count, d) : View<const S>{nullptr, 0, 0, 0};
  power_iteration<S>(on.stream(), a, v0, options, out);
}

}  // namespace

void register_power_iteration(py::module_& m) {
  m.def(
      "power_iteration",
      [](const py::object& a, const py::object& v0, double tol, index_t max_iter, bool lanczos, std::uint64_t seed,
         const py::object& eigenvalue, const py::object& eigenvector, const py::object& gap, const py::object& residual,
         const py::object& n_iter, const py::object& converged) {
        check_positive("tol", tol);
        if (max_iter < 1) refuse("max_iter", "at least 1", std::to_string(max_iter));
        const Arguments given{
            {"a", a},           {"eigenvalue", eigenvalue}, {"eigenvector", eigenvector}, {"residual", residual},
            {"n_iter", n_iter}, {"converged", converged},   optional_tensor("v0", v0),    optional_tensor("gap", gap)};
        CurrentStream on(given.a);
        on.check("eigenvalue", given.eigenvalue.device);
        on.check("eigenvector", given.eigenvector.device);
        on.check("residual", given.residual.device);
        on.check("n_iter", given.n_iter.device);
        on.check("converged", given.converged.device);
        if (given.v0) on.check("v0", given.v0->device);
        if (given.gap) on.check("gap", given.gap->device);
        (is_double("a", given.a) ? iterate<double> : iterate<float>)(on, given, {{tol, max_iter, lanczos}, seed});
      },
      py::arg("a"), py::arg("v0"), py::arg("tol"), py::arg("max_iter"), py::arg("lanczos"), py::arg("seed"),
      py::arg("eigenvalue"), py::arg("eigenvector"), py::arg("gap"), py::arg("residual"), py::arg("n_iter"),
      py::arg("converged"));
}

}  // namespace alphacl::cuda::bindings
