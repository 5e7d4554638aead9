// The CUDA toolkit, the driver and the devices. Compiled by the C++ compiler there are none.
#include "runtime/device.h"

#include "runtime/stream.h"

#ifdef __CUDACC__
#include <cuda_runtime_api.h>
#endif

namespace alphacl::cuda {

#ifdef __CUDACC__
namespace {

// 13000 is 13.0.
std::string text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

}  // namespace

std::string toolkit() { return text(CUDART_VERSION); }

std::string driver() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess && version > 0 ? text(version) : "";
}

std::vector<Device> devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // clears the error, so that the next caller does not get it
    return {};
  }
  std::vector<Device> found;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp facts;
    if (cudaGetDeviceProperties(&facts, i) == cudaSuccess)
      found.push_back({facts.name, facts.major, facts.minor, facts.totalGlobalMem});
  }
  return found;
}

void set_device(int device) {
  const cudaError_t error = cudaSetDevice(device);
  if (error == cudaSuccess) return;
  cudaGetLastError();
  throw CudaError("device " + std::to_string(device) + ": " + cudaGetErrorString(error));
}
#else
std::string toolkit() { return "emulated"; }

std::string driver() { return ""; }

std::vector<Device> devices() { return {}; }

void set_device(int) {}
#endif

}  // namespace alphacl::cuda
