// What one thread knows and may touch: its group's rows, its share of the hidden units, and where
// in memory the values of row j at step s are.
#pragma once

#include "memory.h"
#include "team.h"

namespace longspan::LONGSPAN_ISA {

// Weights packed for one direction of the computation.
struct Weights {
  Packed ih, hh, hr, gg, n;  // n: the GRU's U_n, where the reset gate comes first
  const float* bias;         // by planes
  const float *gain_ih, *gain_hh, *gain_c;  // gain, then shift, by planes; or null
};

// Steps [begin, end) that a group goes through before their gradients are used.
struct Chunk {
  index begin, end;
};

// Memory that a group's threads share.
struct GroupMemory {
  Saved saved;
  Rows c0;           // LSTM: initial cell states, padded
  Rows gates0;       // gate recurrence: initial gates, padded
  Rows d_h, d_c, d_fed;   // backward: what flows from step s + 1 to step s
  Rows d_projected;  // projection: before it
  // Backward, a row for each packed row of the current chunk of steps: gradients of the gates, by
  // planes; with layer norm, of W x and U h; with projection, after it.
  Rows d_gates, d_ih, d_hh, d_output;
  Chunk* chunk;      // … which other threads may want to know
  Rows turned;       // scratch of a step, P wide
  float* partial;    // layer norm: (2, split, rows, 3)
  Barrier* barrier;
};

struct Worker {
  const Problem& p;
  const Planes& planes;
  const Group& group;
  const Weights& weights;
  const GroupMemory& m;
  int split, member;
  index Hp, Pp;
  index unit_begin, unit_end;      // own hidden units, multiples of W
  index output_begin, output_end;  // own places in h, multiples of W
  const float** a;                 // scratch: row pointers of a product
  float** c;
  float* peephole_sums;            // own sums: gradients of peepholes and gains
  float* gain_ih_sums;
  float* gain_hh_sums;
  float* norm_c_sums;              // gain, then shift
  double* flow;                    // own sums: (T, 2), or null
  const float* zeros;
  WordRows words;                  // scratch: the rows of a product in bfloat16
  index chunk_begin = 0;           // inference: the first packed row whose memory is in use
  Chunk chunk{};                   // backward: the steps whose gradients are in memory
  int reductions = 0;
  // Every other step goes through the weights backwards: what it reads first is still in the cache.
  bool backwards = false;

  void wait() const { m.barrier->wait(split); }

  // Packed row: where the values of row j at step s are kept.
  LONGSPAN_INLINE index packed(index s, index j) const { return group.first[s] + j - chunk_begin; }
  LONGSPAN_INLINE float* row(const Rows& rows, index s, index j) const {
    return rows.data + packed(s, j) * rows.stride;
  }
  LONGSPAN_INLINE float* chunk_row(const Rows& rows, index s, index j) const {
    return rows.data + (group.first[s] + j - group.first[chunk.begin]) * rows.stride;
  }
  LONGSPAN_INLINE static float* row(const Rows& rows, index j) {
    return rows.data + j * rows.stride;
  }

  // The time step and row of the batch.
  LONGSPAN_INLINE index time(index s, index j) const {
    return p.reverse ? group.length[j] - 1 - s : s;
  }
  LONGSPAN_INLINE index batch(index j) const { return group.batch[j]; }

  // Whether row j starts anew at step s. In reverse, a sequence that begins at t is left on the
  // way to t - 1.
  LONGSPAN_INLINE bool resets(index s, index j) const {
    if (!p.reset) return false;
    const index t = time(s, j) + (p.reverse ? 1 : 0);
    return t < group.length[j] && p.reset[t * p.B + batch(j)];
  }

  LONGSPAN_INLINE float* output(index s, index j) const { return at(p.output, time(s, j), batch(j)); }
  LONGSPAN_INLINE const float* h_before(index s, index j) const {
    if (resets(s, j)) return zeros;
    return s ? output(s - 1, j) : p.h0 + batch(j) * p.P;
  }
  // h as the recurrent product sees it.
  LONGSPAN_INLINE const float* seen(index s, index j) const {
    return has_seen(p) ? row(m.saved.seen, s, j) : h_before(s, j);
  }
  LONGSPAN_INLINE float* c_after(index s, index j) const {
    return p.training ? row(m.saved.c, s, j) : row(m.saved.c, j);
  }
  LONGSPAN_INLINE const float* c_before(index s, index j) const {
    if (resets(s, j)) return zeros;
    return s ? c_after(s - 1, j) : row(m.c0, j);
  }
  // Gate recurrence: the gates proper after a step. In training they are still there; in inference
  // their memory may be used again, so two steps are kept by turns.
  LONGSPAN_INLINE float* fed_after(index s, index j) const {
    return p.training ? row(m.saved.gates, s, j) + Hp : row(m.saved.fed, (s & 1) * group.rows + j);
  }
  LONGSPAN_INLINE const float* fed_before(index s, index j) const {
    if (resets(s, j)) return zeros;
    return s ? fed_after(s - 1, j) : row(m.gates0, j);
  }
  LONGSPAN_INLINE float* statistics(int which, index s, index j) const {
    return row(m.saved.statistics, s, j) + 2 * which;
  }
  // Add to the sums of squares of h's (0) or c's (1) gradients.
  void add_flow(int state, index s, index j, vec squares) const {
    flow[2 * (group.length[j] - 1 - s) + state] += sum(squares);
  }
  // A row of a (T, B, width) tensor.
  LONGSPAN_INLINE const float* of_step(const float* tensor, index width, index s, index j) const {
    return tensor ? tensor + (time(s, j) * p.B + batch(j)) * width : nullptr;
  }

  // Panels of a packed matrix that hold the own columns [begin, end) of each of its segments.
  LONGSPAN_INLINE index panel_at(const Packed& matrix, index place, index width) const {
    const index total = panels(matrix);
    return place >= round_up(width, W) ? total : place / W * matrix.vectors /
           (round_up(width, W) / W) / matrix.per_panel;
  }
  void product(index n, const Packed& matrix, index width, index begin, index end,
               const Result& result) const {
    longspan::LONGSPAN_ISA::product(n, a, matrix, panel_at(matrix, begin, width),
                                    panel_at(matrix, end, width), result, backwards, words);
  }
  // … for columns that are hidden units, or outputs.
  void unit_product(index n, const Packed& matrix, const Result& result) const {
    product(n, matrix, p.H, unit_begin, unit_end, result);
  }
  void output_product(index n, const Packed& matrix, const Result& result) const {
    product(n, matrix, p.P, output_begin, output_end, result);
  }
};

}  // namespace longspan::LONGSPAN_ISA
