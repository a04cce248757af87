// What products multiply: rows of values anywhere in memory, and packed weights. A weight matrix is
// packed as panels of up to 4 vectors of columns, each panel as [k][vector][W], so that the innermost
// loop reads it in order.
#pragma once

#include "bfloat16.h"

namespace longspan::LONGSPAN_ISA {

constexpr int kPanel = 4;  // vectors of columns

// The matrix unit (tiles.h) multiplies this many words at once, and adds up so many rows of weights'
// gradients.
#if defined(__AMX_BF16__)
constexpr index kTile = 16;
#else
constexpr index kTile = 1;
#endif

// Columns are counted in vectors. `offset` says where each goes in a row of the result; null means
// one after the other.
struct Packed {
  const float* data;
  index k;      // floats along the sum, or words of pairs, a multiple of kTile
  index count;  // values of a row that it is multiplied with: k, or up to 2 k of pairs
  index vectors;
  int per_panel;
  const index* offset;
};

LONGSPAN_INLINE index panels(const Packed& m) { return (m.vectors + m.per_panel - 1) / m.per_panel; }
LONGSPAN_INLINE const float* panel_data(const Packed& m, index panel) {
  return m.data + panel * m.per_panel * W * m.k;
}
LONGSPAN_INLINE index place_of(const Packed& m, index vector) {
  return m.offset ? m.offset[vector] : vector * W;
}

enum class Start { zero, bias, result };  // what a product is added to

// What the rows of a result are: pointers, and how many values of each may be written.
struct Result {
  float* const* rows;
  index width;
  Start start;
  const float* bias;  // laid out as a row of the result
};

// A weight's gradient is made of blocks of so many rows at most.
constexpr index kRowBlock = 128;

// What rows are multiplied with for a weight's gradient: `n` values of each right row, into
// sums[n][column].
struct Right {
  const float* const* rows;
  index n;
  float* sums;
};
constexpr int kMostRights = 2;

// The left rows' panel of N vectors: as they are, or each two as one row of pairs. `total` gets their
// sums.
template <int N, bool kPairs>
LONGSPAN_INLINE void copy_panel(index rows, const float* left, index stride, float* panel,
                                vec (&total)[N]) {
  for (index k = 0; k < rows; k += kPairs ? 2 : 1)
    for (int v = 0; v < N; ++v, panel += W) {
      const vec values = load(left + k * stride + v * W);
      total[v] += values;
      if constexpr (kPairs) {
        const vec next = k + 1 < rows ? load(left + (k + 1) * stride + v * W) : vec{};
        total[v] += next;
        store(panel, pair(values, next));
      } else {
        store(panel, values);
      }
    }
}

}  // namespace longspan::LONGSPAN_ISA
