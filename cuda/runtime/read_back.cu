// Copies from the device to the host, which the host waits for. Compiled by the C++ compiler, device and host are one.
#include "runtime/read_back.h"

#include <cstring>

#include "simt/simt.h"

namespace alphacl::cuda {

void copy_to_host([[maybe_unused]] const Stream& on, const void* from, std::size_t bytes, void* to) {
#ifdef __CUDACC__
  const auto stream = static_cast<cudaStream_t>(on.handle);
  cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  if (error != cudaSuccess) throw CudaError(std::string("reading a result: ") + simt::error_text(error));
#else
  std::memcpy(to, from, bytes);
#endif
}

}  // namespace alphacl::cuda
