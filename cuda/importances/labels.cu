// α_ij = a where two samples have one label, else b: by sums of classes, in time linear in N.
//
// The host groups the samples once, from a copy of their labels; kernels then add up runs of at most 256 samples of a
// class, the runs of every class, and from both ends the classes, in groups of at most 256: nothing is subtracted, and
// every order is fixed. Operations: 2 additions for each sample and column, 5 for each class and column; bytes: a row
// of y read by way of a list and one written, 40 for each class and column. No thread waits for another: no shared
// memory; registers: 22 to 40. Limit: memory. Source: Xᵀα X = b S Sᵀ + (a − b) Σ_c S_c S_cᵀ (derived).
#include <algorithm>
#include <vector>

#include "alphacl/classes.h"
#include "importances/importance.h"
#include "runtime/copies.h"
#include "sums/elementwise.h"

namespace alphacl::cuda {
namespace {

constexpr index_t longest_run = 256;

// Arrays of the device: run s holds the samples order[run_start[s]] … order[run_start[s + 1] − 1], class c the runs
// first_run[c] … first_run[c + 1] − 1.
struct ClassLists {
  index_t n, count, runs;
  double same, different;
  const index_t *of, *order, *start, *run_start, *first_run;

  __device__ double members(index_t c) const { return static_cast<double>(start[c + 1] - start[c]); }
  __device__ double others(index_t c) const { return static_cast<double>(n - (start[c + 1] - start[c])); }
};

// parts (runs × q) = sums over the samples of a run.
template <class Y>
struct RunSums {
  ClassLists classes;
  View<const Y> y;
  double* parts;
  __device__ void operator()(std::int64_t e) const {
    const index_t s = e / y.cols, k = e % y.cols;
    double sum = 0;
    for (index_t r = classes.run_start[s]; r < classes.run_start[s + 1]; ++r)
      sum += static_cast<double>(y.data[classes.order[r] * y.stride + k]);
    parts[e] = sum;
  }
};

// own (classes × q) = sums over the samples of a class.
struct OwnSums {
  ClassLists classes;
  index_t q;
  const double* parts;
  double* own;
  __device__ void operator()(std::int64_t e) const {
    const index_t c = e / q, k = e % q;
    double sum = 0;
    for (index_t s = classes.first_run[c]; s < classes.first_run[c + 1]; ++s) sum += parts[s * q + k];
    own[e] = sum;
  }
};

// Classes in groups of at most 256, for sums over all classes before one and behind it.
struct ClassGroups {
  index_t count, q;  // classes, columns
  __host__ __device__ index_t groups() const { return (count + longest_run - 1) / longest_run; }
  __device__ index_t begin(index_t g) const { return g * longest_run; }
  __device__ index_t end(index_t g) const { return smaller(count, (g + 1) * longest_run); }
};

// sums (groups × q) over the classes of a group.
struct GroupSums {
  ClassGroups of;
  const double* own;
  double* sums;
  __device__ void operator()(std::int64_t e) const {
    const index_t g = e / of.q, k = e % of.q;
    double sum = 0;
    for (index_t c = of.begin(g); c < of.end(g); ++c) sum += own[c * of.q + k];
    sums[e] = sum;
  }
};

// before, behind (groups × q): sums over the groups on either side; one thread a column.
struct BesideGroups {
  ClassGroups of;
  const double* sums;
  double *before, *behind;
  __device__ void operator()(std::int64_t k) const {
    double sum = 0;
    for (index_t g = 0; g < of.groups(); ++g) {
      before[g * of.q + k] = sum;
      sum += sums[g * of.q + k];
    }
    sum = 0;
    for (index_t g = of.groups() - 1; g >= 0; --g) {
      behind[g * of.q + k] = sum;
      sum += sums[g * of.q + k];
    }
  }
};

// rest (classes × q) = sums over the samples of all other classes; one thread a group and column.
struct RestSums {
  ClassGroups of;
  const double *own, *before, *behind;
  double* rest;
  __device__ void operator()(std::int64_t e) const {
    const index_t g = e / of.q, k = e % of.q;
    double sum = before[e];
    for (index_t c = of.begin(g); c < of.end(g); ++c) {
      rest[c * of.q + k] = sum;
      sum += own[c * of.q + k];
    }
    sum = behind[e];
    for (index_t c = of.end(g) - 1; c >= of.begin(g); --c) {
      rest[c * of.q + k] += sum;
      sum += own[c * of.q + k];
    }
  }
};

struct ClassTotals {
  index_t q;
  const double *own, *rest;  // classes × q
};

struct LabelSums {
  ClassLists classes;
  double* r;
  __device__ void operator()(std::int64_t i) const {
    const index_t c = classes.of[i];
    r[i] = classes.same * classes.members(c) + classes.different * classes.others(c);
  }
};

template <class S>
struct LabelProduct {
  ClassLists classes;
  ClassTotals totals;
  View<S> out;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / totals.q, k = e % totals.q, at = classes.of[i] * totals.q + k;
    out.data[i * out.stride + k] = static_cast<S>(classes.same * totals.own[at] + classes.different * totals.rest[at]);
  }
};

// x_i − mean of the class.
struct WithoutClassMean {
  ClassLists classes;
  index_t q;
  const double *sums, *x;
  double* out;
  __device__ void operator()(std::int64_t e) const {
    const index_t c = classes.of[e / q];
    out[e] = x[e] - sums[c * q + e % q] / classes.members(c);
  }
};

// l_i = 2 [a n_c (x_i − mean of the class) + b (N − n_c) (x_i − mean of the others)]. `apart`: x_i − the rounded mean
// of the class, whose own mean is what rounding left: it is alike in all members, so a covariance adds it up.
struct LabelLaplacian {
  ClassLists classes;
  ClassTotals totals;
  const double *left, *apart, *x;
  double* l;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / totals.q, c = classes.of[i], at = c * totals.q + e % totals.q;
    const double members = classes.members(c), others = classes.others(c);
    const double own = apart[e] - left[at] / members, rest = x[e] - totals.rest[at] / (others > 0 ? others : 1);
    l[e] = 2 * (classes.same * members * own + classes.different * others * rest);
  }
};

// Rows `first` … of α.
template <class T>
struct LabelEntries {
  ClassLists classes;
  index_t first;
  View<T> out;
  __device__ void operator()(std::int64_t e) const {
    const index_t row = e / classes.n, j = e % classes.n;
    const bool equal = classes.of[first + row] == classes.of[j];
    out.data[row * out.stride + j] = static_cast<T>(equal ? classes.same : classes.different);
  }
};

template <class S>
class Labels final : public Importance<S> {
 public:
  explicit Labels(const ClassLists& classes) : Importance<S>(classes.n), classes_(classes) {}

  void sums(const Stream& on, double* r, double* c) const override {
    for (double* to : {r, c})
      if (to != nullptr) for_each(on, "label_sums", classes_.n, LabelSums{classes_, to});
  }
  void matmul(const Stream& on, View<const S> y, View<S> out) const override {
    for_each(on, "label_product", y.rows * y.cols, LabelProduct<S>{classes_, totals(on, y), out});
  }
  void laplacian(const Stream& on, const Samples& x, double* l, double* row_sum) const override {
    const ClassTotals found = totals(on, View<const double>{x.centred, x.n, x.d, x.d});
    double* const apart = on.memory.take<double>(x.n * x.d);
    for_each(on, "without_class_mean", x.n * x.d, WithoutClassMean{classes_, x.d, found.own, x.centred, apart});
    const double* const left = own_sums(on, View<const double>{apart, x.n, x.d, x.d});
    for_each(on, "label_laplacian", x.n * x.d, LabelLaplacian{classes_, found, left, apart, x.centred, l});
    sums(on, row_sum, nullptr);
  }
  void to_dense(const Stream& on, View<S> out) const override {
    for_each(on, "to_dense", classes_.n * classes_.n, LabelEntries<S>{classes_, 0, out});
  }
  void rows(const Stream& on, index_t first, index_t count, double* out) const override {
    const View<double> to{out, count, classes_.n, classes_.n};
    for_each(on, "rows", count * classes_.n, LabelEntries<double>{classes_, first, to});
  }

 private:
  template <class Y>
  ClassTotals totals(const Stream& on, View<const Y> y) const {
    const index_t q = y.cols;
    const double* const own = own_sums(on, y);
    double* const rest = on.memory.take<double>(classes_.count * q);
    const ClassGroups groups{classes_.count, q};
    const index_t size = groups.groups() * q;
    double *const sums = on.memory.take<double>(3 * size), *const before = sums + size, *const behind = before + size;
    for_each(on, "group_sums", size, GroupSums{groups, own, sums});
    for_each(on, "beside_groups", q, BesideGroups{groups, sums, before, behind});
    for_each(on, "rest_sums", size, RestSums{groups, own, before, behind, rest});
    return {q, own, rest};
  }
  template <class Y>
  const double* own_sums(const Stream& on, View<const Y> y) const {
    const index_t q = y.cols;
    double* const parts = on.memory.take<double>(classes_.runs * q);
    double* const own = on.memory.take<double>(classes_.count * q);
    for_each(on, "run_sums", classes_.runs * q, RunSums<Y>{classes_, y, parts});
    for_each(on, "own_sums", classes_.count * q, OwnSums{classes_, q, parts, own});
    return own;
  }

  ClassLists classes_;
};

}  // namespace

template <class S>
std::unique_ptr<Importance<S>> labels(const Stream& on, const std::int64_t* of, index_t size, double same,
                                      double different, Workspace& memory) {
  std::vector<std::int64_t> given(static_cast<std::size_t>(size));
  read_back(on, of, size, given.data());
  const Classes classes = classes_of(given.data(), size);
  std::vector<index_t> run_start, first_run;
  for (index_t c = 0; c < classes.count(); ++c) {
    first_run.push_back(static_cast<index_t>(run_start.size()));
    for (index_t r = classes.begin(c); r < classes.end(c); r += longest_run) run_start.push_back(r);
  }
  const index_t runs = static_cast<index_t>(run_start.size());
  first_run.push_back(runs);
  run_start.push_back(size);
  const Stream keeping{on.handle, memory};
  const auto [label, order, start, runs_at, first] =
      on_device_together(keeping, classes.of, classes.order, classes.start, run_start, first_run);
  return std::make_unique<Labels<S>>(
      ClassLists{size, classes.count(), runs, same, different, label, order, start, runs_at, first});
}

template std::unique_ptr<Importance<float>> labels<float>(const Stream&, const std::int64_t*, index_t, double, double,
                                                          Workspace&);
template std::unique_ptr<Importance<double>> labels<double>(const Stream&, const std::int64_t*, index_t, double, double,
                                                            Workspace&);

}  // namespace alphacl::cuda
