// From the device to the host. Waits for the stream: only where a result or a decision of the host needs a number.
#pragma once

#include <cstring>
#include <string>

#include "runtime/stream.h"
#include "simt/simt.h"

namespace alphacl::cuda {

/// Copies `count` numbers to `to` once all that the stream has been given is done.
template <class T>
void read_back(const Stream& on, const T* from, index_t count, T* to) {
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
#ifdef __CUDACC__
  const cudaStream_t stream = static_cast<cudaStream_t>(on.handle);
  cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  if (error != cudaSuccess) throw CudaError(std::string("reading a result: ") + simt::error_text(error));
#else
  static_cast<void>(on);
  std::memcpy(to, from, bytes);
#endif
}

}  // namespace alphacl::cuda
