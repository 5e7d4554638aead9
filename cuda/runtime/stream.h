// Where an operation of the GPU runs: a device, a stream of it, and where its workspaces come from.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

#include "alphacl/view.h"

namespace alphacl::cuda {

/// Memory of the device for the time of one operation, in the order of its stream. Who implements it frees it.
class Workspace {
 public:
  virtual ~Workspace() = default;
  /// Uninitialised memory, aligned to 256 bytes.
  virtual void* bytes(std::size_t count) = 0;
  /// Frees memory that bytes() gave, for whatever the stream runs from now on.
  virtual void give_back(void* memory) = 0;
  /// Calls what waits for the stream, for long: whoever holds a lock lets go of it meanwhile.
  virtual void wait(const std::function<void()>& wait_for_stream) { wait_for_stream(); }

  template <class T>
  T* take(index_t count) {
    if (count < 0 || static_cast<std::size_t>(count) > std::numeric_limits<std::size_t>::max() / 2 / sizeof(T))
      throw OutOfMemory(std::numeric_limits<std::size_t>::max() / 2);
    return static_cast<T*>(bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }
};

/// What a launch or the driver reports.
class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Stream {
  void* handle;  // a cudaStream_t
  Workspace& memory;
};

/// The largest number of samples, rows or columns of an operation: kernels count them with an int.
constexpr index_t most_samples = (std::numeric_limits<int>::max() - 65536) / 2;

}  // namespace alphacl::cuda
