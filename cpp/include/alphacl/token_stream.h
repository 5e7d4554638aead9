// Batches of tokens drawn from patterns with wildcards, by the generator of Python's `random` and in the same order.
#pragma once

#include <cstdint>

#include "alphacl/view.h"

namespace alphacl {

constexpr std::int64_t wildcard = -1;

/// The state of random.getstate(): 624 words, then how many of them are used up.
constexpr index_t mt19937_words = 625;

/// Patterns (count × locations): a token or `wildcard`. A second view draws `redrawn` of its wildcards anew.
struct TokenPatterns {
  const std::int64_t* patterns;
  index_t count, locations, tokens, redrawn;
};

/// Both views of `batches` batches of `batch` samples each, batches × batch × locations, as
///   random.choices(patterns, k=batch); random.randint for each wildcard of each sample;
///   then for each sample random.shuffle of its wildcards and random.randint for the first `redrawn` of them
/// do for each batch; `state` is advanced. Cost: O(batches · batch · locations).
void draw_token_batches(const TokenPatterns& from, std::uint32_t* state, index_t batches, index_t batch,
                        std::int64_t* first, std::int64_t* second);

}  // namespace alphacl
