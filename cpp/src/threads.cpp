#include "alphacl/threads.h"

#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

namespace alphacl {
namespace {

std::atomic<bool> pool_started{false};
std::atomic<bool> forked_with_pool{false};

// libgomp hangs in a child that enters a parallel region after its parent did. A pool that others (torch) started on
// this thread is given up before the fork: the parent starts another when it needs one.
void before_fork() {
  if (!pool_started.load()) omp_pause_resource_all(omp_pause_soft);
}

void after_fork_in_child() {
  if (pool_started.load()) forked_with_pool.store(true);
}

const int fork_guard = pthread_atfork(before_fork, nullptr, after_fork_in_child);

}  // namespace

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

void parallel_for(index_t tasks, const std::function<void(index_t, int)>& body) {
  const int threads = static_cast<int>(std::min<index_t>(max_threads(), tasks));
  if (threads <= 1) {
    for (index_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
  pool_started.store(true);
  std::exception_ptr failure;
  std::mutex failure_mutex;
  std::atomic<bool> failed{false};
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (index_t task = 0; task < tasks; ++task) {
    if (failed.load(std::memory_order_relaxed)) continue;
    try {
      body(task, omp_get_thread_num());
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_mutex);
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace alphacl
