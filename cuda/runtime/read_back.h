// Numbers of the device brought back to the host.
#pragma once

#include "runtime/stream.h"

namespace alphacl::cuda {

/// Copies bytes of the device to the host, when all that the stream has been given before is done; waits for it. Errors
/// of kernels that ran meanwhile come out here, as CudaError.
void read_back(const Stream& on, void* to, const void* from, std::size_t bytes);

template <class T>
T read_back(const Stream& on, const T* from) {
  T value;
  read_back(on, &value, from, sizeof(T));
  return value;
}

}  // namespace alphacl::cuda
