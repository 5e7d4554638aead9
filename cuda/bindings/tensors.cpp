// Reads tensors through their Python attributes.
#include "bindings/tensors.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "runtime/device.h"

namespace alphacl::cuda::bindings {
namespace {

std::atomic<std::uint64_t> all_waits{0};

std::string shape_text(std::initializer_list<index_t> shape) {
  std::string text;
  for (const index_t length : shape)
    text += (text.empty() ? "" : ", ") + (length == any ? "any" : std::to_string(length));
  return "(" + text + (shape.size() == 1 ? ",)" : ")");
}

template <class S>
constexpr const char* name_of = sizeof(S) == 4 ? "float32" : "float64";
template <>
constexpr const char* name_of<std::int64_t> = "int64";
template <>
constexpr const char* name_of<bool> = "bool";

template <class S>
void check_dtype(const char* name, const Tensor& t) {
  if (t.dtype != name_of<S>) refuse(name, name_of<S>, t.dtype);
}

}  // namespace

void refuse(const char* name, const std::string& expected, const std::string& got) {
  throw py::value_error(std::string(name) + ": expected " + expected + ", got " + got);
}

std::string text(const std::vector<index_t>& lengths) { return py::str(py::tuple(py::cast(lengths))); }

void check_positive(const char* name, double value) {
  if (!(value > 0 && std::isfinite(value))) refuse(name, "a positive finite number", std::to_string(value));
}

void check_share(const char* name, double value) {
  if (!(value >= 1e-30 && value < 1)) refuse(name, "a number from 1e-30 to 1", std::to_string(value));
}

std::optional<Tensor> optional_tensor(const char* name, const py::object& t) {
  return t.is_none() ? std::nullopt : std::optional<Tensor>(Tensor(name, t));
}

Tensor::Tensor(const char* name, const py::handle& t) {
  if (!py::hasattr(t, "data_ptr"))
    throw py::type_error(std::string(name) + ": expected a torch tensor, got " +
                         std::string(py::str(py::type::handle_of(t).attr("__name__"))));
  data = reinterpret_cast<void*>(t.attr("data_ptr")().cast<std::uintptr_t>());
  dtype = py::str(t.attr("dtype"));
  dtype = dtype.substr(dtype.find('.') + 1);
  shape = t.attr("shape").cast<std::vector<index_t>>();
  strides = t.attr("stride")().cast<std::vector<index_t>>();
  device = t.attr("device");
}

bool is_double(const char* name, const Tensor& x) {
  if (x.dtype != "float32" && x.dtype != "float64") refuse(name, "float32 or float64", x.dtype);
  return x.dtype == "float64";
}

template <class S>
View<const S> view(const char* name, const Tensor& t, index_t rows, index_t cols) {
  check_dtype<S>(name, t);
  const bool column = t.shape.size() == 1;
  const std::string expected = "shape " + shape_text({rows, cols}), got = text(t.shape);
  if (!column && t.shape.size() != 2) refuse(name, expected, got);
  const index_t n = t.shape[0], d = column ? 1 : t.shape[1];
  if ((rows != any && n != rows) || (cols != any && d != cols)) refuse(name, expected, got);
  if (n == 0) refuse(name, "at least one row", "shape " + got);
  if (n > most_samples || d > most_samples)
    refuse(name, "at most " + std::to_string(most_samples) + " rows and columns on the GPU", "shape " + got);
  if (!column && d > 1 && t.strides[1] != 1) refuse(name, "rows of adjacent entries", "strides " + text(t.strides));
  return {static_cast<const S*>(t.data), n, d, column || n > 1 ? t.strides[0] : d};
}

template <class S>
S* entries(const char* name, const Tensor& t, std::initializer_list<index_t> shape) {
  check_dtype<S>(name, t);
  if (t.shape != std::vector<index_t>(shape)) refuse(name, "shape " + shape_text(shape), text(t.shape));
  if (std::count(t.shape.begin(), t.shape.end(), 0) > 0) return static_cast<S*>(t.data);
  index_t step = 1;
  for (std::size_t axis = t.shape.size(); axis-- > 0; step *= t.shape[axis])
    if (t.shape[axis] > 1 && t.strides[axis] != step) refuse(name, "a contiguous tensor", "strides " + text(t.strides));
  return static_cast<S*>(t.data);
}

template View<const float> view<float>(const char*, const Tensor&, index_t, index_t);
template View<const double> view<double>(const char*, const Tensor&, index_t, index_t);
template float* entries<float>(const char*, const Tensor&, std::initializer_list<index_t>);
template double* entries<double>(const char*, const Tensor&, std::initializer_list<index_t>);
template std::int64_t* entries<std::int64_t>(const char*, const Tensor&, std::initializer_list<index_t>);
template bool* entries<bool>(const char*, const Tensor&, std::initializer_list<index_t>);

template <class S>
View<S> mutable_view(const char* name, const Tensor& t, index_t rows, index_t cols) {
  if (rows == 0 || cols == 0) return {entries<S>(name, t, {rows, cols}), rows, cols, cols};
  if (t.shape.size() != 2) refuse(name, "shape " + shape_text({rows, cols}), text(t.shape));
  const View<const S> v = view<S>(name, t, rows, cols);
  if (rows > 1 && v.stride < cols) refuse(name, "rows that do not overlap", "strides " + text(t.strides));
  return {static_cast<S*>(t.data), rows, cols, v.stride};
}
template View<float> mutable_view<float>(const char*, const Tensor&, index_t, index_t);
template View<double> mutable_view<double>(const char*, const Tensor&, index_t, index_t);

CurrentStream::CurrentStream(const py::object& device) : memory_(device) {
  const std::string type = py::str(device.attr("type"));
#ifdef ALPHACL_CUDA_EMULATED
  if (type != "cpu") throw py::type_error("the emulated kernels read the memory of the CPU, got a tensor on " + type);
#else
  if (type != "cuda") throw py::type_error("expected tensors on a CUDA device, got one on " + type);
  const py::object cuda = py::module_::import("torch").attr("cuda");
  handle_ = reinterpret_cast<void*>(cuda.attr("current_stream")(device).attr("cuda_stream").cast<std::uintptr_t>());
  // torch's guard, not our own: it gives back the device before without making a context on it.
  guard_ = cuda.attr("device")(device);
  guard_.attr("__enter__")();
  set_device(device.attr("index").cast<int>());
#endif
}

CurrentStream::~CurrentStream() {
  if (!guard_) return;
  try {
    guard_.attr("__exit__")(py::none(), py::none(), py::none());
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("CurrentStream");
  }
}

void CurrentStream::check(const char* name, const py::object& device) const {
  if (!device.equal(memory_.device()))
    throw py::value_error(std::string(name) + ": expected a tensor on " + std::string(py::str(memory_.device())) +
                          " like the others, got one on " + std::string(py::str(device)));
}

std::uint64_t waits() { return all_waits; }

void TorchMemory::wait(const std::function<void()>& wait_for_stream) {
  ++all_waits;
  {
    const py::gil_scoped_release released;
    wait_for_stream();
  }
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();  // Ctrl-C between two waits
}

void* TorchMemory::bytes(std::size_t count) {
  const py::module_ torch = py::module_::import("torch");
  const py::object block = torch.attr("empty")(std::max<std::size_t>(count, 1), py::arg("dtype") = torch.attr("uint8"),
                                               py::arg("device") = device_);
  void* const memory = reinterpret_cast<void*>(block.attr("data_ptr")().cast<std::uintptr_t>());
  held_.emplace_back(memory, block);
  return memory;
}

void TorchMemory::give_back(void* memory) {
  held_.erase(std::remove_if(held_.begin(), held_.end(), [&](const auto& block) { return block.first == memory; }),
              held_.end());
}

}  // namespace alphacl::cuda::bindings
