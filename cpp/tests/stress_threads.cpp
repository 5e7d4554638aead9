// Loops and pairs of blocks by three threads at once, whose number changes meanwhile: for ThreadSanitizer.
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "packing/block_pairs.h"

namespace {

using namespace alphacl;

std::atomic<int> failures{0};

void expect(bool holds, const char* what) {
  if (holds) return;
  failures.fetch_add(1);
  std::fprintf(stderr, "failed: %s\n", what);
}

// Whether `run` throws what a task threw.
template <class F>
bool throws(F&& run) {
  try {
    run();
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

void loops(index_t tasks) {
  std::vector<index_t> taken(static_cast<std::size_t>(tasks));
  PerWorker<index_t> sums;
  parallel_for(tasks, [&](index_t task, int worker) {
    sums[worker] += task;
    taken[static_cast<std::size_t>(task)] += 1;
    parallel_for(3, [&](index_t, int inner) { expect(worker == 0 || inner == 0, "a loop within a loop is serial"); });
  });
  expect(taken == std::vector<index_t>(taken.size(), 1), "every task once");
  expect(throws([&] {
           parallel_for(tasks, [&](index_t task, int) {
             if (task == tasks / 2) throw std::runtime_error("a task");
           });
         }),
         "a failure comes back");
}

// b = 0: within one set.
void blocks(index_t a, index_t b) {
  // Neither is atomic: the pairs of a block come one after the other.
  std::vector<index_t> left(static_cast<std::size_t>(a)), right(static_cast<std::size_t>(b));
  std::vector<index_t>& others = b > 0 ? right : left;
  for_block_pairs(a, b, all_workers, [&](const BlockPair& pair, int) {
    index_t &first = left[static_cast<std::size_t>(pair.left)], &second = others[static_cast<std::size_t>(pair.right)];
    expect(first == pair.before_left && second == pair.before_right, "pairs of a block in their order");
    ++first;
    if (&first != &second) ++second;
  });
  expect(left == std::vector<index_t>(left.size(), b > 0 ? b : a), "all pairs of a left block");
  expect(right == std::vector<index_t>(right.size(), a), "all pairs of a right block");
  expect(throws([&] {
           for_block_pairs(a, b, all_workers, [&](const BlockPair& pair, int) {
             if (pair.left == a / 2) throw std::runtime_error("a pair");
           });
         }),
         "nobody waits for a pair that failed");
}

}  // namespace

int main() {
  const auto caller = [](int seed) {
    for (int round = 0; round < 200; ++round) {
      set_num_threads(1 + (round + seed) % 6);
      loops(1 + (seed * 7 + round * 13) % 40);
      for (const index_t b : {0, 1, 5}) blocks(1 + round % 9, b);
    }
  };
  std::vector<std::thread> callers;
  for (int seed = 0; seed < 3; ++seed) callers.emplace_back(caller, seed);
  for (std::thread& thread : callers) thread.join();
  return failures.load() == 0 ? 0 : 1;
}
