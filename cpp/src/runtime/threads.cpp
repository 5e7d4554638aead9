// Parallel loops over threads of our own, polling for signals, and the guard against forks. OpenMP says how many
// threads there may be: torch and OMP_NUM_THREADS tell it. No other file names it.
#include "runtime/threads.h"

#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace alphacl {
namespace {

std::atomic<int> chosen_threads{0};  // 0: as many as OpenMP says
std::atomic<bool> pool_started{false};
std::atomic<bool> forked_with_pool{false};

// The child has none of the pool's threads, and their mutex as it was.
void after_fork_in_child() {
  if (pool_started.load()) forked_with_pool.store(true);
}

const int fork_guard = pthread_atfork(nullptr, nullptr, after_fork_in_child);

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds between_checks{50};

thread_local Interruptible::Watch watch;

// Thrown by poll() where another task of the loop has failed; the loop holds that failure.
struct Stopped {};

thread_local bool in_loop = false;

// For a loop that waits: the other thread of the core goes faster meanwhile.
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// One parallel loop: its tasks, its failure, and the threads of the pool that are at it.
class Loop {
 public:
  Loop(index_t tasks, int helpers, const std::function<void(index_t, int)>& body)
      : tasks_(tasks), body_(body), wanted_(helpers) {}

  void work(int worker) {
    const std::atomic<bool>* const outer = watch.stop;
    watch.stop = &stop_;
    in_loop = true;
    for (index_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;)
      guarded([&] {
        poll();
        body_(task, worker);
      });
    in_loop = false;
    watch.stop = outer;
  }

  bool exhausted() const { return next_.load(std::memory_order_relaxed) >= tasks_; }

  template <class F>
  void guarded(F&& run) {
    if (stop_.load(std::memory_order_relaxed)) return;
    try {
      run();
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failing_);
      if (!stop_.exchange(true)) failure_ = std::current_exception();
    }
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  friend class Pool;

  const index_t tasks_;
  std::atomic<index_t> next_{0};
  std::atomic<bool> stop_{false};
  std::exception_ptr failure_;
  std::mutex failing_;
  const std::function<void(index_t, int)>& body_;

  // Of the pool, changed under its mutex.
  int wanted_, entered_ = 0;
  std::atomic<int> inside_{0};
  std::condition_variable empty_;
};

// Threads that sleep until a loop wants them. Nobody waits for one to come: the thread that runs the loop takes tasks
// too, and leaves when the last one is done. On a busy machine only a thread that loses its core within a task is
// waited for.
class Pool {
 public:
  void run(Loop& loop, int helpers) {
    int sleeping;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (threads_.size() < static_cast<std::size_t>(helpers)) grow(helpers);
      if (open_.empty() || avoided_ < 0) keep_from(sched_getcpu());
      open_.push_back(&loop);
      wanted_.fetch_add(helpers);
      sleeping = sleeping_;
    }
    if (sleeping > helpers) {
      for (int k = 0; k < helpers; ++k) news_.notify_one();
    } else if (sleeping > 0) {
      news_.notify_all();
    }
    // One thread for whatever asks OpenMP within a task, as in a parallel region: an OpenBLAS that is built on it.
    const int openmp = omp_get_max_threads();
    omp_set_num_threads(1);
    loop.work(0);
    if (omp_get_max_threads() == 1) omp_set_num_threads(openmp);  // else a signal's handler has set another
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      open_.erase(std::find(open_.begin(), open_.end(), &loop));
      wanted_.fetch_sub(loop.wanted_);
    }
    wait_for_others(loop);
  }

 private:
  // A thread that has nothing to do looks for a new loop this long before it sleeps: waking it takes about 50 µs.
  static constexpr std::chrono::microseconds patience{200};

  // The cores of OpenMP's places (OMP_PROC_BIND binds the thread that loads it to one of them), else those of the
  // main thread.
  static cpu_set_t allowed_cores() {
    cpu_set_t all;
    CPU_ZERO(&all);
    std::vector<int> processors;
    for (int place = 0; place < omp_get_num_places(); ++place) {
      processors.resize(static_cast<std::size_t>(omp_get_place_num_procs(place)));
      omp_get_place_proc_ids(place, processors.data());
      for (const int processor : processors) CPU_SET(static_cast<std::size_t>(processor), &all);
    }
    if (CPU_COUNT(&all) == 0) sched_getaffinity(getpid(), sizeof all, &all);
    return all;
  }

  // Keeps the threads from the core of the one that runs the loop. Where cores share no cache, as in many virtual
  // machines, a thread wakes on the core of the one that wakes it and stays there, beside an idle core.
  void keep_from(int core) {
    if (core == avoided_ || core < 0) return;
    cpu_set_t others = cores_;
    CPU_CLR(static_cast<std::size_t>(core), &others);
    if (CPU_COUNT(&others) == 0) others = cores_;
    for (const pthread_t thread : threads_) pthread_setaffinity_np(thread, sizeof others, &others);
    avoided_ = core;
  }

  void grow(int helpers) {
    if (threads_.empty()) cores_ = allowed_cores();
    avoided_ = -1;
    // Signals are for the threads of the program, but for those that a thread brings upon itself.
    sigset_t others, before;
    sigfillset(&others);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&others, own);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    try {
      threads_.reserve(static_cast<std::size_t>(helpers));
      while (threads_.size() < static_cast<std::size_t>(helpers)) {
        std::thread thread([this] { serve(); });
        threads_.push_back(thread.native_handle());
        thread.detach();
      }
    } catch (const std::exception&) {
      // No more threads here: the loop gets along with those there are.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  [[noreturn]] void serve() {
    omp_set_num_threads(1);
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      Loop* const loop = next();
      if (loop == nullptr) {
        lock.unlock();
        const auto end = Clock::now() + patience;
        while (wanted_.load() == 0 && Clock::now() < end) pause();
        lock.lock();
        ++sleeping_;
        news_.wait(lock, [this] { return wanted_.load() > 0; });
        --sleeping_;
        continue;
      }
      const int worker = loop->entered_;
      lock.unlock();
      loop->work(worker);
      lock.lock();
      if (loop->inside_.fetch_sub(1) == 1) loop->empty_.notify_one();
    }
  }

  // The oldest open loop that wants a thread, which it then has.
  Loop* next() {
    for (Loop* const loop : open_) {
      if (loop->wanted_ == 0) continue;
      if (loop->exhausted()) {
        wanted_.fetch_sub(loop->wanted_);
        loop->wanted_ = 0;
        continue;
      }
      --loop->wanted_;
      wanted_.fetch_sub(1);
      ++loop->entered_;
      loop->inside_.fetch_add(1);
      return loop;
    }
    return nullptr;
  }

  // Polls while others finish their last tasks. It gives its core away only by sleeping: on a busy machine a thread
  // that yields waits for the end of another's turn, one that sleeps is woken at once.
  void wait_for_others(Loop& loop) {
    const auto end = Clock::now() + patience;
    while (loop.inside_.load() > 0 && Clock::now() < end) pause();
    std::unique_lock<std::mutex> lock(mutex_);  // who leaves last holds it until the loop is no longer touched
    while (loop.inside_.load() > 0) {
      loop.empty_.wait_for(lock, between_checks, [&] { return loop.inside_.load() == 0; });
      lock.unlock();
      loop.guarded([] { poll(); });
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable news_;
  std::vector<Loop*> open_;
  std::atomic<int> wanted_{0};  // of all open loops
  std::vector<pthread_t> threads_;
  int sleeping_ = 0, avoided_ = -1;
  cpu_set_t cores_;
};

// Never destroyed: its threads live as long as the process.
Pool& pool() {
  static Pool* const made = new Pool;
  return *made;
}

}  // namespace

Interruptible::Interruptible(Check check) : outer_(watch) { watch = {check, Clock::now() + between_checks, nullptr}; }

Interruptible::~Interruptible() { watch = outer_; }

void poll() {
  if (watch.stop != nullptr && watch.stop->load(std::memory_order_relaxed)) throw Stopped();
  if (watch.check == nullptr || Clock::now() < watch.next) return;
  watch.check();
  watch.next = Clock::now() + between_checks;
}

void wait_for(const std::atomic<index_t>& count, index_t least) {
  for (int turn = 0; count.load(std::memory_order_acquire) < least; ++turn) {
    poll();
    if (turn < 1000) {
      pause();
    } else {  // whoever is at it may have lost its core
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
}

bool serial_after_fork() { return forked_with_pool.load(); }

int max_threads() {
  if (forked_with_pool.load() || in_loop || omp_in_parallel()) return 1;
  const int chosen = chosen_threads.load();
  const int asked = chosen > 0 ? chosen : std::min(omp_get_max_threads(), omp_get_thread_limit());
  return std::min(asked, most_threads);
}

void set_num_threads(int threads) { chosen_threads.store(threads); }

int openmp_threads() { return omp_get_max_threads(); }
void set_openmp_threads(int threads) { omp_set_num_threads(threads); }

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
  Loop loop(tasks, threads - 1, body);
  pool().run(loop, threads - 1);
  loop.rethrow();
}

}  // namespace alphacl
