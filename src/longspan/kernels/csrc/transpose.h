// Square blocks of values, turned by 90 degrees in registers.
#pragma once

#include <utility>

#include "vector.h"

namespace longspan::LONGSPAN_ISA {

// Blocks of D lanes from a and b by turns: every even block of each, or if `odd` every odd one. The
// lanes are constants in the code, since they would otherwise be made anew at every call.
template <int D, bool odd, std::size_t... lane>
LONGSPAN_INLINE vec alternate(vec a, vec b, std::index_sequence<lane...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (lane & D ? W + lane - D : lane) + odd * D...);
#else
  return __builtin_shuffle(
      a, b, ivec{static_cast<std::int32_t>((lane & D ? W + lane - D : lane) + odd * D)...});
#endif
}

// Turn W vectors of W floats by 90 degrees: row i, lane j becomes row j, lane i.
template <int D = 1>
LONGSPAN_INLINE void transpose(vec (&rows)[W]) {
  if constexpr (D < W) {
    constexpr std::make_index_sequence<W> lanes{};
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      if (i & D) continue;
      const vec a = rows[i], b = rows[i + D];
      rows[i] = alternate<D, false>(a, b, lanes);
      rows[i + D] = alternate<D, true>(a, b, lanes);
    }
    transpose<2 * D>(rows);
  }
}

}  // namespace longspan::LONGSPAN_ISA
