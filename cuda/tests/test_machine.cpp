// What the machine that runs kernels on the CPU adds to CUDA: orders, filled shared memory, and the ends of wrong
// kernels.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "simt/fiber.h"
#include "tests/testing.h"

namespace {

using testing::expect;

constexpr unsigned all_lanes = 0xffffffffu;

// Whether `body`, in a process of its own, ends by a signal or an error, with `text` on the standard error.
bool ends(const std::function<void()>& body, const char* text) {
  int ends_of_pipe[2];
  if (pipe(ends_of_pipe) != 0) std::abort();
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends_of_pipe[1], 2);
    body();
    _exit(0);
  }
  close(ends_of_pipe[1]);
  char said[4096] = {};
  std::size_t size = 0;
  for (ssize_t got; size + 1 < sizeof said && (got = read(ends_of_pipe[0], said + size, sizeof said - 1 - size)) > 0;)
    size += static_cast<std::size_t>(got);
  close(ends_of_pipe[0]);
  int status = 0;
  waitpid(child, &status, 0);
  const bool found = std::strstr(said, text) != nullptr;
  if (!found) std::fprintf(stderr, "expected '%s', got '%s'\n", text, said);
  return found && status != 0;
}

__global__ void different_barriers() {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    __syncthreads();
}

__global__ void one_leaves() {
  if (threadIdx.x == 3) return;
  __syncthreads();
}

__global__ void half_a_mask() { __shfl_sync(0xffffu, 1, 0); }

__global__ void half_a_warp() {
  if (threadIdx.x < 16) __shfl_sync(all_lanes, 1, 0);
}

__global__ void different_collectives() {
  if (threadIdx.x < 16)
    __ballot_sync(all_lanes, 1);
  else
    __ballot_sync(all_lanes, 0);
}

__global__ void from_nobody() { __shfl_sync(0xffu, 1, 8); }

struct Number {
  float value;
};

__global__ void use_shared(float* out) { *out = simt::shared<Number>().value; }

__global__ void waits_alone() {
  if (threadIdx.x == 5) __syncthreads();
}
constexpr int line_of_barrier = __LINE__ - 2;

// Frames of 4 KiB, more than a stack has: all of its guard at most.
int deeper(int depth) {
  volatile char frame[4096];
  frame[depth % 4096] = static_cast<char>(depth);
  return depth < 52 ? deeper(depth + 1) + frame[depth % 4096] : 0;
}

__global__ void needs_much_stack(int* out) { *out = deeper(0); }

void test_ends() {
  const auto launched = [](void (*kernel)(), unsigned threads) {
    return [=] { simt::launch(kernel, 1, threads, 0, nullptr); };
  };
  expect(ends(launched(different_barriers, 32), "threads at different __syncthreads"),
         "different barriers end a kernel");
  expect(ends(launched(one_leaves, 32), "waits for threads that do not come"), "so does a thread that has left");
  expect(ends(launched(half_a_mask, 32), "a mask that is not the whole warp"), "a mask of half a warp");
  expect(ends(launched(half_a_warp, 32), "waits for threads that do not come"),
         "a collective that half a warp reaches");
  expect(ends(launched(different_collectives, 32), "lanes at different collectives"), "different collectives");
  expect(ends(launched(from_nobody, 8), "a shuffle from a lane that is not there"), "a lane that is not there");
  char place[64];
  std::snprintf(place, sizeof place, "test_machine.cpp:%d: waits", line_of_barrier);
  expect(ends(launched(waits_alone, 6), place), "an end names file and line");
  expect(ends(launched(waits_alone, 6), "(block 0, 0, 0; thread 5)"), "and block and thread");
  float x;
  expect(ends([&] { simt::launch(use_shared, 1, 1, 3, nullptr, &x); }, "gives less shared memory than the kernel uses"),
         "less shared memory than a kernel uses");
  int deep;
  expect(ends([&] { simt::launch(needs_much_stack, 1, 2, 0, nullptr, &deep); }, ""), "more stack than a fiber has");
}

void set_order(const char* order) { setenv("ALPHACL_SIMT_ORDER", order, 1); }

// Who ran one after the other. The threads race for it, which ThreadSanitizer is not to see.
struct Trace {
  int count, who[256];
};

SIMT_QUIET void note(Trace* trace, int who) { trace->who[trace->count++] = who; }

__global__ void leave_a_trace(Trace* trace) {
  note(trace, static_cast<int>(blockIdx.x * 64 + threadIdx.x));
  __syncthreads();
  note(trace, static_cast<int>(blockIdx.x * 64 + threadIdx.x));
}

std::vector<int> trace_of(const char* order) {
  set_order(order);
  Trace trace{};
  simt::launch(leave_a_trace, 2, 64, 0, nullptr, &trace);
  return {trace.who, trace.who + trace.count};
}

void test_orders() {
  const std::vector<int> forwards = trace_of("0"), backwards = trace_of("1"), random = trace_of("7");
  expect(forwards[0] == 0 && forwards[1] == 1 && forwards[128] == 64, "order 0: threads and blocks in order");
  expect(backwards[0] == 127 && backwards[1] == 126 && backwards[128] == 63, "order 1: backwards");
  const auto sorted = [](std::vector<int> trace) {
    std::sort(trace.begin(), trace.end());
    return trace;
  };
  expect(random == trace_of("7") && random != trace_of("8") && sorted(random) == sorted(forwards),
         "order 7: the same random order again, another one than order 8");
  expect(!std::equal(random.begin(), random.begin() + 64, random.begin() + 64), "a new random order at every turn");
  expect(ends([] { trace_of("x"); }, "ALPHACL_SIMT_ORDER: expected a number, got 'x'"), "an order that is no number");
}

void test_unwritten() {
  float x = 0, y = NAN;
  const auto read_in_order = [](const char* order, float* out) {
    set_order(order);
    simt::launch(use_shared, 1, 1, sizeof(Number), nullptr, out);
  };
#ifdef SIMT_MEMORY_SANITIZER
  const bool found = ends([&] { read_in_order("0", &x), expect(x < y, ""); }, "use-of-uninitialized-value");
#else
  read_in_order("0", &x);
  read_in_order("1", &y);
  const bool found = x != x && y == y;
#endif
  expect(found, "unwritten shared memory: NaN in order 0, a number in order 1, an error of MemorySanitizer");
}

// The barriers of a block order nothing in another one.
__global__ void race_of_blocks(int* out) {
  __syncthreads();
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = static_cast<int>(blockIdx.y);
  __syncthreads();
}

void test_race_of_blocks() {
  int first[3] = {}, second[3] = {};
  const auto race_in_order = [](const char* order, int* out) {
    set_order(order);
    simt::launch(race_of_blocks, dim3(3, 2), 32, 0, nullptr, out);
  };
#ifdef __SANITIZE_THREAD__
  const bool found = ends([&] { race_in_order("0", first), race_in_order("1", second); }, "data race");
#else
  race_in_order("0", first);
  race_in_order("1", second);
  const bool found = first[0] == 1 && second[0] == 0;
#endif
  expect(found, "a race of two blocks of a column: the last one wins, an error of ThreadSanitizer");
}

}  // namespace

int main() {
  test_ends();
  // While this process has no fibers: they are threads to ThreadSanitizer, and after a fork it orders none of many.
  test_race_of_blocks();
  test_orders();
  test_unwritten();
  return testing::failures;
}
