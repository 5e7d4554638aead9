// Batches of tokens as Python's `random` draws them: its Mersenne Twister, its integers, its shuffle.
#include "alphacl/token_stream.h"

#include <algorithm>
#include <utility>

namespace alphacl {
namespace {

constexpr index_t words = mt19937_words - 1, middle = 397;

// Matsumoto and Nishimura's MT19937; Python's words are its outputs, and so are ours.
class Mt19937 {
 public:
  explicit Mt19937(std::uint32_t* state) : state_(state) {}

  std::uint32_t word() {
    std::uint32_t& used = state_[words];
    if (used >= words) {
      refill();
      used = 0;
    }
    std::uint32_t y = state_[used++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680U;
    y ^= (y << 15) & 0xefc60000U;
    return y ^ (y >> 18);
  }

  // random.random(): 53 bits of two words.
  double uniform() {
    const double high = word() >> 5, low = word() >> 6;
    return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
  }

  // random.randrange(n) for 1 ≤ n < 2³¹: as many bits as n has, until they are below it.
  std::uint32_t below(std::uint32_t n) {
    int bits = 0;
    while (n >> bits != 0) ++bits;
    std::uint32_t r;
    do r = word() >> (32 - bits);
    while (r >= n);
    return r;
  }

 private:
  void refill() {
    for (index_t i = 0; i < words; ++i) {
      const std::uint32_t y = (state_[i] & 0x80000000U) | (state_[(i + 1) % words] & 0x7fffffffU);
      state_[i] = state_[(i + middle) % words] ^ (y >> 1) ^ ((y & 1U) != 0 ? 0x9908b0dfU : 0U);
    }
  }

  std::uint32_t* state_;
};

class Drawing {
 public:
  Drawing(const TokenPatterns& from, std::uint32_t* state, index_t batch)
      : from_(from), random_(state), chosen_(batch), wildcards_(from.locations) {}

  void draw(std::int64_t* first, std::int64_t* second) {
    const double count = static_cast<double>(from_.count);
    for (index_t i = 0; i < chosen_.size(); ++i) chosen_[i] = static_cast<index_t>(random_.uniform() * count);
    const index_t k = from_.locations;
    for (index_t i = 0; i < chosen_.size(); ++i) fill(pattern(i), first + i * k);
    for (index_t i = 0; i < chosen_.size(); ++i) redraw(pattern(i), first + i * k, second + i * k);
  }

 private:
  const std::int64_t* pattern(index_t sample) const { return from_.patterns + chosen_[sample] * from_.locations; }
  std::int64_t token() { return random_.below(static_cast<std::uint32_t>(from_.tokens)); }

  void fill(const std::int64_t* pattern, std::int64_t* sample) {
    for (index_t k = 0; k < from_.locations; ++k) sample[k] = pattern[k] == wildcard ? token() : pattern[k];
  }

  void redraw(const std::int64_t* pattern, const std::int64_t* sample, std::int64_t* view) {
    std::copy_n(sample, from_.locations, view);
    index_t found = 0;
    for (index_t k = 0; k < from_.locations; ++k)
      if (pattern[k] == wildcard) wildcards_[found++] = k;
    for (index_t i = found - 1; i > 0; --i)
      std::swap(wildcards_[i], wildcards_[random_.below(static_cast<std::uint32_t>(i + 1))]);
    for (index_t i = 0; i < std::min(found, from_.redrawn); ++i) view[wildcards_[i]] = token();
  }

  const TokenPatterns& from_;
  Mt19937 random_;
  Buffer<index_t> chosen_, wildcards_;
};

}  // namespace

void draw_token_batches(const TokenPatterns& from, std::uint32_t* state, index_t batches, index_t batch,
                        std::int64_t* first, std::int64_t* second) {
  Drawing drawing(from, state, batch);
  const index_t size = batch * from.locations;
  for (index_t b = 0; b < batches; ++b) drawing.draw(first + b * size, second + b * size);
}

}  // namespace alphacl
