// What one call computes: one layer, one direction, a whole sequence. Plain data, no functions, so
// that every build of the kernels (see isa/) can share it.
//
// Letters as in the Python code: T steps, B rows, I inputs, H hidden units, P outputs (H unless
// projected), G gates. All tensors are float32 and contiguous unless a View says otherwise.
#pragma once

#include <cstdint>

namespace longspan {

using index = std::int64_t;

enum class Kind : int { lstm, gru, rnn };

struct Cell {
  Kind kind;
  bool coupled_gates;                         // LSTM; its other options show in the weights
  bool input_gate, forget_gate, output_gate;  // LSTM: false leaves it out
  bool input_activation, output_activation;   // LSTM: false leaves it out
  bool reset_after;                           // GRU
  bool relu;                                  // RNN
};

// A (T, B, ·) tensor whose last axis is contiguous; strides in elements.
struct View {
  float* data;
  index step, row;
};

constexpr int kMaxGates = 4;
constexpr int kMaxRecords = 5;

struct Problem {
  Cell cell;
  index T, B, I, H, P;
  int gates;          // with weights of their own
  bool reverse;
  bool training;      // keep what backward needs
  bool x_is_gates;    // x holds W_ih x + b_ih already, (T, B, G·H)
  bool bfloat16;      // round what products multiply to bfloat16; all else stays float32

  View x;
  const float *h0, *c0, *gates0;           // initial states, (B, ·)
  const std::int64_t* lengths;             // (B,) or null
  const std::uint8_t* reset;               // (T, B) or null
  const float *weight_ih, *weight_hh, *bias_ih, *bias_hh;
  const float *weight_hr, *weight_ch, *weight_gg;  // projection, peepholes, gate recurrence
  const float *norm_ih, *norm_hh, *norm_c;         // gain and shift, (2, ·), or null
  char* packed;  // weights as KernelSet::pack left them, or null: a pass packs them for itself
  const float *hidden_mask;                        // (B, P)
  const float *update_mask, *zoneout_c_mask, *zoneout_h_mask;  // (T, B, ·)
  float zoneout_c, zoneout_h;                      // where there is no mask

  View output;
  float *h_n, *c_n, *gates_n;
  float* record[kMaxRecords];  // (T, B, H) each or null: i f g o c; r z n; h

  // Backward: gradients of the outputs (null: zero) and of everything above (null: not wanted).
  View d_output;
  const float *d_h_n, *d_c_n, *d_gates_n;
  const float* d_record[kMaxRecords];
  View d_x;
  float *d_h0, *d_c0, *d_gates0;
  float *d_weight_ih, *d_weight_hh, *d_bias_ih, *d_bias_hh;
  float *d_weight_hr, *d_weight_ch, *d_weight_gg;
  float *d_norm_ih, *d_norm_hh, *d_norm_c;
  // (T, 2) or null, added to: over rows and units, the sums of the squares of the gradients of h and
  // of the LSTM's c after each step, by steps between it and its row's last.
  double* flow;
};

// Which rows run when, and on which thread. Rows are dealt out to groups by length, so that the
// groups have equal work; within a group they are sorted, longest first, so that the rows that run
// at a step are always the first ones. A group's rows of one step lie together in memory, the
// steps one after the other: row j of step s is "packed row" first[s] + j.
struct Group {
  index rows;             // of the batch
  const index* batch;     // (rows,) their places in the batch
  const index* length;    // (rows,) descending
  index steps;            // the longest length
  const index* active;    // (steps + 1,) rows that run at each step; 0 at the end
  const index* first;     // (steps + 1,) packed row at which each step begins; the end at the end
};

struct Plan {
  int groups;             // of threads; each has its own rows
  int split;              // threads in a group; each has its own hidden units
  const Group* group;
  index packed_rows;      // all groups'
  bool own_sums;          // each group adds up weights' gradients for itself (sums.h)
};

}  // namespace longspan
