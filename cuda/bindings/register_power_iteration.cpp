// Binds power_iteration over tensors.
#include "bindings/eigenpair_tensors.h"
#include "eigen/power_iteration.h"

namespace alphacl::cuda::bindings {
namespace {

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
void iterate(CurrentStream& on, const Tensor& matrices, const EigenpairTensors& given, const PowerOptions& options) {
  const Matrices<S> a = matrices_of<S>(matrices);
  const TopEigenpairs<S> out = given.results<S>(a.count, a.size);
  if (a.count > 0) power_iteration<S>(on.stream(), a, given.starts<S>(a.count, a.size), options, out);
}

}  // namespace

void register_power_iteration(py::module_& m) {
  m.def(
      "power_iteration",
      [](const py::object& a, const py::object& v0, double tol, index_t max_iter, bool lanczos, std::uint64_t seed,
         const py::object& eigenvalue, const py::object& eigenvector, const py::object& gap, const py::object& residual,
         const py::object& n_iter, const py::object& converged) {
        const PowerOptions options = power_options(tol, max_iter, lanczos, seed);
        const Tensor matrices("a", a);
        const EigenpairTensors given(v0, eigenvalue, eigenvector, gap, residual, n_iter, converged);
        CurrentStream on(matrices);
        given.check(on);
        (is_double("a", matrices) ? iterate<double> : iterate<float>)(on, matrices, given, options);
      },
      py::arg("a"), py::arg("v0"), py::arg("tol"), py::arg("max_iter"), py::arg("lanczos"), py::arg("seed"),
      py::arg("eigenvalue"), py::arg("eigenvector"), py::arg("gap"), py::arg("residual"), py::arg("n_iter"),
      py::arg("converged"));
}

}  // namespace alphacl::cuda::bindings
