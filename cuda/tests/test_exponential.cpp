// e^x, log x, log(1 + x), cos θ and sin θ of kernels against those of the host in long double.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <limits>

#include "formulas/cosine.h"
#include "formulas/exponential.h"
#include "tests/testing.h"

namespace {

using testing::Array;
using testing::expect;

enum Function { exponential, logarithm, logarithm_plus_one };

constexpr double inf = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();

__global__ void evaluate(Function function, const double* x, double* out, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = function == exponential ? alphacl::cuda::exp_value(x[i])
             : function == logarithm ? alphacl::cuda::log_value(x[i])
                                     : alphacl::cuda::log_one_plus(x[i]);
}

long double exact(Function function, double x) {
  const long double wide = x;
  return function == exponential ? expl(wide) : function == logarithm ? logl(wide) : log1pl(wide);
}

// In units of the last place of the exact value.
double error(double ours, long double truth) {
  if (std::isinf(static_cast<double>(truth)) || std::isinf(ours)) return ours == static_cast<double>(truth) ? 0 : inf;
  const int exponent = truth == 0 ? -1022 : std::max(std::ilogb(truth), -1022);
  return static_cast<double>(std::fabs(static_cast<long double>(ours) - truth) / std::scalbn(1.0L, exponent - 52));
}

double uniform(std::uint64_t& seed) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(seed >> 11) * 0x1p-53;
}

// From 2^least to 2^most, u in (0, 1) spread evenly over the exponents.
double number(double u, int least, int most) {
  const double place = u * (most - least), whole = std::floor(place);
  return std::ldexp(1 + (place - whole), least + static_cast<int>(whole));
}

// `count` arguments x(u), u uniform in (0, 1).
template <class X>
void check(Function function, int count, X&& x, double most, const char* what) {
  const Array<double> in(count), out(count);
  std::uint64_t seed = 1;
  for (int i = 0; i < count; ++i) in[i] = x(uniform(seed));
  testing::launch(evaluate, 4, 64, 0, function, in.data(), out.data(), count);
  double worst = 0;
  for (int i = 0; i < count; ++i) {
    const double here = error(out[i], exact(function, in[i]));
    if (!(here <= worst)) worst = here;
  }
  if (!expect(worst <= most, what)) std::printf("     off by %.3f units\n", worst);
  testing::print_bits(what, out);
}

// A value for each argument; 0 and infinities to the sign, NaN by class.
void check_values(Function function, std::initializer_list<double> pairs, const char* what) {
  const int count = static_cast<int>(pairs.size() / 2);
  const Array<double> in(count), out(count);
  for (int i = 0; i < count; ++i) in[i] = pairs.begin()[2 * i];
  testing::launch(evaluate, 1, 32, 0, function, in.data(), out.data(), count);
  bool right = true;
  for (int i = 0; i < count; ++i) {
    const double truth = pairs.begin()[2 * i + 1];
    const bool same = std::isnan(truth) ? std::isnan(out[i]) : out[i] == truth;
    if (!same) std::printf("     %a: expected %a, got %a\n", in[i], truth, out[i]);
    right = right && same;
  }
  expect(right, what);
}

__global__ void evaluate_float(const double* x, float* out, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = alphacl::cuda::exp_float(x[i]);
}

void test_exp_float() {
  constexpr int count = 100000;
  const Array<double> in(count);
  const Array<float> out(count);
  std::uint64_t seed = 2;
  for (int i = 0; i < count; ++i) in[i] = uniform(seed) * 175 - 87;
  const double ends[] = {0, 88, -87, 100, -100, inf, -inf};
  std::copy(std::begin(ends), std::end(ends), in.data());
  in[7] = none;
  testing::launch(evaluate_float, 4, 64, 0, in.data(), out.data(), count);
  long double worst = 0;
  for (int i = 0; i < count; ++i) {
    if (i == 7) continue;
    const long double truth = expl(std::clamp(in[i], -87.0, 88.0));
    const long double units = std::fabs(out[i] - truth) / std::scalbn(1.0L, std::ilogb(truth) - 23);
    if (!(units <= worst)) worst = units;  // what is not a number stays
  }
  if (!expect(worst <= 1.2L && out[0] == 1 && std::isnan(out[7]), "exp as a float"))
    std::printf("     off by %.3f units\n", static_cast<double>(worst));
  testing::print_bits("exp as a float", out);
}

__global__ void turn(const double* theta, double* out) {
  const auto found = alphacl::cuda::cosine_sine(theta[blockIdx.x * 256 + threadIdx.x]);
  out[2 * (blockIdx.x * 256 + threadIdx.x)] = found.cosine;
  out[2 * (blockIdx.x * 256 + threadIdx.x) + 1] = found.sine;
}

void test_cosine() {
  constexpr int count = 4096;
  const Array<double> theta(count), out(2 * count);
  const double pi = 3.14159265358979323846;
  for (int i = 0; i < count; ++i) theta[i] = pi * (2 * i - count + 1) / (count - 1);
  theta[0] = -pi, theta[1] = 0, theta[2] = 1e-300, theta[count - 1] = pi;
  testing::launch(turn, dim3(count / 256), dim3(256), 0, theta.data(), out.data());
  long double largest = 0;
  for (int i = 0; i < count; ++i) {
    const long double wide = theta[i], cosine = out[2 * i] - cosl(wide), sine = out[2 * i + 1] - sinl(wide);
    largest = std::max({largest, std::fabs(cosine), std::fabs(sine)});
  }
  expect(largest < 4e-16L && out[3] == 0 && out[2] == 1 && out[5] == 1e-300, "cosine and sine");
  testing::print_bits("cosine and sine", out);
}

}  // namespace

int main() {
  test_cosine();
  test_exp_float();
  const double least = std::numeric_limits<double>::denorm_min();
  check(exponential, 100000, [](double u) { return u * 1453.5 - 744.0; }, 0.9, "exp over its whole range");
  check(exponential, 100000, [](double u) { return u * 2 - 1; }, 0.9, "exp between -1 and 1");
  check(exponential, 10000, [](double u) { return u * 1e-10; }, 0.9, "exp near 0");
  check(exponential, 10000, [](double u) { return -708 - u * 38; }, 0.9, "exp where it is subnormal");
  check_values(exponential,
               {0,
                1,
                -0.0,
                1,
                710,
                inf,
                1e300,
                inf,
                inf,
                inf,
                -746,
                0,
                -1e300,
                0,
                -inf,
                0,
                none,
                none,
                -none,
                none,
                709.7827128933841,
                exp(709.7827128933841),
                -745.1332191019411,
                least,
                -745.2,
                0},
               "exp at the ends of its range");
  check(logarithm, 100000, [](double u) { return number(u, -1074, 1024); }, 0.9, "log over its whole range");
  check(logarithm, 100000, [](double u) { return 0.5 + u; }, 0.9, "log between 1/2 and 3/2");
  check(logarithm, 10000, [](double u) { return 1 + (u - 0.5) * 1e-10; }, 0.9, "log near 1");
  check_values(logarithm, {0,       -inf,
                           -0.0,    -inf,
                           1,       0,
                           -1,      none,
                           -least,  none,
                           -inf,    none,
                           inf,     inf,
                           none,    none,
                           least,   std::log(least),
                           DBL_MAX, std::log(DBL_MAX)},
               "log at the ends of its range");
  check(logarithm_plus_one, 100000, [](double u) { return u; }, 1.3, "log(1 + x) between 0 and 1");
  check(logarithm_plus_one, 100000, [](double u) { return number(u, -144, 0); }, 1.3, "log(1 + x) of small x");
  check(logarithm_plus_one, 100000, [](double u) { return u * 1.999 - 1; }, 1.3, "log(1 + x) between -1 and 1");
  check(logarithm_plus_one, 10000, [](double u) { return number(u, 0, 1024); }, 1.3, "log(1 + x) of large x");
  check_values(
      logarithm_plus_one,
      {0, 0, least, least, 1e-300, 1e-300, -1, -inf, -1.5, none, -inf, none, inf, inf, none, none, 1, std::log(2.0)},
      "log(1 + x) at the ends of its range");
  return testing::failures;
}
