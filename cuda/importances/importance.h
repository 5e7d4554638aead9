// A pairwise importance α on N samples of a GPU, as a linear operator: the interface between importances and
// operations.
//
// What alphacl/importance.h says of the CPU holds here too, but for the form in which an operation gets α: as
//
//     l_i = Σ_j (α_ij + α_ji)(x_i − x_j)   and   R_i = Σ_j α_ij,      2N² C_α[x] = Σ_i x_i l_iᵀ − Σ_i R_i δ_i δ_iᵀ.
//
// Importances of pairs add up the differences themselves where products would lose digits, as they would of samples of
// a cluster far from the others. All pointers are to memory of the device; everything is computed in double.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "alphacl/device.h"
#include "alphacl/pair_form.h"
#include "runtime/stream.h"

namespace alphacl::cuda {

/// N samples of d features in double, contiguous: as they are, and without their mean. Differences of the first are
/// exact where samples lie close together; the second is small where they lie far from the origin.
struct Samples {
  index_t n, d;
  const double *raw, *centred;
  const double* mean = nullptr;  // d; not every operation gives it
};

/// Of α = ΦΦᵀ − `without` on the diagonal, Φ: N × rank. No data: a column of ones.
struct Factor {
  const void* data;
  bool wide;  // doubles, else floats
  index_t stride, rank;
  double without;

  ALPHACL_HOST_DEVICE double at(index_t i, index_t l) const {
    if (data == nullptr) return 1;
    const index_t e = i * stride + l;
    return wide ? static_cast<const double*>(data)[e] : static_cast<double>(static_cast<const float*>(data)[e]);
  }
};

template <class S>
class Importance {
 public:
  virtual ~Importance() = default;
  index_t size() const { return size_; }

  /// r_i = Σ_j α_ij and c_j = Σ_i α_ij; null where it is not wanted.
  virtual void sums(const Stream& on, double* r, double* c) const = 0;
  /// out = α y.
  virtual void matmul(const Stream& on, View<const S> y, View<S> out) const = 0;
  /// l (N × d, contiguous) and R.
  virtual void laplacian(const Stream& on, const Samples& x, double* l, double* row_sum) const = 0;
  /// α itself, and `count` rows of it from `first` on, contiguous.
  virtual void to_dense(const Stream& on, View<S> out) const = 0;
  virtual void rows(const Stream& on, index_t first, index_t count, double* out) const = 0;
  /// Φ, where α has one.
  virtual std::optional<Factor> factor() const { return std::nullopt; }

 protected:
  explicit Importance(index_t size) : size_(size) {}

 private:
  index_t size_;
};

// What follows reads its arguments as long as it lives; what it computes itself lies in `memory`, which must live as
// long too.

template <class S>
std::unique_ptr<Importance<S>> dense(View<const S> alpha);

/// α_ij = 1 for i ≠ j; α_ii = 1 where `diagonal`, else 0.
template <class S>
std::unique_ptr<Importance<S>> uniform(index_t size, bool diagonal);

/// α = Φ diag(s) Φᵀ, Φ: N × p; signs: the p numbers s, null: ones.
template <class S>
std::unique_ptr<Importance<S>> low_rank(View<const S> phi, const double* signs);

/// α_ij = same where samples i and j have one label, else different. Waits for a copy of the labels.
template <class S>
std::unique_ptr<Importance<S>> labels(const Stream& on, const std::int64_t* of, index_t size, double same,
                                      double different, Workspace& memory);

/// A matrix in compressed rows (CSR).
template <class S>
struct CompressedRows {
  const std::int64_t *starts, *columns;
  const S* values;
  index_t size, entries;  // N, and the number of columns and values
};

/// α as a sparse matrix, whose indices are checked. Waits for a copy of it.
template <class S>
std::unique_ptr<Importance<S>> sparse(const Stream& on, const CompressedRows<S>& given, Workspace& memory);

/// α ≈ ΦΦᵀ. `exact` is α: its entries come from there, and sums where those of Φ cancel.
template <class S>
std::unique_ptr<Importance<S>> factored(View<const double> phi, std::unique_ptr<Importance<S>> exact);

/// α_ij = exp(−‖f_i − f_j‖²/(2τ)).
template <class S>
std::unique_ptr<Importance<S>> gaussian(const Stream& on, View<const S> f, double tau, Workspace& memory);

/// How a Gaussian of scalars is computed: `automatic` takes a series where it pays.
enum class ScalarMethod { automatic, pairs, series };

/// The same; for scalars by a series in time linear in N where alphacl/gaussian_series.h says that it pays, or where it
/// is asked for: entries then err by the smaller of `tol` and 1e-15, and by 2e-16 q L over a range of L√τ (q: see
/// there), which is 2e-10 for the longest that is not refused, L = 1e5. It waits for the range of the scalars.
template <class S>
std::unique_ptr<Importance<S>> scalar_gaussian(const Stream& on, View<const S> f, double tau, double tol,
                                               ScalarMethod method, Workspace& memory);

/// What the rows of an importance of distances are divided by: Σ_k e_ik + eps · n, n the number of terms of the sum.
struct RowSumRule {
  bool normalize = false;
  bool paired = false;  // samples i and i + N/2 are two views of one: α is 0 there, and e in no sum
  double eps = 0;
};

/// e_ij = exp(−d^p/τ), d² = ½‖f_i − f_j‖², diagonal 0.
template <class S>
std::unique_ptr<Importance<S>> direct(const Stream& on, View<const S> f, double p, double tau, const RowSumRule& rule,
                                      Workspace& memory);

/// e_ij = 1/(d^p + τ)^q.
template <class S>
std::unique_ptr<Importance<S>> inverse_distance(const Stream& on, View<const S> f, double p, double tau, double q,
                                                const RowSumRule& rule, Workspace& memory);

/// α_ij = [μ_i − ½‖f_i − f_j‖²]₊/τ, diagonal 0, rows sum to 1.
template <class S>
std::unique_ptr<Importance<S>> square_regularized(const Stream& on, View<const S> f, double tau, Workspace& memory);

/// α_ij = w_i ψ'(o_i − s ½‖f_i − f_j‖²), diagonal 0.
template <class S>
std::unique_ptr<Importance<S>> pair(const Stream& on, View<const S> f, double scale, PairForm form,
                                    const double* offset, const double* weight, Workspace& memory);

}  // namespace alphacl::cuda
