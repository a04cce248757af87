// Products of bfloat16 numbers by the matrix unit of newer Xeons (AMX). A tile register holds up to
// 16 rows of 16 words; one instruction adds the product of two tiles, 16 × 32 by 32 × 16 numbers, to a
// tile of float32 sums, in the time of 16 vector instructions that do 16 × 2 each.
//
// Packed matrices and panels of rows are as for vectors: W columns of 16 words are a tile, its rows as
// far apart as the panel is wide. Sums are padded with zeros to whole tiles.
#pragma once

#include <type_traits>

#include "operands.h"
#include "transpose.h"

namespace longspan::LONGSPAN_ISA {

constexpr index kTileFloats = kTile * W;

// Tile registers: 0 … 3 are sums, then come two of the left side and two of the right.
constexpr int kLeft = 4, kRight = 6;

// Shapes the registers: `height` rows of sums and of the left side, 16 of the right. They belong to
// nobody afterwards, as a thread's other libraries expect, and cost a switch of threads nothing.
class TileRegisters {
 public:
  explicit TileRegisters(index height) {
    struct alignas(64) {
      std::uint8_t palette = 1, first_row = 0, reserved[14] = {};
      std::uint16_t bytes[16] = {};
      std::uint8_t rows[16] = {};
    } shape;
    for (int t = 0; t < 8; ++t) {
      shape.bytes[t] = W * sizeof(float);
      shape.rows[t] = static_cast<std::uint8_t>(kTile);
    }
    for (int t = 0; t < kRight; ++t) shape.rows[t] = static_cast<std::uint8_t>(height);
    asm volatile("ldtilecfg %0" ::"m"(shape));
  }
  ~TileRegisters() { asm volatile("tilerelease"); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

// In assembler, since g++'s intrinsics take literals only, and do not say that they read memory.
template <int T>
LONGSPAN_INLINE void zero_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(T));
}
template <int T>
LONGSPAN_INLINE void load_tile(const float* from, index stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride * 4), "i"(T) : "memory");
}
template <int T>
LONGSPAN_INLINE void store_tile(float* to, index stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride * 4), "i"(T) : "memory");
}
template <int Sum, int Left, int Right>
LONGSPAN_INLINE void multiply_tiles() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(Left), "i"(Right));
}

// Call f(0), f(1) … f(N - 1), each number a constant.
template <class F, std::size_t... k>
LONGSPAN_INLINE void constants(const F& f, std::index_sequence<k...>) {
  (f(std::integral_constant<int, static_cast<int>(k)>{}), ...);
}
template <int N, class F>
LONGSPAN_INLINE void for_constants(const F& f) {
  constants(f, std::make_index_sequence<N>{});
}

// One side of a product: tiles `across` apart side by side, `along` apart on the way of the sum.
struct Tiles {
  const float* data;
  index across, along, stride;
};

// R × V tiles of sums: start(register, r, v) fills each, finish(register, r, v) takes it away.
template <int R, int V, class StartWith, class Finish>
LONGSPAN_INLINE void tile_block(index steps, const Tiles& left, const Tiles& right,
                                const StartWith& start, const Finish& finish) {
  for_constants<R * V>([&](auto t) { start(t, t / V, t % V); });
  const float *from_left = left.data, *from_right = right.data;
  for (index step = 0; step < steps; ++step, from_left += left.along, from_right += right.along) {
    for_constants<R>([&](auto r) { load_tile<kLeft + r>(from_left + r * left.across, left.stride); });
    for_constants<V>([&](auto v) {
      constexpr int at = kRight + v % 2;
      load_tile<at>(from_right + v * right.across, right.stride);
      for_constants<R>([&](auto r) { multiply_tiles<r * V + v, kLeft + r, at>(); });
    });
  }
  for_constants<R * V>([&](auto t) { finish(t, t / V, t % V); });
}

// Call f(R, V, v) for blocks of at most R × V ≤ 4 tiles that cover `vectors` of them side by side.
template <int R, class F>
LONGSPAN_INLINE void for_blocks(index vectors, const F& f) {
  constexpr int kMost = 4 / R;
  index v = 0;
  for (; v + kMost <= vectors; v += kMost) f(std::integral_constant<int, kMost>{}, v);
  for_constants<kMost - 1>([&](auto less) {
    constexpr int kRest = kMost - 1 - less;
    if (vectors - v == kRest) f(std::integral_constant<int, kRest>{}, v), v += kRest;
  });
}

// Up to 16 R rows of words times one panel.
template <int R>
void panel_tiles(index n, const float* words, const Packed& b, index panel, const Result& c,
                 float* const* c_rows) {
  const index first = panel * b.per_panel, vectors = smaller(b.per_panel, b.vectors - first);
  alignas(64) float sums[4][kTileFloats];
  for_blocks<R>(vectors, [&](auto V, index v) {
    constexpr int kV = decltype(V)::value;
    tile_block<R, kV>(
        b.k / kTile, {words, kTile * b.k, kTile, b.k},
        {panel_data(b, panel) + v * W, W, kTile * vectors * W, vectors * W},
        [](auto t, int, int) { zero_tile<decltype(t)::value>(); },
        [&](auto t, int, int) { store_tile<decltype(t)::value>(sums[t], W); });
    for (int i = 0; i < kV; ++i) {
      const index place = place_of(b, first + v + i), left = c.width - place;
      for (index r = 0; r < n; ++r) {
        vec sum = load(sums[r / kTile * kV + i] + r % kTile * W);
        if (c.start == Start::bias) sum += load(c.bias + place);
        if (c.start == Start::result) sum += load_first(c_rows[r] + place, left);
        store_first(c_rows[r] + place, left, sum);
      }
    }
  });
}

// n rows of words times the panels [begin, end) of b; the last panel first, if `backwards`. Memory for
// words must hold whole tiles of rows, two of them.
inline void tile_product(index n, const WordRows& words, const Packed& b, index begin, index end,
                         const Result& c, bool backwards) {
  const TileRegisters registers(smaller(n, kTile));
  for (index at = begin; at < end; ++at) {
    const index panel = backwards ? begin + end - 1 - at : at;
    for (index row = 0; row < n; row += 2 * kTile) {
      const index rows = smaller(2 * kTile, n - row);
      const auto block = rows > kTile ? panel_tiles<2> : panel_tiles<1>;
      block(rows, words.data + row * b.k, b, panel, c, c.rows + row);
    }
  }
}

// The right rows as the left side's tiles, for each 16 values one after the other along the sum.
inline void turn_rows(index rows, const Right& right, index steps, float* tiles) {
  for (index n = 0; n < right.n; n += kTile)
    for (index step = 0; step < steps; ++step) {
      vec words[W];
      for (index i = 0; i < W; ++i) {
        const index k = 2 * (step * kTile + i);
        const auto values = [&](index row) {
          return row < rows ? load_first(right.rows[row] + n, right.n - n) : vec{};
        };
        words[i] = pair(values(k), values(k + 1));
      }
      transpose(words);
      for (index i = 0; i < W; ++i, tiles += W) store(tiles, words[i]);
    }
}

template <int N>
void gradient_panel_tiles(index rows, const float* left, index stride, index column,
                          const Right* right, const float* const* turned, int rights, index width,
                          float* column_sums) {
  const index steps = (rows + 2 * kTile - 1) / (2 * kTile);
  alignas(64) float panel[kRowBlock / 2 * N * W];
  vec total[N];
  for (int v = 0; v < N; ++v) total[v] = column_sums ? load(column_sums + column + v * W) : vec{};
  copy_panel<N, true>(rows, left + column, stride, panel, total);
  for (index k = (rows + 1) / 2 * N; k < steps * kTile * N; ++k) store(panel + k * W, vec{});
  for (int v = 0; column_sums && v < N; ++v) store(column_sums + column + v * W, total[v]);
  const auto block = [&](auto R, int which, index n) {
    constexpr int kR = decltype(R)::value;
    for_blocks<kR>(N, [&](auto V, index v) {
      float* sums = right[which].sums + n * width + column + v * W;
      const auto place = [&](int r, int at) { return sums + r * kTile * width + at * W; };
      tile_block<kR, decltype(V)::value>(
          steps, {turned[which] + n * steps * W, steps * kTileFloats, kTileFloats, W},
          {panel + v * W, W, kTile * N * W, N * W},
          [&](auto t, int r, int at) { load_tile<decltype(t)::value>(place(r, at), width); },
          [&](auto t, int r, int at) { store_tile<decltype(t)::value>(place(r, at), width); });
    });
  };
  for (int which = 0; which < rights; ++which) {
    index n = 0;
    for (; n + kTile < right[which].n; n += 2 * kTile)
      block(std::integral_constant<int, 2>{}, which, n);
    if (n < right[which].n) block(std::integral_constant<int, 1>{}, which, n);
  }
}

// A weight's gradient (product.h). Sums must have whole tiles of rows.
inline void tile_gradient(index rows, const float* left, index stride, index begin, index end,
                          const Right* right, int rights, index width, float* column_sums,
                          float* memory) {
  const index steps = (rows + 2 * kTile - 1) / (2 * kTile);
  const float* turned[kMostRights];
  for (int which = 0; which < rights; ++which) {
    turned[which] = memory;
    turn_rows(rows, right[which], steps, memory);
    memory += round_up(right[which].n, kTile) * steps * W;
  }
  const TileRegisters registers(kTile);
  for (index m = begin; m < end; m += kPanel * W) {
    const auto run = [&](auto panel) {
      panel(rows, left, stride, m, right, turned, rights, width, column_sums);
    };
    switch (smaller(kPanel, (end - m) / W)) {
      case 1: run(gradient_panel_tiles<1>); break;
      case 2: run(gradient_panel_tiles<2>); break;
      case 3: run(gradient_panel_tiles<3>); break;
      default: run(gradient_panel_tiles<4>); break;
    }
  }
}

}  // namespace longspan::LONGSPAN_ISA
