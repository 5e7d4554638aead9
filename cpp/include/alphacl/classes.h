// The samples of each class, from one integer label per sample: counted where the labels lie close together, else
// sorted. Time O(N), or O(N log N); memory O(N).
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "alphacl/view.h"

namespace alphacl {

struct Classes {
  std::vector<index_t> of;     // the class of each sample
  std::vector<index_t> order;  // the samples, class after class, each in rising order
  std::vector<index_t> start;  // where a class begins in `order`; one more entry at the end

  index_t size() const { return static_cast<index_t>(of.size()); }          // N
  index_t count() const { return static_cast<index_t>(start.size()) - 1; }  // classes
  index_t begin(index_t c) const { return start[static_cast<std::size_t>(c)]; }
  index_t end(index_t c) const { return start[static_cast<std::size_t>(c) + 1]; }
  index_t members(index_t c) const { return end(c) - begin(c); }
};

/// Classes of n ≥ 1 labels, in the order of the labels.
inline Classes classes_of(const std::int64_t* labels, index_t n) {
  const auto [low, high] = std::minmax_element(labels, labels + n);
  const std::int64_t least = *low;
  // Differences of labels are taken without a sign, where they cannot overflow.
  const auto above = [&](index_t i) {
    return static_cast<std::uint64_t>(labels[i]) - static_cast<std::uint64_t>(least);
  };
  const std::uint64_t range = static_cast<std::uint64_t>(*high) - static_cast<std::uint64_t>(least);
  Classes found;
  found.of.resize(static_cast<std::size_t>(n));
  found.order.resize(static_cast<std::size_t>(n));
  std::iota(found.order.begin(), found.order.end(), index_t{0});
  if (range < 4 * static_cast<std::uint64_t>(n)) {
    std::vector<index_t> place(static_cast<std::size_t>(range) + 2, 0);
    for (index_t i = 0; i < n; ++i) ++place[above(i) + 1];
    std::partial_sum(place.begin(), place.end(), place.begin());
    for (index_t i = 0; i < n; ++i) found.order[static_cast<std::size_t>(place[above(i)]++)] = i;
  } else {
    std::stable_sort(found.order.begin(), found.order.end(),
                     [&](index_t i, index_t j) { return labels[i] < labels[j]; });
  }
  for (index_t r = 0; r < n; ++r) {
    const index_t i = found.order[static_cast<std::size_t>(r)];
    if (r == 0 || labels[i] != labels[found.order[static_cast<std::size_t>(r) - 1]]) found.start.push_back(r);
    found.of[static_cast<std::size_t>(i)] = static_cast<index_t>(found.start.size()) - 1;
  }
  found.start.push_back(n);
  return found;
}

}  // namespace alphacl
