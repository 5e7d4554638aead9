// Facts about the build and the machine, threads, and the rates that benchmarks compare with.
#include <pybind11/stl.h>

#include <chrono>
#include <optional>

#include "arrays.h"
#include "isa/tables/kernels.h"
#include "runtime/blas.h"
#include "runtime/count_kernels.h"
#include "runtime/threads.h"

namespace alphacl::bindings {
namespace {

py::dict build_info() {
  py::dict info;
  info["version"] = ALPHACL_VERSION;
  info["compiler"] =
#ifdef __clang__
      "clang " __clang_version__;
#else
      "gcc " __VERSION__;
#endif
  info["build_type"] = ALPHACL_BUILD_TYPE;
  info["isa"] = isa_in_use();
  info["supported_isas"] = py::cast(supported_isas());
  info["blas"] = ALPHACL_BLAS_CHOICE;
  info["blas_config"] = blas_config();
  info["blas_threads"] = blas_threads();
  info["openmp"] = openmp_version();
  info["openmp_library"] = openmp_library();
  info["max_threads"] = max_threads();
  return info;
}

// GFLOP/s of n × n products, one on every thread at once, `repeats` times.
template <class T>
double gemm_gflops(index_t n, int repeats) {
  struct Operands {
    Buffer<T> a, b, c;
  };
  const int threads = max_threads();
  PerWorker<Operands> operands;
  const auto run = [&] {
    parallel_for(threads, [&](index_t, int worker) {
      Operands& o = operands[worker];
      if (o.a.size() == 0) {
        o.a = Buffer<T>(n * n, T(1));
        o.b = Buffer<T>(n * n, T(0.5));
        o.c = Buffer<T>(n * n, T(0));
      }
      for (int r = 0; r < repeats; ++r) {
        poll();
        gemm<T>(Trans::no, Trans::no, n, n, n, T(1), o.a.data(), n, o.b.data(), n, T(0), o.c.data(), n);
      }
    });
  };
  run();
  const auto start = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double size = static_cast<double>(n);
  return 2 * size * size * size * repeats * threads / seconds.count() * 1e-9;
}

// Exponentials per second of all threads, values in cache.
template <class T>
double exp_rate() {
  constexpr index_t n = 4096;
  constexpr int repeats = 4000;
  const int threads = max_threads();
  const auto run = [&] {
    parallel_for(threads, [&](index_t, int) {
      Buffer<T> x(n, T(-1.5)), out(n);
      for (int r = 0; r < repeats; ++r) exp_kernels<T>().values(x.data(), n, out.data());
    });
  };
  run();
  const auto start = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return static_cast<double>(n) * repeats * threads / seconds.count();
}

void check_dtype(const std::string& dtype) {
  if (dtype != "float32" && dtype != "float64")
    throw py::value_error("dtype: expected float32 or float64, got " + dtype);
}

}  // namespace

void register_runtime(py::module_& m) {
  kernel_set();  // a missing instruction set fails the import, not the first call
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const OutOfMemory& e) {
      py::set_error(PyExc_MemoryError, e.what());
    }
  });
  m.def("build_info", &build_info);
  m.def("supported_isas", &supported_isas);
  m.def("kernel_calls", &kernel_calls);
  m.def("max_threads", &max_threads);
  m.def(
      "set_num_threads",
      [](std::optional<int> threads) {
        if (threads) check_at_least("threads", *threads, 1);
        set_num_threads(threads.value_or(0));
      },
      py::arg("threads").none(true));
  m.def("serial_after_fork", &serial_after_fork);
  m.def(
      "_gemm_gflops",
      [](const std::string& dtype, index_t n, int repeats) {
        check_dtype(dtype);
        if (n < 1 || n > 1 << 15) refuse("n", "a size from 1 to 32768", std::to_string(n));
        check_at_least("repeats", repeats, 1);
        const Released released;
        return dtype == "float32" ? gemm_gflops<float>(n, repeats) : gemm_gflops<double>(n, repeats);
      },
      py::arg("dtype"), py::arg("n"), py::arg("repeats"));
  m.def(
      "_exp_rate",
      [](const std::string& dtype) {
        check_dtype(dtype);
        const Released released;
        return dtype == "float32" ? exp_rate<float>() : exp_rate<double>();
      },
      py::arg("dtype"));
}

}  // namespace alphacl::bindings
