// Packed panels: how many rows are packed at a time, and what is prefetched while they are multiplied.
#pragma once

#include "alphacl/view.h"

namespace alphacl {

/// Rows that the Gram kernels take at a time. float32 sums are chains of that length, or twice it (chains of 2048 left
/// 7e-7), and what is packed of them stays in the second-level cache: 6 % faster than 128, as fast as 256 at d = 256.
constexpr index_t gram_chunk = 192;

/// λ_r = ¾ (1 + frac(0.618 r)). Row r of what is summed is multiplied with it, and what it meets, or the sum, is
/// divided by it. Products and partial sums of equal samples then round differently, and what is lost in a sum of many
/// of them does not add up: Σ (x − shift)(x − shift)ᵀ of ones and zeros lost 2e-6 in float32, and loses 2e-8.
double row_factor(index_t r);
/// Those of the rows of a chunk, rounded.
template <class T>
const T* row_factors();

/// Terms of a moment Σ_i φ_i x_i that are added up in the type of the data: where many are equal, the roundings of a
/// chain have one sign: and 256 of them left 1e-6.
constexpr index_t moment_chain = 64;

constexpr index_t most_multiplied = 512;

/// Columns of the widest panel.
constexpr index_t most_panel = 16;

/// Packed rows: entry (r, c) is data[(c / P · stride + r) · P + c % P], P the columns of a panel (Kernels<T>::panel);
/// the last panel is padded with 0.
template <class T>
struct Panels {
  T* data;
  index_t stride;  // rows from one panel to the next
  index_t count;   // panels
};

/// Two blocks of rows that are needed next, to prefetch line by line during other work.
struct TilePrefetch {
  struct Block {
    const char* base;
    index_t rows, stride, lines;  // stride in bytes, lines of 64 bytes per row
  };
  Block block[2];
  index_t current, row, line;
};

/// The same for n rows of each of two arrays, rows[r] or, where null, first + r.
struct RowPrefetch {
  const char* base[2];
  index_t stride[2];  // in bytes
  const index_t* rows;
  index_t first, n, lines;
  index_t row, line;  // what is asked for next
};

}  // namespace alphacl
