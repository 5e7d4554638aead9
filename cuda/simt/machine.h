// The machine that runs kernels on the CPU, as kernels see it. A thread is a fiber of the OS thread that launches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simt/language.h"

// Of the machine itself: what ThreadSanitizer must not see, and what the checks of memory would only slow down.
#if defined(__SANITIZE_THREAD__)
#define SIMT_QUIET __attribute__((no_sanitize("thread"), noinline))
#elif defined(__SANITIZE_ADDRESS__)
#define SIMT_QUIET __attribute__((no_sanitize("address", "undefined"), noinline))
#else
#define SIMT_QUIET
#endif

namespace simt {

/// Where in the source a kernel waits.
struct Place {
  const char* file;
  int line;
  static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

constexpr unsigned warp_size = 32, most_words = 18;

/// What each lane of a warp gave to a collective.
using Deposits = std::uint32_t[warp_size][most_words];

uint3 thread_index();
uint3 block_index();
dim3 block_dim();
dim3 grid_dim();
unsigned lane();

/// The shared memory of the block, of which the caller is going to use so many bytes.
unsigned char* shared_memory(std::size_t bytes);

void sync_block(Place place);
void sync_warp(Place place);

/// Deposits `count` words of this lane, waits for all lanes of its warp and says what each of them deposited. It stays
/// there until this lane's next collective.
const Deposits& collect(unsigned mask, const std::uint32_t* mine, unsigned count, Place place);

/// Ends the program: what is wrong, where, in which block and thread.
[[noreturn]] void fail(const char* what, Place place);

/// Calls body(arguments) in every thread of every block.
cudaError_t run(dim3 grid, dim3 block, std::size_t shared, void (*body)(void*), void* arguments);

/// "no error", or what is wrong with a launch.
const char* error_text(cudaError_t error);

/// Runs `kernel` with `shared` bytes of shared memory, to its end. Two OS threads that launch have a machine each.
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, cudaStream_t, A... args) {
  auto call = [&] { kernel(static_cast<P>(args)...); };
  return run(grid, block, shared, [](void* f) { (*static_cast<decltype(call)*>(f))(); }, &call);
}

/// The dynamic shared memory of a block as one struct: all that a kernel shares is a member of it.
template <class S>
S& shared() {
  static_assert(alignof(S) <= 128, "shared memory is aligned to 128 bytes");
  return *reinterpret_cast<S*>(shared_memory(sizeof(S)));
}

inline float as_float(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline std::uint32_t as_bits(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline double as_double(std::uint64_t bits) {
  double x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline std::uint64_t as_bits(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

/// The value of lane `from`; its own where there is no such number of a lane.
template <class T>
SIMT_QUIET T shuffle(unsigned mask, T value, unsigned from, Place place) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "CUDA shuffles numbers of 4 or 8 bytes");
  std::uint32_t mine[2];
  std::memcpy(mine, &value, sizeof(T));
  const Deposits& all = collect(mask, mine, sizeof(T) / 4, place);
  if (from >= warp_size) return value;
  if ((mask >> from & 1) == 0) fail("a shuffle from a lane that is not there", place);
  std::memcpy(&value, all[from], sizeof(T));
  return value;
}

/// One bit for each lane: whether its condition holds.
unsigned ballot(unsigned mask, bool condition, Place place);

}  // namespace simt

#define threadIdx (simt::thread_index())
#define blockIdx (simt::block_index())
#define blockDim (simt::block_dim())
#define gridDim (simt::grid_dim())

inline void __syncthreads(simt::Place place = simt::Place::here()) { simt::sync_block(place); }
inline void __syncwarp(simt::Place place = simt::Place::here()) { simt::sync_warp(place); }

template <class T>
T __shfl_sync(unsigned mask, T value, int from, simt::Place place = simt::Place::here()) {
  return simt::shuffle(mask, value, static_cast<unsigned>(from) % simt::warp_size, place);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, simt::Place place = simt::Place::here()) {
  return simt::shuffle(mask, value, simt::lane() ^ static_cast<unsigned>(bits), place);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, simt::Place place = simt::Place::here()) {
  return simt::shuffle(mask, value, simt::lane() + lanes, place);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, simt::Place place = simt::Place::here()) {
  return simt::shuffle(mask, value, simt::lane() - lanes, place);  // below 0 it wraps, and there is no such lane
}

inline unsigned __ballot_sync(unsigned mask, int condition, simt::Place place = simt::Place::here()) {
  return simt::ballot(mask, condition != 0, place);
}

inline int __any_sync(unsigned mask, int condition, simt::Place place = simt::Place::here()) {
  return simt::ballot(mask, condition != 0, place) != 0;
}

inline int __all_sync(unsigned mask, int condition, simt::Place place = simt::Place::here()) {
  return simt::ballot(mask, condition != 0, place) == mask;
}
