// The compiled module alphacl_fast._cuda: a table of contents.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <sstream>

#include "bindings/tensors.h"
#include "runtime/device.h"

namespace alphacl::cuda {
namespace {

namespace py = pybind11;

py::dict build_info() {
  py::list architectures, found;
  std::istringstream names(ALPHACL_CUDA_ARCHITECTURES);
  for (std::string name; names >> name;) architectures.append(name);
  for (const Device& device : devices()) {
    py::dict facts;
    facts["name"] = device.name;
    facts["capability"] = py::make_tuple(device.major, device.minor);
    facts["memory"] = device.memory;
    found.append(facts);
  }
  const std::string newest = driver();
  py::dict info;
  info["toolkit"] = toolkit();
  info["architectures"] = architectures;
  info["driver"] = newest.empty() ? py::object(py::none()) : py::object(py::str(newest));
  info["devices"] = found;
  return info;
}

}  // namespace

namespace bindings {

void register_contrastive_cov(py::module_& m);
void register_contrasts(py::module_& m);
void register_gated(py::module_& m);
void register_gated_operator(py::module_& m);
void register_importance(py::module_& m);
void register_pairs(py::module_& m);
void register_power_iteration(py::module_& m);

}  // namespace bindings
}  // namespace alphacl::cuda

PYBIND11_MODULE(_cuda, m, pybind11::mod_gil_not_used()) {
  m.doc() = "Compiled CUDA kernels of alphacl_fast. Private: the public functions are those of the package.";
  m.def("build_info", &alphacl::cuda::build_info);
  m.def("waits", &alphacl::cuda::bindings::waits);
  alphacl::cuda::bindings::register_importance(m);
  alphacl::cuda::bindings::register_pairs(m);
  alphacl::cuda::bindings::register_contrastive_cov(m);
  alphacl::cuda::bindings::register_contrasts(m);
  alphacl::cuda::bindings::register_gated(m);
  alphacl::cuda::bindings::register_gated_operator(m);
  alphacl::cuda::bindings::register_power_iteration(m);
}
