// Contrastive losses whole: rows of length 1, log-sums of scores, losses, and their gradients.
#include "alphacl/contrasts.h"

#include <cmath>
#include <numeric>

#include "pairs/log_sums.h"
#include "pairs/weighted_features.h"

namespace alphacl {
namespace {

constexpr index_t chunk = 128;  // rows of a task

template <class Body>
void for_rows(index_t rows, index_t workers, Body&& body) {
  const auto of_chunk = [&](index_t c, int) {
    for (index_t i = c * chunk; i < std::min(rows, (c + 1) * chunk); ++i) body(i);
  };
  parallel_for(ceil_div(rows, chunk), of_chunk, workers);
}

// to = u of all rows, which now lie there; inverse: 1/‖f‖, written where rows are normalised.
template <class S>
void take(bool normalize, View<const S>& rows, S* to, double* inverse, index_t workers) {
  const index_t m = rows.cols;
  for_rows(rows.rows, workers, [&](index_t i) {
    const S* f = rows.row(i);
    if (!normalize) {
      std::copy_n(f, m, to + i * m);
      return;
    }
    const double by = 1 / std::max(std::sqrt(kernels<S>().dot(f, f, m)), least_length);
    read_kernels<S, S>().combine(f, by, nullptr, 0, nullptr, 0, m, to + i * m);
    inverse[i] = by;
  });
  rows = {to, rows.rows, m, m};
}

// log(1 + e^x) and its derivative.
double softplus(double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x))); }
double logistic(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// Rows of a set whose gradient is to be written. T: type of the sums.
template <class T, class S>
struct SetGradient {
  View<const S> u, partners;  // partners: data null where there are none
  const T* sums;              // Σ_j w_ij u_j/unit, rows of `width`; null: zeros, where there are partners
  double unit;
  index_t width;
  const double *own, *inverse;  // u_i·partner_i and 1/‖f_i‖
  View<S> to;
};

double dot_of(const double* x, const float* y, index_t m) { return kernels<float>().dot_wide(y, x, m); }
template <class S>
double dot_of(const S* x, const S* y, index_t m) {
  return kernels<S>().dot(x, y, m);
}

// to_i = g_i = scale (sums_i − w_i partner_i), or the gradient (g − (g·u) u)/‖f‖ of f where u = f/‖f‖. Returns
// Σ_i u_i·sums_i.
template <class T, class S>
double write_gradient(const SetGradient<T, S>& set, double scale, const double* w, bool normalize, index_t workers) {
  const index_t m = set.u.cols;
  Buffer<double> along(set.u.rows, 0.0);
  for_rows(set.u.rows, workers, [&](index_t i) {
    const T* sum = set.sums == nullptr ? nullptr : set.sums + i * set.width;
    const double by = normalize ? set.inverse[i] : 1;
    const S* rows[2] = {nullptr, nullptr};
    double factors[2] = {0, 0}, of_partner = 0;
    index_t count = 0;
    if (sum != nullptr) along[i] = set.unit * dot_of(sum, set.u.row(i), m);
    if (set.partners.data != nullptr) {
      of_partner = -w[i] * set.own[i];
      rows[count] = set.partners.row(i);
      factors[count++] = -w[i] * scale * by;
    }
    if (normalize && by < 1 / least_length) {  // shorter rows have not been scaled to length 1
      rows[count] = set.u.row(i);
      factors[count++] = -(along[i] + of_partner) * scale * by;
    }
    if (sum != nullptr) {
      read_kernels<T, S>().combine(sum, scale * by * set.unit, rows[0], factors[0], rows[1], factors[1], m,
                                   set.to.row(i));
    } else {
      read_kernels<S, S>().combine(rows[0], factors[0], rows[1], factors[1], nullptr, 0, m, set.to.row(i));
    }
  });
  return std::accumulate(along.data(), along.data() + along.size(), 0.0);
}

}  // namespace

index_t kept_scores(index_t rows, index_t columns) {
  const bool one_set = columns == 0;
  const index_t height = pair_block(rows), width = one_set ? height : pair_block(columns);
  const index_t blocks = ceil_div(rows, height);
  const index_t tiles = one_set ? blocks * (blocks + 1) / 2 : blocks * ceil_div(columns, width);
  return tiles * height * pair_stride(width);
}

template <class S>
bool contrasts(const Contrasts<S>& given, Reduction reduction, S* units, double* saved, S* kept, S* losses) {
  const index_t n = given.left.rows, m = given.left.cols, workers = workers_for(pairs_of(given));
  const SavedContrasts<double> to(n, saved);
  std::fill_n(saved, given.saved(), 0.0);
  Contrasts<S> sets = given;
  Buffer<S> memory;
  if (units == nullptr && (given.normalize || given.within)) {
    memory.resize((2 * n + given.negatives.rows) * m);
    units = memory.data();
  }
  if (units != nullptr) {
    take(given.normalize, sets.left, units, to.of_left, workers);
    take(given.normalize, sets.right, units + n * m, to.of_right, workers);
    if (given.negatives.data != nullptr)
      take(given.normalize, sets.negatives, units + 2 * n * m, to.of_negatives, workers);
  }
  for_rows(n, workers, [&](index_t i) { to.own[i] = kernels<S>().dot(sets.left.row(i), sets.right.row(i), m); });
  bool filled = false;
  with_scores(pairs_of(sets), PairForm::exponential, Care::usual, false, {kept, false}, [&](const auto& scores) {
    log_sums(scores, to.rows, given.columns ? to.columns : nullptr);
    filled = scores.keeps_scores();
  });
  const bool both = given.within || given.columns;
  double sum = 0;
  for (index_t i = 0; i < n; ++i) {
    const double of_left = softplus(to.of_row(given.scale, i));
    const double of_right = both ? softplus(to.of_column(given.scale, i)) : 0;
    sum += of_left + of_right;
    if (reduction != Reduction::none) continue;
    losses[i] = static_cast<S>(given.columns ? (of_left + of_right) / 2 : of_left);
    if (given.within) losses[n + i] = static_cast<S>(of_right);
  }
  if (reduction != Reduction::none) losses[0] = static_cast<S>(share_of(given, reduction) * sum);
  return filled;
}

template <class S>
double contrasts_gradient(const Contrasts<S>& units, Reduction reduction, const double* saved, const S* kept,
                          const S* grad, View<S> left, View<S> right, View<S> negatives) {
  const index_t n = units.left.rows, m = units.left.cols, workers = workers_for(pairs_of(units));
  const bool both = units.within || units.columns, has_negatives = units.negatives.data != nullptr;
  const SavedContrasts<const double> from(n, saved);
  Contrasts<S> sets = units;
  Buffer<S> memory;
  if (units.within && !in_one(units)) {
    memory.resize(2 * n * m);
    take(false, sets.left, memory.data(), static_cast<double*>(nullptr), workers);
    take(false, sets.right, memory.data() + n * m, static_cast<double*>(nullptr), workers);
  }
  // Of the anchors of `left`, then of those of `right`.
  Buffer<double> weights(2 * n, 0.0), own_weights(n);
  const bool each = reduction == Reduction::none;
  const double share = share_of(units, reduction);
  double of_own = 0;
  for (index_t i = 0; i < n; ++i) {
    const index_t first = each ? i : 0, second = each && units.within ? n + i : first;
    weights[i] = share * static_cast<double>(grad[first]) * logistic(from.of_row(units.scale, i));
    if (both) weights[n + i] = share * static_cast<double>(grad[second]) * logistic(from.of_column(units.scale, i));
    own_weights[i] = weights[i] + weights[n + i];
    of_own += own_weights[i] * from.own[i];
  }
  const bool to_others = !units.within && (!has_negatives || negatives.data != nullptr);
  const double* columns = units.columns ? from.columns : nullptr;
  const double* of_columns = units.columns ? weights.data() + n : nullptr;
  const KeptScores<S> from_kept = {const_cast<S*>(kept), kept != nullptr};  // they are only read
  double of_scale = 0;
  with_enough_care<S>(pairs_of(sets), PairForm::exponential, Care::usual, from_kept, [&](const auto& scores) {
    using T = std::decay_t<decltype(*scores.left().row(0))>;
    const WeightedFeatures<T> products =
        products_of_log_sums(scores, from.rows, columns, weights.data(), of_columns, to_others);
    const auto write_set = [&](View<const S> u, View<const S> partners, const T* sums, const double* inverse,
                               View<S> to) {
      const SetGradient<T, S> set = {u, partners, sums, products.unit, scores.left().width(), from.own, inverse, to};
      return write_gradient(set, units.scale, own_weights.data(), units.normalize, workers);
    };
    const T *of_left = products.left.data(), *of_others = to_others ? products.right.data() : nullptr;
    const T* of_right = units.within ? of_left + n * scores.left().width() : has_negatives ? nullptr : of_others;
    const double total = write_set(sets.left, sets.right, of_left, from.of_left, left);
    double other = write_set(sets.right, sets.left, of_right, from.of_right, right);
    if (has_negatives && to_others)
      other += write_set(sets.negatives, {nullptr, 0, 0, 0}, of_others, from.of_negatives, negatives);
    of_scale = units.within ? 0.5 * (total + other) : total;
    return sizeof(T) == 8 || std::isfinite(total + other);
  });
  return of_scale - of_own;
}

#define ALPHACL_CONTRASTS(S)                                                                                        \
  template bool contrasts<S>(const Contrasts<S>&, Reduction, S*, double*, S*, S*);                                  \
  template double contrasts_gradient<S>(const Contrasts<S>&, Reduction, const double*, const S*, const S*, View<S>, \
                                        View<S>, View<S>);
ALPHACL_CONTRASTS(float)
ALPHACL_CONTRASTS(double)
#undef ALPHACL_CONTRASTS

}  // namespace alphacl
