// From torch tensors to views. Every size that the kernels rely on is checked here: whatever Python passes, no memory
// outside a tensor is touched. Nothing is converted or copied, and torch is not linked: a tensor is what has
// data_ptr(), shape, stride() and device.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "alphacl/view.h"
#include "runtime/stream.h"

namespace alphacl::cuda::bindings {

namespace py = pybind11;

constexpr index_t any = -1;  // a length that may be anything

[[noreturn]] void refuse(const char* name, const std::string& expected, const std::string& got);

/// As Python shows a tuple.
std::string text(const std::vector<index_t>& lengths);

void check_positive(const char* name, double value);
/// From 1e-30 to 1.
void check_share(const char* name, double value);

/// A tensor as Python shows it.
struct Tensor {
  void* data;
  std::string dtype;  // float32, float64, int64, ...
  std::vector<index_t> shape, strides;
  py::object device;

  Tensor(const char* name, const py::handle& t);
};

/// None becomes nothing.
std::optional<Tensor> optional_tensor(const char* name, const py::object& t);

/// Whether x, the tensor that decides the type of an operation, holds float64 (else float32; others are refused).
bool is_double(const char* name, const Tensor& x);

/// (rows, cols), or (rows,) as one column; at least one row, each of adjacent entries.
template <class S>
View<const S> view(const char* name, const Tensor& t, index_t rows = any, index_t cols = any);

/// The entries of a contiguous tensor of the given shape, to be written.
template <class S>
S* entries(const char* name, const Tensor& t, std::initializer_list<index_t> shape);

/// (rows, cols) with contiguous rows, to be written; rows may lie apart, but not overlap.
template <class S>
View<S> mutable_view(const char* name, const Tensor& t, index_t rows, index_t cols);

/// How often operations have waited for a stream since the module was loaded, for a number that the host reads or for a
/// copy from it.
std::uint64_t waits();

/// Memory from torch's allocator, which hands it on in the order of the stream; freed with this object.
class TorchMemory final : public Workspace {
 public:
  explicit TorchMemory(py::object device) : device_(std::move(device)) {}
  void* bytes(std::size_t count) override;
  void give_back(void* memory) override;
  void wait(const std::function<void()>& wait_for_stream) override;  // without the GIL
  const py::object& device() const { return device_; }

 private:
  py::object device_;
  std::vector<std::pair<void*, py::object>> held_;
};

/// The current stream of a device, which is the current device during its life.
class CurrentStream {
 public:
  explicit CurrentStream(const Tensor& x) : CurrentStream(x.device) {}
  explicit CurrentStream(const py::object& device);
  ~CurrentStream();
  CurrentStream(const CurrentStream&) = delete;
  CurrentStream& operator=(const CurrentStream&) = delete;

  /// Refuses a tensor that is on another device.
  void check(const char* name, const py::object& device) const;
  Stream stream() { return {handle_, memory_}; }

 private:
  TorchMemory memory_;
  void* handle_ = nullptr;
  py::object guard_;  // a torch.cuda.device, entered
};

}  // namespace alphacl::cuda::bindings
