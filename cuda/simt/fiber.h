// Fibers for machine.cpp: where one goes on, its stack, and what the sanitizers have to know of a switch.
#pragma once

#include <sys/mman.h>
#if !defined(__x86_64__) && !defined(SIMT_UCONTEXT)
#define SIMT_UCONTEXT
#endif
#ifdef SIMT_UCONTEXT
#include <ucontext.h>
#endif

#include <cstddef>
#include <cstdlib>

#include "simt/machine.h"

// g++ has AddressSanitizer and ThreadSanitizer, clang MemorySanitizer.
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define SIMT_ASAN(...) __VA_ARGS__
#else
#define SIMT_ASAN(...)
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define SIMT_TSAN(...) __VA_ARGS__
#else
#define SIMT_TSAN(...)
#endif
#define SIMT_MSAN(...)
#ifdef __has_feature
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#undef SIMT_MSAN
#define SIMT_MSAN(...) __VA_ARGS__
#define SIMT_MEMORY_SANITIZER
#endif
#endif

namespace simt {

constexpr std::size_t stack_bytes = std::size_t{1} << 18, guard_bytes = std::size_t{1} << 16;

/// A stack and a place to go on. The scheduler is one too, on the stack of its OS thread.
struct Fiber {
#ifndef SIMT_UCONTEXT
  void* top;  // of the stack, with the registers that a function keeps and where to go on
#else
  ucontext_t context;
#endif
  const void* stack;
  std::size_t size;
  void *tsan, *fake;  // the sanitizers' own
};

/// Gives a fiber its stack, and makes it a thread to ThreadSanitizer. A page fault ends a kernel that needs more stack.
inline void create(Fiber& fiber) {
  void* const memory = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, guard_bytes, PROT_NONE) != 0) std::abort();
  fiber.stack = static_cast<unsigned char*>(memory) + guard_bytes;
  fiber.size = stack_bytes - guard_bytes;
  SIMT_TSAN(fiber.tsan = __tsan_create_fiber(0);)
}

inline void destroy(const Fiber& fiber) {
  SIMT_TSAN(__tsan_destroy_fiber(fiber.tsan);)
  munmap(static_cast<unsigned char*>(const_cast<void*>(fiber.stack)) - guard_bytes, stack_bytes);
}

#ifndef SIMT_UCONTEXT
/// Saves on this stack the registers that System V lets a function keep, its top in *from, and goes on at the top `to`.
/// Not those that say how to round: no kernel sets them. swapcontext makes a system call besides, and AddressSanitizer
/// forgets all about a stack there. The assembly is in machine.cpp.
extern "C" void simt_switch_stacks(void** from, void* to);
#endif

/// Makes a fiber begin with `entry` at its next turn.
SIMT_QUIET inline void prepare(Fiber& fiber, void (*entry)()) {
#ifndef SIMT_UCONTEXT
  void** const end = reinterpret_cast<void**>(static_cast<unsigned char*>(const_cast<void*>(fiber.stack)) + fiber.size);
  end[-1] = nullptr;  // to where entry would return
  end[-2] = reinterpret_cast<void*>(entry);
  for (int i = 3; i <= 8; ++i) end[-i] = nullptr;  // the registers
  fiber.top = end - 8;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = const_cast<void*>(fiber.stack);
  fiber.context.uc_stack.ss_size = fiber.size;
  makecontext(&fiber.context, entry, 0);
#endif
}

/// Goes on with `to`; `from` goes on when somebody switches to it, which is never if this is its last switch.
SIMT_QUIET inline void switch_fibers(Fiber& from, Fiber& to, [[maybe_unused]] bool last) {
  SIMT_ASAN(__sanitizer_start_switch_fiber(last ? nullptr : &from.fake, to.stack, to.size);)
  SIMT_TSAN(__tsan_switch_to_fiber(to.tsan, __tsan_switch_to_fiber_no_sync);)
#ifndef SIMT_UCONTEXT
  simt_switch_stacks(&from.top, to.top);
#else
  swapcontext(&from.context, &to.context);
#endif
  SIMT_ASAN(__sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);)
}

}  // namespace simt
