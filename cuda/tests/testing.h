// What the tests of kernels share: memory that host and device read, one line per check, results as a checksum.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/stream.h"
#include "simt/simt.h"

namespace testing {

inline int failures = 0;

inline bool expect(bool holds, const char* what) {
  if (!holds) ++failures;
  std::printf("%s %s\n", holds ? "ok  " : "FAIL", what);
  return holds;
}

/// Memory that nobody has written: an array for a result, which MemorySanitizer follows, or for data to come.
template <class T>
class Array {
 public:
  explicit Array(std::size_t size) : size_(size) {
#ifdef __CUDACC__
    // Nothing is an array too, of which the driver makes none.
    if (cudaMallocManaged(&data_, std::max<std::size_t>(size, 1) * sizeof(T)) != cudaSuccess) std::abort();
#else
    data_ = static_cast<T*>(std::malloc(size * sizeof(T)));
    if (data_ == nullptr) std::abort();
#endif
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
#ifdef __CUDACC__
  ~Array() { cudaFree(data_); }
#else
  ~Array() { std::free(data_); }
#endif

  T* data() const { return data_; }
  T& operator[](std::size_t i) const { return data_[i]; }
  std::size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

/// Every piece is an array of its own, as long as it is asked for: a sanitizer sees who leaves it.
class Memory final : public alphacl::cuda::Workspace {
 public:
  void* bytes(std::size_t count) override {
    held_.push_back(std::make_unique<Array<unsigned char>>(std::max<std::size_t>(count, 1)));
    size_ += held_.back()->size();
    most_ = std::max(most_, size_);
    return held_.back()->data();
  }
  void give_back(void* memory) override {
    const auto at =
        std::find_if(held_.begin(), held_.end(), [&](const auto& piece) { return piece->data() == memory; });
    if (at == held_.end()) std::abort();
    size_ -= (*at)->size();
    held_.erase(at);
  }
  void wait(const std::function<void()>& wait_for_stream) override {
    ++waits_;
    wait_for_stream();
  }
  /// How often the host has waited for the stream.
  int waits() const { return waits_; }
  /// Bytes that are held, and the most that were at a time.
  std::size_t held() const { return size_; }
  std::size_t most() const { return most_; }

 private:
  std::vector<std::unique_ptr<Array<unsigned char>>> held_;
  int waits_ = 0;
  std::size_t size_ = 0, most_ = 0;
};

/// What has been launched is done, and the host may read it.
inline void finish() {
#ifdef __CUDACC__
  if (cudaDeviceSynchronize() != cudaSuccess) std::abort();
#endif
}

/// Numbers from -32 to 31, always the same ones: products and sums of a few of them are exact in a float.
inline void fill_with_integers(const Array<float>& array, std::uint32_t seed) {
  for (std::size_t i = 0; i < array.size(); ++i) {
    seed = seed * 1664525u + 1013904223u;
    array[i] = static_cast<float>(static_cast<int>(seed >> 26) - 32);
  }
}

/// Between −1 and 1, the same on every machine.
inline double next(std::uint64_t& seed) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(seed >> 11) * 0x1p-52 - 1;
}

/// ‖ours − truth‖ ≤ tol ‖truth‖; rows of `width` numbers lie `stride` apart.
template <class T>
bool close(const Array<T>& ours, alphacl::index_t width, alphacl::index_t stride, const std::vector<long double>& truth,
           long double tol) {
  long double off = 0, size = 0;
  for (std::size_t e = 0; e < truth.size(); ++e) {
    const alphacl::index_t at = static_cast<alphacl::index_t>(e);
    const long double mine = ours[static_cast<std::size_t>(at / width * stride + at % width)];
    off += (mine - truth[e]) * (mine - truth[e]);
    size += truth[e] * truth[e];
  }
  return off <= tol * tol * size;
}

/// A launch to its end.
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, A... args) {
  const cudaError_t error = simt::launch(kernel, grid, block, shared, nullptr, args...);
#ifdef __CUDACC__
  if (error == cudaSuccess) return cudaDeviceSynchronize();
#endif
  return error;
}

/// Prints a checksum (FNV-1a) of the bits: two orders of threads, two compilers and a GPU have to print the same.
template <class T>
void print_bits(const char* what, const Array<T>& array) {
  std::uint64_t hash = 14695981039346656037u;
  for (std::size_t i = 0; i < array.size(); ++i) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &array[i], sizeof(T));
    if (array[i] != array[i]) std::memset(bytes, 0xff, sizeof(T));  // one NaN is as good as another
    for (const unsigned char byte : bytes) hash = (hash ^ byte) * 1099511628211u;
  }
  std::printf("bits %016llx %s\n", static_cast<unsigned long long>(hash), what);
}

}  // namespace testing
