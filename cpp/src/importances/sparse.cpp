// α given as a sparse matrix: every operation reads its entries by rows and by columns.
#include <algorithm>
#include <cmath>
#include <utility>

#include "alphacl/sparse_matrix.h"
#include "importances/products.h"
#include "runtime/threads.h"
#include "runtime/twofold_sum.h"

namespace alphacl {
namespace {

constexpr index_t chunk = 128;  // rows per task

template <class T>
class Sparse final : public ProductImportance<T> {
 public:
  explicit Sparse(std::shared_ptr<const SparseMatrix> matrix)
      : ProductImportance<T>(matrix->size), matrix_(std::move(matrix)) {
    const std::vector<double>& values = matrix_->rows.values;
    nonnegative_ = std::all_of(values.begin(), values.end(), [](double a) { return a >= 0; });
  }

  void row_sums(double* r) const override { sums(matrix_->rows, r); }
  void col_sums(double* c) const override { sums(matrix_->columns, c); }

  void matmul(View<const T> y, View<T> out) const override {
    const index_t q = y.cols;
    PerWorker<Buffer<double>> sums;
    for_rows([&](index_t i, int worker) {
      Buffer<double>& sum = sums[worker];
      sum.resize(q);
      std::fill_n(sum.data(), q, 0.0);
      for_line(matrix_->rows, i, [&](index_t j, double a) { add(a, y.row(j), q, sum.data()); });
      for (index_t k = 0; k < q; ++k) out.row(i)[k] = static_cast<T>(sum[k]);
    });
  }

  // The diagonal is left out: it would swallow small entries beside it.
  void symmetric_product(View<const T> y, View<double> out, double* degree, double* row_sum) const override {
    const index_t q = y.cols;
    if (degree != nullptr) row_sums(row_sum);
    for_rows([&](index_t i, int) {
      TwofoldSum sum;
      for (index_t k = 0; k < q; ++k) out.row(i)[k] = 0;
      for_pairs(i, [&](index_t j, double a) {
        sum.add(a);
        if (q > 0) add(a, y.row(j), q, out.row(i));
      });
      if (degree != nullptr) degree[i] = sum.value();
    });
  }

  void differences(View<const T> y, View<double> out) const override {
    const index_t q = y.cols;
    for_rows([&](index_t i, int) {
      double* sum = out.row(i);
      const T* own = y.row(i);
      std::fill_n(sum, q, 0.0);
      for_pairs(i, [&](index_t j, double a) {
        const T* other = y.row(j);
        for (index_t k = 0; k < q; ++k) sum[k] += a * (static_cast<double>(own[k]) - static_cast<double>(other[k]));
      });
    });
  }

  bool symmetric() const override { return false; }
  bool nonnegative() const override { return nonnegative_; }

  void to_dense(View<T> out) const override {
    PerWorker<Buffer<double>> rows;
    for_rows([&](index_t i, int worker) {
      Buffer<double>& row = rows[worker];
      row.resize(this->size());
      std::fill_n(row.data(), this->size(), 0.0);
      for_line(matrix_->rows, i, [&](index_t j, double a) { row[j] += a; });
      for (index_t j = 0; j < this->size(); ++j) out.row(i)[j] = static_cast<T>(row[j]);
    });
  }

  std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const override {
    Buffer<index_t> place(this->size(), -1);
    for (index_t r = 0; r < n; ++r) place[rows[r]] = r;
    auto part = std::make_shared<SparseMatrix>(SparseMatrix{n, {}, {}});
    part->rows.start.push_back(0);
    for (index_t r = 0; r < n; ++r) {
      for_line(matrix_->rows, rows[r], [&](index_t j, double a) {
        if (place[j] < 0) return;
        part->rows.other.push_back(place[j]);
        part->rows.values.push_back(a);
      });
      part->rows.start.push_back(static_cast<index_t>(part->rows.other.size()));
    }
    part->columns = transposed(part->rows, n);
    return std::make_unique<Sparse<T>>(std::move(part));
  }
  std::unique_ptr<Importance<double>> widened() const override { return std::make_unique<Sparse<double>>(matrix_); }

 protected:
  std::unique_ptr<ProductImportance<T>> absolute() const override {
    if (nonnegative_) return nullptr;
    auto sizes = std::make_shared<SparseMatrix>(*matrix_);
    for (SparseLines* lines : {&sizes->rows, &sizes->columns})
      for (double& a : lines->values) a = std::fabs(a);
    return std::make_unique<Sparse<T>>(std::move(sizes));
  }

 private:
  // body(row, worker).
  template <class F>
  void for_rows(F&& body) const {
    const index_t n = this->size();
    parallel_for(ceil_div(n, chunk), [&](index_t b, int worker) {
      for (index_t i = b * chunk; i < std::min(n, (b + 1) * chunk); ++i) {
        poll();
        body(i, worker);
      }
    });
  }
  // body(other end, entry).
  template <class F>
  static void for_line(const SparseLines& lines, index_t i, F&& body) {
    for (index_t e = lines.begin(i); e < lines.end(i); ++e)
      body(lines.other[static_cast<std::size_t>(e)], lines.values[static_cast<std::size_t>(e)]);
  }
  // The entries α_ij and α_ji with j ≠ i.
  template <class F>
  void for_pairs(index_t i, F&& body) const {
    for (const SparseLines* lines : {&matrix_->rows, &matrix_->columns})
      for_line(*lines, i, [&](index_t j, double a) {
        if (j != i) body(j, a);
      });
  }
  static void add(double a, const T* row, index_t q, double* sum) {
    for (index_t k = 0; k < q; ++k) sum[k] += a * static_cast<double>(row[k]);
  }
  void sums(const SparseLines& lines, double* out) const {
    for_rows([&](index_t i, int) {
      TwofoldSum sum;
      for_line(lines, i, [&](index_t, double a) { sum.add(a); });
      out[i] = sum.value();
    });
  }

  std::shared_ptr<const SparseMatrix> matrix_;
  bool nonnegative_;
};

}  // namespace

template <class T>
std::unique_ptr<Importance<T>> sparse(SparseMatrix matrix) {
  return std::make_unique<Sparse<T>>(std::make_shared<SparseMatrix>(std::move(matrix)));
}

template std::unique_ptr<Importance<float>> sparse<float>(SparseMatrix);
template std::unique_ptr<Importance<double>> sparse<double>(SparseMatrix);

}  // namespace alphacl
