// The CUDA toolkit of the build, and the driver and the devices of this machine.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace alphacl::cuda {

struct Device {
  std::string name;
  int major, minor;    // compute capability
  std::size_t memory;  // bytes
};

/// The CUDA runtime of the build, such as 13.0, or "emulated": compiled for the CPU.
std::string toolkit();

/// The newest CUDA that the driver runs; empty without a driver.
std::string driver();

/// The devices that this process may use; none without a driver, or with one that is too old.
std::vector<Device> devices();

/// Makes a device the current one of this thread; throws CudaError where that fails.
void set_device(int device);

}  // namespace alphacl::cuda
