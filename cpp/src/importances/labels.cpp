// α_ij = a where two samples have one label, else b, by sums of classes.
#include <algorithm>
#include <cmath>
#include <utility>

#include "alphacl/classes.h"
#include "importances/products.h"
#include "runtime/threads.h"

namespace alphacl {
namespace {

constexpr index_t longest_run = 1024;  // samples of one class that are added up at a time
constexpr index_t runs_per_task = 32;
constexpr index_t chunk = 256;

// For every class the sums over its samples and, by sums from both ends, over all others: nothing is subtracted.
struct ClassSums {
  Buffer<double> own, rest;  // classes × q
};

// Consecutive samples of one class in Classes::order.
struct Run {
  index_t of, begin, end;
};

std::vector<Run> runs_of(const Classes& classes) {
  std::vector<Run> runs;
  for (index_t c = 0; c < classes.count(); ++c)
    for (index_t r = classes.begin(c); r < classes.end(c); r += longest_run)
      runs.push_back({c, r, std::min(classes.end(c), r + longest_run)});
  return runs;
}

template <class T>
class Labels final : public ProductImportance<T> {
 public:
  Labels(std::shared_ptr<const Classes> classes, double same, double different)
      : ProductImportance<T>(classes->size()),
        classes_(std::move(classes)),
        runs_(runs_of(*classes_)),
        same_(same),
        different_(different) {}

  void row_sums(double* r) const override {
    for_samples([&](index_t i, index_t c) { r[i] = same_ * members(c) + different_ * others(c); });
  }
  void col_sums(double* c) const override { row_sums(c); }

  void matmul(View<const T> y, View<T> out) const override {
    const ClassSums sums = class_sums(y);
    const index_t q = y.cols;
    for_samples([&](index_t i, index_t c) {
      const double *own = sums.own.data() + c * q, *rest = sums.rest.data() + c * q;
      for (index_t k = 0; k < q; ++k) out.row(i)[k] = static_cast<T>(same_ * own[k] + different_ * rest[k]);
    });
  }

  // The diagonal is left out: it would swallow `different` where that is small.
  void symmetric_product(View<const T> y, View<double> out, double* degree, double* row_sum) const override {
    const index_t q = y.cols;
    if (degree != nullptr) {
      row_sums(row_sum);
      for_samples([&](index_t i, index_t c) { degree[i] = 2 * (same_ * (members(c) - 1) + different_ * others(c)); });
    }
    if (q == 0) return;
    const ClassSums sums = class_sums(y);
    for_samples([&](index_t i, index_t c) {
      const double *own = sums.own.data() + c * q, *rest = sums.rest.data() + c * q;
      const T* row = y.row(i);
      for (index_t k = 0; k < q; ++k)
        out.row(i)[k] = 2 * (same_ * (own[k] - static_cast<double>(row[k])) + different_ * rest[k]);
    });
  }

  // 2 [a n_c (y_i − mean of the class) + b (N − n_c) (y_i − mean of the others)]. A rounding of the mean would be in
  // every y_i − mean alike, and the samples of a class far from the others would add it up: their mean is taken off
  // too.
  void differences(View<const T> y, View<double> out) const override {
    const ClassSums sums = class_sums(y);
    const index_t q = y.cols;
    const Buffer<double> mean = means(sums.own, q), left = means(own_sums(y, mean.data()), q);
    for_samples([&](index_t i, index_t c) {
      const double *own = mean.data() + c * q, *far = left.data() + c * q, *rest = sums.rest.data() + c * q;
      const double of_own = same_ * members(c), of_rest = different_ * others(c), other = std::max(1.0, others(c));
      const T* row = y.row(i);
      for (index_t k = 0; k < q; ++k) {
        const double value = static_cast<double>(row[k]), apart = (value - own[k]) - far[k];
        out.row(i)[k] = 2 * (of_own * apart + of_rest * (value - rest[k] / other));
      }
    });
  }

  bool nonnegative() const override { return same_ >= 0 && different_ >= 0; }

  void to_dense(View<T> out) const override {
    const std::vector<index_t>& of = classes_->of;
    for_samples([&](index_t i, index_t c) {
      for (index_t j = 0; j < this->size(); ++j)
        out.row(i)[j] = static_cast<T>(of[static_cast<std::size_t>(j)] == c ? same_ : different_);
    });
  }

  std::unique_ptr<Importance<T>> restricted(const index_t* rows, index_t n) const override {
    std::vector<std::int64_t> labels(static_cast<std::size_t>(n));
    for (index_t r = 0; r < n; ++r) labels[static_cast<std::size_t>(r)] = class_of(rows[r]);
    return std::make_unique<Labels<T>>(std::make_shared<Classes>(classes_of(labels.data(), n)), same_, different_);
  }
  std::unique_ptr<Importance<double>> widened() const override {
    return std::make_unique<Labels<double>>(classes_, same_, different_);
  }

 protected:
  std::unique_ptr<ProductImportance<T>> absolute() const override {
    if (nonnegative()) return nullptr;
    return std::make_unique<Labels<T>>(classes_, std::fabs(same_), std::fabs(different_));
  }

 private:
  double members(index_t c) const { return static_cast<double>(classes_->members(c)); }
  double others(index_t c) const { return static_cast<double>(this->size() - classes_->members(c)); }
  index_t class_of(index_t i) const { return classes_->of[static_cast<std::size_t>(i)]; }

  // body(sample, its class).
  template <class F>
  void for_samples(F&& body) const {
    const index_t n = this->size();
    parallel_for(ceil_div(n, chunk), [&](index_t b, int) {
      for (index_t i = b * chunk; i < std::min(n, (b + 1) * chunk); ++i) body(i, class_of(i));
    });
  }

  // Sums of runs, then of classes: both lists depend on the labels alone, so the number of threads changes no bit.
  // origin (classes × q): what is subtracted from the samples of a class; null: nothing.
  Buffer<double> own_sums(View<const T> y, const double* origin) const {
    const index_t q = y.cols, runs = static_cast<index_t>(runs_.size());
    const Buffer<double> none(origin ? 0 : q, 0.0);
    Buffer<double> parts(runs * q, 0.0);
    parallel_for(ceil_div(runs, runs_per_task), [&](index_t task, int) {
      for (index_t s = task * runs_per_task; s < std::min(runs, (task + 1) * runs_per_task); ++s) {
        const Run& run = runs_[static_cast<std::size_t>(s)];
        const double* from = origin ? origin + run.of * q : none.data();
        double* sum = parts.data() + s * q;
        for (index_t r = run.begin; r < run.end; ++r) {
          const T* row = y.row(classes_->order[static_cast<std::size_t>(r)]);
          for (index_t k = 0; k < q; ++k) sum[k] += static_cast<double>(row[k]) - from[k];
        }
      }
    });
    Buffer<double> own(classes_->count() * q, 0.0);
    for (index_t s = 0; s < runs; ++s)
      for (index_t k = 0; k < q; ++k) own[runs_[static_cast<std::size_t>(s)].of * q + k] += parts[s * q + k];
    return own;
  }

  Buffer<double> means(const Buffer<double>& sums, index_t q) const {
    Buffer<double> mean(classes_->count() * q);
    for (index_t c = 0; c < classes_->count(); ++c)
      for (index_t k = 0; k < q; ++k) mean[c * q + k] = sums[c * q + k] / members(c);
    return mean;
  }

  ClassSums class_sums(View<const T> y) const {
    const index_t q = y.cols, count = classes_->count();
    ClassSums sums{own_sums(y, nullptr), Buffer<double>(count * q, 0.0)};
    Buffer<double> before(q, 0.0), behind(q, 0.0);
    for (index_t c = 0, last = count - 1; c < count; ++c, --last)
      for (index_t k = 0; k < q; ++k) {
        sums.rest[c * q + k] += before[k];
        before[k] += sums.own[c * q + k];
        sums.rest[last * q + k] += behind[k];
        behind[k] += sums.own[last * q + k];
      }
    return sums;
  }

  std::shared_ptr<const Classes> classes_;
  std::vector<Run> runs_;
  double same_, different_;
};

}  // namespace

template <class T>
std::unique_ptr<Importance<T>> labels(const std::int64_t* of, index_t size, double same, double different) {
  return std::make_unique<Labels<T>>(std::make_shared<Classes>(classes_of(of, size)), same, different);
}

template std::unique_ptr<Importance<float>> labels<float>(const std::int64_t*, index_t, double, double);
template std::unique_ptr<Importance<double>> labels<double>(const std::int64_t*, index_t, double, double);

}  // namespace alphacl
