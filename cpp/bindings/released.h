// Releases the GIL around the core; signals still reach it.
#pragma once

#include <pybind11/pybind11.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/threads.h"

namespace alphacl::bindings {

namespace py = pybind11;

/// Runs the Python handlers of pending signals, such as Ctrl-C; an exception of theirs ends the work.
inline void check_signals() {
  const py::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

/// Lets other Python threads run during its life. Signal handlers run on the main thread only; on others no check is
/// set, which might wait for the GIL.
class Released {
  static bool on_main_thread() { return syscall(SYS_gettid) == getpid(); }

  py::gil_scoped_release release_;
  Interruptible interruptible_{on_main_thread() ? &check_signals : nullptr};
};

/// Returns make()'s object and keeps `data`, which it reads, alive as long. Not by keep_alive<0, 1>, which pybind11 3
/// applies also to a call whose arguments do not fit, and crashes.
template <class F>
py::object made_from(const py::handle& data, F&& make) {
  auto made = [&] {
    const Released released;
    return make();
  }();
  py::object result = py::cast(std::move(made));
  py::detail::keep_alive_impl(result, data);
  return result;
}

}  // namespace alphacl::bindings
