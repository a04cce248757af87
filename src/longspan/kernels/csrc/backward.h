// Backward through a whole sequence: the gates' gradients step by step, from the last to the first.
#pragma once

#include "forward.h"
#include "gradients.h"

namespace longspan::LONGSPAN_ISA {

inline void initial_gradients(Worker& w) {
  const Problem& p = w.p;
  for (index j = w.member; j < w.group.rows; j += w.split) {
    const index b = w.batch(j), fed = w.planes.sigmoids * p.H;
    copy_padded(w.row(w.m.d_h, j), p.d_h_n ? p.d_h_n + b * p.P : nullptr, 1, p.P, w.Pp);
    if (p.cell.kind == Kind::lstm)
      copy_padded(w.row(w.m.d_c, j), p.d_c_n ? p.d_c_n + b * p.H : nullptr, 1, p.H, w.Hp);
    if (p.weight_gg)
      copy_padded(w.row(w.m.d_fed, j), p.d_gates_n ? p.d_gates_n + b * fed : nullptr,
                  w.planes.sigmoids, p.H, w.Hp);
  }
  w.wait();
}

inline void final_gradients(Worker& w) {
  const Problem& p = w.p;
  for (index j = w.member; j < w.group.rows; j += w.split) {
    const index b = w.batch(j), fed = w.planes.sigmoids * p.H;
    if (p.d_h0) copy_unpadded(p.d_h0 + b * p.P, w.row(w.m.d_h, j), 1, p.P, w.Pp);
    if (p.d_c0) copy_unpadded(p.d_c0 + b * p.H, w.row(w.m.d_c, j), 1, p.H, w.Hp);
    if (p.d_gates0)
      copy_unpadded(p.d_gates0 + b * fed, w.row(w.m.d_fed, j), w.planes.sigmoids, p.H, w.Hp);
  }
}

// A row that began anew at step s passes nothing on to what came before.
inline void cut_at_resets(Worker& w, index s, index n) {
  if (!w.p.reset) return;
  const auto clear = [](float* row, index begin, index end) {
    for (index u = begin; u < end; u += W) store(row + u, vec{});
  };
  for (index j = 0; j < n; ++j) {
    if (!w.resets(s, j)) continue;
    clear(w.row(w.m.d_h, j), w.output_begin, w.output_end);
    if (w.p.cell.kind == Kind::lstm) clear(w.row(w.m.d_c, j), w.unit_begin, w.unit_end);
    for (int k = 0; w.p.weight_gg && k < w.planes.sigmoids; ++k)
      clear(w.row(w.m.d_fed, j) + k * w.Hp, w.unit_begin, w.unit_end);
  }
}

// What arrives at h of step s, from the outputs and from step s + 1.
inline void measure_hidden(const Worker& w, index s, index n) {
  for (index j = 0; j < n; ++j) {
    const float *d_h = w.row(w.m.d_h, j), *d_out = d_output(w, s, j);
    vec squares{};
    for (index u = w.output_begin; u < w.output_end; u += W) {
      const vec d = arriving(d_h, d_out, u, w.p.P);
      squares += d * d;
    }
    w.add_flow(0, s, j, squares);
  }
}

inline void add_flows(const Pass& pass) {
  for (int thread = 0; thread < pass.threads(); ++thread)
    for (index k = 0; k < 2 * pass.p.T; ++k) pass.p.flow[k] += pass.workers[thread].flow[k];
}

// The steps before `end` whose rows fit in memory together.
inline Chunk chunk_before(const Group& group, index end) {
  Chunk chunk{end, end};
  while (chunk.begin > 0 &&
         group.first[end] - group.first[chunk.begin - 1] <= chunk_capacity(group))
    --chunk.begin;
  return chunk;
}

template <class Cell>
void backward_thread(Worker w, const Gradients& gradients) {
  initial_states(w);
  initial_gradients(w);
  gradients.clear_sums();
  w.chunk.begin = w.group.steps;
  bool more = true;
  while (more) {
    w.chunk = chunk_before(w.group, w.chunk.begin);
    for (index s = w.chunk.end; s-- > w.chunk.begin;) {
      const index n = w.group.active[s];
      w.backwards = s & 1;
      if (w.flow) measure_hidden(w, s, n);
      Cell::backward(w, s, n);
      cut_at_resets(w, s, n);
    }
    if (!w.member) *w.m.chunk = w.chunk;
    gradients.team.wait();
    gradients.add_chunk();
    gradients.write_inputs();
    more = gradients.unfinished();
    gradients.team.wait();
  }
  final_gradients(w);
}

template <class Cell>
void run_backward(const Pass& pass, const Teams& teams) {
  pass.prepare();
  parallel(pass.threads(), [&](int thread) {
    backward_thread<Cell>(pass.worker(thread), Gradients(pass, teams, thread));
  });
  parallel(pass.threads(), [&](int thread) {
    unpack_gradients(pass, teams, thread);
    clear_padding(pass, thread);
  });
  small_gradients(pass, teams.sums[0]);
  if (pass.p.flow) add_flows(pass);
}

}  // namespace longspan::LONGSPAN_ISA
