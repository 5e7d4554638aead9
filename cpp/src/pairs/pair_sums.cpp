// Sums over pairs of ψ of their score, and their gradients.
#include "alphacl/pair_sums.h"

#include "pairs/log_sums.h"
#include "pairs/weighted_features.h"

namespace alphacl {
namespace {

template <class T>
void sums(const ScoreTiles<T>& scores, PairForm form, const double* offset, double* rows) {
  const index_t n = scores.left().size();
  const bool one = scores.one_set();
  Buffer<T> at(n);
  for (index_t i = 0; i < n; ++i) {
    at[i] = static_cast<T>(offset[i]);
    rows[i] = 0;
  }
  scores.for_tiles(form, [&](const PairTile<T>& tile, index_t i0, index_t j0) {
    PairSums<T> out = {at.data() + i0, nullptr, rows + i0, nullptr};
    if (one && i0 != j0) {
      out.col = at.data() + j0;
      out.col_sum = rows + j0;
    }
    pair_kernels<T>().sums(tile, out);
  });
}

// Whether the sums of [offset − d²]₊ are all so small that the errors of products show.
template <class S, class T>
bool too_small(const Pairs<S>& pairs, const ScoreTiles<T>& scores, const double* rows) {
  const index_t n = scores.left().size();
  double halves = 0, errors = 0, squares = 0;
  for (index_t i = 0; i < n; ++i) halves += static_cast<double>(*scores.left().half(i));
  for (index_t i = 0; i < n; ++i) {
    const double error = static_cast<double>(n) * static_cast<double>(*scores.left().half(i)) + halves;
    errors += error * error;
    squares += rows[i] * rows[i];
  }
  return kink_doubt<S> * std::abs(pairs.scale) * std::sqrt(errors) > std::sqrt(squares);
}

}  // namespace

template <class S>
void pair_log_sums(const Pairs<S>& pairs, double* rows, double* cols) {
  with_scores(pairs, PairForm::exponential, Care::usual, false, {},
              [&](const auto& scores) { log_sums(scores, rows, cols); });
}

template <class S>
void pair_sums(const Pairs<S>& pairs, PairForm form, const double* offset, double* rows) {
  const bool squared = form == PairForm::square, kink = has_kink(form);
  const Care care = squared ? Care::settled : care_of<S>(offset, pairs.left.rows);
  bool again = false;
  with_scores(pairs, form, care, false, {}, [&](const auto& scores) {
    sums(scores, form, offset, rows);
    again = kink && !squared && pairs.distances && too_small(pairs, scores, rows);
  });
  if (!again) return;
  with_scores(pairs, form, Care::settled, false, {}, [&](const auto& scores) { sums(scores, form, offset, rows); });
}

template <class S>
double pair_log_sums_gradient(const Pairs<S>& pairs, const double* rows, const double* cols, const double* a,
                              const double* b, View<S> left, View<S> right) {
  double of_scale = 0;
  with_enough_care<S>(pairs, PairForm::exponential, Care::usual, {}, [&](const auto& scores) {
    const auto products = products_of_log_sums(scores, rows, cols, a, b, right.data != nullptr);
    return write(pairs, scores, products, left, right, &of_scale);
  });
  return of_scale;
}

template <class S>
double pair_sums_gradient(const Pairs<S>& pairs, PairForm form, const double* offset, const double* a, View<S> left,
                          View<S> right, double* offsets) {
  double of_scale = 0;
  const Care care = has_kink(form) ? Care::settled : care_of<S>(offset, pairs.left.rows);
  with_enough_care<S>(pairs, form, care, {}, [&](const auto& scores) {
    using T = std::decay_t<decltype(*scores.left().row(0))>;
    PairWeighting<T> side;
    const double unit = unit_of_weights<T>(a, scores.left().size(), nullptr, 0);
    side.offsets(scores.left().size(), offset, a, unit);
    const WeightedFeatures<T> products =
        weighted_products(scores, form, unit, side, scores.one_set() ? &side : nullptr, right.data != nullptr);
    for (index_t i = 0; i < scores.left().size(); ++i) offsets[i] = unit * products.own[i];
    return write(pairs, scores, products, left, right, &of_scale);
  });
  return of_scale;
}

#define ALPHACL_PAIRS(S)                                                                                           \
  template void pair_log_sums<S>(const Pairs<S>&, double*, double*);                                               \
  template double pair_log_sums_gradient<S>(const Pairs<S>&, const double*, const double*, const double*,          \
                                            const double*, View<S>, View<S>);                                      \
  template void pair_sums<S>(const Pairs<S>&, PairForm, const double*, double*);                                   \
  template double pair_sums_gradient<S>(const Pairs<S>&, PairForm, const double*, const double*, View<S>, View<S>, \
                                        double*);
ALPHACL_PAIRS(float)
ALPHACL_PAIRS(double)
#undef ALPHACL_PAIRS

}  // namespace alphacl
