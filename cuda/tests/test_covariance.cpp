// Covariances, energies and their gradients, of two views and of gated ones, against their definition in long double.
#include "covariance/contrastive_cov.h"

#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "covariance/literal_sums.h"
#include "nodes/gated_cov.h"
#include "tests/testing.h"

namespace {

using alphacl::Activation;
using alphacl::index_t;
using alphacl::View;
using alphacl::cuda::Importance;
using alphacl::cuda::NodeImportance;
using alphacl::cuda::Samples;
using alphacl::cuda::Stream;
using testing::Array;
using testing::close;
using testing::expect;
using testing::Memory;
using testing::next;
using Real = long double;
using Reals = std::vector<Real>;

// C, l − R δ, R δ and Σ_j α_ij ‖x_i − x_j‖², from the differences of all pairs; x and x_aug: n × d.
struct Truth {
  Reals cov, grad, grad_aug, spread;

  Truth(index_t n, index_t d, const Reals& x, const Reals& x_aug, const Reals& alpha)
      : cov(d * d, 0), grad(n * d, 0), grad_aug(n * d, 0), spread(n, 0) {
    for (index_t i = 0; i < n; ++i) {
      Reals delta(d);
      for (index_t a = 0; a < d; ++a) delta[a] = x[i * d + a] - x_aug[i * d + a];
      for (index_t j = 0; j < n; ++j) {
        const Real there = alpha[i * n + j], both = there + alpha[j * n + i];
        for (index_t a = 0; a < d; ++a) {
          const Real apart = x[i * d + a] - x[j * d + a];
          for (index_t b = 0; b < d; ++b)
            cov[a * d + b] += there * (apart * (x[i * d + b] - x[j * d + b]) - delta[a] * delta[b]);
          spread[i] += there * apart * apart;
          grad[i * d + a] += both * apart - there * delta[a];
          grad_aug[i * d + a] += there * delta[a];
        }
      }
    }
    for (Real& entry : cov) entry /= 2.0L * n * n;
  }
  Real energy(index_t d) const {
    Real trace = 0;
    for (index_t a = 0; a < d; ++a) trace += cov[a * d + a];
    return trace / 2;
  }
};

// Two views with rows of other lengths.
template <class S>
struct Views {
  index_t n, d;
  Array<S> x, x_aug;

  Views(index_t samples, index_t features, std::uint64_t seed)
      : n(samples), d(features), x(n * (d + 2)), x_aug(n * (d + 1)) {
    for (std::size_t e = 0; e < x.size(); ++e) x[e] = static_cast<S>(2 + next(seed));
    for (std::size_t e = 0; e < x_aug.size(); ++e) x_aug[e] = static_cast<S>(2 + next(seed));
  }
  S& at(index_t i, index_t c) const { return x[i * (d + 2) + c]; }
  S& aug_at(index_t i, index_t c) const { return x_aug[i * (d + 1) + c]; }
  View<const S> own() const { return {x.data(), n, d, d + 2}; }
  View<const S> other() const { return {x_aug.data(), n, d, d + 1}; }
  // gate · x of either view.
  template <class Gate>
  Reals gated(bool aug, Gate&& gate) const {
    Reals found;
    for (index_t i = 0; i < n; ++i) {
      const Real factor = gate(aug, i);
      for (index_t c = 0; c < d; ++c) found.push_back(factor * (aug ? aug_at(i, c) : at(i, c)));
    }
    return found;
  }
  Truth truth(const Reals& alpha) const {
    const auto open = [](bool, index_t) { return 1; };
    return {n, d, gated(false, open), gated(true, open), alpha};
  }
};

template <class T>
Reals reals(const Array<T>& array) {
  return Reals(array.data(), array.data() + array.size());
}

// Of both signs, not symmetric.
template <class S>
void fill_alpha(const Array<S>& alpha) {
  std::uint64_t seed = 3;
  for (std::size_t e = 0; e < alpha.size(); ++e) alpha[e] = static_cast<S>(next(seed) + 0.25);
}

template <class S>
constexpr Real tolerance = sizeof(S) == 4 ? 1e-6L : 2e-12L;

// Σ_k w_k (rows_i · v_k) v_k, d entries each; vectors lie d + 3 apart.
template <class S>
Reals along_vectors(const Reals& rows, index_t d, const Array<S>& v, const Array<double>& w) {
  Reals found(rows.size(), 0);
  for (index_t e = 0; e < static_cast<index_t>(rows.size()); ++e)
    for (index_t k = 0; k < static_cast<index_t>(w.size()); ++k)
      for (index_t a = 0; a < d; ++a)
        found[e] += w[k] * rows[e / d * d + a] * v[k * (d + 3) + a] * v[k * (d + 3) + e % d];
  return found;
}

// Everything that two views and an α give. Laplacians of a series ask whether they are lost.
template <class S>
void check(const Views<S>& views, const Importance<S>& alpha, const Truth& truth, const char* what,
           bool series = false) {
  Memory memory;
  const Stream on{nullptr, memory};
  const index_t n = views.n, d = views.d;
  const Array<S> cov(d * d), grad(n * (d + 3)), grad_aug(n * (d + 4));
  const Array<double> energy(1);
  alphacl::cuda::contrastive_cov<S>(on, views.own(), views.other(), alpha, cov.data());
  alphacl::cuda::energy<S>(on, views.own(), views.other(), alpha, energy.data());
  alphacl::cuda::laplacian_product<S>(on, views.own(), views.other(), alpha, {grad.data(), n, d, d + 3},
                                      {grad_aug.data(), n, d, d + 4});
  const Array<S> along(n * (d + 1)), along_aug(n * (d + 2)), vectors(2 * (d + 3));
  const Array<double> weights(2);
  std::uint64_t seed = 29;
  for (std::size_t e = 0; e < vectors.size(); ++e) vectors[e] = static_cast<S>(next(seed));
  weights[0] = 0.75, weights[1] = -1.25;
  alphacl::cuda::laplacian_along<S>(on, views.own(), views.other(), alpha, {vectors.data(), 2, d, d + 3},
                                    weights.data(), {along.data(), n, d, d + 1}, {along_aug.data(), n, d, d + 2});
  // C and E in double ask whether digits are lost.
  const bool waits = memory.waits() == (sizeof(S) == 4 ? 0 : 4) + (series ? 4 : 0);
  testing::finish();
  bool symmetric = true;
  for (index_t a = 0; a < d; ++a)
    for (index_t b = 0; b < a; ++b) symmetric = symmetric && cov[a * d + b] == cov[b * d + a];
  const Real trace = truth.energy(d), tol = tolerance<S>;
  const bool energies = std::fabs(energy[0] - trace) <= 1e-11L * std::fabs(trace);
  const bool gradients = close(grad, d, d + 3, truth.grad, tol) && close(grad_aug, d, d + 4, truth.grad_aug, tol);
  const Reals rest = along_vectors(truth.grad, d, vectors, weights);
  const Reals rest_aug = along_vectors(truth.grad_aug, d, vectors, weights);
  const bool alongs = close(along, d, d + 1, rest, tol) && close(along_aug, d, d + 2, rest_aug, tol);
  char line[80];  // no std::string, whose compiled part MemorySanitizer does not follow
  std::snprintf(line, sizeof line, "%s, %d x %d, %s", what, static_cast<int>(n), static_cast<int>(d),
                sizeof(S) == 4 ? "float" : "double");
  const bool right = close(cov, d, d, truth.cov, tol);
  if (!expect(symmetric && right && energies && gradients && alongs && waits, line))
    std::printf("symmetric %d, right %d, energy %d, gradients %d, alongs %d, waits %d\n", symmetric, right, energies,
                gradients, alongs, memory.waits());
  testing::print_bits(line, cov);
}

template <class S>
void test_views(index_t n, index_t d) {
  const Views<S> views(n, d, 5);
  const Array<S> alpha(n * n);
  fill_alpha(alpha);
  check<S>(views, *alphacl::cuda::dense<S>({alpha.data(), n, n, n}), views.truth(reals(alpha)), "two views");
}

// Two clusters far apart, and only pairs of the same one count: all that is far cancels.
void test_cancellation() {
  const index_t n = 66, d = 3;
  const Views<double> views(n, d, 6);
  const Array<double> phi(n * 2);
  Reals alpha(n * n);
  for (index_t i = 0; i < n; ++i) {
    const double far = i % 3 == 0 ? 1e7 : -1e7;
    for (index_t c = 0; c < d; ++c) views.at(i, c) += far, views.aug_at(i, c) += far;
    for (const index_t cluster : {0, 1}) phi[i * 2 + cluster] = (i % 3 == 0) == (cluster == 0) ? 1 : 0;
    for (index_t j = 0; j < n; ++j) alpha[i * n + j] = (i % 3 == 0) == (j % 3 == 0) ? 1 : 0;
  }
  const Array<double> stored(n * n);
  for (std::size_t e = 0; e < stored.size(); ++e) stored[e] = static_cast<double>(alpha[e]);
  const Truth truth = views.truth(alpha);
  check<double>(views, *alphacl::cuda::dense<double>({stored.data(), n, n, n}), truth, "clusters, pairs");
  check<double>(views, *alphacl::cuda::low_rank<double>({phi.data(), n, 2, 2}, nullptr), truth, "clusters, a factor");
}

// The same clusters by the scalars of a Gaussian: entries of a series between them err by 1e-15, and that counts.
template <class S>
void test_series_of_clusters(double far) {
  Memory memory;
  const index_t n = 66, d = 3;
  const Views<S> views(n, d, 6);
  const Array<S> f(n);
  Reals alpha(n * n);
  for (index_t i = 0; i < n; ++i) {
    f[i] = static_cast<S>((i % 3 == 0 ? 0 : 20) + static_cast<double>(i % 5) / 8);
    for (index_t c = 0; c < d; ++c) {
      views.at(i, c) += static_cast<S>(i % 3 == 0 ? far : -far);
      views.aug_at(i, c) += static_cast<S>(i % 3 == 0 ? far : -far);
    }
  }
  for (index_t e = 0; e < n * n; ++e) alpha[e] = expl(-(Real{f[e / n]} - f[e % n]) * (Real{f[e / n]} - f[e % n]) / 2);
  const auto series = alphacl::cuda::scalar_gaussian<S>({nullptr, memory}, {f.data(), n, 1, 1}, 1.0, 1e-15,
                                                        alphacl::cuda::ScalarMethod::series, memory);
  expect(series->factor().has_value(), "a series");
  check<S>(views, *series, views.truth(alpha), "clusters, a series", true);
}

// Two large factors of opposite signs that cancel beside a small one; their products have few bits, so α is exact.
void test_signs_that_cancel() {
  const index_t n = 66, d = 3;
  const Views<double> views(n, d, 9);
  const Array<double> phi(n * 3), signs(3);
  Reals alpha(n * n);
  std::uint64_t seed = 10;
  for (index_t k = 0; k < 3; ++k) signs[k] = k == 0 ? 1e6 : k == 1 ? -1e6 : 1;
  for (index_t i = 0; i < n; ++i) {
    phi[i * 3] = phi[i * 3 + 1] = 1 + static_cast<double>(i % 5) / 8;
    phi[i * 3 + 2] = next(seed);
  }
  for (index_t i = 0; i < n; ++i)
    for (index_t j = 0; j < n; ++j) alpha[i * n + j] = Real{phi[i * 3 + 2]} * phi[j * 3 + 2];
  check<double>(views, *alphacl::cuda::low_rank<double>({phi.data(), n, 3, 3}, signs.data()), views.truth(alpha),
                "signs that cancel");
}

// The same with a factor of both signs: its row sums are 0, and what cancels is its products with the samples.
void test_signed_factor() {
  const index_t n = 68, d = 3;
  const Views<double> views(n, d, 6);
  const Array<double> phi(n * 2);
  Reals alpha(n * n);
  for (index_t i = 0; i < n; ++i) {
    for (index_t c = 0; c < d; ++c) {
      views.at(i, c) += i / 2 % 2 == 0 ? 1e7 : -1e7;
      views.aug_at(i, c) = views.at(i, c);
    }
    for (const index_t cluster : {0, 1}) phi[i * 2 + cluster] = i / 2 % 2 != cluster ? 0 : i % 2 == 0 ? 1 : -1;
  }
  for (index_t e = 0; e < n * n; ++e)
    alpha[e] = phi[e / n * 2] * phi[e % n * 2] + phi[e / n * 2 + 1] * phi[e % n * 2 + 1];
  check<double>(views, *alphacl::cuda::low_rank<double>({phi.data(), n, 2, 2}, nullptr), views.truth(alpha),
                "a signed factor");
}

// A column that cancels beside one that does not, and is far larger, gets the bits that it gets alone.
void test_columns_decide_alone() {
  Memory memory;
  const Stream on{nullptr, memory};
  const index_t n = 66;
  const Array<double> phi(n * 2), both(n * 2), one(n), l(n * 2), l_alone(n), row_sum(n);
  std::uint64_t seed = 15;
  for (index_t i = 0; i < n; ++i) {
    for (const index_t cluster : {0, 1}) phi[i * 2 + cluster] = i % 2 == cluster ? 1 : 0;
    one[i] = both[i * 2] = next(seed) + (i % 2 == 0 ? 1e7 : -1e7);
    both[i * 2 + 1] = 1e12 * next(seed);
  }
  const auto importance = alphacl::cuda::low_rank<double>({phi.data(), n, 2, 2}, nullptr);
  importance->laplacian(on, alphacl::cuda::centred_samples(on, both.data(), n, 2), l.data(), row_sum.data());
  importance->laplacian(on, alphacl::cuda::centred_samples(on, one.data(), n, 1), l_alone.data(), row_sum.data());
  testing::finish();
  bool same = true;
  Real off = 0, size = 0;
  for (index_t i = 0; i < n; ++i) {
    Real sum = 0;
    for (index_t j = i % 2; j < n; j += 2) sum += 2 * (static_cast<Real>(one[i]) - one[j]);
    same = same && l[i * 2] == l_alone[i];
    off += (l[i * 2] - sum) * (l[i * 2] - sum);
    size += sum * sum;
  }
  expect(same && off <= 1e-26L * size, "columns decide alone");
}

// The sums over all pairs, seven rows of α at a time.
void test_blocks_of_rows() {
  Memory memory;
  const Stream on{nullptr, memory};
  const index_t n = 38, d = 5, most = 7 * n + 3;
  const Array<double> x(n * d), sum(d * d), spread(n);
  std::uint64_t seed = 8;
  for (std::size_t e = 0; e < x.size(); ++e) x[e] = next(seed);
  for (std::size_t e = 0; e < sum.size(); ++e) sum[e] = 3;
  const Array<double> alpha(n * n);
  fill_alpha(alpha);
  const auto importance = alphacl::cuda::dense<double>({alpha.data(), n, n, n});
  const Samples samples{n, d, x.data(), nullptr};
  alphacl::cuda::add_literal_covariance(on, samples, *importance, sum.data(), most);
  alphacl::cuda::literal_spread(on, samples, *importance, spread.data(), most);
  testing::finish();
  const Truth truth(n, d, reals(x), reals(x), reals(alpha));
  Reals expected;
  for (const Real entry : truth.cov) expected.push_back(3 + entry * 2 * n * n);
  expect(close(sum, d, d, expected, 1e-13L) && close(spread, 1, 1, truth.spread, 1e-13L), "blocks of rows of alpha");
}

// h'(u).
Real gate_of(const Activation& h, Real u) {
  const Real q = h.parameter;
  if (h.kind == Activation::Kind::linear) return 1;
  if (h.kind == Activation::Kind::monomial) return q * powl(u, q - 1);
  return u > 0 ? 1 : h.kind == Activation::Kind::relu ? 0 : q;
}

// How α is given to nodes.
enum class Given { shared, own, other, uniform, low_rank };

// Φ of Given::low_rank is the first two columns of `stored`.
template <class S>
std::unique_ptr<Importance<S>> shared_importance(Given given, index_t n, const Array<S>& stored) {
  if (given == Given::uniform) return alphacl::cuda::uniform<S>(n, false);
  if (given == Given::low_rank) return alphacl::cuda::low_rank<S>({stored.data(), n, 2, n}, nullptr);
  return alphacl::cuda::dense<S>({stored.data(), n, n, n});
}

template <class S>
Reals entries_of(Given given, index_t n, const Array<S>& stored) {
  Reals entries = reals(stored);
  for (index_t i = 0; i < n; ++i)
    for (index_t j = 0; j < n; ++j) {
      if (given == Given::uniform) entries[i * n + j] = i == j ? 0 : 1;
      if (given == Given::low_rank)
        entries[i * n + j] = Real{stored[i * n]} * stored[j * n] + Real{stored[i * n + 1]} * stored[j * n + 1];
    }
  return entries;
}

template <class S>
bool gated_is_right(const Activation& h, Given given, const Views<S>& views, const Array<S>& weights, index_t nodes,
                    const Array<S>& stored, const Array<S>& out) {
  Memory memory;
  const index_t n = views.n, d = views.d;
  const double tau = 3;
  const bool own = given == Given::own || given == Given::other;
  const auto shared = shared_importance(given, n, stored);
  NodeImportance<S> alpha{own ? nullptr : shared.get(), tau};
  if (given == Given::other) alpha.x0 = views.other();
  alpha.tol = 1e-3;  // it decides alone: a series where the outputs lie near each other, with entries to 1e-15
  alphacl::cuda::gated_cov<S>({nullptr, memory}, views.own(), views.other(), {weights.data(), nodes, d, d + 1}, h,
                              alpha, out.data(), 2 * n);
  testing::finish();
  bool right = true;
  for (index_t k = 0; k < nodes; ++k) {
    const auto inner = [&](bool aug, index_t i) {
      Real u = 0;
      for (index_t c = 0; c < d; ++c) u += Real{weights[k * (d + 1) + c]} * (aug ? views.aug_at(i, c) : views.at(i, c));
      return u;
    };
    const auto gate = [&](bool aug, index_t i) { return gate_of(h, inner(aug, i)); };
    const auto output = [&](index_t i) {
      const Real u = inner(given == Given::other, i);
      return u * gate_of(h, u) / h.degree();
    };
    Reals entries = entries_of(given, n, stored);
    for (index_t e = 0; own && e < n * n; ++e) {
      const Real apart = output(e / n) - output(e % n);
      entries[e] = expl(-apart * apart / (2 * tau));
    }
    const Truth truth(n, d, views.gated(false, gate), views.gated(true, gate), entries);
    const Array<S> here(d * d);
    for (index_t e = 0; e < d * d; ++e) here[e] = out[k * d * d + e];
    right = close(here, d, d, truth.cov, tolerance<S>) && right;
  }
  return right;
}

// Node 1 has the weights 0: no gate of it is open. Two nodes make a block, so node 2 is another's.
template <class S>
void test_gated(const char* what) {
  const index_t n = 35, d = 4, nodes = 3;
  const Views<S> views(n, d, 9);
  const Array<S> weights(nodes * (d + 1)), out(nodes * d * d);
  std::uint64_t seed = 10;
  for (std::size_t e = 0; e < weights.size(); ++e)
    weights[e] = static_cast<S>(static_cast<index_t>(e) / (d + 1) == 1 ? 0 : next(seed));
  const Array<S> alpha(n * n);
  fill_alpha(alpha);
  bool right = true;
  const auto run = [&](Activation::Kind kind, double parameter, Given given) {
    right = gated_is_right<S>({kind, parameter}, given, views, weights, nodes, alpha, out) && right;
    testing::print_bits(what, out);
  };
  run(Activation::Kind::leaky_relu, 0.25, Given::shared);
  run(Activation::Kind::monomial, 7, Given::shared);
  run(Activation::Kind::relu, 0, Given::own);
  run(Activation::Kind::monomial, 4, Given::other);
  run(Activation::Kind::relu, 0, Given::shared);
  run(Activation::Kind::relu, 0, Given::uniform);
  run(Activation::Kind::relu, 0, Given::low_rank);
  run(Activation::Kind::leaky_relu, -0.5, Given::low_rank);
  run(Activation::Kind::linear, 0, Given::uniform);
  expect(right, what);
}

// No pairs but each sample and itself: δ of gated samples keeps the digits of the difference.
void test_nearly_equal_views() {
  const index_t n = 65, d = 3;
  const Views<double> views(n, d, 12);
  std::uint64_t seed = 14;
  for (index_t i = 0; i < n; ++i)
    for (index_t c = 0; c < d; ++c) views.aug_at(i, c) = views.at(i, c) + 1e-7 * next(seed);
  const Array<double> alpha(n * n), weights(d + 1), out(d * d);
  for (index_t e = 0; e < n * n; ++e) alpha[e] = e % (n + 1) == 0 ? 1 : 0;
  for (std::size_t c = 0; c < weights.size(); ++c) weights[c] = -1;
  const Activation leaky{Activation::Kind::leaky_relu, 0.3};
  expect(gated_is_right<double>(leaky, Given::shared, views, weights, 1, alpha, out), "gated views that nearly agree");
}

// What is far from the origin cancels in the sums of a factor. First an offset of all samples, every gate open; then
// two clusters, of which pairs count within one alone, and closed gates for one of them.
void test_gated_far_away() {
  const index_t n = 66, d = 3;
  const Array<double> stored(n * n), out(2 * d * d), weights(2 * (d + 1));
  for (std::size_t c = 0; c < weights.size(); ++c) weights[c] = static_cast<index_t>(c) < d + 1 ? 1 : -1;
  const Activation relu{Activation::Kind::relu, 0};
  const Views<double> together(n, d, 16), apart(n, d, 17);
  for (index_t i = 0; i < n; ++i) {
    const bool first = i % 3 == 0;
    for (index_t j = 0; j < n; ++j) stored[i * n + j] = j == (first ? 0 : 1) ? 1 : 0;
    for (index_t c = 0; c < d; ++c) {
      together.at(i, c) += 1e3, together.aug_at(i, c) += 1e3;
      const double far = first ? -1e7 : 1e7;
      apart.at(i, c) += far, apart.aug_at(i, c) += far;
    }
  }
  expect(gated_is_right<double>(relu, Given::uniform, together, weights, 2, stored, out), "gated views with an offset");
  testing::print_bits("gated views with an offset", out);
  expect(gated_is_right<double>(relu, Given::low_rank, apart, weights, 2, stored, out), "gated clusters, a factor");
  testing::print_bits("gated clusters, a factor", out);
}

// The same of a node: clusters of its outputs, which are few widths of its Gaussian apart, so that it has a series.
void test_series_of_node() {
  const index_t n = 160, d = 3;
  const Views<double> views(n, d, 6);
  const Array<double> stored(n * n), out(d * d), weights(d + 1);
  for (std::size_t e = 0; e < stored.size(); ++e) stored[e] = 0;
  for (index_t c = 0; c < d; ++c) weights[c] = c == 0 ? 1 : 0;
  for (index_t i = 0; i < n; ++i) {
    views.at(i, 0) += i % 3 == 0 ? 34 : 0;
    for (index_t c = 0; c < d; ++c) {
      if (c > 0) views.at(i, c) += i % 3 == 0 ? 1e7 : -1e7;
      views.aug_at(i, c) = views.at(i, c) + static_cast<double>(i % 7) / 8;
    }
  }
  expect(gated_is_right<double>({Activation::Kind::relu, 0}, Given::own, views, weights, 1, stored, out),
         "gated clusters, a series");
  testing::print_bits("gated clusters, a series", out);
}

}  // namespace

int main() {
  test_gated_far_away();
  test_views<float>(1, 1);
  test_views<float>(2, 65);
  test_views<float>(65, 5);
  test_views<double>(65, 3);
  test_cancellation();
  test_series_of_clusters<double>(1e7);
  test_series_of_clusters<float>(0x1p13);
  test_signs_that_cancel();
  test_signed_factor();
  test_columns_decide_alone();
  test_blocks_of_rows();
  test_gated<float>("gated float views");
  test_gated<double>("gated double views");
  test_nearly_equal_views();
  test_series_of_node();
  return testing::failures;
}
