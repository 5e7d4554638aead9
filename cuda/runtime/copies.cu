// Copies between the device and the host. Compiled by the C++ compiler, device and host are one.
#include "runtime/copies.h"

#include <cstring>

#include "simt/simt.h"

namespace alphacl::cuda {

#ifdef __CUDACC__

namespace {

void check(const char* what, cudaError_t error) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears the error, so that the next caller does not get it
  throw CudaError(std::string(what) + ": " + simt::error_text(error));
}

}  // namespace

void copy_to_host(const Stream& on, const void* from, std::size_t bytes, void* to) {
  const auto stream = static_cast<cudaStream_t>(on.handle);
  cudaError_t error = cudaSuccess;
  on.memory.wait([&] {
    error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  });
  check("reading a result", error);
}

// From pageable memory: the call returns when the host's memory has been read.
void copy_to_device(const Stream& on, const void* from, std::size_t bytes, void* to) {
  check("copying to the GPU",
        cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, static_cast<cudaStream_t>(on.handle)));
}

#else

void copy_to_host(const Stream& on, const void* from, std::size_t bytes, void* to) {
  on.memory.wait([&] { std::memcpy(to, from, bytes); });
}

void copy_to_device(const Stream&, const void* from, std::size_t bytes, void* to) { std::memcpy(to, from, bytes); }

#endif

}  // namespace alphacl::cuda
