// Parallel loops. The only file behind this header that names OpenMP is src/threads.cpp.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "alphacl/view.h"

namespace alphacl {

/// Calls body(task, worker) for every task in [0, tasks). Tasks are handed out in rising order to up to
/// max_threads() workers, so put the long ones first; worker < max_threads() tells whose scratch to use.
/// What a task computes must not depend on the worker: then results do not depend on the number of threads.
/// The first exception of a task is thrown again after the loop. Serial inside another parallel region.
void parallel_for(index_t tasks, const std::function<void(index_t task, int worker)>& body);

/// The number of workers that the next parallel_for may use.
int max_threads();
void set_num_threads(int threads);

/// True once in a forked child whose parent had started threads: there all loops run on one thread, because
/// OpenMP's pool does not survive a fork.
bool serial_after_fork();

/// Date of the OpenMP specification in use, 201511 for 4.5.
int openmp_version();
/// Path of the OpenMP runtime that is loaded.
std::string openmp_library();

/// Scratch of each worker, made at its first use.
template <class S>
class PerWorker {
 public:
  PerWorker() : slots_(static_cast<std::size_t>(max_threads())) {}
  S& operator[](int worker) {
    auto& slot = slots_[static_cast<std::size_t>(worker)];
    if (!slot) slot = std::make_unique<S>();
    return *slot;
  }

 private:
  std::vector<std::unique_ptr<S>> slots_;
};

}  // namespace alphacl
