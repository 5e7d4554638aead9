// Copies from the device to the host, which the host waits for. Compiled by the C++ compiler, device and host are one.
#include "runtime/read_back.h"

#include <cstring>

#include "simt/simt.h"

namespace alphacl::cuda {

void copy_to_host(const Stream& on, const void* from, std::size_t bytes, void* to) {
#ifdef __CUDACC__
  const auto stream = static_cast<cudaStream_t>(on.handle);
  cudaError_t error = cudaSuccess;
  on.memory.wait([&] {
    error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  });
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears the error, so that the next caller does not get it
  throw CudaError(std::string("reading a result: ") + simt::error_text(error));
#else
  on.memory.wait([&] { std::memcpy(to, from, bytes); });
#endif
}

}  // namespace alphacl::cuda
