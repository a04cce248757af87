// Vectors of W floats in the compiler's own vector types, so that one source serves every
// instruction set. Everything is in a namespace of the build (LONGSPAN_ISA): a function shared
// between builds could otherwise be linked from the wrong one, and put AVX-512 on an older machine.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "kernels.h"

#define LONGSPAN_INLINE [[gnu::always_inline]] inline

#if defined(__GNUC__) && !defined(__clang__)
#define LONGSPAN_SHUFFLES 1
#else
#define LONGSPAN_SHUFFLES 0
#endif

namespace longspan::LONGSPAN_ISA {

constexpr int W = LONGSPAN_WIDTH;

typedef float vec __attribute__((vector_size(W * 4)));
typedef std::int32_t ivec __attribute__((vector_size(W * 4)));
typedef std::uint32_t uvec __attribute__((vector_size(W * 4)));
typedef std::uint16_t halves __attribute__((vector_size(W * 2)));
typedef halves halves_in_memory __attribute__((aligned(2), may_alias));
typedef float vec_in_memory __attribute__((vector_size(W * 4), aligned(4), may_alias));

LONGSPAN_INLINE vec load(const float* p) { return *reinterpret_cast<const vec_in_memory*>(p); }
LONGSPAN_INLINE void store(float* p, vec v) { *reinterpret_cast<vec_in_memory*>(p) = v; }
LONGSPAN_INLINE vec all(float value) { return value - vec{}; }

// The first n of W lanes; the rest is zero, or left alone.
LONGSPAN_INLINE vec load_first(const float* p, index n) {
  if (n >= W) return load(p);
#if defined(__AVX512F__)
  return reinterpret_cast<vec>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p));
#else
  vec v{};
  std::memcpy(&v, p, static_cast<std::size_t>(n) * 4);
  return v;
#endif
}
LONGSPAN_INLINE void store_first(float* p, index n, vec v) {
  if (n >= W) return store(p, v);
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), reinterpret_cast<__m512>(v));
#else
  std::memcpy(p, &v, static_cast<std::size_t>(n) * 4);
#endif
}

// Sum of all lanes, by halves: one after the other they would wait for each other. g++ makes scalar
// additions of the second way, which is for clang, and has the same result.
LONGSPAN_INLINE float sum(vec v) {
#if LONGSPAN_SHUFFLES
  ivec lane;
  for (int k = 0; k < W; ++k) lane[k] = k;
#pragma GCC unroll 4
  for (int half = W / 2; half; half /= 2) v += __builtin_shuffle(v, lane ^ half);
  return v[0];
#else
  float lanes[W];
  store(lanes, v);
#pragma GCC unroll 4
  for (int half = W / 2; half; half /= 2) {
#pragma GCC unroll 8
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
#endif
}

// The first n lanes; the rest zero.
LONGSPAN_INLINE vec first_lanes(vec v, index n) {
  if (n >= W) return v;
  ivec lane;
  for (int k = 0; k < W; ++k) lane[k] = k;
  return lane < static_cast<std::int32_t>(n) ? v : vec{};
}

LONGSPAN_INLINE constexpr index smaller(index a, index b) { return a < b ? a : b; }
LONGSPAN_INLINE constexpr index round_up(index n, index unit) { return (n + unit - 1) / unit * unit; }

// NaN passes through: x86's instructions return their second operand where either is NaN.
LONGSPAN_INLINE vec clamp(vec x, float low, float high) {
#if defined(__AVX512F__)
  // With a mask of all lanes, since g++ 12 warns of its own header's unmasked ones.
  const __m512 raised =
      _mm512_maskz_max_ps(0xffff, _mm512_set1_ps(low), reinterpret_cast<__m512>(x));
  return reinterpret_cast<vec>(_mm512_maskz_min_ps(0xffff, _mm512_set1_ps(high), raised));
#else
  x = x < low ? all(low) : x;
  return x > high ? all(high) : x;
#endif
}

// e^x = scale + scale·rest with scale = 2^n: kept apart, so that e^x - 1 is exact near zero too.
// The polynomial interpolates (e^r - 1 - r) / r² on |r| ≤ ln 2 / 2 at Chebyshev's nodes; e^r is then
// good to 1e-8. For |x| ≤ 87.
struct Exponential {
  vec scale, rest;
};
LONGSPAN_INLINE Exponential exponential(vec x) {
  const vec shifter = all(12582912.0f);  // 1.5·2^23: adding it rounds to whole numbers
  const vec shifted = x * 1.44269504f + shifter;
  const vec n = shifted - shifter;
  const vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  vec p = all(0.001392617612f);
  p = p * r + 0.0083631730745f;
  p = p * r + 0.041666554662f;
  p = p * r + 0.16666577026f;
  p = p * r + 0.5f;
  const ivec exponent = (reinterpret_cast<ivec>(shifted) << 23) + 0x3f800000;
  return {reinterpret_cast<vec>(exponent), p * (r * r) + r};
}

// n / d. On AVX-512 a rough reciprocal and a correction, as division takes several times longer;
// for d within [1, 1e38].
LONGSPAN_INLINE vec quotient(vec n, vec d) {
#if defined(__AVX512F__)
  const vec r =
      reinterpret_cast<vec>(_mm512_maskz_rcp14_ps(0xffff, reinterpret_cast<__m512>(d)));
  const vec q = n * r;
  return q + q * (1.0f - d * r);
#else
  return n / d;
#endif
}

// Largest error over all float32, measured by tests/kernels/test_native.py: sigmoid 3 ulp, tanh 3
// ulp. (Below -87 the sigmoid stays at 1.6e-38.)
LONGSPAN_INLINE vec sigmoid(vec x) {
  const Exponential e = exponential(-clamp(x, -87.0f, 87.0f));
  return quotient(all(1.0f), e.scale * e.rest + (e.scale + 1.0f));
}
LONGSPAN_INLINE vec tanh(vec x) {
  const Exponential e = exponential(clamp(x + x, -19.0f, 19.0f));
  const vec less_one = e.scale * e.rest + (e.scale - 1.0f);
  return quotient(less_one, less_one + 2.0f);
}

LONGSPAN_INLINE float* at(const View& view, index t, index b) {
  return view.data + t * view.step + b * view.row;
}

}  // namespace longspan::LONGSPAN_ISA
