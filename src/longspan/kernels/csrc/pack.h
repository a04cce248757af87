// Weights from torch's layout to panels (operands.h), and gradients back.
#pragma once

#include "product.h"
#include "transpose.h"

namespace longspan::LONGSPAN_ISA {

// How one axis of a packed matrix maps to an axis of a weight: segment s of `padded` places holds
// the weight's places order[s]·size … + size, then zeros.
struct Axis {
  int segments;
  const int* order;
  index size, padded;
};

// Vector q of the packed columns is block q / segments of segment q % segments, so that all gates
// of a block of units lie in one panel.
struct Column {
  index source, valid;
};
LONGSPAN_INLINE Column column_of(const Axis& columns, index q) {
  const index place = q / columns.segments * W;
  return {columns.order[q % columns.segments] * columns.size + place,
          smaller(W, columns.size - place)};
}

LONGSPAN_INLINE index vectors_of(const Axis& columns) {
  return columns.segments * (round_up(columns.size, W) / W);
}
// All gates of a block, or four vectors where they divide; 3 for GRU, whose gates are three.
LONGSPAN_INLINE int per_panel_of(const Axis& columns) { return columns.segments == 3 ? 3 : kPanel; }
// Floats, or words of pairs, along the sum.
LONGSPAN_INLINE index words_of(const Axis& sums, bool pairs) {
  const index count = sums.segments * sums.padded;
  return pairs ? round_up((count + 1) / 2, kTile) : count;
}
LONGSPAN_INLINE index packed_size(const Axis& columns, const Axis& sums, bool pairs) {
  return vectors_of(columns) * W * words_of(sums, pairs);
}

// Value k along the sum of W columns; of pairs, the first comes before the second.
template <bool kPairs>
LONGSPAN_INLINE void put(float* panel, index k, int vectors, int v, vec values) {
  if constexpr (kPairs) {
    float* words = panel + (k / 2 * vectors + v) * W;
    const uvec bits = __builtin_convertvector(rounded(values), uvec);
    store(words, of_bits(k % 2 ? bits_of(load(words)) | bits << 16 : bits));
  } else {
    store(panel + (k * vectors + v) * W, values);
  }
}

// One panel from a weight whose columns are contiguous; `stride` between sums.
template <bool kPairs>
void pack_panel_straight(float* out, const float* weight, index stride, const Axis& columns,
                                const Axis& sums, index first, int vectors) {
  Column column[kPanel];
  for (int v = 0; v < vectors; ++v) column[v] = column_of(columns, first + v);
  for (int s = 0; s < sums.segments; ++s)
    for (index u = 0; u < sums.padded; ++u) {
      const float* row = weight + (sums.order[s] * sums.size + u) * stride;
      for (int v = 0; v < vectors; ++v)
        put<kPairs>(out, s * sums.padded + u, vectors, v,
                    u < sums.size ? load_first(row + column[v].source, column[v].valid) : vec{});
    }
}

// W columns of W sums, of which some may be missing, as vector v of `count` rows of a panel, from k
// on.
template <bool kPairs>
LONGSPAN_INLINE void pack_block(float* panel, index k, index count, int vectors, int v,
                                const float* weight, index stride, index columns, index sums) {
  vec rows[W];
  if (columns == W && sums >= W) {
#pragma GCC unroll 16
    for (int lane = 0; lane < W; ++lane) rows[lane] = load(weight + lane * stride);
  } else {
    for (int lane = 0; lane < W; ++lane)
      rows[lane] = lane < columns && sums > 0 ? load_first(weight + lane * stride, sums) : vec{};
  }
  transpose(rows);
  if (count == W) {
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) put<kPairs>(panel, k + i, vectors, v, rows[i]);
  } else {
    for (index i = 0; i < count; ++i) put<kPairs>(panel, k + i, vectors, v, rows[i]);
  }
}

// One panel from a weight whose sums are contiguous; `stride` between columns.
template <bool kPairs>
void pack_panel_turned(float* out, const float* weight, index stride, const Axis& columns,
                       const Axis& sums, index first, int vectors) {
  for (int v = 0; v < vectors; ++v) {
    const Column column = column_of(columns, first + v);
    for (int s = 0; s < sums.segments; ++s) {
      const float* from = weight + column.source * stride + sums.order[s] * sums.size;
      for (index u = 0; u < sums.padded; u += W)
        pack_block<kPairs>(out, s * sums.padded + u, smaller(W, sums.padded - u), vectors, v,
                           from + u, stride, column.valid, sums.size - u);
    }
  }
}

// Zeros after a panel's last word.
inline void pad_panel(float* panel, const Axis& sums, index words, index vectors) {
  const index filled = (sums.segments * sums.padded + 1) / 2;
  std::memset(panel + filled * vectors * W, 0,
              static_cast<std::size_t>((words - filled) * vectors * W) * sizeof(float));
}

// Pack the share `part` of `parts` of a weight. `turned` says that the weight's rows are the packed
// matrix's columns (as in W h) and not its sums (as in gradients · W).
inline void pack(float* out, const float* weight, index stride, bool turned, const Axis& columns,
                 const Axis& sums, bool pairs, int part, int parts) {
  const index vectors = vectors_of(columns), per_panel = per_panel_of(columns);
  const index count = (vectors + per_panel - 1) / per_panel;
  const index k = words_of(sums, pairs);
  for (index panel = count * part / parts; panel < count * (part + 1) / parts; ++panel) {
    const index first = panel * per_panel;
    const int width = static_cast<int>(smaller(per_panel, vectors - first));
    const auto pack_panel = turned ? pairs ? pack_panel_turned<true> : pack_panel_turned<false>
                            : pairs ? pack_panel_straight<true> : pack_panel_straight<false>;
    float* data = out + first * W * k;
    pack_panel(data, weight, stride, columns, sums, first, width);
    if (pairs) pad_panel(data, sums, k, width);
  }
}

// A weight's gradient from sums[n][column], the columns in planes of `rows.padded`, into
// rows of `stride` values; for the columns [begin, end), both multiples of W.
inline void unpack_gradient(float* out, index stride, const float* sums, index width, index n,
                            const Axis& rows, index begin, index end) {
  for (index m = begin; m < end; m += W) {
    const index plane = m / rows.padded, u = m % rows.padded;
    const index valid = smaller(W, rows.size - u);
    for (index k = 0; k < n; k += W) {
      vec block[W];
      for (int i = 0; i < W; ++i) block[i] = k + i < n ? load(sums + (k + i) * width + m) : vec{};
      transpose(block);
      for (index lane = 0; lane < valid; ++lane)
        store_first(out + (rows.order[plane] * rows.size + u + lane) * stride + k, n - k, block[lane]);
    }
  }
}

}  // namespace longspan::LONGSPAN_ISA
