// Pairs of blocks in rounds.
#include "packing/block_pairs.h"

#include <utility>

namespace alphacl {

BlockPair BlockPairs::operator[](index_t task) const {
  if (b_ > 0) {
    // Round r: block i of the smaller set meets block i + r of the larger one.
    const index_t few = std::min(a_, b_), many = std::max(a_, b_), round = task / few;
    const index_t i = task % few, j = (i + round) % many;
    // Block j is in the rounds j − few + 1 … j, and again from j + many − few + 1 on.
    const index_t before = std::max<index_t>(0, std::min(round, j + 1) - std::max<index_t>(0, j - few + 1)) +
                           std::max<index_t>(0, round - (j + many - few + 1));
    return a_ <= b_ ? BlockPair{i, j, round, before} : BlockPair{j, i, before, round};
  }
  const index_t between = a_ * (a_ - 1) / 2;
  if (task >= between) return {task - between, task - between, a_ - 1, a_ - 1};
  // Circle method: the last of an even number of players stays, the others rotate. With an odd number of blocks it is
  // nobody, and block r has no partner in round r.
  const bool odd = a_ % 2 == 1;
  const index_t rotating = odd ? a_ : a_ - 1, of_round = a_ / 2;
  const index_t round = task / of_round, k = task % of_round + (odd ? 1 : 0);
  index_t p = k == 0 ? rotating : (round + k) % rotating, q = (round + rotating - k) % rotating;
  if (p > q) std::swap(p, q);
  const auto before = [&](index_t block) { return round - (odd && block < round ? 1 : 0); };
  return {p, q, before(p), before(q)};
}

}  // namespace alphacl
