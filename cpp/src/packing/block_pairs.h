// The order in which blocks of samples meet, so that both may be written to.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "alphacl/view.h"
#include "runtime/threads.h"

namespace alphacl {

struct BlockPair {
  index_t left, right;
  index_t before_left, before_right;  // how many pairs of each of the two blocks come earlier
};

/// All pairs of a and b blocks, in rounds: no block occurs twice in a round. Within one set (b = 0): every unordered
/// pair once, by the circle method of tournaments, then each block with itself.
class BlockPairs {
 public:
  BlockPairs(index_t a, index_t b) : a_(a), b_(b) {}
  index_t size() const { return b_ > 0 ? a_ * b_ : a_ * (a_ + 1) / 2; }
  /// How many workers find work: more would mostly wait.
  index_t widest() const { return b_ > 0 ? std::min(a_, b_) : a_ / 2 + 1; }
  BlockPair operator[](index_t task) const;

 private:
  index_t a_, b_;
};

/// body(pair, worker) for all pairs of blocks, by at most `workers` at once. It may write to both of its blocks: the
/// pairs of a block run one after the other, in the order of the rounds.
template <class Body>
void for_block_pairs(index_t a, index_t b, index_t workers, Body&& body) {
  const BlockPairs pairs(a, b);
  std::vector<std::atomic<index_t>> done(static_cast<std::size_t>(a + b));  // pairs of each block
  const auto of_pair = [&](index_t task, int worker) {
    const BlockPair pair = pairs[task];
    std::atomic<index_t>& left = done[static_cast<std::size_t>(pair.left)];
    std::atomic<index_t>& right = done[static_cast<std::size_t>(pair.right + (b > 0 ? a : 0))];
    // Tasks are taken in rising order: what this one waits for is done, or at work.
    wait_for(left, pair.before_left);
    wait_for(right, pair.before_right);
    body(pair, worker);
    left.fetch_add(1, std::memory_order_release);
    if (&left != &right) right.fetch_add(1, std::memory_order_release);
  };
  parallel_for(pairs.size(), of_pair, std::min(workers, pairs.widest()));
}

}  // namespace alphacl
