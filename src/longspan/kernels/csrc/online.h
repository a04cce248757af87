// The first LSTMs' own learner: gradient descent after every step that has a target, with the
// gradient of Hochreiter & Schmidhuber 1997 (appendix A.1), in which errors flow back through the
// cells' states alone. The states' derivatives by the weights are carried forward, so that a step
// costs as many operations as there are weights, however far back the cause lies.
//
// Letters: I inputs, B memory blocks of S cells each, C = B·S cells, P outputs; U hidden units: the
// cells, then the input, forget and output gates that there are, B each; M sources of these: the
// inputs, then (if recurrent) the C cells' outputs, then (if gate_recurrence) the gates, then 1.
// Rows of units, of cells and of outputs are padded with zeros to a multiple of kOnlinePad.
#pragma once

#include "problem.h"

namespace longspan {

constexpr index kOnlinePad = 8;

// y = scale · σ(x) + shift; where scale is 0, y = x.
struct Squash {
  double scale, shift;
};

// Plain data, like Problem. The arrays belong to the caller: weights and what goes on from call to
// call.
struct OnlineNetwork {
  index I, B, S, P;
  bool input_gate, forget_gate, output_gate;
  bool recurrent, gate_recurrence;
  bool direct;  // inputs also lead to the outputs
  bool cell_bias, gate_bias, output_bias;
  Squash g, h, f;  // of cells' inputs, cells' states, outputs

  double* hidden;     // (M, U)
  double* peepholes;  // (3, S, B) from a block's cells to its input, forget, output gate; or null
  double* output;     // (C [+ I] + 1, P)
  double *hidden_change, *peepholes_change, *output_change;  // the last ones, for momentum; or null

  double* sources;        // (M,) of the step to come: the cells' outputs and gates of the last one
  double* states;         // (C,)
  double* partials;       // (M, K): derivatives of the states by the weights of the cell itself, of
                          // its input gate, of its forget gate, C each of K
  double* peephole_partials;  // (2, S, C) by the peepholes of its input and its forget gate
};

// S sequences, one after the other, with N steps in all.
struct OnlineSequences {
  const double* x;              // (N, I), or null, and then
  const std::int64_t* symbols;  // (N,): which one of the inputs is one
  const std::int64_t* lengths;  // (S,)
  index count;                  // S
  const std::uint8_t* mask;     // (N,): which steps have a target
  const double* targets;        // (number of these, P)
  double* outputs;              // the same shape
  double learning_rate;         // 0: nothing is learnt
  double decay;                 // the learning rate is multiplied by it after every step
  double momentum;              // with symbols: 0
  double stop;      // stop behind a step at which an output is that far from its target, or further
  bool continued;   // the first sequence goes on from where the last call ended
  bool cells;       // false: as if there were no memory blocks yet
};

}  // namespace longspan
