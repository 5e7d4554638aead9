// Workspaces for a loop: every round gets the memory of the round before.
#pragma once

#include <utility>
#include <vector>

#include "runtime/stream.h"

namespace alphacl::cuda {

/// Rounds that take the same sizes in the same order cost no memory beyond the first; where one takes more, what it has
/// outgrown is given back first. What a round took may be overwritten by the next, which the stream runs after it.
class ReusedMemory final : public Workspace {
 public:
  explicit ReusedMemory(Workspace& from) : from_(from) {}
  void next_round() { next_ = 0; }

  void wait(const std::function<void()>& wait_for_stream) override { from_.wait(wait_for_stream); }
  void* bytes(std::size_t count) override {
    if (next_ == blocks_.size()) blocks_.push_back({nullptr, 0});
    Block& block = blocks_[next_++];
    if (block.memory != nullptr && block.size >= count) return block.memory;
    free(block);
    block.memory = from_.bytes(count);
    block.size = count;
    return block.memory;
  }
  void give_back(void* memory) override {
    for (Block& block : blocks_)
      if (block.memory == memory) free(block);
  }

 private:
  struct Block {
    void* memory;
    std::size_t size;
  };
  void free(Block& block) {
    if (void* const memory = std::exchange(block.memory, nullptr)) from_.give_back(memory);
  }

  Workspace& from_;
  std::vector<Block> blocks_;
  std::size_t next_ = 0;
};

}  // namespace alphacl::cuda
