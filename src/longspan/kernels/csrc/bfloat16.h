// Products of bfloat16 numbers with float32 sums. Two neighbours along the sum share the place of one
// float, the first in its low half, so that packed matrices and rows keep their layout, with half as
// many "words". The processor's instruction does both products of a word at once; without it the same
// is computed in two steps.
#pragma once

#include "vector.h"

namespace longspan::LONGSPAN_ISA {

// Memory for rows of words; none where products are float32.
struct WordRows {
  float* data;
  const float** rows;
};

LONGSPAN_INLINE uvec bits_of(vec x) { return reinterpret_cast<uvec>(x); }
LONGSPAN_INLINE vec of_bits(uvec bits) { return reinterpret_cast<vec>(bits); }

// Rounded to the nearest, ties to even; NaN stays NaN.
LONGSPAN_INLINE halves rounded(vec x) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<halves>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(x)));
#else
  const uvec bits = bits_of(x);
  const uvec nearest = bits + 0x7fff + ((bits >> 16) & 1);
  const uvec quiet = bits | 0x400000;
  return __builtin_convertvector((x == x ? nearest : quiet) >> 16, halves);
#endif
}

// The words of two neighbours along the sum, for W columns.
LONGSPAN_INLINE vec pair(vec first, vec second) {
  const uvec low = __builtin_convertvector(rounded(first), uvec);
  const uvec high = __builtin_convertvector(rounded(second), uvec);
  return of_bits(low | high << 16);
}

// A row of `count` values as words; whole vectors are written, zeros after the values.
inline void round_row(const float* from, index count, float* words) {
  auto* to = reinterpret_cast<halves_in_memory*>(words);
  for (index k = 0; k < round_up(count, 2 * W); k += W)
    *to++ = k < count ? rounded(load_first(from + k, count - k)) : halves{};
}

// Two rows of `count` values as one row of words; a missing second row is zero.
inline void pair_rows(const float* first, const float* second, index count, float* words) {
  for (index k = 0; k < count; k += W)
    store(words + k, pair(load_first(first + k, count - k),
                          second ? load_first(second + k, count - k) : vec{}));
}

// sum += value · columns, or with pairs the sum of both products of each word.
template <bool kPairs>
LONGSPAN_INLINE void add_product(vec& sum, float value, vec columns) {
  if constexpr (!kPairs) {
    sum += value * columns;
  } else {
    std::uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    const uvec words = word + uvec{};
#if defined(__AVX512BF16__)
    sum = reinterpret_cast<vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                 reinterpret_cast<__m512bh>(words),
                                                 reinterpret_cast<__m512bh>(columns)));
#else
    sum += of_bits(words << 16) * of_bits(bits_of(columns) << 16);
    sum += of_bits(words & 0xffff0000u) * of_bits(bits_of(columns) & 0xffff0000u);
#endif
  }
}

}  // namespace longspan::LONGSPAN_ISA
