// What kernels may use, one primitive after the other: the same on a GPU and on the machine that runs them on the CPU.
#include <cmath>
#include <thread>

#include "tests/testing.h"

namespace {

using testing::Array;
using testing::expect;

constexpr unsigned all_lanes = 0xffffffffu;

struct Reversed {
  float value[256];
};

// Reverses every 256 numbers.
__global__ void reverse(const float* in, float* out, int n) {
  auto& s = simt::shared<Reversed>();
  const int first = blockIdx.x * blockDim.x, t = threadIdx.x, here = n - first < 256 ? n - first : 256;
  if (t < here) s.value[t] = in[first + t];
  __syncthreads();
  if (t < here) out[first + t] = s.value[here - 1 - t];
}

void test_shared_memory() {
  const Array<float> in(1000), out(1000);
  testing::fill_with_integers(in, 1);
  testing::launch(reverse, 4, 256, sizeof(Reversed), in.data(), out.data(), 1000);
  bool right = true;
  for (int i = 0; i < 1000; ++i) right = right && out[i] == in[i / 256 * 256 + (i < 768 ? 255 : 231) - i % 256];
  expect(right, "shared memory and a barrier, in four blocks, the last in part");
  testing::print_bits("shared memory and a barrier", out);
}

__global__ void where(int* out) {
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int threads = blockDim.x * blockDim.y * blockDim.z;
  out[block * threads + thread] = block * 1000 + thread;
}

void test_indices() {
  const Array<int> out(12 * 24);
  testing::launch(where, dim3(3, 2, 2), dim3(4, 3, 2), 0, out.data());
  bool right = true;
  for (int i = 0; i < 12 * 24; ++i) right = right && out[i] == i / 24 * 1000 + i % 24;
  expect(right, "indices and sizes in three dimensions");
}

__global__ void shuffles(int* out, double* doubles) {
  const int lane = threadIdx.x;
  out[lane] = __shfl_sync(all_lanes, lane, lane + 5);  // modulo 32
  out[32 + lane] = __shfl_xor_sync(all_lanes, lane, 16);
  out[64 + lane] = __shfl_down_sync(all_lanes, lane, 3);  // past the end: its own
  out[96 + lane] = __shfl_up_sync(all_lanes, lane, 3);
  double sum = 1.0 / (lane + 1);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(all_lanes, sum, step);
  doubles[lane] = sum;
}

void test_shuffles() {
  const Array<int> out(128);
  const Array<double> doubles(32);
  testing::launch(shuffles, 1, 32, 0, out.data(), doubles.data());
  bool index = true, bits = true, down = true, up = true, sums = true;
  double sum = 0;
  for (int l = 31; l >= 0; --l) sum += 1.0 / (l + 1);
  for (int l = 0; l < 32; ++l) {
    index = index && out[l] == (l + 5) % 32;
    bits = bits && out[32 + l] == (l ^ 16);
    down = down && out[64 + l] == (l < 29 ? l + 3 : l);
    up = up && out[96 + l] == (l < 3 ? l : l - 3);
    sums = sums && doubles[l] == doubles[0] && std::fabs(doubles[l] - sum) < 1e-14;
  }
  expect(index, "__shfl_sync");
  expect(bits, "__shfl_xor_sync");
  expect(down, "__shfl_down_sync");
  expect(up, "__shfl_up_sync");
  expect(sums, "shuffles of 8 bytes");
  testing::print_bits("a sum over a warp", doubles);
}

__global__ void votes(unsigned* out) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const unsigned mask = warp == 0 ? all_lanes : 0xffu;  // the second warp has eight lanes
  const unsigned odd = __ballot_sync(mask, lane % 2);
  const int any = __any_sync(mask, lane == 7), none = __any_sync(mask, lane == 32);
  const int all = __all_sync(mask, lane < 32), not_all = __all_sync(mask, lane < 7);
  if (lane != 0) return;
  out[warp] = odd;
  out[2 + warp] = (any != 0) + 2 * (none != 0) + 4 * (all != 0) + 8 * (not_all != 0);
  out[4 + warp] = __popc(odd);
}

void test_votes() {
  const Array<unsigned> out(6);
  testing::launch(votes, 1, 40, 0, out.data());
  expect(out[0] == 0xaaaaaaaau && out[1] == 0xaau, "__ballot_sync, also of a warp in part");
  expect(out[2] == 5 && out[3] == 5, "__any_sync and __all_sync");
  expect(out[4] == 16 && out[5] == 4, "__popc");
}

struct Exchanged {
  int value[64];
};

// Each lane reads what its neighbour wrote, round after round, without the other warp.
__global__ void exchange(int* out) {
  auto& s = simt::shared<Exchanged>();
  const int t = threadIdx.x, next = t / 32 * 32 + (t + 1) % 32;
  int value = t;
  for (int round = 0; round < 3; ++round) {
    s.value[t] = value;
    __syncwarp();
    value = s.value[next];
    __syncwarp();
  }
  out[t] = value;
}

void test_warp_barrier() {
  const Array<int> out(64);
  testing::launch(exchange, 1, 64, sizeof(Exchanged), out.data());
  bool right = true;
  for (int t = 0; t < 64; ++t) right = right && out[t] == t / 32 * 32 + (t + 3) % 32;
  expect(right, "__syncwarp orders what a warp shares");
}

__global__ void arithmetic(const float* x, const float4* fours, float* out, double* doubles) {
  out[0] = fmaf(x[0], x[0], x[1]);
  out[1] = x[0] * x[0] + x[1];
  const float2 two = {x[0], __ldg(x + 1)};
  const float4 four = fours[0];
  out[2] = two.x + two.y;
  out[3] = four.x + four.y * four.z - four.w;
  out[4] = sqrtf(x[2]);
  out[5] = simt::as_float(simt::as_bits(x[2]) ^ 0x80000000u);
  const double2 wide = {x[0], x[1]};
  doubles[0] = fma(wide.x, wide.x, wide.y);
  doubles[1] = simt::as_double(simt::as_bits(wide.x) ^ (std::uint64_t{1} << 63));
}

void test_arithmetic() {
  const Array<float> x(3), out(6);
  const Array<float4> fours(1);
  const Array<double> doubles(2);
  const float ulp = std::ldexp(1.f, -23);
  x[0] = 1 + ulp;
  x[1] = -1 - 2 * ulp;
  x[2] = 2;
  fours[0] = {1, 2, 3, 4};
  testing::launch(arithmetic, 1, 1, 0, x.data(), fours.data(), out.data(), doubles.data());
  expect(out[0] == ulp * ulp, "fmaf rounds once");
  expect(out[1] == 0, "a product and a sum that the source keeps apart round twice");
  expect(out[2] == -ulp && out[3] == 3, "float2, float4 and __ldg");
  expect(out[4] == std::sqrt(2.f) && out[5] == -2, "sqrtf, as_bits and as_float");
  expect(doubles[0] == static_cast<double>(ulp) * ulp && doubles[1] == -1 - static_cast<double>(ulp),
         "double2, fma, as_bits and as_double");
  testing::print_bits("arithmetic", out);
}

__global__ void nothing() {}

__global__ void use_much(float* out) {
  struct Much {
    float value[227 * 256];
  };
  auto& s = simt::shared<Much>();
  s.value[threadIdx.x * 1816] = static_cast<float>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = s.value[(31 - threadIdx.x) * 1816];
}

void test_launches() {
  const auto refuses = [](cudaError_t why, dim3 grid, dim3 block, std::size_t shared) {
    return simt::launch(nothing, grid, block, shared, nullptr) == why;
  };
  const cudaError_t shape = cudaErrorInvalidConfiguration;
  expect(refuses(shape, 1, 1025, 0) && refuses(shape, 1, dim3(32, 33), 0), "more than 1024 threads are refused");
  expect(refuses(shape, 1, dim3(1, 1, 65), 0) && refuses(shape, 1, 0, 0), "a block of 65 layers or of none is refused");
  expect(refuses(shape, dim3(1, 65536), 1, 0) && refuses(shape, dim3(1, 1, 65536), 1, 0) && refuses(shape, 0, 1, 0),
         "65536 rows of blocks are refused, and none");
  expect(refuses(cudaErrorInvalidValue, 1, 1, 227 * 1024 + 1), "more than 227 KiB of shared memory are refused");
  expect(refuses(cudaSuccess, dim3(1, 2), 1024, 0), "a launch after refused ones");
  const Array<float> out(32);
  const cudaError_t much = testing::launch(use_much, 1, 32, 227 * 1024, out.data());
  expect(much == cudaSuccess && out[0] == 31, "227 KiB of shared memory");
  expect(std::strcmp(simt::error_text(shape), "invalid configuration argument") == 0 &&
             std::strcmp(simt::error_text(cudaErrorInvalidValue), "invalid argument") == 0 &&
             std::strcmp(simt::error_text(cudaSuccess), "no error") == 0,
         "error_text");
}

// Two OS threads launch at once, again and again.
void test_two_launchers() {
  bool right[2] = {true, true};
  const auto work = [&right](int which) {
    const Array<float> in(512), out(512);
    testing::fill_with_integers(in, 7 + which);
    for (int again = 0; again < 20; ++again) {
      testing::launch(reverse, 2, 256, sizeof(Reversed), in.data(), out.data(), 512);
      for (int i = 0; i < 512; ++i) right[which] = right[which] && out[i] == in[i / 256 * 256 + 255 - i % 256];
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  expect(right[0] && right[1], "two threads of the host launch at once");
}

}  // namespace

int main() {
  test_shared_memory();
  test_indices();
  test_shuffles();
  test_votes();
  test_warp_barrier();
  test_arithmetic();
  test_launches();
  test_two_launchers();
  return testing::failures;
}
