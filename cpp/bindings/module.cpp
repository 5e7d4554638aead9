// The compiled module alphacl_fast._cpu: a table of contents.
#include <pybind11/pybind11.h>

namespace alphacl::bindings {
void register_importance(pybind11::module_& m);
void register_contrastive_cov(pybind11::module_& m);
void register_contrasts(pybind11::module_& m);
void register_gated(pybind11::module_& m);
void register_gated_operator(pybind11::module_& m);
void register_pairs(pybind11::module_& m);
void register_power_iteration(pybind11::module_& m);
void register_runtime(pybind11::module_& m);
void register_two_layer(pybind11::module_& m);
}  // namespace alphacl::bindings

PYBIND11_MODULE(_cpu, m, pybind11::mod_gil_not_used()) {
  using namespace alphacl::bindings;
  m.doc() = "Compiled CPU kernels of alphacl_fast. Private: the public functions are those of the package.";
  register_runtime(m);
  register_importance(m);
  register_contrastive_cov(m);
  register_contrasts(m);
  register_gated(m);
  register_gated_operator(m);
  register_pairs(m);
  register_power_iteration(m);
  register_two_layer(m);
}
