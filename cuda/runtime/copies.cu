// Copies between the device and the host. Compiled by the C++ compiler, device and host are one.
#include "runtime/copies.h"

#include <cstring>

#include "simt/simt.h"

namespace alphacl::cuda {

#ifdef __CUDACC__

namespace {

void copy(const Stream& on, const void* from, std::size_t bytes, void* to, cudaMemcpyKind kind, const char* what) {
  const auto stream = static_cast<cudaStream_t>(on.handle);
  cudaError_t error = cudaSuccess;
  on.memory.wait([&] {
    error = cudaMemcpyAsync(to, from, bytes, kind, stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  });
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears the error, so that the next caller does not get it
  throw CudaError(std::string(what) + ": " + simt::error_text(error));
}

}  // namespace

void copy_to_host(const Stream& on, const void* from, std::size_t bytes, void* to) {
  copy(on, from, bytes, to, cudaMemcpyDeviceToHost, "reading a result");
}

void copy_to_device(const Stream& on, const void* from, std::size_t bytes, void* to) {
  copy(on, from, bytes, to, cudaMemcpyHostToDevice, "copying to the GPU");
}

#else

void copy_to_host(const Stream& on, const void* from, std::size_t bytes, void* to) {
  on.memory.wait([&] { std::memcpy(to, from, bytes); });
}

void copy_to_device(const Stream& on, const void* from, std::size_t bytes, void* to) {
  on.memory.wait([&] { std::memcpy(to, from, bytes); });
}

#endif

}  // namespace alphacl::cuda
