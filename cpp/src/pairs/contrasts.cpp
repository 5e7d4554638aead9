// Contrastive losses whole: rows of length 1, log-sums of scores, losses, and their gradients.
#include "alphacl/contrasts.h"

#include <cmath>

#include "pairs/log_sums.h"
#include "pairs/weighted_features.h"

namespace alphacl {
namespace {

constexpr index_t chunk = 512;  // rows of a task

template <class Body>
void for_rows(index_t rows, Body&& body) {
  parallel_for(ceil_div(rows, chunk), [&](index_t c, int) {
    for (index_t i = c * chunk; i < std::min(rows, (c + 1) * chunk); ++i) body(i);
  });
}

// What the losses leave for the gradient, in the order in which it lies in memory. For `within` the sets lie one behind
// the other.
template <class Number>
struct Saved {
  Number *rows, *columns;  // log-sums of the anchors; `columns` lies where there are any
  Number* own;             // u_i·partner_i
  Number *of_left, *of_right, *of_negatives;  // 1/‖f‖

  Saved(index_t n, Number* memory)
      : rows(memory),
        columns(rows + n),  // within: the second half of the anchors
        own(columns + n),
        of_left(own + n),
        of_right(of_left + n),
        of_negatives(of_right + n) {}
};

// to = u of all rows, which now lie there; inverse: 1/‖f‖, written where rows are normalised.
template <class S>
void take(bool normalize, View<const S>& rows, S* to, double* inverse) {
  const index_t m = rows.cols;
  for_rows(rows.rows, [&](index_t i) {
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

// Whether the sets lie one behind the other, as one.
template <class S>
bool in_one(const Contrasts<S>& sets) {
  const index_t m = sets.left.cols;
  return sets.left.stride == m && sets.right.stride == m && sets.right.data == sets.left.data + sets.left.rows * m;
}

// The pairs of rows u.
template <class S>
Pairs<S> pairs_of(const Contrasts<S>& units) {
  const bool negatives = units.negatives.data != nullptr;
  if (!units.within) return {units.left, negatives ? units.negatives : units.right, units.scale, false, !negatives};
  const View<const S> both = {units.left.data, 2 * units.left.rows, units.left.cols, units.left.cols};
  return {both, {nullptr, 0, 0, 0}, units.scale, false, true};
}

// log(1 + e^x) and its derivative.
double softplus(double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x))); }
double logistic(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// x_i of the anchor i of `left`, and of the anchor i of `right`.
template <class Number>
double of_row(const Saved<Number>& saved, double scale, index_t i) {
  return saved.rows[i] - scale * saved.own[i];
}
template <class Number>
double of_column(const Saved<Number>& saved, double scale, index_t i) {
  return saved.columns[i] - scale * saved.own[i];
}

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
void contrasts(const Contrasts<S>& given, Reduction reduction, S* units, double* saved, S* kept, S* losses) {
  const index_t n = given.left.rows, m = given.left.cols;
  const Saved<double> to(n, saved);
  std::fill_n(saved, given.saved(), 0.0);  // also what stays unused
  Contrasts<S> sets = given;
  Buffer<S> memory;
  if (units == nullptr && (given.normalize || given.within)) {
    memory.resize((2 * n + given.negatives.rows) * m);
    units = memory.data();
  }
  if (units != nullptr) {
    take(given.normalize, sets.left, units, to.of_left);
    take(given.normalize, sets.right, units + n * m, to.of_right);
    if (given.negatives.data != nullptr) take(given.normalize, sets.negatives, units + 2 * n * m, to.of_negatives);
  }
  for_rows(n, [&](index_t i) { to.own[i] = kernels<S>().dot(sets.left.row(i), sets.right.row(i), m); });
  with_scores(pairs_of(sets), PairForm::exponential, Care::usual, false, {kept, false},
              [&](const auto& scores) { log_sums(scores, to.rows, given.columns ? to.columns : nullptr); });
  const bool both = given.within || given.columns;
  double sum = 0;
  for (index_t i = 0; i < n; ++i) {
    const double of_left = softplus(of_row(to, given.scale, i));
    const double of_right = both ? softplus(of_column(to, given.scale, i)) : 0;
    if (reduction != Reduction::none) {
      sum += of_left + of_right;
    } else if (given.within) {
      losses[i] = static_cast<S>(of_left);
      losses[n + i] = static_cast<S>(of_right);
    } else {
      losses[i] = static_cast<S>(both ? (of_left + of_right) / 2 : of_left);
    }
  }
  if (reduction == Reduction::none) return;
  if (given.columns) sum /= 2;
  losses[0] = static_cast<S>(reduction == Reduction::mean ? sum / static_cast<double>(given.anchors()) : sum);
}

template <class S>
double contrasts_gradient(const Contrasts<S>& units, Reduction reduction, const double* saved, const S* kept,
                          const S* grad, View<S> left, View<S> right, View<S> negatives) {
  const index_t n = units.left.rows, m = units.left.cols;
  const bool both = units.within || units.columns, has_negatives = units.negatives.data != nullptr;
  const Saved<const double> from(n, saved);
  Contrasts<S> sets = units;
  Buffer<S> memory;
  if (units.within && !in_one(units)) {
    memory.resize(2 * n * m);
    take(false, sets.left, memory.data(), static_cast<double*>(nullptr));
    take(false, sets.right, memory.data() + n * m, static_cast<double*>(nullptr));
  }
  // Of the anchors of `left`, then of those of `right`.
  Buffer<double> weights(2 * n, 0.0);
  const double share = (reduction == Reduction::mean ? 1 / static_cast<double>(units.anchors()) : 1.0) *
                       (units.columns ? 0.5 : 1.0);
  double of_own = 0;
  for (index_t i = 0; i < n; ++i) {
    const bool each = reduction == Reduction::none;
    weights[i] = share * static_cast<double>(grad[each ? i : 0]) * logistic(of_row(from, units.scale, i));
    if (both)
      weights[n + i] = share * static_cast<double>(grad[each ? i + (units.within ? n : 0) : 0]) *
                       logistic(of_column(from, units.scale, i));
    of_own += (weights[i] + weights[n + i]) * from.own[i];
  }
  // The gradient of one set goes to its halves afterwards.
  Buffer<S> whole(units.within ? 2 * n * m : 0);
  const View<S> to_left = units.within ? View<S>{whole.data(), 2 * n, m, m} : left;
  const View<S> to_right = units.within                       ? View<S>{nullptr, 0, 0, 0}
                           : has_negatives ? negatives
                                                              : right;
  const KeptScores<S> scores = {const_cast<S*>(kept), kept != nullptr};  // filled: they are only read
  const double of_scale =
      log_sums_gradient<S>(pairs_of(sets), scores, from.rows, units.columns ? from.columns : nullptr, weights.data(),
                           units.columns ? weights.data() + n : nullptr, to_left, to_right);
  for_rows(n, [&](index_t i) {
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
  if (units.normalize && has_negatives)
    for_rows(negatives.rows,
             [&](index_t j) { through_unit(negatives.row(j), sets.negatives.row(j), m, from.of_negatives[j]); });
  return of_scale - of_own;
}

#define ALPHACL_CONTRASTS(S)                                                                           \
  template void contrasts<S>(const Contrasts<S>&, Reduction, S*, double*, S*, S*);                      \
  template double contrasts_gradient<S>(const Contrasts<S>&, Reduction, const double*, const S*, const S*, \
                                        View<S>, View<S>, View<S>);
ALPHACL_CONTRASTS(float)
ALPHACL_CONTRASTS(double)
#undef ALPHACL_CONTRASTS

}  // namespace alphacl
