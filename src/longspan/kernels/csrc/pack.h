// Weights from torch's layout to panels (product.h), and gradients back.
#pragma once

#include "product.h"

namespace longspan::LONGSPAN_ISA {

// How one axis of a packed matrix maps to an axis of a weight: segment s of `padded` places holds
// the weight's places order[s]·size … + size, then zeros.
struct Axis {
  int segments;
  const int* order;
  index size, padded;
};

// Turn W vectors of W floats by 90 degrees: row i, lane j becomes row j, lane i.
LONGSPAN_INLINE void transpose(vec (&rows)[W]) {
#pragma GCC unroll 4
  for (int d = 1; d < W; d *= 2) {
    ivec low, high;
    for (int lane = 0; lane < W; ++lane) {
      low[lane] = lane & d ? W + lane - d : lane;
      high[lane] = lane & d ? W + lane : lane + d;
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      if (i & d) continue;
      const vec a = rows[i], b = rows[i + d];
#if defined(__clang__)
      for (int lane = 0; lane < W; ++lane) {
        rows[i][lane] = low[lane] < W ? a[low[lane]] : b[low[lane] - W];
        rows[i + d][lane] = high[lane] < W ? a[high[lane]] : b[high[lane] - W];
      }
#else
      rows[i] = __builtin_shuffle(a, b, low);
      rows[i + d] = __builtin_shuffle(a, b, high);
#endif
    }
  }
}

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
  return pairs ? (count + 1) / 2 : count;
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
  for (int s = 0; s < sums.segments; ++s)
    for (index u = 0; u < sums.padded; ++u)
      for (int v = 0; v < vectors; ++v) {
        const Column column = column_of(columns, first + v);
        const float* row = weight + (sums.order[s] * sums.size + u) * stride;
        put<kPairs>(out, s * sums.padded + u, vectors, v,
                    u < sums.size ? load_first(row + column.source, column.valid) : vec{});
      }
}

// One panel from a weight whose sums are contiguous; `stride` between columns.
template <bool kPairs>
void pack_panel_turned(float* out, const float* weight, index stride, const Axis& columns,
                              const Axis& sums, index first, int vectors) {
  for (int v = 0; v < vectors; ++v) {
    const Column column = column_of(columns, first + v);
    for (int s = 0; s < sums.segments; ++s)
      for (index u = 0; u < sums.padded; u += W) {
        vec rows[W];
        for (int lane = 0; lane < W; ++lane) {
          const float* row = weight + (column.source + lane) * stride;
          const index valid = smaller(W, sums.size - u);
          rows[lane] = lane < column.valid && valid > 0
                           ? load_first(row + sums.order[s] * sums.size + u, valid)
                           : vec{};
        }
        transpose(rows);
        const index count = smaller(W, sums.padded - u);
        for (index k = 0; k < count; ++k)
          put<kPairs>(out, s * sums.padded + u + k, vectors, v, rows[k]);
      }
  }
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
    pack_panel(out + first * W * k, weight, stride, columns, sums, first, width);
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
