// Matrix products in the shapes that recurrent networks need: a few rows (of states, anywhere in
// memory) times a packed weight matrix, and the sum over many rows that makes a weight's gradient.
// One tile of up to 8 rows by one panel stays in registers for the whole sum over k.
#pragma once

#include "operands.h"
#if defined(__AMX_BF16__)
#include "tiles.h"
#endif

namespace longspan::LONGSPAN_ISA {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRegisters = 24;  // accumulators; the rest holds operands
#else
constexpr int kRegisters = 12;
#endif
constexpr int kMaxTileRows = 8;
constexpr int tile_rows(int vectors) {
  return kRegisters / vectors < kMaxTileRows ? kRegisters / vectors : kMaxTileRows;
}

// Call f(r, v) for a whole tile, unrolled, so that its sums never leave the registers.
template <int R, int N, class F>
LONGSPAN_INLINE void for_tile(const F& f) {
#pragma GCC unroll 4
  for (int v = 0; v < N; ++v) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) f(r, v);
  }
}

template <int R, int N, bool kPairs>
void tile(const float* const* a, const Packed& b, const float* panel, index first_vector,
          const Result& c, float* const* c_rows) {
  vec sums[R][N];
  index place[N];
  for (int v = 0; v < N; ++v)
    place[v] = place_of(b, first_vector + v);
  const bool whole = place[N - 1] + W <= c.width;
  if (c.start == Start::zero)
    for_tile<R, N>([&](int r, int v) { sums[r][v] = vec{}; });
  else if (c.start == Start::bias)
    for_tile<R, N>([&](int r, int v) { sums[r][v] = load(c.bias + place[v]); });
  else if (whole)
    for_tile<R, N>([&](int r, int v) { sums[r][v] = load(c_rows[r] + place[v]); });
  else
    for_tile<R, N>([&](int r, int v) {
      sums[r][v] = load_first(c_rows[r] + place[v], c.width - place[v]);
    });
  const float* rows[R];
  for (int r = 0; r < R; ++r) rows[r] = a[r];
  const index K = b.k;
  for (index k = 0; k < K; ++k, panel += N * W) {
    vec columns[N];
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) columns[v] = load(panel + v * W);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const float value = rows[r][k];
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) add_product<kPairs>(sums[r][v], value, columns[v]);
    }
  }
  if (whole)
    for_tile<R, N>([&](int r, int v) { store(c_rows[r] + place[v], sums[r][v]); });
  else
    for_tile<R, N>([&](int r, int v) {
      store_first(c_rows[r] + place[v], c.width - place[v], sums[r][v]);
    });
}

template <int N, bool kPairs, int R = tile_rows(N)>
LONGSPAN_INLINE void tile_of(index rows, const float* const* a, const Packed& b, const float* panel,
                             index first_vector, const Result& c, float* const* c_rows) {
  if constexpr (R >= 1) {
    if (rows == R) return tile<R, N, kPairs>(a, b, panel, first_vector, c, c_rows);
    tile_of<N, kPairs, R - 1>(rows, a, b, panel, first_vector, c, c_rows);
  }
}

template <int N, bool kPairs>
void panel_product(index n, const float* const* a, const Packed& b, index panel, const Result& c) {
  const float* data = panel_data(b, panel);
  const index first = panel * b.per_panel;
  // Tiles of equal height: 6 + 5 + 5 rows rather than 6 + 6 + 4.
  const index tiles = (n + tile_rows(N) - 1) / tile_rows(N);
  for (index i = 0, row = 0; i < tiles; ++i) {
    const index rows = (n - row + tiles - i - 1) / (tiles - i);
    tile_of<N, kPairs>(rows, a + row, b, data, first, c, c.rows + row);
    row += rows;
  }
}

// Rows of `a` times the panels [begin, end) of b, for n rows; the last panel first, if `backwards`.
template <bool kPairs>
void product_of(index n, const float* const* a, const Packed& b, index begin, index end,
                const Result& c, bool backwards) {
  for (index at = begin; at < end; ++at) {
    const index panel = backwards ? begin + end - 1 - at : at;
    switch (smaller(b.per_panel, b.vectors - panel * b.per_panel)) {
      case 1: panel_product<1, kPairs>(n, a, b, panel, c); break;
      case 2: panel_product<2, kPairs>(n, a, b, panel, c); break;
      case 3: panel_product<3, kPairs>(n, a, b, panel, c); break;
      default: panel_product<4, kPairs>(n, a, b, panel, c); break;
    }
  }
}

// … where the rows are float32: for a matrix of pairs, they are rounded to pairs first, in memory
// that must hold n rows (bfloat16.h).
inline void product(index n, const float* const* a, const Packed& b, index begin, index end,
                    const Result& c, bool backwards, const WordRows& words) {
  if (!words.data) return product_of<false>(n, a, b, begin, end, c, backwards);
  for (index row = 0; row < n; ++row) {
    words.rows[row] = words.data + row * round_up(b.k, W);
    round_row(a[row], b.count, words.data + row * round_up(b.k, W));
  }
#if defined(__AMX_BF16__)
  tile_product(n, words, b, begin, end, c, backwards);
#else
  product_of<true>(n, words.rows, b, begin, end, c, backwards);
#endif
}

// A weight's gradient: sums over rows k of right[k][n] · left[k][m], added to sums[n][m]. Columns of
// the left rows (the gates' gradients, padded) are the vectors, since there are always many; a panel
// of them is copied together first.
template <int R, int N, bool kPairs>
void gradient_tile(index rows, const float* panel, const float* const* right, index n, float* sums,
                   index width) {
  vec total[R][N];
  for_tile<R, N>([&](int r, int v) { total[r][v] = load(sums + r * width + v * W); });
  for (index k = 0; k < rows; ++k, panel += N * W) {
    const float* values = right[k] + n;
    vec columns[N];
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) columns[v] = load(panel + v * W);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const float value = values[r];
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) add_product<kPairs>(total[r][v], value, columns[v]);
    }
  }
  for_tile<R, N>([&](int r, int v) { store(sums + r * width + v * W, total[r][v]); });
}

template <int N, bool kPairs, int R = tile_rows(N)>
LONGSPAN_INLINE void gradient_tile_of(index height, index rows, const float* panel,
                                      const float* const* right, index n, float* sums,
                                      index width) {
  if constexpr (R >= 1) {
    if (height == R) return gradient_tile<R, N, kPairs>(rows, panel, right, n, sums, width);
    gradient_tile_of<N, kPairs, R - 1>(height, rows, panel, right, n, sums, width);
  }
}

// The sums of the left rows alone, for the columns [begin, end).
inline void add_rows(index rows, const float* left, index stride, index begin, index end,
                     float* sums) {
  for (index m = begin; m < end; m += W) {
    vec total = load(sums + m);
    for (index k = 0; k < rows; ++k) total += load(left + k * stride + m);
    store(sums + m, total);
  }
}

template <int N, bool kPairs>
void gradient_panel(index rows, const float* left, index stride, index column, const Right* right,
                    int rights, index width, float* column_sums) {
  alignas(64) float panel[kRowBlock * N * W];
  vec total[N];
  for (int v = 0; v < N; ++v) total[v] = column_sums ? load(column_sums + column + v * W) : vec{};
  copy_panel<N, kPairs>(rows, left + column, stride, panel, total);
  const index words = kPairs ? (rows + 1) / 2 : rows;
  for (int v = 0; column_sums && v < N; ++v) store(column_sums + column + v * W, total[v]);
  for (int which = 0; which < rights; ++which) {
    const index n = right[which].n, tiles = (n + tile_rows(N) - 1) / tile_rows(N);
    float* sums = right[which].sums + column;
    for (index i = 0, done = 0; i < tiles; ++i) {
      const index height = (n - done + tiles - i - 1) / (tiles - i);
      gradient_tile_of<N, kPairs>(height, words, panel, right[which].rows, done,
                                  sums + done * width, width);
      done += height;
    }
  }
}

// For the columns [begin, end), multiples of W, of rows `left`, `stride` apart; at most kRowBlock
// rows. `column_sums`, if not null, gets the sums of the left rows alone.
template <bool kPairs>
void gradient_product_of(index rows, const float* left, index stride, index begin, index end,
                         const Right* right, int rights, index width, float* column_sums) {
  for (index m = begin; m < end; m += kPanel * W) {
    const auto run = [&](auto panel) {
      panel(rows, left, stride, m, right, rights, width, column_sums);
    };
    switch (smaller(kPanel, (end - m) / W)) {
      case 1: run(gradient_panel<1, kPairs>); break;
      case 2: run(gradient_panel<2, kPairs>); break;
      case 3: run(gradient_panel<3, kPairs>); break;
      default: run(gradient_panel<4, kPairs>); break;
    }
  }
}

// … where both sides are float32; with memory for words, they are rounded to pairs of rows first.
inline void gradient_product(index rows, const float* left, index stride, index begin, index end,
                             const Right* right, int rights, index width, float* column_sums,
                             const WordRows& words) {
  if (!words.data)
    return gradient_product_of<false>(rows, left, stride, begin, end, right, rights, width,
                                      column_sums);
#if defined(__AMX_BF16__)
  tile_gradient(rows, left, stride, begin, end, right, rights, width, column_sums, words.data);
#else
  Right rounded[kMostRights];
  float* data = words.data;
  const float** pointers = words.rows;
  for (int which = 0; which < rights; ++which) {
    rounded[which] = {pointers, right[which].n, right[which].sums};
    for (index k = 0; k < rows; k += 2, data += round_up(right[which].n, W)) {
      const float* const* both = right[which].rows + k;
      pair_rows(both[0], k + 1 < rows ? both[1] : nullptr, right[which].n, data);
      *pointers++ = data;
    }
  }
  gradient_product_of<true>(rows, left, stride, begin, end, rounded, rights, width, column_sums);
#endif
}

}  // namespace longspan::LONGSPAN_ISA
