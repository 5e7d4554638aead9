// α given as a sparse matrix: one thread adds up the entries of one row, and of one column, for one number of the
// result. The host makes the columns of the rows once, from a copy of the matrix. Operations: a multiply-add for each
// entry and column of y, for differences 4; bytes: 16 of an entry, and a number of y, through L2, which threads of one
// row share. No shared memory; registers: 22 to 40. Limit: memory, or the longest row, which nobody splits. Source: row
// sums and products of compressed rows; XᵀαX by nnz d operations (derived).
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "alphacl/sparse_matrix.h"
#include "importances/importance.h"
#include "runtime/copies.h"
#include "sums/rows.h"
#include "sums/two_doubles.h"

namespace alphacl::cuda {
namespace {

constexpr index_t most_numbers = index_t{1} << 22;  // of α at a time, on its way to the type of a result

// SparseLines on the device.
struct Lines {
  const index_t *start, *other;
  const double* values;
};

struct LineSums {
  Lines lines;
  double* out;
  __device__ void operator()(std::int64_t i) const {
    TwoDoubles sum;
    for (index_t e = lines.start[i]; e < lines.start[i + 1]; ++e) sum.add(lines.values[e]);
    out[i] = sum.value();
  }
};

template <class S>
struct SparseProduct {
  Lines rows;
  View<const S> y;
  View<S> out;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / y.cols, k = e % y.cols;
    double sum = 0;
    for (index_t a = rows.start[i]; a < rows.start[i + 1]; ++a)
      sum = fma(rows.values[a], static_cast<double>(y.data[rows.other[a] * y.stride + k]), sum);
    out.data[i * out.stride + k] = static_cast<S>(sum);
  }
};

// l_i = Σ_j (α_ij + α_ji)(x_i − x_j), from data as it is: neighbours far from the origin lose no digit.
struct SparseLaplacian {
  Lines rows, columns;
  const double* x;
  index_t d;
  double* l;
  __device__ double along(const Lines& lines, index_t i, index_t k, double sum) const {
    for (index_t a = lines.start[i]; a < lines.start[i + 1]; ++a)
      sum = fma(lines.values[a], x[i * d + k] - x[lines.other[a] * d + k], sum);
    return sum;
  }
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / d, k = e % d;
    l[e] = along(columns, i, k, along(rows, i, k, 0));
  }
};

// Adds the entries of rows `first` … of α; entries of one place add up.
struct AddEntries {
  Lines rows;
  index_t first, n;
  double* out;
  __device__ void operator()(std::int64_t row) const {
    for (index_t a = rows.start[first + row]; a < rows.start[first + row + 1]; ++a)
      out[row * n + rows.other[a]] += rows.values[a];
  }
};

template <class S>
class Sparse final : public Importance<S> {
 public:
  Sparse(index_t size, const Lines& rows, const Lines& columns) : Importance<S>(size), rows_(rows), columns_(columns) {}

  void sums(const Stream& on, double* r, double* c) const override {
    if (r != nullptr) for_each(on, "line_sums", this->size(), LineSums{rows_, r});
    if (c != nullptr) for_each(on, "line_sums", this->size(), LineSums{columns_, c});
  }
  void matmul(const Stream& on, View<const S> y, View<S> out) const override {
    for_each(on, "sparse_product", y.rows * y.cols, SparseProduct<S>{rows_, y, out});
  }
  void laplacian(const Stream& on, const Samples& x, double* l, double* row_sum) const override {
    for_each(on, "sparse_laplacian", x.n * x.d, SparseLaplacian{rows_, columns_, x.raw, x.d, l});
    sums(on, row_sum, nullptr);
  }
  void to_dense(const Stream& on, View<S> out) const override {
    // Entries of one place add up in double: some rows at a time.
    const index_t n = this->size(), block = std::clamp<index_t>(most_numbers / n, 1, n);
    double* const numbers = on.memory.take<double>(block * n);
    for (index_t first = 0; first < n; first += block) {
      const index_t count = std::min(block, n - first);
      rows(on, first, count, numbers);
      for_each(on, "narrow", count * n, Narrow<S>{numbers, {out.row(first), count, n, out.stride}});
    }
  }
  void rows(const Stream& on, index_t first, index_t count, double* out) const override {
    for_each(on, "fill", count * this->size(), Fill{0, out});
    for_each(on, "add_entries", count, AddEntries{rows_, first, this->size(), out});
  }

 private:
  Lines rows_, columns_;
};

template <class T>
std::vector<T> on_host(const Stream& on, const T* from, index_t count) {
  std::vector<T> to(static_cast<std::size_t>(count));
  read_back(on, from, count, to.data());
  return to;
}

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> sparse(const Stream& on, const CompressedRows<S>& given, Workspace& memory) {
  const index_t n = given.size;
  const std::vector<std::int64_t> starts = on_host(on, given.starts, n + 1);
  const std::vector<std::int64_t> columns = on_host(on, given.columns, given.entries);
  const std::vector<S> values = on_host(on, given.values, given.entries);
  if (const char* fault = csr_fault(starts.data(), columns.data(), n, given.entries))
    throw std::invalid_argument(std::string("matrix: expected ") + fault + ", got others");
  const SparseMatrix matrix = sparse_matrix(starts.data(), columns.data(), values.data(), n);
  const SparseLines &rows = matrix.rows, &across = matrix.columns;
  const auto [row, column, of_row, start, place, of_column] = on_device_together(
      Stream{on.handle, memory}, rows.start, rows.other, rows.values, across.start, across.other, across.values);
  return std::make_unique<Sparse<S>>(n, Lines{row, column, of_row}, Lines{start, place, of_column});
}

template std::unique_ptr<Importance<float>> sparse<float>(const Stream&, const CompressedRows<float>&, Workspace&);
template std::unique_ptr<Importance<double>> sparse<double>(const Stream&, const CompressedRows<double>&, Workspace&);

}  // namespace alphacl::cuda
