// Packed panels: the form in which kernels read a block of rows for a matrix product.
//
// A panel is a strip of P columns (`Kernels::panel`: 16 floats or 8 doubles, 64 bytes) of n rows, stored row after row.
// A matrix of d columns is ⌈d/P⌉ panels, `stride` rows apart; the last one is padded with 0. Entry (row r, column c) is
//
//     data[(c / P · stride + r) · P + c % P].
//
//     columns    0 … P−1          P … 2P−1                    one row of a panel = one cache line
//     row 0    [ line 0      ]  [ line stride     ]
//     row 1    [ line 1      ]  [ line stride + 1 ]           a product of two panels reads
//       …                                                     two contiguous streams, top to bottom
//     row n−1  [ line n−1    ]  [ line stride+n−1 ]
//
// 64 bytes are one cache line, and one, two or four registers of every instruction set: no load is split. The
// stride of PackedPanels is odd: packing writes row r of every panel, lines that lie `stride` apart, and powers of two
// apart they would share a few sets of the first-level cache.
#pragma once

#include "alphacl/view.h"

namespace alphacl {

/// Rows that the Gram kernels take at a time; their sums then go to double. The packed rows stay in the second-level
/// cache: 6 % faster than 128, as fast as 256 at d = 256.
constexpr index_t gram_chunk = 192;

/// Rows whose products are added up one after the other; the sums of these chains are then added to one another.
/// Roundings of equal terms have one sign, and n of them err by up to n/6 ε of their sum: chains of 192 left 8e-6 of a
/// covariance in float32.
constexpr index_t chain_rows = 24;

/// λ_r = ¾ (1 + frac(0.618 r)): row r is multiplied with it, and its partner in the product, or the sum, divided by it.
/// Products of equal samples then round differently, and their rounding errors do not add up: Σ (x − shift)(x − shift)ᵀ
/// of ones and zeros lost 2e-6 in float32 without it, 2e-8 with it.
double row_factor(index_t r);
/// λ_0 … λ_{gram_chunk − 1}, rounded to T.
template <class T>
const T* row_factors();

/// Rows of a moment Σ_i φ_i x_i that are added up in the type of the data before they go to double.
constexpr index_t moment_chunk = 64;

/// The most packed rows that multiply_tile takes at once.
constexpr index_t most_multiplied = 512;

/// Columns of the widest panel.
constexpr index_t most_panel = 16;

/// Packed rows, as above.
template <class T>
struct Panels {
  T* data;
  index_t stride;  // rows from one panel to the next
  index_t count;   // panels
};

/// Two blocks of memory rows that are needed next, prefetched line by line beside other work.
struct TilePrefetch {
  struct Block {
    const char* base;
    index_t rows, stride, lines;  // stride in bytes, lines of 64 bytes per row
  };
  Block block[2];
  index_t current, row, line;
};

/// Rows of two arrays that are needed next, prefetched line by line: n rows of each, rows[r] or, where null, first + r.
struct RowPrefetch {
  const char* base[2];
  index_t stride[2];  // in bytes
  const index_t* rows;
  index_t first, n, lines;
  index_t row, line;  // the next line
};

}  // namespace alphacl
