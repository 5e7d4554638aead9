// Contrastive losses whole, and their gradients, against their definition in long double.
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "pairs/contrasts.h"
#include "runtime/copies.h"
#include "tests/testing.h"

namespace {

using alphacl::Contrasts;
using alphacl::index_t;
using alphacl::Reduction;
using alphacl::View;
using testing::Array;
using testing::expect;
using testing::Memory;
using testing::next;
using Real = long double;
using Rows = std::vector<Real>;

enum class Way { within, two_sets, columns, negatives };
constexpr Way ways[] = {Way::within, Way::two_sets, Way::columns, Way::negatives};

// Features whose rows lie apart, room for results, and what these ought to be.
template <class S>
struct Problem {
  index_t n, others, m;
  Way way;
  bool normalize;
  double scale, grad_size;
  Array<S> f[3], to[3], units, losses, grad;
  Array<double> saved, of_scale;
  Contrasts<S> given;
  Rows u[3], inverse[3], of_u[3], true_losses;
  Real true_scale = 0;

  index_t rows(int set) const { return set == 2 ? others : n; }
  int sets() const { return way == Way::negatives ? 3 : 2; }
  index_t stride() const { return m + 3; }

  Problem(index_t samples, index_t keys, index_t features, Way how, bool unit, Reduction reduction, double by = 1.5,
          double grads = 1, double first = 0, std::size_t first_grad = 0)
      : n(samples),
        others(how == Way::negatives ? keys : 0),
        m(features),
        way(how),
        normalize(unit),
        scale(by),
        grad_size(grads),
        f{Array<S>(n * stride()), Array<S>(n * stride()), Array<S>(std::max<index_t>(others, 1) * stride())},
        to{Array<S>(n * (m + 1)), Array<S>(n * (m + 1)), Array<S>(std::max<index_t>(others, 1) * (m + 1))},
        units((2 * n + others) * m),
        losses(reduction == Reduction::none ? (how == Way::within ? 2 * n : n) : 1),
        grad(losses.size()),
        saved(5 * n + others),
        of_scale(1) {
    std::uint64_t seed = 11;
    for (auto& set : f)
      for (std::size_t e = 0; e < set.size(); ++e) set[e] = static_cast<S>(next(seed));
    if (first != 0) f[0][stride()] = static_cast<S>(first);
    for (std::size_t e = 0; e < grad.size(); ++e) grad[e] = e < first_grad ? S(0) : static_cast<S>(grads * next(seed));
    given = {{f[0].data(), n, m, stride()},
             {f[1].data(), n, m, stride()},
             {nullptr, 0, 0, 0},
             scale,
             way == Way::within,
             way == Way::columns,
             normalize};
    if (sets() == 3) given.negatives = {f[2].data(), others, m, stride()};
    Memory memory;
    const alphacl::cuda::Stream on{nullptr, memory};
    alphacl::cuda::contrasts<S>(on, given, reduction, units.data(), saved.data(), losses.data());
    Contrasts<S> scored = given;
    scored.left = {units.data(), n, m, m};
    scored.right = {units.data() + n * m, n, m, m};
    if (sets() == 3) scored.negatives = {units.data() + 2 * n * m, others, m, m};
    View<S> none{nullptr, 0, 0, 0};
    alphacl::cuda::contrasts_gradient<S>(on, scored, reduction, saved.data(), grad.data(), {to[0].data(), n, m, m + 1},
                                         {to[1].data(), n, m, m + 1},
                                         sets() == 3 ? View<S>{to[2].data(), others, m, m + 1} : none, of_scale.data());
    alphacl::cuda::read_back(on, of_scale.data());
    define(reduction);
  }

  void define(Reduction reduction) {
    for (int k = 0; k < sets(); ++k) {
      u[k].resize(rows(k) * m);
      of_u[k].assign(rows(k) * m, 0);
      inverse[k].assign(rows(k), 1);
      for (index_t i = 0; i < rows(k); ++i) {
        Real square = 0;
        for (index_t c = 0; c < m; ++c) square += Real(f[k][i * stride() + c]) * f[k][i * stride() + c];
        if (normalize) inverse[k][i] = 1 / std::max(sqrtl(square), Real(alphacl::least_length));
        for (index_t c = 0; c < m; ++c) u[k][i * m + c] = f[k][i * stride() + c] * inverse[k][i];
      }
    }
    const index_t anchors = given.anchors();
    true_losses.assign(reduction == Reduction::none ? anchors : 1, 0);
    const Real share = (reduction == Reduction::mean ? Real(1) / anchors : Real(1)) / (given.columns ? 2 : 1);
    for (int side = 0; side < (given.within || given.columns ? 2 : 1); ++side)
      for (index_t i = 0; i < n; ++i) {
        const index_t e = reduction != Reduction::none ? 0 : given.within ? side * n + i : i;
        true_losses[e] += share * anchor(side, i, share * grad[e]);
      }
  }

  // The loss of the anchor i of set `side`; adds its gradients, times `weight`.
  Real anchor(int side, index_t i, Real weight) {
    const Real* const a = &u[side][i * m];
    const auto dot = [&](int k, index_t j) {
      Real sum = 0;
      for (index_t c = 0; c < m; ++c) sum += a[c] * u[k][j * m + c];
      return sum;
    };
    std::vector<std::pair<int, index_t>> pairs;
    for (int k = 0; k < sets(); ++k)
      for (index_t j = 0; j < rows(k); ++j) {
        const bool of_set = given.within || k == (way == Way::negatives ? 2 : 1 - side);
        if (of_set && (k == 2 || j != i)) pairs.emplace_back(k, j);
      }
    Real peak = -HUGE_VALL, sum = 0;
    for (const auto& [k, j] : pairs) peak = std::max(peak, dot(k, j) * scale);
    for (const auto& [k, j] : pairs) sum += expl(dot(k, j) * scale - peak);
    const Real own = dot(1 - side, i), all = pairs.empty() ? -HUGE_VALL : peak + logl(sum), x = all - own * scale;
    const Real w = weight / (1 + expl(-x));
    const auto add = [&](int k, index_t j, Real share) {
      true_scale += share * dot(k, j);
      for (index_t c = 0; c < m; ++c) {
        of_u[side][i * m + c] += share * scale * u[k][j * m + c];
        of_u[k][j * m + c] += share * scale * a[c];
      }
    };
    add(1 - side, i, -w);
    for (const auto& [k, j] : pairs) add(k, j, w * expl(dot(k, j) * scale - all));
    return log1pl(expl(x));
  }

  bool right(Real tol = sizeof(S) == 4 ? 1e-6L : 1e-13L) const {
    bool good = true;
    Real off = 0, size = 0;
    for (std::size_t e = 0; e < true_losses.size(); ++e) {
      off += (losses[e] - true_losses[e]) * (losses[e] - true_losses[e]);
      size += true_losses[e] * true_losses[e];
    }
    good = good && off <= tol * tol * size;
    for (int k = 0; k < sets(); ++k) {
      off = 0;
      size = 1e-4L * grad_size * grad_size;  // of one feature, all of a normalised gradient cancels
      for (index_t i = 0; i < rows(k); ++i) {
        Real along = 0;
        for (index_t c = 0; c < m && normalize; ++c) along += of_u[k][i * m + c] * u[k][i * m + c];
        for (index_t c = 0; c < m; ++c) {
          const Real truth = (of_u[k][i * m + c] - along * u[k][i * m + c]) * inverse[k][i];
          const Real mine = to[k][i * (m + 1) + c];
          off += (mine - truth) * (mine - truth);
          size += truth * truth + along * along * inverse[k][i] * inverse[k][i];
        }
      }
      good = good && off <= tol * tol * size;
    }
    return good && std::fabs(of_scale[0] - true_scale) <= tol * (std::fabs(true_scale) + grad_size);
  }

  Real largest_gradient(int k) const {
    Real largest = 0;
    for (index_t e = 0; e < rows(k) * m; ++e) {
      const Real size = std::fabs(to[k][e / m * (m + 1) + e % m]);
      if (!(size <= largest)) largest = size;  // what is not a number stays
    }
    return largest;
  }

  // Of all losses and gradients, which are finite.
  std::vector<bool> finite() const {
    std::vector<bool> all;
    for (std::size_t e = 0; e < losses.size(); ++e) all.push_back(std::isfinite(losses[e]));
    for (int k = 0; k < sets(); ++k)
      for (index_t e = 0; e < rows(k) * m; ++e) all.push_back(std::isfinite(to[k][e / m * (m + 1) + e % m]));
    return all;
  }

  void print_bits(const char* what) const {
    testing::print_bits(what, losses);
    testing::print_bits(what, of_scale);
    for (int k = 0; k < sets(); ++k) {
      Array<S> packed(rows(k) * m);  // the gaps between rows are nobody's
      for (index_t e = 0; e < rows(k) * m; ++e) packed[e] = to[k][e / m * (m + 1) + e % m];
      testing::print_bits(what, packed);
    }
  }
};

template <class S>
void test_sizes(const char* name) {
  constexpr index_t sizes[][3] = {{1, 1, 1}, {2, 31, 2}, {33, 5, 17}, {65, 130, 9}};
  bool right = true;
  for (const Way way : ways)
    for (const bool normalize : {false, true})
      for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum})
        for (const auto& size : sizes) {
          if (size[0] > 33 && reduction == Reduction::sum) continue;
          const Problem<S> p(size[0], size[1], size[2], way, normalize, reduction);
          right = p.right() && right;
          if (size[0] == 33 && reduction == Reduction::mean) p.print_bits(name);
        }
  expect(right, name);
}

// Scores of normalised floats are split where their bound is known and small: see pairs/split_pairs.h.
void test_split() {
  // Two chains of features and two tiles of columns; two blocks for the columns, of four tiles; one tile of each.
  constexpr index_t sizes[][3] = {{70, 40, 70}, {9, 5, 300}, {33, 67, 64}};
  bool right = true, tiny = true, near_bound = true, beyond = true;
  for (const Way way : ways) {
    for (const auto& size : sizes) {
      const Problem<float> p(size[0], size[1], size[2], way, true, Reduction::mean, 4);
      right = p.right() && right;
      p.print_bits("split scores");
    }
    near_bound = Problem<float>(33, 5, 20, way, true, Reduction::sum, -39.9).right(2e-6L) && near_bound;
    beyond = Problem<float>(33, 5, 20, way, true, Reduction::mean, 40.1).right() && beyond;
  }
  bool huge = true, none = true, same = true;
  for (const Way way : ways) {
    const auto with = [&](double grads) { return Problem<float>(20, 7, 40, way, true, Reduction::none, 4, grads); };
    tiny = with(1e-34).right() && tiny;
    // The first weights are 0: the largest is looked for among all of them.
    tiny = Problem<float>(150, 7, 3, way, true, Reduction::none, 4, 1e-34, 0, 130).right() && tiny;
    huge = with(1e30).right() && huge;
    const Problem<float> zero = with(0);
    for (int k = 0; k < zero.sets(); ++k) none = zero.largest_gradient(k) == 0 && none;
    // Not a number goes where it goes in double.
    for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
      const Problem<float> narrow(20, 7, 5, way, true, Reduction::none, 4, 1, bad);
      const Problem<double> wide(20, 7, 5, way, true, Reduction::none, 4, 1, bad);
      same = narrow.finite() == wide.finite() && same;
    }
  }
  expect(right, "split scores");
  expect(near_bound, "split scores near their bound");
  expect(beyond, "scores beyond it");
  expect(tiny, "gradients of tiny losses");
  expect(huge, "gradients of huge losses");
  expect(none, "no gradient of nothing");
  expect(same, "not a number among split features");
}

}  // namespace

int main() {
  test_sizes<float>("losses and gradients, float");
  test_split();
  test_sizes<double>("losses and gradients, double");
  return testing::failures;
}
