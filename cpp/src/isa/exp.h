// e^x for loops that the compiler vectorises. Included inside the anonymous namespace of kernels.cpp.
//
// x = n·ln 2 + r with |r| ≤ ½ ln 2; e^r by a polynomial, 2^n by the exponent bits. n is read from the low bits of
// x·log2(e) + 1.5·2^mantissa. Results below the smallest normal number are 0, above 0.7 of the largest inf;
// NaN stays NaN; −inf gives 0.
// Relative error: 1e-7 (float), 3e-16 (double).

inline float exp_value(float x) {
  const float lowest = -87.33654f, highest = 88.37626f;
  float clamped = x < lowest ? lowest : x;
  clamped = clamped > highest ? highest : clamped;
  const float magic = 12582912.0f;
  const float shifted = clamped * 1.44269504f + magic;
  const float n = shifted - magic;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const std::uint32_t k = __builtin_bit_cast(std::uint32_t, shifted) - 0x4B400000u;
  const float scale = __builtin_bit_cast(float, (k + 127u) << 23);
  const float value = p * scale;
  return x < lowest ? 0.0f : (x > highest ? __builtin_inff() : value);
}

inline double exp_value(double x) {
  const double lowest = -708.39641853226408, highest = 709.43613930310391;
  double clamped = x < lowest ? lowest : x;
  clamped = clamped > highest ? highest : clamped;
  const double magic = 6755399441055744.0;
  const double shifted = clamped * 1.4426950408889634 + magic;
  const double n = shifted - magic;
  const double r = (clamped - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
  double p = 1.6059043836821615e-10;  // 1/13!, 1/12!, …, 1/2!
  p = p * r + 2.0876756987868099e-9;
  p = p * r + 2.5052108385441719e-8;
  p = p * r + 2.7557319223985891e-7;
  p = p * r + 2.7557319223985891e-6;
  p = p * r + 2.4801587301587302e-5;
  p = p * r + 1.9841269841269841e-4;
  p = p * r + 1.3888888888888889e-3;
  p = p * r + 8.3333333333333333e-3;
  p = p * r + 4.1666666666666667e-2;
  p = p * r + 1.6666666666666667e-1;
  p = p * r + 0.5;
  p = p * (r * r) + r + 1.0;
  const std::uint64_t k = __builtin_bit_cast(std::uint64_t, shifted) - 0x4338000000000000ull;
  const double scale = __builtin_bit_cast(double, (k + 1023ull) << 52);
  const double value = p * scale;
  return x < lowest ? 0.0 : (x > highest ? __builtin_inf() : value);
}
