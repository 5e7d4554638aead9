// Memory of the host for alphacl::Buffer.
#include <cstdlib>

#include "alphacl/view.h"

namespace alphacl {

void* allocate(std::size_t bytes) {
  constexpr std::size_t line = 64;
  void* const memory = std::aligned_alloc(line, (bytes / line + 1) * line);
  if (memory == nullptr) throw OutOfMemory(bytes);
  return memory;
}

}  // namespace alphacl
