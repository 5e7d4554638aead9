// Workspaces for a loop: every round gets the memory of the round before.
#pragma once

#include <utility>
#include <vector>

#include "runtime/stream.h"

namespace alphacl::cuda {

/// Rounds that take the same sizes in the same order cost no memory beyond the first. What a round took may be
/// overwritten by the next, which the stream runs after it.
class ReusedMemory final : public Workspace {
 public:
  explicit ReusedMemory(Workspace& from) : from_(from) {}
  void next_round() { next_ = 0; }

  void wait(const std::function<void()>& wait_for_stream) override { from_.wait(wait_for_stream); }
  void* bytes(std::size_t count) override {
    if (next_ == blocks_.size()) blocks_.push_back({nullptr, 0});
    auto& [memory, size] = blocks_[next_++];
    if (memory == nullptr || size < count) {
      memory = from_.bytes(count);
      size = count;
    }
    return memory;
  }

 private:
  Workspace& from_;
  std::vector<std::pair<void*, std::size_t>> blocks_;
  std::size_t next_ = 0;
};

}  // namespace alphacl::cuda
