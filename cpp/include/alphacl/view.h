// Views of arrays, owned buffers and the errors of the core.
//
// Letters of types: S is the type of the data in memory, T the type that is computed in; templates take <T, S>. Where
// distances or scores have a type of their own (radial importances, those of pairs), it is S, and the type in memory is
// F.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace alphacl {

using index_t = std::ptrdiff_t;

/// A row-major matrix that somebody else owns. Its rows may lie any distance apart, negative and zero included; the
/// entries of one row are adjacent.
template <class T>
struct View {
  T* data;
  index_t rows;
  index_t cols;
  index_t stride;  // elements from one row to the next

  T* row(index_t i) const { return data + i * stride; }
  // A template, because a View<const T> would have an operator to its own type, which nvcc warns of.
  template <class C, class = std::enable_if_t<std::is_same<C, const T>::value && !std::is_const<T>::value>>
  operator View<C>() const {
    return {data, rows, cols, stride};
  }
};

/// Memory could not be allocated; the text says how much was asked for.
class OutOfMemory : public std::runtime_error {
 public:
  explicit OutOfMemory(std::size_t bytes)
      : std::runtime_error("out of memory: could not allocate " + std::to_string(bytes) + " bytes") {}
};

/// Uninitialised memory on a cache-line boundary, for free(). Large blocks ask for huge pages, as numpy's do.
void* allocate(std::size_t bytes);

/// Owned, uninitialised memory on a cache-line boundary.
template <class T>
class Buffer {
  static_assert(std::is_trivial<T>::value, "a Buffer holds plain numbers");

 public:
  Buffer() = default;
  explicit Buffer(index_t size) { resize(size); }
  Buffer(index_t size, T value) {
    resize(size);
    fill(value);
  }
  Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
    other.size_ = 0;
  }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  /// Makes room for at least `size` elements; the contents are lost when the memory moves.
  void resize(index_t size) {
    if (size <= size_ && data_ != nullptr) return;
    const std::size_t most = std::numeric_limits<std::size_t>::max() / 2;
    if (size < 0 || static_cast<std::size_t>(size) > most / sizeof(T)) throw OutOfMemory(most);
    void* fresh = allocate(static_cast<std::size_t>(size) * sizeof(T));
    std::free(data_);
    data_ = static_cast<T*>(fresh);
    size_ = size;
  }
  void fill(T value) {
    for (index_t i = 0; i < size_; ++i) data_[i] = value;
  }

  T* data() const { return data_; }
  T& operator[](index_t i) const { return data_[i]; }
  index_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  index_t size_ = 0;
};

inline index_t ceil_div(index_t a, index_t b) { return (a + b - 1) / b; }

}  // namespace alphacl
