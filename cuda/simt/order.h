// The order in which threads and blocks take their turns: ALPHACL_SIMT_ORDER.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace simt {

/// 0, or nothing: in order; 1: backwards; another number: the seed of a new random order at every turn.
class Order {
 public:
  explicit Order(const char* text) {
    if (text == nullptr) return;
    char* end;
    number_ = std::strtoul(text, &end, 10);
    if (end == text || *end != '\0') {
      std::fprintf(stderr, "simt: ALPHACL_SIMT_ORDER: expected a number, got '%s'\n", text);
      std::abort();
    }
    random_ = number_;
  }

  /// What each byte of new shared memory is: in order 0 it is NaN to whoever reads it.
  int fill() const { return number_ == 0 ? 0xff : static_cast<int>(0x40 + number_ % 63); }

  /// The first order of 0, 1, … count - 1.
  std::vector<std::size_t> sequence(std::size_t count) const {
    std::vector<std::size_t> turn(count);
    for (std::size_t i = 0; i < count; ++i) turn[i] = number_ == 1 ? count - 1 - i : i;
    return turn;
  }

  /// A new order, if orders are random.
  void shuffle(std::vector<std::size_t>& turn) {
    for (std::size_t i = number_ > 1 ? turn.size() : 0; i > 1; --i) {
      random_ = random_ * 6364136223846793005u + 1442695040888963407u;
      std::swap(turn[i - 1], turn[(random_ >> 33) % i]);
    }
  }

 private:
  unsigned long number_ = 0;
  std::uint64_t random_ = 0;
};

}  // namespace simt
