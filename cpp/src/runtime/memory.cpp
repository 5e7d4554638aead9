// Allocation of large blocks, and the settings of malloc that keep their pages.
#include <sys/mman.h>

#include <algorithm>

#include "alphacl/view.h"

namespace alphacl {
namespace {

// glibc maps large blocks and returns free memory to the system, above thresholds that rise when a mapped block is
// freed. Without that, operations of some milliseconds spent 10 to 15 % of each call on fresh pages.
[[maybe_unused]] const bool limits_raised = [] {
  void* volatile block = std::malloc(std::size_t{24} << 20);
  std::free(block);
  return true;
}();

}  // namespace

// Huge pages for large blocks: page faults of 8 MB in pages of 4 KiB cost 1 to 2 ms a call.
void* allocate(std::size_t bytes) {
  constexpr std::size_t line = 64, huge = std::size_t{1} << 21;
  const std::size_t alignment = bytes >= huge ? huge : line;
  const std::size_t rounded = std::max(line, (bytes + line - 1) / line * line);
  void* fresh = nullptr;  // not aligned_alloc, which may refuse sizes that are no multiple of the alignment
  if (posix_memalign(&fresh, alignment, rounded) != 0) throw OutOfMemory(rounded);
#ifdef MADV_HUGEPAGE
  if (alignment == huge) madvise(fresh, rounded / huge * huge, MADV_HUGEPAGE);
#endif
  return fresh;
}

}  // namespace alphacl
