// A square sparse matrix by rows and by columns, in double: both are needed where no two threads may write to one sum.
#pragma once

#include <cstdint>
#include <vector>

#include "alphacl/view.h"

namespace alphacl {

/// The entries of line i are start[i] … start[i + 1] − 1; `other` is their column in a matrix by rows, their row in one
/// by columns. Entries of one place add up.
struct SparseLines {
  std::vector<index_t> start, other;
  std::vector<double> values;

  index_t begin(index_t i) const { return start[static_cast<std::size_t>(i)]; }
  index_t end(index_t i) const { return start[static_cast<std::size_t>(i) + 1]; }
};

struct SparseMatrix {
  index_t size;  // N
  SparseLines rows, columns;
};

/// The columns from the rows, in time O(N + entries); entries of a column are in the order of their rows.
inline SparseLines transposed(const SparseLines& rows, index_t n) {
  SparseLines columns;
  const std::size_t entries = rows.other.size();
  columns.start.assign(static_cast<std::size_t>(n) + 1, 0);
  columns.other.resize(entries);
  columns.values.resize(entries);
  for (const index_t j : rows.other) ++columns.start[static_cast<std::size_t>(j) + 1];
  for (std::size_t j = 0; j < static_cast<std::size_t>(n); ++j) columns.start[j + 1] += columns.start[j];
  std::vector<index_t> next(columns.start.begin(), columns.start.end() - 1);
  for (index_t i = 0; i < n; ++i)
    for (index_t e = rows.begin(i); e < rows.end(i); ++e) {
      const std::size_t from = static_cast<std::size_t>(e), column = static_cast<std::size_t>(rows.other[from]);
      const std::size_t to = static_cast<std::size_t>(next[column]++);
      columns.other[to] = i;
      columns.values[to] = rows.values[from];
    }
  return columns;
}

/// What is wrong with a matrix in compressed rows (CSR): n + 1 starts, `entries` columns; null where nothing is.
inline const char* csr_fault(const std::int64_t* starts, const std::int64_t* columns, index_t n, index_t entries) {
  if (starts[0] != 0) return "row starts from 0 on";
  for (index_t i = 0; i < n; ++i)
    if (starts[i + 1] < starts[i]) return "row starts that do not fall";
  if (starts[n] != entries) return "as many entries as the row starts say";
  for (index_t e = 0; e < entries; ++e)
    if (columns[e] < 0 || columns[e] >= n) return "columns from 0 to N - 1";
  return nullptr;
}

/// The matrix of compressed rows without a fault.
template <class S>
SparseMatrix sparse_matrix(const std::int64_t* starts, const std::int64_t* columns, const S* values, index_t n) {
  SparseMatrix made{n, {}, {}};
  made.rows.start.assign(starts, starts + n + 1);
  made.rows.other.assign(columns, columns + starts[n]);
  made.rows.values.assign(values, values + starts[n]);
  made.columns = transposed(made.rows, n);
  return made;
}

}  // namespace alphacl
