// Contrastive losses whole: rows of length 1, log-sums of scores, losses, and their gradients.
//
// Scores, their sums and their gradient are those of log_sums.cu and gradient.cu, or split_pairs.cu. What is here goes
// over the features once, a warp a row or a thread an entry: O((N + M) m) beside their N M m.
#include "pairs/contrasts.h"

#include "formulas/pair_forms.h"
#include "pairs/groups.h"
#include "pairs/pair_sums.h"

namespace alphacl::cuda {
namespace {

template <class S>
struct InverseLengths {
  View<const S> f;
  double* out;
  __device__ void operator()(std::int64_t i, int lane) const {
    double square = 0;
    for (index_t k = lane; k < f.cols; k += 32) {
      const double x = f.data[i * f.stride + k];
      square = fma(x, x, square);
    }
    const double length = sqrt(warp_total(square));
    if (lane == 0) out[i] = 1.0 / (length < least_length ? least_length : length);
  }
};

// Rows times a number each, or as they are.
template <class S>
struct ScaleRows {
  View<const S> f;
  const double* by;
  S* out;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / f.cols;
    const S x = f.data[i * f.stride + e % f.cols];
    out[e] = by == nullptr ? x : static_cast<S>(static_cast<double>(x) * by[i]);
  }
};

// to = u of all rows, which now lie there; inverse: 1/‖f‖, written where rows are normalised.
template <class S>
void take(const Stream& on, bool normalize, View<const S>& rows, S* to, double* inverse) {
  if (normalize) for_each_row(on, "inverse_lengths", rows.rows, InverseLengths<S>{rows, inverse});
  for_each(on, "scale_rows", rows.rows * rows.cols, ScaleRows<S>{rows, normalize ? inverse : nullptr, to});
  rows = {to, rows.rows, rows.cols, rows.cols};
}

template <class S>
struct OwnProducts {
  View<const S> u, v;
  double* out;
  __device__ void operator()(std::int64_t i, int lane) const {
    double sum = 0;
    for (index_t k = lane; k < u.cols; k += 32)
      sum = fma(static_cast<double>(u.data[i * u.stride + k]), static_cast<double>(v.data[i * v.stride + k]), sum);
    sum = warp_total(sum);
    if (lane == 0) out[i] = sum;
  }
};

// The losses, or what row i adds to their sum. both: there are anchors of `right`; mean: of their loss and that of row
// i.
template <class S>
struct Losses {
  SavedContrasts<double> saved;
  index_t n;
  double scale;
  bool both, mean;
  S* losses;  // null where they are reduced
  double* sums;
  __device__ void operator()(std::int64_t i) const {
    const double of_left = pair_value<PairForm::softplus>(saved.of_row(scale, i));
    const double of_right = both ? pair_value<PairForm::softplus>(saved.of_column(scale, i)) : 0.0;
    if (losses == nullptr) {
      sums[i] = of_left + of_right;
    } else {
      losses[i] = static_cast<S>(mean ? (of_left + of_right) / 2 : of_left);
      if (both && !mean) losses[n + i] = static_cast<S>(of_right);
    }
  }
};

// The weights of the anchors of `left`, then of those of `right`; of_own: what the own scores take from the derivative
// with respect to the scale.
template <class S>
struct Weights {
  SavedContrasts<const double> saved;
  index_t n;
  double scale, share;
  bool both, mean, each;  // each: a gradient for every loss
  const S* grad;
  double *weights, *of_own;
  __device__ void operator()(std::int64_t i) const {
    const index_t first = each ? i : 0, second = each && both && !mean ? n + i : first;
    const double of_left = share * static_cast<double>(grad[first]) * logistic(saved.of_row(scale, i));
    const double of_right =
        both ? share * static_cast<double>(grad[second]) * logistic(saved.of_column(scale, i)) : 0.0;
    weights[i] = of_left;
    weights[n + i] = of_right;
    of_own[i] = (of_left + of_right) * saved.own[i];
  }
};

// grad = the gradient of rows f from that of u = f/‖f‖, g = others − w · partner: (g − (g·u) u)/‖f‖. Rows that were too
// short have not been scaled to length 1. others may be null, and may lie where grad does.
template <class S>
struct RowGradients {
  View<const S> u, partner;  // no partner: data null
  View<const S> others;
  const double *first, *second;  // weights whose sum is that of a row
  double scale;
  const double* inverse;  // null: u = f
  View<S> grad;
  __device__ double of_unit(std::int64_t i, index_t k) const {
    const double g = others.data == nullptr ? 0.0 : static_cast<double>(others.data[i * others.stride + k]);
    if (partner.data == nullptr) return g;
    const double w = (first[i] + second[i]) * scale;
    return fma(-w, static_cast<double>(partner.data[i * partner.stride + k]), g);
  }
  __device__ void operator()(std::int64_t i, int lane) const {
    double along = 0;
    if (inverse != nullptr && inverse[i] < 1.0 / least_length) {
      for (index_t k = lane; k < u.cols; k += 32)
        along = fma(of_unit(i, k), static_cast<double>(u.data[i * u.stride + k]), along);
      along = warp_total(along);
    }
    for (index_t k = lane; k < u.cols; k += 32) {
      double g = of_unit(i, k);
      if (inverse != nullptr) g = fma(-along, static_cast<double>(u.data[i * u.stride + k]), g) * inverse[i];
      grad.data[i * grad.stride + k] = static_cast<S>(g);
    }
  }
};

struct Subtract {
  const double* from_it;
  double* to;
  __device__ void operator()(std::int64_t e) const { to[e] -= from_it[e]; }
};

}  // namespace

template <class S>
void contrasts(const Stream& on, const Contrasts<S>& given, Reduction reduction, S* units, double* saved, S* losses) {
  const index_t n = given.left.rows, m = given.left.cols;
  const SavedContrasts<double> to(n, saved);
  for_each(on, "fill", given.saved(), Fill{0.0, saved});  // also what stays unused
  Contrasts<S> sets = given;
  if (units == nullptr && (given.normalize || given.within))
    units = on.memory.take<S>((2 * n + given.negatives.rows) * m);
  if (units != nullptr) {
    take(on, given.normalize, sets.left, units, to.of_left);
    take(on, given.normalize, sets.right, units + n * m, to.of_right);
    if (given.negatives.data != nullptr) take(on, given.normalize, sets.negatives, units + 2 * n * m, to.of_negatives);
  }
  for_each_row(on, "own_products", n, OwnProducts<S>{sets.left, sets.right, to.own});
  pair_log_sums<S>(on, pairs_of(sets), to.rows, given.columns ? to.columns : nullptr);
  const bool each = reduction == Reduction::none;
  double* const sums = each ? nullptr : on.memory.take<double>(n);
  for_each(on, "losses", n,
           Losses<S>{to, n, given.scale, given.within || given.columns, given.columns, each ? losses : nullptr, sums});
  if (!each)
    launch(on, "add_all", add_all<S>, dim3(1), dim3(256), sizeof(AddAllShared), static_cast<const double*>(sums), n,
           share_of(given, reduction), losses);
}

template <class S>
void contrasts_gradient(const Stream& on, const Contrasts<S>& units, Reduction reduction, const double* saved,
                        const S* grad, View<S> left, View<S> right, View<S> negatives, double* of_scale) {
  const index_t n = units.left.rows, m = units.left.cols;
  const bool has_negatives = units.negatives.data != nullptr;
  const SavedContrasts<const double> from(n, saved);
  Contrasts<S> sets = units;
  if (units.within && !in_one(units)) {
    S* const memory = on.memory.take<S>(2 * n * m);
    take(on, false, sets.left, memory, nullptr);
    take(on, false, sets.right, memory + n * m, nullptr);
  }
  double* const weights = on.memory.take<double>(2 * n);
  double* const of_own = on.memory.take<double>(n + 1);
  const double share = share_of(units, reduction);
  for_each(on, "weights", n,
           Weights<S>{from, n, units.scale, share, units.within || units.columns, units.columns,
                      reduction == Reduction::none, grad, weights, of_own});
  // The gradient of one set goes to its halves afterwards.
  View<S> to_left = left, to_right = has_negatives ? negatives : right;
  if (units.within) {
    to_left = {on.memory.take<S>(2 * n * m), 2 * n, m, m};
    to_right = {nullptr, 0, 0, 0};
  }
  pair_log_sums_gradient<S>(on, pairs_of(sets), from.rows, units.columns ? from.columns : nullptr, weights,
                            units.columns ? weights + n : nullptr, to_left, to_right, of_scale);
  launch(on, "add_all", add_all<double>, dim3(1), dim3(256), sizeof(AddAllShared), static_cast<const double*>(of_own),
         n, 1.0, of_own + n);
  for_each(on, "subtract", 1, Subtract{of_own + n, of_scale});
  const View<const S> of_others = to_left, nobody{nullptr, 0, 0, 0};
  View<const S> of_partners = right;
  if (units.within) of_partners = {to_left.data + n * m, n, m, m};
  const double *const of_left = units.normalize ? from.of_left : nullptr, *const of_right =
                                                                              units.normalize ? from.of_right : nullptr;
  for_each_row(on, "row_gradients", n,
               RowGradients<S>{sets.left, sets.right, of_others, weights, weights + n, units.scale, of_left, left});
  for_each_row(on, "row_gradients", n,
               RowGradients<S>{sets.right, sets.left, has_negatives ? nobody : of_partners, weights, weights + n,
                               units.scale, of_right, right});
  if (negatives.data != nullptr && units.normalize)
    for_each_row(on, "row_gradients", negatives.rows,
                 RowGradients<S>{sets.negatives, nobody, negatives, nullptr, nullptr, units.scale, from.of_negatives,
                                 negatives});
}

#define ALPHACL_CONTRASTS(S)                                                                                           \
  template void contrasts<S>(const Stream&, const Contrasts<S>&, Reduction, S*, double*, S*);                          \
  template void contrasts_gradient<S>(const Stream&, const Contrasts<S>&, Reduction, const double*, const S*, View<S>, \
                                      View<S>, View<S>, double*);
ALPHACL_CONTRASTS(float)
ALPHACL_CONTRASTS(double)
#undef ALPHACL_CONTRASTS

}  // namespace alphacl::cuda
