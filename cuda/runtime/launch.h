// Launches of kernels. Included by kernels and what launches them, not by bindings.
#pragma once

#include <string>

#include "runtime/stream.h"
#include "simt/simt.h"

namespace alphacl::cuda {

/// Launches kernel(arguments...) with `shared` bytes of shared memory on the stream; `name` is for errors.
template <class... P, class... A>
void launch(const Stream& on, const char* name, void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared,
            A... arguments) {
  const cudaError_t error =
      simt::launch(kernel, grid, block, shared, static_cast<cudaStream_t>(on.handle), arguments...);
  if (error != cudaSuccess) throw CudaError(std::string("kernel ") + name + ": " + simt::error_text(error));
}

}  // namespace alphacl::cuda
