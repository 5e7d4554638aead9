#include "alphacl/power_iteration.h"

#include "arrays.h"
#include "top_eigenpairs.h"

namespace alphacl::bindings {
namespace {

// Calls a Python function (rows of v, their matrices) -> products.
template <class T>
class PythonOperator final : public BatchedOperator<T> {
 public:
  PythonOperator(py::object product, index_t count, index_t size)
      : product_(std::move(product)), count_(count), size_(size) {}
  index_t count() const override { return count_; }
  index_t size() const override { return size_; }
  void apply(View<const T> v, const index_t* active, View<T> out) const override {
    py::gil_scoped_acquire acquire;
    const py::array_t<T> rows({v.rows, v.cols}, v.data);
    const py::array_t<index_t> which(v.rows, active);
    const auto result = py::cast<py::array_t<T, py::array::c_style | py::array::forcecast>>(product_(rows, which));
    if (result.ndim() != 2 || result.shape(0) != v.rows || result.shape(1) != v.cols)
      throw py::value_error("product: expected an array of the shape it was given");
    std::copy_n(result.data(), v.rows * v.cols, out.data);
  }

 private:
  py::object product_;
  index_t count_, size_;
};

template <class T>
void register_for(py::module_& m, const std::string& suffix) {
  using Array = py::array_t<T>;
  m.def(
      "power_iteration",
      [](const Array& a, const py::object& v0, double tol, index_t max_iter, bool lanczos, std::uint64_t seed,
         Array& eigenvalue, Array& eigenvector, py::object gap, Array& residual, py::array_t<std::int64_t>& n_iter,
         py::array_t<bool>& converged) {
        const auto item = static_cast<index_t>(sizeof(T));
        const Matrices<T> matrices{a.data(), a.shape(0), a.shape(1), a.strides(0) / item, a.strides(1) / item};
        const Results<T> results(eigenvalue, eigenvector, gap, residual, n_iter, converged);
        const View<const T> start = start_view<T>(v0);
        py::gil_scoped_release release;  // other Python threads run while the core computes
        power_iteration<T>(matrices, start, {{tol, max_iter, lanczos}, seed}, results.to);
      },
      py::arg("a").noconvert(), py::arg("v0"), py::arg("tol"), py::arg("max_iter"), py::arg("lanczos"), py::arg("seed"),
      py::arg("eigenvalue").noconvert(), py::arg("eigenvector").noconvert(), py::arg("gap"),
      py::arg("residual").noconvert(), py::arg("n_iter").noconvert(), py::arg("converged").noconvert());
  m.def(("power_iteration_of_product" + suffix).c_str(),
        [](py::object product, index_t count, index_t size, const py::object& v0, double tol, index_t max_iter,
           bool lanczos, std::uint64_t seed, Array& eigenvalue, Array& eigenvector, py::object gap, Array& residual,
           py::array_t<std::int64_t>& n_iter, py::array_t<bool>& converged) {
          const PythonOperator<T> matrices(std::move(product), count, size);
          const Results<T> results(eigenvalue, eigenvector, gap, residual, n_iter, converged);
          const View<const T> start = start_view<T>(v0);
          py::gil_scoped_release release;
          power_iteration<T>(matrices, start, {{tol, max_iter, lanczos}, seed}, results.to);
        },
        py::arg("product"), py::arg("count"), py::arg("size"), py::arg("v0"), py::arg("tol"), py::arg("max_iter"),
        py::arg("lanczos"), py::arg("seed"), py::arg("eigenvalue").noconvert(), py::arg("eigenvector").noconvert(),
        py::arg("gap"), py::arg("residual").noconvert(), py::arg("n_iter").noconvert(),
        py::arg("converged").noconvert());
}

}  // namespace

void register_power_iteration(py::module_& m) {
  register_for<float>(m, "_f32");
  register_for<double>(m, "_f64");
}

}  // namespace alphacl::bindings
