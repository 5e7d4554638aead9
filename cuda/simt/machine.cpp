// Runs the blocks of a launch: threads as fibers that wait at barriers and warp collectives, in an order that one sets.
//
// Shared memory is filled anew for every block, with NaN in order 0 and other bytes elsewhere, so that two orders give
// other bits where a barrier is missing or where somebody reads what nobody wrote.
// -fsanitize=thread: fibers are threads, ordered by __syncthreads and __syncwarp alone, so that a race in shared or
// global memory is reported whatever the order. -fsanitize=memory: shared memory begins uninitialised.
#include "simt/machine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "simt/fiber.h"
#include "simt/order.h"

#ifndef SIMT_UCONTEXT
asm(R"(
  .text
  .p2align 4
  .globl simt_switch_stacks
  .hidden simt_switch_stacks
  .type simt_switch_stacks, @function
simt_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size simt_switch_stacks, . - simt_switch_stacks
)");
#endif

namespace simt {
namespace {

constexpr unsigned most_threads = 1024;
constexpr std::size_t most_shared = 227 * 1024;

enum class State { ready, at_block, at_warp, done };

struct Thread {
  State state;
  Place place;  // of its last barrier or collective
  uint3 index;
};

struct Warp {
  Deposits deposits[2];  // of two collectives in turn: no lane can be two ahead
  unsigned lanes;        // a bit for each that there is
  unsigned arrived, turn;
  Place place;
};

// The fibers of one block after the other, and what ThreadSanitizer orders them by: the addresses of these bytes.
struct Fibers {
  Fiber fiber[most_threads]{};
  unsigned created = 0;
  char barriers[2]{}, warp_barriers[most_threads / warp_size][2]{};

  Fibers() = default;
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;
  ~Fibers() {
    for (unsigned t = 0; t < created; ++t) destroy(fiber[t]);
  }
};

// Fibers are used again, for ThreadSanitizer takes a millisecond to make one, and at every barrier each of them looks
// at the clocks of all that there are. It sees no race between blocks that have the same ones;
// neighbours in a row or a column of the grid have others.
#ifdef __SANITIZE_THREAD__
constexpr unsigned most_sets = 3;
unsigned sets_of(unsigned threads) { return threads <= 512 ? most_sets : 2; }
#else
constexpr unsigned most_sets = 1;
unsigned sets_of(unsigned) { return most_sets; }
#endif

// Plain arrays, because ThreadSanitizer would see the operators of a container.
struct Machine {
  Fiber scheduler{};
  std::unique_ptr<Fibers> sets[most_sets];
  Fibers* fibers = nullptr;  // those of the block
  Thread threads[most_threads]{};
  Warp warps[most_threads / warp_size]{};
  unsigned count = 0;               // threads of a block
  unsigned current = 0, alive = 0;  // the thread that runs; how many have not left
  unsigned arrived = 0, turn = 0;   // at the barrier
  char begun = 0, ended = 0;        // again for ThreadSanitizer
  unsigned char* shared = nullptr;
  std::size_t shared_bytes = 0;
  std::vector<void*> spent;  // with ThreadSanitizer, shared memory is kept to the end of the launch
  dim3 grid, block;
  uint3 block_index{};
  void (*body)(void*) = nullptr;
  void* arguments = nullptr;
};

thread_local std::unique_ptr<Machine> owned;
thread_local Machine* machine = nullptr;  // the same one, at the price of a load

SIMT_QUIET bool same(Place a, Place b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

SIMT_QUIET void wait(State state) {
  Machine& m = *machine;
  m.threads[m.current].state = state;
  switch_fibers(m.fibers->fiber[m.current], m.scheduler, state == State::done);
}

SIMT_QUIET void enter() {
  Machine& m = *machine;
  SIMT_ASAN(__sanitizer_finish_switch_fiber(nullptr, &m.scheduler.stack, &m.scheduler.size);)
  SIMT_TSAN(__tsan_acquire(&m.begun);)
  m.body(m.arguments);
  SIMT_TSAN(__tsan_release(&m.ended);)
  --m.alive;
  wait(State::done);
}

SIMT_QUIET void prepare_block(Machine& m, std::size_t number, int fill) {
  std::unique_ptr<Fibers>& set = m.sets[(number % m.grid.x + number / m.grid.x) % sets_of(m.count)];
  if (set == nullptr) set = std::make_unique<Fibers>();
  m.fibers = set.get();
  for (unsigned& created = m.fibers->created; created < m.count; ++created) create(m.fibers->fiber[created]);
  void* memory = nullptr;
  if (posix_memalign(&memory, 128, std::max<std::size_t>(m.shared_bytes, 1)) != 0) std::abort();
  std::memset(memory, fill, m.shared_bytes);
  SIMT_MSAN(__msan_poison(memory, m.shared_bytes);)
  m.shared = static_cast<unsigned char*>(memory);
  const auto x = static_cast<unsigned>(number % m.grid.x), y = static_cast<unsigned>(number / m.grid.x % m.grid.y);
  m.block_index = {x, y, static_cast<unsigned>(number / m.grid.x / m.grid.y)};
  m.alive = m.count;
  m.arrived = 0;
  SIMT_TSAN(__tsan_release(&m.begun);)
  for (unsigned t = 0; t < m.count; ++t) {
    const unsigned before = t / warp_size * warp_size, lanes = std::min(m.count - before, warp_size);
    m.warps[t / warp_size].lanes = ~0u >> (warp_size - lanes);
    m.warps[t / warp_size].arrived = 0;
    Thread& thread = m.threads[t];
    thread.state = State::ready;
    thread.index = {t % m.block.x, t / m.block.x % m.block.y, t / m.block.x / m.block.y};
    prepare(m.fibers->fiber[t], enter);
  }
}

SIMT_QUIET void run_block(Machine& m, Order& order, std::vector<std::size_t>& turn) {
  while (m.alive > 0) {
    order.shuffle(turn);
    bool moved = false;
    for (const std::size_t t : turn) {
      if (m.threads[t].state != State::ready) continue;
      m.current = static_cast<unsigned>(t);
      moved = true;
      switch_fibers(m.scheduler, m.fibers->fiber[t], false);
    }
    for (unsigned t = 0; t < m.count && !moved; ++t) {  // who waits says where
      m.current = t;
      if (m.threads[t].state != State::done) fail("waits for threads that do not come", m.threads[t].place);
    }
  }
#ifdef __SANITIZE_THREAD__
  m.spent.push_back(m.shared);
#else
  std::free(m.shared);
#endif
}

// What a GPU of compute capability 8.0 or newer refuses; of shared memory an H100 has the most.
cudaError_t refusal(dim3 grid, dim3 block, std::size_t shared) {
  if (shared > most_shared) return cudaErrorInvalidValue;
  const bool blocks =
      grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535;
  const bool threads = block.x > 0 && block.y > 0 && block.z > 0 && block.x <= 1024 && block.y <= 1024 && block.z <= 64;
  if (!blocks || !threads || block.x * block.y * block.z > most_threads) return cudaErrorInvalidConfiguration;
  return cudaSuccess;
}

}  // namespace

SIMT_QUIET uint3 thread_index() { return machine->threads[machine->current].index; }
SIMT_QUIET uint3 block_index() { return machine->block_index; }
SIMT_QUIET dim3 block_dim() { return machine->block; }
SIMT_QUIET dim3 grid_dim() { return machine->grid; }
SIMT_QUIET unsigned lane() { return machine->current % warp_size; }

SIMT_QUIET unsigned char* shared_memory(std::size_t bytes) {
  if (bytes > machine->shared_bytes) fail("the launch gives less shared memory than the kernel uses", Place{"", 0});
  return machine->shared;
}

void fail(const char* what, Place place) {
  const uint3 block = machine->block_index;
  std::fprintf(stderr, "simt: %s:%d: %s (block %u, %u, %u; thread %u)\n", place.file, place.line, what, block.x,
               block.y, block.z, machine->current);
  std::abort();
}

SIMT_QUIET void sync_block(Place place) {
  Machine& m = *machine;
  m.threads[m.current].place = place;
  // Two objects in turn: who leaves this barrier must not be ordered after those who have come to the next.
  SIMT_TSAN(void* const barrier = &m.fibers->barriers[m.turn % 2]; __tsan_release(barrier);)
  if (++m.arrived < m.count) {
    wait(State::at_block);
  } else {
    for (unsigned t = 0; t < m.count; ++t) {
      if (!same(m.threads[t].place, place)) fail("threads at different __syncthreads", place);
      m.threads[t].state = State::ready;
    }
    m.arrived = 0;
    ++m.turn;
  }
  SIMT_TSAN(__tsan_acquire(barrier);)
}

SIMT_QUIET const Deposits& collect(unsigned mask, const std::uint32_t* mine, unsigned count, Place place) {
  Machine& m = *machine;
  const unsigned first = m.current / warp_size * warp_size;
  Warp& warp = m.warps[first / warp_size];
  if (mask != warp.lanes) fail("a mask that is not the whole warp", place);
  if (warp.arrived > 0 && !same(warp.place, place)) fail("lanes at different collectives", place);
  warp.place = m.threads[m.current].place = place;
  Deposits& deposits = warp.deposits[warp.turn % 2];
  for (unsigned i = 0; i < count; ++i) deposits[m.current - first][i] = mine[i];
  if (++warp.arrived < static_cast<unsigned>(__builtin_popcount(warp.lanes))) {
    wait(State::at_warp);
  } else {
    warp.arrived = 0;
    ++warp.turn;
    for (unsigned t = first; t < std::min(first + warp_size, m.count); ++t) m.threads[t].state = State::ready;
  }
  return deposits;
}

SIMT_QUIET void sync_warp(Place place) {
  const unsigned number = machine->current / warp_size;
  const Warp& warp = machine->warps[number];
  SIMT_TSAN(void* const barrier = &machine->fibers->warp_barriers[number][warp.turn % 2]; __tsan_release(barrier);)
  collect(warp.lanes, nullptr, 0, place);
  SIMT_TSAN(__tsan_acquire(barrier);)
}

SIMT_QUIET unsigned ballot(unsigned mask, bool condition, Place place) {
  const std::uint32_t mine = condition ? 1 : 0;
  const Deposits& all = collect(mask, &mine, 1, place);
  unsigned votes = 0;
  for (unsigned l = 0; l < warp_size; ++l)
    if ((mask >> l & 1) != 0) votes |= all[l][0] << l;
  return votes;
}

cudaError_t run(dim3 grid, dim3 block, std::size_t shared, void (*body)(void*), void* arguments) {
  const cudaError_t refused = refusal(grid, block, shared);
  if (refused != cudaSuccess) return refused;
  if (machine == nullptr) {
    owned = std::make_unique<Machine>();
    machine = owned.get();
  }
  Machine& m = *machine;
  m.grid = grid;
  m.block = block;
  m.count = block.x * block.y * block.z;
  m.shared_bytes = shared;
  m.body = body;
  m.arguments = arguments;
  SIMT_TSAN(m.scheduler.tsan = __tsan_get_current_fiber();)

  Order order(std::getenv("ALPHACL_SIMT_ORDER"));
  std::vector<std::size_t> turn = order.sequence(m.count);
  std::vector<std::size_t> blocks = order.sequence(std::size_t{grid.x} * grid.y * grid.z);
  order.shuffle(blocks);
  for (const std::size_t number : blocks) {
    prepare_block(m, number, order.fill());
    run_block(m, order, turn);
  }
  SIMT_TSAN(__tsan_acquire(&m.ended); for (void* p : m.spent) std::free(p); m.spent.clear();)
  return cudaSuccess;
}

const char* error_text(cudaError_t error) {
  if (error == cudaErrorInvalidValue) return "invalid argument";
  return error == cudaErrorInvalidConfiguration ? "invalid configuration argument" : "no error";
}

}  // namespace simt
