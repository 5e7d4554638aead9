// Contrastive losses whole: rows of length 1, log-sums of scores, losses, and their gradients.
#include "alphacl/contrasts.h"

#include <cmath>

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
    for (index_t k = 0; k < m; ++k) to[i * m + k] = static_cast<S>(static_cast<double>(f[k]) * by);
    inverse[i] = by;
  });
  rows = {to, rows.rows, m, m};
}

// log(1 + e^x) and its derivative.
double softplus(double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x))); }
double logistic(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// to = from − w · partner; from may be `to`, or null for zeros.
template <class S>
void subtract_own(const S* from, double w, const S* partner, index_t m, S* to) {
  if (from == nullptr) {
    for (index_t k = 0; k < m; ++k) to[k] = static_cast<S>(-w * static_cast<double>(partner[k]));
    return;
  }
  for (index_t k = 0; k < m; ++k)
    to[k] = static_cast<S>(static_cast<double>(from[k]) - w * static_cast<double>(partner[k]));
}

// The gradient of a row f from that of u = f/‖f‖, in place: (g − (g·u) u)/‖f‖; rows that were too short have not been
// scaled to length 1.
template <class S>
void through_unit(S* g, const S* u, index_t m, double inverse) {
  const double along = inverse < 1 / least_length ? kernels<S>().dot(g, u, m) : 0;
  for (index_t k = 0; k < m; ++k)
    g[k] = static_cast<S>((static_cast<double>(g[k]) - along * static_cast<double>(u[k])) * inverse);
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
  Buffer<double> weights(2 * n, 0.0);
  const bool each = reduction == Reduction::none;
  const double share = share_of(units, reduction);
  double of_own = 0;
  for (index_t i = 0; i < n; ++i) {
    const index_t first = each ? i : 0, second = each && units.within ? n + i : first;
    weights[i] = share * static_cast<double>(grad[first]) * logistic(from.of_row(units.scale, i));
    if (both) weights[n + i] = share * static_cast<double>(grad[second]) * logistic(from.of_column(units.scale, i));
    of_own += (weights[i] + weights[n + i]) * from.own[i];
  }
  // The gradient of one set goes to its halves afterwards.
  Buffer<S> whole(units.within ? 2 * n * m : 0);
  View<S> to_left = left, to_right = has_negatives ? negatives : right;
  if (units.within) {
    to_left = {whole.data(), 2 * n, m, m};
    to_right = {nullptr, 0, 0, 0};
  }
  const KeptScores<S> scores = {const_cast<S*>(kept), kept != nullptr};  // filled: they are only read
  const double of_scale =
      log_sums_gradient<S>(pairs_of(sets), scores, from.rows, units.columns ? from.columns : nullptr, weights.data(),
                           units.columns ? weights.data() + n : nullptr, to_left, to_right);
  for_rows(n, workers, [&](index_t i) {
    const double w = (weights[i] + weights[n + i]) * units.scale;
    const S *u = sets.left.row(i), *v = sets.right.row(i);
    S *a = left.row(i), *b = right.row(i);
    const S* of_v = units.within ? to_left.row(n + i) : has_negatives ? nullptr : b;
    subtract_own<S>(to_left.row(i), w, v, m, a);
    subtract_own<S>(of_v, w, u, m, b);
    if (!units.normalize) return;
    through_unit(a, u, m, from.of_left[i]);
    through_unit(b, v, m, from.of_right[i]);
  });
  if (units.normalize && negatives.data != nullptr)
    for_rows(negatives.rows, workers,
             [&](index_t j) { through_unit(negatives.row(j), sets.negatives.row(j), m, from.of_negatives[j]); });
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
