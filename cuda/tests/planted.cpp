// A product of matrices by tiles, with the bug that PLANTED chooses: tools/emulate fails where a check does not find
// its.
//
// 1: a shared index out of bounds (UndefinedBehaviorSanitizer); 2: a barrier is missing (ThreadSanitizer); 3: shared
// memory is read that nobody wrote (MemorySanitizer); 4: bits depend on the order of the blocks (orders compared).
#include "tests/testing.h"

#ifndef PLANTED
#define PLANTED 0
#endif

namespace {

constexpr int tile = 16, size = 41;  // the last tile is in part

struct Tiles {
  float a[tile][tile], b[tile][tile];
};

__global__ void product(const float* a, const float* b, float* c, float* totals) {
  auto& s = simt::shared<Tiles>();
  const int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * tile + y, column = blockIdx.x * tile + x;
  float sum = 0;
  for (int k0 = 0; k0 < size; k0 += tile) {
    if (PLANTED != 2) __syncthreads();  // the tiles before have been read
    s.a[y][x] = row < size && k0 + x < size ? a[row * size + k0 + x] : 0.f;
    if (PLANTED != 3 || x < tile - 1) s.b[y][x] = k0 + y < size && column < size ? b[(k0 + y) * size + column] : 0.f;
    __syncthreads();
    for (int k = 0; k < tile; ++k) sum = fmaf(s.a[y][k + (PLANTED == 1 ? 1 : 0)], s.b[k][x], sum);
  }
  if (row < size && column < size) c[row * size + column] = sum;
  if (x != 0 || y != 0) return;
  if (PLANTED == 4)
    totals[0] += sum / 3;
  else
    totals[blockIdx.y * gridDim.x + blockIdx.x] = sum / 3;
}

}  // namespace

int main() {
  const unsigned blocks = (size + tile - 1) / tile;
  const testing::Array<float> a(size * size), b(size * size), c(size * size), totals(blocks * blocks);
  testing::fill_with_integers(a, 1);
  testing::fill_with_integers(b, 2);
  for (std::size_t i = 0; i < totals.size(); ++i) totals[i] = 0;
  testing::launch(product, dim3(blocks, blocks), dim3(tile, tile), sizeof(Tiles), a.data(), b.data(), c.data(),
                  totals.data());
  bool right = true;
  for (int i = 0; i < size; ++i)
    for (int j = 0; j < size; ++j) {
      float sum = 0;
      for (int k = 0; k < size; ++k) sum += a[i * size + k] * b[k * size + j];
      right = right && c[i * size + j] == sum;
    }
  testing::expect(right, "the product by tiles");
  testing::print_bits("the product", c);
  testing::print_bits("a number of each block", totals);
  return testing::failures;
}
