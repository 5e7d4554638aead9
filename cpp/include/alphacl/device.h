// What a function needs that a CPU and a GPU both compile: its mark, and words of the standard library that are not
// there in device code.
#pragma once

#include <limits>

// ALPHACL_HOST_DEVICE_CALL marks a large function, which kernels call: inlined, it would take registers from what is
// around it.
#ifdef __CUDACC__
#define ALPHACL_HOST_DEVICE __host__ __device__
#define ALPHACL_HOST_DEVICE_CALL __host__ __device__ __noinline__
#else
#define ALPHACL_HOST_DEVICE
#define ALPHACL_HOST_DEVICE_CALL
#endif

namespace alphacl {

/// std::max and std::min, whose b is lost where it is NaN.
template <class T>
ALPHACL_HOST_DEVICE constexpr T larger(T a, T b) {
  return a < b ? b : a;
}

template <class T>
ALPHACL_HOST_DEVICE constexpr T smaller(T a, T b) {
  return b < a ? b : a;
}

/// std::clamp.
template <class T>
ALPHACL_HOST_DEVICE constexpr T limited(T x, T low, T high) {
  return x < low ? low : (high < x ? high : x);
}

/// std::numeric_limits<T>, as constants.
template <class T>
struct Numbers {
  static constexpr T infinity = std::numeric_limits<T>::infinity();
  static constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  static constexpr T epsilon = std::numeric_limits<T>::epsilon();
  static constexpr T least = std::numeric_limits<T>::min();  // without loss of digits
  static constexpr int largest_exponent = std::numeric_limits<T>::max_exponent;
};

}  // namespace alphacl
