// Fibers for machine.cpp: where one goes on, its stack, and what the sanitizers have to know of a switch.
#pragma once

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdlib>

// g++ has AddressSanitizer and ThreadSanitizer, clang MemorySanitizer; SIMT_QUIET is what ThreadSanitizer does not see.
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define SIMT_ASAN(...) __VA_ARGS__
#else
#define SIMT_ASAN(...)
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define SIMT_TSAN(...) __VA_ARGS__
#define SIMT_QUIET __attribute__((no_sanitize("thread"), noinline))
#else
#define SIMT_TSAN(...)
#define SIMT_QUIET
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
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(SIMT_MEMORY_SANITIZER)
#define SIMT_SANITIZED
#endif

namespace simt {

constexpr std::size_t stack_bytes = std::size_t{1} << 18, guard_bytes = std::size_t{1} << 16;

/// A stack and a place to go on. The scheduler is one too, on the stack of its OS thread.
struct Fiber {
  ucontext_t context;
  jmp_buf jump;
  const void* stack;
  std::size_t size;
  void *tsan, *fake;  // the sanitizers' own
  bool started;
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

/// Makes a fiber begin with `entry` at its next turn.
SIMT_QUIET inline void prepare(Fiber& fiber, void (*entry)()) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = const_cast<void*>(fiber.stack);
  fiber.context.uc_stack.ss_size = fiber.size;
  makecontext(&fiber.context, entry, 0);
  fiber.started = false;
}

/// Goes on with `to`; `from` goes on when somebody switches to it, which is never if this is its last switch.
SIMT_QUIET inline void switch_fibers(Fiber& from, Fiber& to, [[maybe_unused]] bool last) {
  SIMT_ASAN(__sanitizer_start_switch_fiber(last ? nullptr : &from.fake, to.stack, to.size);)
  SIMT_TSAN(__tsan_switch_to_fiber(to.tsan, __tsan_switch_to_fiber_no_sync);)
#ifdef SIMT_SANITIZED
  swapcontext(&from.context, &to.context);
#else  // 26 ns in place of 380: no system call
  if (_setjmp(from.jump) == 0) {
    if (to.started) _longjmp(to.jump, 1);
    to.started = true;
    setcontext(&to.context);
  }
#endif
  SIMT_ASAN(__sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);)
}

}  // namespace simt
