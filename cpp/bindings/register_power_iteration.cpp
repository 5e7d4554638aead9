// Binds power_iteration over arrays and over a Python function of products.
#include "alphacl/power_iteration.h"

#include "arrays.h"
#include "eigenpair_arrays.h"

namespace alphacl::bindings {
namespace {

template <class T>
Matrices<T> matrices_of(const py::array_t<T>& a) {
  constexpr index_t item = sizeof(T);
  if (a.ndim() != 3 || a.shape(1) != a.shape(2) || a.shape(1) == 0)
    refuse("a", "shape (B, d, d)", "shape " + shape_text(a));
  const index_t count = a.shape(0), d = a.shape(1);
  const auto whole = [&](index_t axis) { return a.shape(axis) <= 1 || a.strides(axis) % item == 0; };
  if (count > 0 && ((d > 1 && a.strides(2) != item) || !whole(0) || !whole(1)))
    refuse("a", "rows of adjacent entries, whole entries apart", "strides " + strides_text(a));
  check_aligned("a", a);
  return {a.data(), count, d, count > 1 ? a.strides(0) / item : d * d, d > 1 ? a.strides(1) / item : d};
}

// Calls a Python function (rows of v, their matrices) -> products.
template <class T>
class PythonOperator final : public BatchedOperator<T> {
 public:
  PythonOperator(py::object product, index_t count, index_t size)
      : product_(std::move(product)), count_(count), size_(size) {}
  index_t count() const override { return count_; }
  index_t size() const override { return size_; }
  void apply(View<const T> v, const index_t* active, View<T> out) const override {
    const py::gil_scoped_acquire acquire;
    const py::array_t<T> rows({v.rows, v.cols}, v.data);
    const py::array_t<index_t> which(v.rows, active);
    const py::object result = product_(rows, which);
    if (!py::isinstance<py::array_t<T>>(result))
      throw py::type_error("product: expected an array of the dtype it was given, got " +
                           std::string(py::repr(py::type::of(result))));
    const auto array = py::reinterpret_borrow<py::array_t<T>>(result);
    const View<const T> products = view<T>("product", array, v.rows, v.cols);
    for (index_t i = 0; i < v.rows; ++i) std::copy_n(products.row(i), v.cols, out.row(i));
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
      [](const Array& a, const std::optional<Array>& v0, double tol, index_t max_iter, bool lanczos, std::uint64_t seed,
         Array& eigenvalue, Array& eigenvector, std::optional<Array>& gap, Array& residual,
         py::array_t<std::int64_t>& n_iter, py::array_t<bool>& converged) {
        const Matrices<T> matrices = matrices_of<T>(a);
        const PowerOptions options = power_options(tol, max_iter, lanczos, seed);
        const Results<T> results(matrices.count, matrices.size, eigenvalue, eigenvector, gap, residual, n_iter,
                                 converged);
        const View<const T> start = vectors_view<T>("v0", v0, matrices.count, matrices.size);
        const Released released;
        power_iteration<T>(matrices, start, options, results.to);
      },
      py::arg("a").noconvert(), py::arg("v0").noconvert(), py::arg("tol"), py::arg("max_iter"), py::arg("lanczos"),
      py::arg("seed"), py::arg("eigenvalue").noconvert(), py::arg("eigenvector").noconvert(),
      py::arg("gap").noconvert(), py::arg("residual").noconvert(), py::arg("n_iter").noconvert(),
      py::arg("converged").noconvert());
  m.def(
      ("power_iteration_of_product" + suffix).c_str(),
      [](py::object product, index_t count, index_t size, const std::optional<Array>& v0, double tol, index_t max_iter,
         bool lanczos, std::uint64_t seed, Array& eigenvalue, Array& eigenvector, std::optional<Array>& gap,
         Array& residual, py::array_t<std::int64_t>& n_iter, py::array_t<bool>& converged) {
        check_at_least("count", count, 0);
        check_at_least("size", size, 1);
        const PowerOptions options = power_options(tol, max_iter, lanczos, seed);
        const Results<T> results(count, size, eigenvalue, eigenvector, gap, residual, n_iter, converged);
        const View<const T> start = vectors_view<T>("v0", v0, count, size);
        const PythonOperator<T> matrices(std::move(product), count, size);
        const Released released;
        power_iteration<T>(matrices, start, options, results.to);
      },
      py::arg("product"), py::arg("count"), py::arg("size"), py::arg("v0").noconvert(), py::arg("tol"),
      py::arg("max_iter"), py::arg("lanczos"), py::arg("seed"), py::arg("eigenvalue").noconvert(),
      py::arg("eigenvector").noconvert(), py::arg("gap").noconvert(), py::arg("residual").noconvert(),
      py::arg("n_iter").noconvert(), py::arg("converged").noconvert());
}

}  // namespace

void register_power_iteration(py::module_& m) {
  register_for<float>(m, "_f32");
  register_for<double>(m, "_f64");
}

}  // namespace alphacl::bindings
