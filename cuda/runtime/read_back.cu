// Copies from the device, which the host waits for. Compiled by the C++ compiler, device and host are one.
#include "runtime/read_back.h"

#include <cstring>

#include "simt/simt.h"

namespace alphacl::cuda {

void read_back([[maybe_unused]] const Stream& on, void* to, const void* from, std::size_t bytes) {
#ifdef __CUDACC__
  const auto stream = static_cast<cudaStream_t>(on.handle);
  cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  if (error != cudaSuccess) throw CudaError(std::string("reading a result back: ") + simt::error_text(error));
#else
  std::memcpy(to, from, bytes);
#endif
}

}  // namespace alphacl::cuda
