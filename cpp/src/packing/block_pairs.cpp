// Pairs of blocks in rounds.
#include "packing/block_pairs.h"

#include <utility>

namespace alphacl {

std::vector<BlockPair> block_pairs(index_t a, index_t b) {
  std::vector<BlockPair> pairs;
  std::vector<index_t> seen(static_cast<std::size_t>(a + b));
  const auto add = [&](index_t left, index_t right) {
    index_t &of_left = seen[static_cast<std::size_t>(left)],
            &of_right = seen[static_cast<std::size_t>(right + (b > 0 ? a : 0))];
    pairs.push_back({left, right, of_left, of_right});
    ++of_left;
    if (&of_left != &of_right) ++of_right;
  };
  if (b > 0) {
    for (index_t shift = 0; shift < std::max(a, b); ++shift)
      for (index_t i = 0; i < std::min(a, b); ++i) {
        const index_t other = (i + shift) % std::max(a, b);
        add(a <= b ? i : other, a <= b ? other : i);
      }
    return pairs;
  }
  // Circle method: the last of an even number of players stays, the others rotate; for an odd number one place is
  // empty.
  const index_t players = a + a % 2;
  for (index_t round = 0; round + 1 < players; ++round)
    for (index_t k = 0; k < players / 2; ++k) {
      index_t p = k == 0 ? players - 1 : (round + k) % (players - 1);
      index_t q = (round + players - 1 - k) % (players - 1);
      if (p > q) std::swap(p, q);
      if (q < a) add(p, q);
    }
  for (index_t i = 0; i < a; ++i) add(i, i);
  return pairs;
}

}  // namespace alphacl
