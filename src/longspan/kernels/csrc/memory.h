// Where everything lies: what forward keeps for backward, and what either needs while it runs.
#pragma once

#include <new>

#include "pack.h"

namespace longspan::LONGSPAN_ISA {

// The gates of a row lie in planes of `padded` floats. The input and the recurrent product each
// cover a run of planes, which is what lets a product over all of them read one row in order.
//
//     LSTM             g i f o    without those that are missing; both products cover all
//     GRU              n r z hn   W x covers n r z, U h covers r z hn, since n = tanh(xn + r ⊙ hn)
//     GRU, reset first n r z rh   W x covers n r z, U h covers r z; rh = r ⊙ h is multiplied later
//     RNN              h
struct Planes {
  int count;
  int x_count, h_first, h_count;  // W x covers the first planes
  int x_order[kMaxGates], h_order[kMaxGates];  // the weight's gate of each covered plane
  int i, f, o;                                 // LSTM: planes, -1 for a missing gate; g is plane 0
  int sigmoids;                                // LSTM: i, f, o that exist; planes 1 … sigmoids
};

inline Planes planes_of(const Problem& p) {
  const Cell& cell = p.cell;
  Planes planes{};
  if (cell.kind == Kind::rnn) {
    planes.count = planes.x_count = planes.h_count = 1;
  } else if (cell.kind == Kind::gru) {
    planes.count = 4;
    planes.x_count = 3;
    planes.x_order[0] = 2, planes.x_order[1] = 0, planes.x_order[2] = 1;
    planes.h_first = 1;
    planes.h_count = cell.reset_after ? 3 : 2;
    for (int k = 0; k < 3; ++k) planes.h_order[k] = k;
  } else {
    const bool has[3] = {cell.input_gate && !cell.coupled_gates, cell.forget_gate,
                         cell.output_gate};
    int* place[3] = {&planes.i, &planes.f, &planes.o};
    int row = 0;  // the weight's order is i f g o
    for (int k = 0; k < 3; ++k) {
      if (k == 2) planes.x_order[0] = row++;
      *place[k] = has[k] ? ++planes.sigmoids : -1;
      if (has[k]) planes.x_order[planes.sigmoids] = row++;
    }
    planes.count = planes.x_count = planes.h_count = planes.sigmoids + 1;
    for (int k = 0; k < kMaxGates; ++k) planes.h_order[k] = planes.x_order[k];
  }
  return planes;
}

// One array of rows; how the rows are numbered is the Worker's business.
struct Rows {
  float* data;
  index stride;
};

// Hands out pieces of one block of memory; with a null block it only counts.
struct Arena {
  char* begin;
  std::size_t used = 0;

  template <class T>
  T* take(index count) {
    used = (used + 63) / 64 * 64;
    T* piece = reinterpret_cast<T*>(begin + used);
    used += static_cast<std::size_t>(count) * sizeof(T);
    return begin ? piece : nullptr;
  }
  Rows rows(index count, index width) {
    // An odd number of cache lines, so that rows do not fall on each other in the cache.
    const index stride = width / 16 % 2 ? width : width + 16;
    return {take<float>(count * stride), stride};
  }
};

// What forward keeps, one row a packed row (in inference: one a row of the current chunk).
struct Saved {
  Rows gates;      // activated, by planes
  Rows c;          // LSTM: cell state after the step (in inference: of the current step alone)
  Rows ih, hh;     // layer norm: W x and U h
  Rows statistics; // layer norm: mean and 1/deviation of ih, hh, c
  Rows seen;       // dropout on h: h ⊙ mask, as the recurrent product saw it
  Rows projected;  // projection: o ⊙ tanh(c), before it
  Rows fed;        // gate recurrence in inference: gates of this and the last step, by turns
};

inline bool has_seen(const Problem& p) { return p.hidden_mask != nullptr; }

inline Saved saved_rows(Arena& arena, const Problem& p, const Planes& planes, index rows,
                        index c_rows) {
  const index Hp = round_up(p.H, W), Pp = round_up(p.P, W);
  Saved saved{};
  saved.gates = arena.rows(rows, planes.count * Hp);
  if (p.cell.kind == Kind::lstm) saved.c = arena.rows(c_rows, Hp);
  if (p.norm_ih) saved.ih = arena.rows(rows, planes.x_count * Hp);
  if (p.norm_hh) saved.hh = arena.rows(rows, planes.h_count * Hp);
  if (p.norm_ih || p.norm_hh || p.norm_c) saved.statistics = {arena.take<float>(rows * 6), 6};
  if (has_seen(p)) saved.seen = arena.rows(rows, Pp);
  if (p.weight_hr) saved.projected = arena.rows(rows, Hp);
  return saved;
}

// A row of width `size` in planes of `padded`, from one without padding, or zero.
inline void copy_padded(float* to, const float* from, int planes, index size, index padded) {
  for (int plane = 0; plane < planes; ++plane)
    for (index u = 0; u < padded; u += W)
      store(to + plane * padded + u,
            from ? load_first(from + plane * size + u, size - u) : vec{});
}
inline void copy_unpadded(float* to, const float* from, int planes, index size, index padded) {
  for (int plane = 0; plane < planes; ++plane)
    std::memcpy(to + plane * size, from + plane * padded,
                static_cast<std::size_t>(size) * sizeof(float));
}

}  // namespace longspan::LONGSPAN_ISA
