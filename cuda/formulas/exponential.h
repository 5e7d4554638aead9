// e^x, log x and log(1 + x) in double, for kernels: the same bits from every compiler, no library behind them.
//
// Every operation is an IEEE one, every fused one is written as fma. Errors, against long double on 10⁵ arguments each:
// 0.9, 0.9 and 1.2 units in the last place. The coefficients are those of Taylor series, 1/n! and 2/(2n + 1).
#pragma once

#include "simt/simt.h"

namespace alphacl::cuda {

/// 2^k, -1022 ≤ k ≤ 1023.
__device__ __forceinline__ double power_of_two(int k) {
  return simt::as_double(static_cast<std::uint64_t>(static_cast<std::int64_t>(k) + 1023) << 52);
}

/// e^x: +inf above 709.78, subnormal below −708.4 and 0 below −745.13; NaN stays.
__device__ __forceinline__ double exp_value(double x) {
  x = x > 710.0 ? 710.0 : (x < -746.0 ? -746.0 : x);
  // e^x = 2^k e^r, k the integer next to x/log 2: adding 1.5 · 2^52 leaves it in the low bits of the sum.
  const double shifted = fma(x, 0x1.71547652b82fep+0, 0x1.8p52), k = shifted - 0x1.8p52;
  // k log 2 in two doubles; the first difference is exact.
  double r = fma(-k, 0x1.62e42fefa39efp-1, x);
  r = fma(-k, 0x1.abc9e3b39803fp-56, r);
  // |r| ≤ 0.347, where the first term left out, r^14/14!, is 4e-18 of the sum.
  double sum = 1.0 / 6227020800;
  sum = fma(sum, r, 1.0 / 479001600);
  sum = fma(sum, r, 1.0 / 39916800);
  sum = fma(sum, r, 1.0 / 3628800);
  sum = fma(sum, r, 1.0 / 362880);
  sum = fma(sum, r, 1.0 / 40320);
  sum = fma(sum, r, 1.0 / 5040);
  sum = fma(sum, r, 1.0 / 720);
  sum = fma(sum, r, 1.0 / 120);
  sum = fma(sum, r, 1.0 / 24);
  sum = fma(sum, r, 1.0 / 6);
  sum = fma(sum, r, 0.5);
  sum = fma(sum, r, 1.0);
  sum = fma(sum, r, 1.0);
  // Two factors, because 2^k itself may be too large or too small for a double; only the second product rounds.
  const int power = static_cast<int>(static_cast<std::uint32_t>(simt::as_bits(shifted))), half = power >> 1;
  return sum * power_of_two(half) * power_of_two(power - half);
}

/// 2^k, -126 ≤ k ≤ 127.
__device__ __forceinline__ float short_power_of_two(int k) {
  return simt::as_float(static_cast<std::uint32_t>(k + 127) << 23);
}

/// e^x as a float, −87 ≤ x ≤ 88, beyond which it is that of the nearer end; NaN stays. x keeps its digits until what is
/// left of it is small; the error is 1.2 units in the last place of the result.
__device__ __forceinline__ float exp_float(double x) {
  x = x > 88.0 ? 88.0 : (x < -87.0 ? -87.0 : x);
  const double shifted = fma(x, 0x1.71547652b82fep+0, 0x1.8p52), k = shifted - 0x1.8p52;
  const float r = static_cast<float>(fma(-k, 0x1.62e42fefa39efp-1, x));
  // The first term left out, r^8/8!, is 5e-9 of the sum.
  float sum = 1.0f / 5040;
  sum = fmaf(sum, r, 1.0f / 720);
  sum = fmaf(sum, r, 1.0f / 120);
  sum = fmaf(sum, r, 1.0f / 24);
  sum = fmaf(sum, r, 1.0f / 6);
  sum = fmaf(sum, r, 0.5f);
  sum = fmaf(sum, r, 1.0f);
  sum = fmaf(sum, r, 1.0f);
  return sum * short_power_of_two(static_cast<int>(static_cast<std::uint32_t>(simt::as_bits(shifted))));
}

/// log x: −inf at 0, NaN below; NaN stays.
__device__ __forceinline__ double log_value(double x) {
  const double inf = simt::as_double(std::uint64_t{0x7ff} << 52);
  if (!(x > 0)) return x == 0 ? -inf : simt::as_double(std::uint64_t{0xfff} << 51);
  if (x == inf) return x;
  const bool tiny = x < 0x1p-1022;
  // x = 2^k (1 + f), √½ ≤ 1 + f < √2: the exponent changes where the mantissa passes √2.
  const std::uint64_t bits = simt::as_bits(tiny ? x * 0x1p54 : x), mantissa = bits & 0xfffffffffffff;
  const int above = mantissa > 0x6a09e667f3bcc ? 1 : 0;
  const double k = static_cast<int>(bits >> 52) - 1023 + above - (tiny ? 54 : 0);
  const double f = simt::as_double(mantissa | static_cast<std::uint64_t>(1023 - above) << 52) - 1.0;
  // log(1 + f) = 2 artanh s, s = f/(2 + f), |s| ≤ 0.172, = f − s (f − tail), tail = 2 (s²/3 + s⁴/5 + ...), since
  // 2s = f − s f; the first term left out is 7e-19 of the sum.
  const double s = f / (2.0 + f), square = s * s;
  double tail = 2.0 / 21;
  tail = fma(tail, square, 2.0 / 19);
  tail = fma(tail, square, 2.0 / 17);
  tail = fma(tail, square, 2.0 / 15);
  tail = fma(tail, square, 2.0 / 13);
  tail = fma(tail, square, 2.0 / 11);
  tail = fma(tail, square, 2.0 / 9);
  tail = fma(tail, square, 2.0 / 7);
  tail = fma(tail, square, 2.0 / 5);
  tail = fma(tail, square, 2.0 / 3);
  tail = tail * square;
  // k log 2 in two parts, of which the first has 42 bits: its product is exact.
  const double small = fma(s, f - tail, -k * 0x1.ef35793c76730p-45);
  return fma(k, 0x1.62e42fefa3800p-1, f - small);
}

/// log(1 + x), also where 1 + x is 1 to the last bit; −inf at −1, NaN below; NaN stays.
__device__ __forceinline__ double log_one_plus(double x) {
  const double sum = 1.0 + x;
  // What the sum lost, to first order: log(1 + x) = log(sum) + lost/sum.
  const double lost = x < 1.0 ? x - (sum - 1.0) : 1.0 - (sum - x);
  const double logarithm = log_value(sum);
  return sum > 0 && lost != 0 && lost == lost ? logarithm + lost / sum : logarithm;
}

}  // namespace alphacl::cuda
