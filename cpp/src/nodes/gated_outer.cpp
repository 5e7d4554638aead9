// Weighted outer products Σ_i ω_ik x_i x_iᵀ of all nodes.
#include <algorithm>

#include "alphacl/gated.h"
#include "packing/outer_sum.h"
#include "runtime/threads.h"

namespace alphacl {

template <class S>
void gated_outer(View<const S> x, View<const S> omega, S* out) {
  const index_t d = x.cols, nodes = omega.cols;
  // Few nodes are cut into groups of rows, whose number depends on the sizes alone.
  const index_t by_memory = (index_t{1} << 23) / std::max<index_t>(1, nodes * UpperTiles<S>::entries(d));
  const index_t groups = std::max<index_t>(1, std::min({64 / nodes, x.rows / 1024, by_memory}));
  const index_t entries = UpperTiles<S>::entries(d);
  Buffer<double> parts(groups > 1 ? groups * nodes * entries : 0);
  struct Work {
    OuterSum<S> gram;
    Buffer<index_t> rows;
    Buffer<S> weights;
  };
  PerWorker<Work> works;
  const auto write = [&](index_t k, const double* tiles) {
    S* a = out + k * d * d;
    for (index_t i = 0; i < d; ++i)
      for (index_t j = i; j < d; ++j) a[i * d + j] = a[j * d + i] = static_cast<S>(tiles[UpperTiles<S>::entry(i, j)]);
  };
  parallel_for(nodes * groups, [&](index_t task, int worker) {
    const index_t k = task / groups, g = task % groups;
    const index_t begin = x.rows * g / groups, end = x.rows * (g + 1) / groups;
    Work& work = works[worker];
    work.gram.start(d);
    work.rows.resize(end - begin);
    work.weights.resize(end - begin);
    index_t kept = 0;
    for (index_t i = begin; i < end; ++i) {
      const S w = omega.row(i)[k];
      if (w == S(0)) continue;
      work.rows[kept] = i;
      work.weights[kept++] = w;
    }
    work.gram.add(x, work.rows.data(), work.weights.data(), kept);
    const double* tiles = work.gram.finish();
    if (groups == 1) {
      write(k, tiles);
    } else {
      std::copy_n(tiles, entries, parts.data() + task * entries);
    }
  });
  if (groups == 1) return;
  parallel_for(nodes, [&](index_t k, int) {
    double* total = parts.data() + k * groups * entries;
    for (index_t g = 1; g < groups; ++g)
      for (index_t e = 0; e < entries; ++e) total[e] += total[g * entries + e];
    write(k, total);
  });
}

template void gated_outer<float>(View<const float>, View<const float>, float*);
template void gated_outer<double>(View<const double>, View<const double>, double*);

}  // namespace alphacl
