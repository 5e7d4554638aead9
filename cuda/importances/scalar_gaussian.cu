// The Gaussian of scalars in time linear in N: the factor Φ of its cosine series (alphacl/gaussian_series.h).
//
// Φ (N × p, p < 170 unless a series is asked for) is made once, a thread a sample, and multiplied as any factor is.
// Entries, and sums that cancel, come from all pairs. Operations: 60 a sample for its first angle, then 4 p; bytes: 8 p
// written, rows of threads side by side lie 8 p apart. Registers: 32 to 40; shared memory: 192 bytes for the range,
// else none. Limit: memory. Source: the trapezoid rule on the Fourier integral of the Gaussian (derived), poster
// "Gaussian".
#include <algorithm>
#include <array>
#include <cmath>

#include "alphacl/gaussian_series.h"
#include "formulas/cosine.h"
#include "formulas/exponential.h"
#include "importances/importance.h"
#include "runtime/copies.h"
#include "sums/elementwise.h"

namespace alphacl::cuda {
namespace {

// poison: 0, or NaN where a scalar is not finite.
struct Extremes {
  double low, high, poison;

  __host__ __device__ void add(const Extremes& other) {
    low = other.low < low ? other.low : low;
    high = other.high > high ? other.high : high;
    poison += other.poison;
  }
};

struct ExtremesShared {
  Extremes warp[8];
};

// Of each block's scalars. Grid: at most one block for 256 of them; block: 256.
template <class S>
__global__ void __launch_bounds__(256) extremes_of_blocks(View<const S> f, Extremes* out) {
  auto& s = simt::shared<ExtremesShared>();
  const int thread = threadIdx.x;
  const std::int64_t step = std::int64_t{gridDim.x} * 256;
  const double any = static_cast<double>(f.data[0]);
  Extremes mine = {any, any, 0};
  for (std::int64_t i = std::int64_t{blockIdx.x} * 256 + thread; i < f.rows; i += step) {
    const double value = static_cast<double>(f.data[i * f.stride]);
    mine.add({value, value, value - value});
  }
  for (int k = 16; k > 0; k /= 2)
    mine.add({__shfl_xor_sync(0xffffffffu, mine.low, k), __shfl_xor_sync(0xffffffffu, mine.high, k),
              __shfl_xor_sync(0xffffffffu, mine.poison, k)});
  if (thread % 32 == 0) s.warp[thread / 32] = mine;
  __syncthreads();
  if (thread != 0) return;
  for (int w = 1; w < 8; ++w) mine.add(s.warp[w]);
  out[blockIdx.x] = mine;
}

// Waits for the stream.
template <class S>
Extremes extremes(const Stream& on, View<const S> f) {
  constexpr index_t most = 64;
  std::array<Extremes, most> found = {};
  const index_t blocks = std::min(most, ceil_div(f.rows, 256));
  Extremes* const out = on.memory.take<Extremes>(blocks);
  launch(on, "extremes_of_blocks", extremes_of_blocks<S>, dim3(static_cast<unsigned>(blocks)), dim3(256),
         sizeof(ExtremesShared), f, out);
  read_back(on, out, blocks, found.data());
  for (index_t b = 1; b < blocks; ++b) found[0].add(found[static_cast<std::size_t>(b)]);
  return found[0];
}

// √c_0, then √(2 c_k).
struct SeriesCoefficients {
  double period, omega;
  double* out;
  __device__ void operator()(std::int64_t k) const {
    const double kw = static_cast<double>(k) * omega, c = 2.5066282746310002 / period * exp_value(-0.5 * (kw * kw));
    out[k] = sqrt(k == 0 ? c : 2 * c);
  }
};

// Row i of Φ: c_0, then c_k cos kθ_i and c_k sin kθ_i by rotation.
template <class S>
struct SeriesFeatures {
  View<const S> f;
  double origin, inv_sqrt_tau, omega;
  const double* coefficients;
  index_t terms;
  double* out;
  __device__ void operator()(std::int64_t i) const {
    double* const row = out + i * (1 + 2 * terms);
    const double u = static_cast<double>(f.data[i * f.stride]);
    const CosineSine by = cosine_sine(omega * ((u - origin) * inv_sqrt_tau));
    double c = 1, s = 0;
    row[0] = coefficients[0];
    for (index_t k = 1; k <= terms; ++k) {
      const double next = fma(c, by.cosine, -(s * by.sine));
      s = fma(s, by.cosine, c * by.sine);
      c = next;
      row[2 * k - 1] = coefficients[k] * c;
      row[2 * k] = coefficients[k] * s;
    }
  }
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> scalar_gaussian(const Stream& on, View<const S> f, double tau, double tol,
                                               ScalarMethod method, Workspace& memory) {
  if (f.cols != 1 || method == ScalarMethod::pairs) return gaussian(on, f, tau, memory);
  const Extremes found = extremes(on, f);
  const double range = (found.high - found.low) / std::sqrt(tau);
  if (found.poison != 0 || !std::isfinite(range)) return gaussian(on, f, tau, memory);
  const double allowed = std::min(tol, wide_tolerance);
  if (method == ScalarMethod::series)
    check_series_range(range);
  else if (!series_pays(f.rows, range, allowed))
    return gaussian(on, f, tau, memory);
  const double omega = series_frequency(range, allowed);
  const index_t terms = static_cast<index_t>(series_terms(range, allowed)), rank = 1 + 2 * terms;
  double* const coefficients = on.memory.take<double>(1 + terms);
  double* const phi = memory.take<double>(f.rows * rank);
  for_each(on, "series_coefficients", 1 + terms,
           SeriesCoefficients{series_period(range, allowed), omega, coefficients});
  const double origin = 0.5 * found.low + 0.5 * found.high;
  for_each(on, "series_features", f.rows,
           SeriesFeatures<S>{f, origin, 1 / std::sqrt(tau), omega, coefficients, terms, phi});
  return factored<S>({phi, f.rows, rank, rank}, gaussian(on, f, tau, memory));
}

template std::unique_ptr<Importance<float>> scalar_gaussian<float>(const Stream&, View<const float>, double, double,
                                                                   ScalarMethod, Workspace&);
template std::unique_ptr<Importance<double>> scalar_gaussian<double>(const Stream&, View<const double>, double, double,
                                                                     ScalarMethod, Workspace&);

}  // namespace alphacl::cuda
