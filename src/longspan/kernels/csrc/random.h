// Random masks from a seed and the place alone, so that threads may share the work in any way.
#pragma once

#include "vector.h"

namespace longspan::LONGSPAN_ISA {

// Wellons' "lowbias32": every bit of the input changes every bit of the result about half the time.
LONGSPAN_INLINE uvec mixed(uvec x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ x >> 16;
}

// The places [begin, end), multiples of W but for the last: `value` with a probability of
// `threshold` / 2²⁴, else zero.
inline void random_mask(std::uint64_t seed, std::uint32_t threshold, float value, float* out,
                        index begin, index end) {
  uvec lane{};
  for (int k = 0; k < W; ++k) lane[k] = static_cast<std::uint32_t>(k);
  for (index place = begin; place < end; place += W) {
    const std::uint64_t far = static_cast<std::uint64_t>(place) >> 32;
    const uvec first = mixed(lane + static_cast<std::uint32_t>(place) + static_cast<std::uint32_t>(seed));
    const uvec bits = mixed(first + static_cast<std::uint32_t>((seed >> 32) + far)) >> 8;
    store_first(out + place, end - place, bits < threshold ? all(value) : vec{});
  }
}

}  // namespace longspan::LONGSPAN_ISA
