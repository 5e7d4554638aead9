// Parallel loops on threads of our own. The only file behind this header that names OpenMP is src/runtime/threads.cpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "alphacl/view.h"

namespace alphacl {

constexpr index_t all_workers = std::numeric_limits<index_t>::max();

/// Calls body(task, worker) for every task in [0, tasks), and polls before each. Tasks are handed out in rising order
/// to at most max_threads() and at most `workers` of them: put the long ones first. worker < most_threads selects the
/// scratch. What a task computes must not depend on its worker: then results do not depend on the number of threads.
/// The first exception of a task is thrown again after the loop. Serial inside another parallel region.
void parallel_for(index_t tasks, const std::function<void(index_t task, int worker)>& body,
                  index_t workers = all_workers);

/// Workers that a loop over so many numbers is worth: waking one takes as long as some thousands of them.
inline index_t workers_for_numbers(index_t count) { return std::max<index_t>(1, count / (index_t{1} << 13)); }

/// While it lives, work started by this thread calls `check` about every 50 ms, on this thread alone. An exception of
/// `check` ends the work and leaves it as any exception does. Objects nest: the inner one replaces the outer for its
/// life.
class Interruptible {
 public:
  using Check = void (*)();
  /// The state that poll() reads.
  struct Watch {
    Check check = nullptr;
    std::chrono::steady_clock::time_point next = {};
    const std::atomic<bool>* stop = nullptr;  // set when a task of the same loop has failed
  };

  explicit Interruptible(Check check);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  Watch outer_;
};

/// Throws if the work is to end: an exception of the check, or because another task of the same loop has failed. Costs
/// one reading of the clock on the calling thread, two loads on others. A task of more than about 20 ms calls it.
void poll();

/// Returns when other tasks of the loop have raised `count` to `least`; polls meanwhile. They must come earlier in the
/// loop than the task that waits.
void wait_for(const std::atomic<index_t>& count, index_t least);

constexpr int most_threads = 1024;

/// The number of workers that the next parallel_for may use, at most most_threads: as set, else what OpenMP says
/// (OMP_NUM_THREADS, torch).
int max_threads();
/// For all threads of the process; 0: as OpenMP says.
void set_num_threads(int threads);

/// What OpenMP says on this thread.
int openmp_threads();
void set_openmp_threads(int threads);

/// Whether this is a forked child whose parent had started threads, which do not survive a fork: all loops then run on
/// one thread.
bool serial_after_fork();

/// Date of the OpenMP specification in use, 201511 for 4.5.
int openmp_version();
/// Path of the OpenMP runtime that is loaded.
std::string openmp_library();

/// Scratch of each worker, made at its first use.
template <class S>
class PerWorker {
 public:
  S& operator[](int worker) {
    auto& slot = slots_[static_cast<std::size_t>(worker)];
    if (!slot) slot = std::make_unique<S>();
    return *slot;
  }

 private:
  // For any number of threads: somebody may ask for more of them during a call.
  std::vector<std::unique_ptr<S>> slots_{most_threads};
};

}  // namespace alphacl
