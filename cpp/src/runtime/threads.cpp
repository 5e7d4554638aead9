// Parallel loops over OpenMP, polling for signals, and the guard against forks. No other file names OpenMP.
#include "runtime/threads.h"

#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace alphacl {
namespace {

std::atomic<bool> pool_started{false};
std::atomic<bool> forked_with_pool{false};

// libgomp hangs in a child that enters a parallel region after its parent did. A pool that others (torch) started on
// this thread is released before the fork; the parent starts another when it needs one.
void before_fork() {
  if (!pool_started.load()) omp_pause_resource_all(omp_pause_soft);
}

void after_fork_in_child() {
  if (pool_started.load()) forked_with_pool.store(true);
}

const int fork_guard = pthread_atfork(before_fork, nullptr, after_fork_in_child);

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds between_checks{50};

thread_local Interruptible::Watch watch;

// Thrown by poll() where another task of the loop has failed; the loop holds that failure.
struct Stopped {};

// One parallel loop: tasks, how many are left, the first failure.
class Loop {
 public:
  Loop(index_t tasks, const std::function<void(index_t, int)>& body) : tasks_(tasks), left_(tasks), body_(body) {}

  void work(int worker) {
    const std::atomic<bool>* const outer = watch.stop;
    watch.stop = &stop_;
    index_t taken = 0;
    for (index_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_; ++taken)
      guarded([&] {
        poll();
        body_(task, worker);
      });
    if (left_.fetch_sub(taken) == taken) {
      const std::lock_guard<std::mutex> lock(mutex_);
      none_left_.notify_one();
    }
    if (watch.check != nullptr) wait();
    watch.stop = outer;
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  template <class F>
  void guarded(F&& run) {
    if (stop_.load(std::memory_order_relaxed)) return;
    try {
      run();
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!stop_.exchange(true)) failure_ = std::current_exception();
    }
  }

  // The calling thread goes on polling while others finish their last tasks; OpenMP's barrier would not. It spins
  // first, since most waits are short and waking takes about 50 µs.
  void wait() {
    const auto patience = Clock::now() + std::chrono::milliseconds(1);
    while (left_.load() > 0 && Clock::now() < patience) std::this_thread::yield();
    while (left_.load() > 0) {
      guarded([] { poll(); });
      std::unique_lock<std::mutex> lock(mutex_);
      none_left_.wait_for(lock, between_checks, [this] { return left_.load() == 0; });
    }
  }

  const index_t tasks_;
  std::atomic<index_t> next_{0}, left_;
  std::atomic<bool> stop_{false};
  std::exception_ptr failure_;
  std::mutex mutex_;
  std::condition_variable none_left_;
  const std::function<void(index_t, int)>& body_;
};

}  // namespace

Interruptible::Interruptible(Check check) : outer_(watch) { watch = {check, Clock::now() + between_checks, nullptr}; }

Interruptible::~Interruptible() { watch = outer_; }

void poll() {
  if (watch.stop != nullptr && watch.stop->load(std::memory_order_relaxed)) throw Stopped();
  if (watch.check == nullptr || Clock::now() < watch.next) return;
  watch.check();
  watch.next = Clock::now() + between_checks;
}

bool serial_after_fork() { return forked_with_pool.load(); }

int max_threads() {
  if (forked_with_pool.load() || omp_in_parallel()) return 1;
  return omp_get_max_threads();
}

void set_num_threads(int threads) { omp_set_num_threads(threads); }

int openmp_version() { return _OPENMP; }

std::string openmp_library() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&omp_get_max_threads), &info) == 0 || info.dli_fname == nullptr) return "";
  return info.dli_fname;
}

void parallel_for(index_t tasks, const std::function<void(index_t, int)>& body, index_t workers) {
  const int threads = static_cast<int>(std::min({index_t{max_threads()}, tasks, workers}));
  if (threads <= 1) {
    for (index_t task = 0; task < tasks; ++task) {
      poll();
      body(task, 0);
    }
    return;
  }
  pool_started.store(true);
  Loop loop(tasks, body);
#pragma omp parallel num_threads(threads)
  loop.work(omp_get_thread_num());
  loop.rethrow();
}

}  // namespace alphacl
