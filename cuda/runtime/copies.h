// Between the device and the host. A copy waits for the stream: only where a result or a decision of the host needs a
// number.
#pragma once

#include <cstring>
#include <tuple>
#include <vector>

#include "runtime/stream.h"

namespace alphacl::cuda {

/// Copies `bytes` to `to` once all that the stream has been given is done. Errors of kernels that ran meanwhile come
/// out here, as CudaError.
void copy_to_host(const Stream& on, const void* from, std::size_t bytes, void* to);
/// Copies `bytes` from the host; waits for it, since nobody promises when pageable memory has been read.
void copy_to_device(const Stream& on, const void* from, std::size_t bytes, void* to);

/// Copies `count` numbers.
template <class T>
void read_back(const Stream& on, const T* from, index_t count, T* to) {
  copy_to_host(on, from, static_cast<std::size_t>(count) * sizeof(T), to);
}

/// One number.
template <class T>
T read_back(const Stream& on, const T* from) {
  T value;
  read_back(on, from, 1, &value);
  return value;
}

/// A copy of `count` numbers of the host, on the device.
template <class T>
T* on_device(const Stream& on, const T* from, index_t count) {
  T* const to = on.memory.take<T>(count);
  copy_to_device(on, from, static_cast<std::size_t>(count) * sizeof(T), to);
  return to;
}
template <class T>
const T* on_device(const Stream& on, const std::vector<T>& numbers) {
  return on_device(on, numbers.data(), static_cast<index_t>(numbers.size()));
}

/// Copies of several arrays of the host, by one copy: each waits.
template <class... T>
std::tuple<const T*...> on_device_together(const Stream& on, const std::vector<T>&... arrays) {
  static_assert(((sizeof(T) == sizeof(std::int64_t)) && ...), "one array after the other: all are aligned alike");
  std::vector<std::int64_t> all((arrays.size() + ...));
  std::size_t end = 0;
  const auto append = [&](const auto& array) {
    if (!array.empty()) std::memcpy(all.data() + end, array.data(), array.size() * sizeof(std::int64_t));
    end += array.size();
  };
  (append(arrays), ...);
  const std::int64_t* next = on_device(on, all);
  const auto take = [&](const auto& array) {
    const void* const here = next;
    next += array.size();
    return here;
  };
  return {static_cast<const T*>(take(arrays))...};  // in their order: the list is braced
}

}  // namespace alphacl::cuda
