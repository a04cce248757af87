// Forward through a whole sequence: initial states, the input projection a chunk of steps at a time,
// the steps, final states.
#pragma once

#include "normalise.h"
#include "pass.h"
#include "recurrence.h"

namespace longspan::LONGSPAN_ISA {

inline void initial_states(Worker& w) {
  const Problem& p = w.p;
  for (index j = w.member; j < w.group.rows; j += w.split) {
    const index b = w.batch(j);
    if (p.cell.kind == Kind::lstm) copy_padded(w.row(w.m.c0, j), p.c0 + b * p.H, 1, p.H, w.Hp);
    if (p.weight_gg)
      copy_padded(w.row(w.m.gates0, j), p.gates0 + b * w.planes.sigmoids * p.H, w.planes.sigmoids,
                  p.H, w.Hp);
  }
  w.wait();
}

// The own gates of the steps [begin, end) from x alone: W x + b, by planes.
inline void project_input(Worker& w, index begin, index end) {
  const Problem& p = w.p;
  index n = 0;
  for (index s = begin; s < end; ++s)
    for (index j = 0; j < w.group.active[s]; ++j, ++n) {
      w.a[n] = at(p.x, w.time(s, j), w.batch(j));
      w.c[n] = p.norm_ih ? w.row(w.m.saved.ih, s, j) : w.row(w.m.saved.gates, s, j);
    }
  const index width = w.planes.x_count * w.Hp;
  if (!p.x_is_gates)
    w.unit_product(n, w.weights.ih,
                   {w.c, width, p.norm_ih ? Start::zero : Start::bias, w.weights.bias});
  const bool all_planes = w.planes.x_count == w.planes.count && !p.norm_ih && !p.x_is_gates;
  if (all_planes) return;
  for (index s = begin; s < end; ++s)
    for (index j = 0; j < w.group.active[s]; ++j) {
      float* gates = w.row(w.m.saved.gates, s, j);
      const float* x = at(p.x, w.time(s, j), w.batch(j));
      const int first = p.norm_ih || p.x_is_gates ? 0 : w.planes.x_count;
      for (int plane = first; plane < w.planes.count; ++plane)
        for (index u = w.unit_begin; u < w.unit_end; u += W) {
          vec value = load(w.weights.bias + plane * w.Hp + u);
          if (p.x_is_gates && plane < w.planes.x_count)
            value += load_first(x + w.planes.x_order[plane] * p.H + u, p.H - u);
          store(gates + plane * w.Hp + u, value);
        }
    }
  if (!p.norm_ih) return;
  const index first = w.group.first[begin] - w.chunk_begin;
  const Saved& saved = w.m.saved;
  const Extent extent = x_extent(w);
  const auto raw = [&](index k) { return saved.ih.data + (first + k) * saved.ih.stride; };
  row_statistics(w, n, extent, raw, [&](index k, float mean, float scale) {
    keep_statistics(w, saved.statistics.data + (first + k) * saved.statistics.stride, mean, scale);
    add_normalised(w, extent, w.weights.gain_ih, raw(k), mean, scale,
                   saved.gates.data + (first + k) * saved.gates.stride);
  });
}

inline void final_states(Worker& w) {
  const Problem& p = w.p;
  const auto bytes = [](index n) { return static_cast<std::size_t>(n) * sizeof(float); };
  for (index j = w.member; j < w.group.rows; j += w.split) {
    const index b = w.batch(j), n = w.group.length[j];
    std::memcpy(p.h_n + b * p.P, n ? w.output(n - 1, j) : p.h0 + b * p.P, bytes(p.P));
    if (p.cell.kind == Kind::lstm)
      copy_unpadded(p.c_n + b * p.H, n ? w.c_after(n - 1, j) : w.row(w.m.c0, j), 1, p.H, w.Hp);
    if (p.weight_gg) {
      const index width = w.planes.sigmoids * p.H;
      const float* last = n ? w.fed_after(n - 1, j) : w.row(w.m.gates0, j);
      copy_unpadded(p.gates_n + b * width, last, w.planes.sigmoids, p.H, w.Hp);
    }
    for (index t = n; t < p.T; ++t) {
      std::memset(at(p.output, t, b), 0, bytes(p.P));
      for (float* gate : p.record)
        if (gate) std::memset(gate + (t * p.B + b) * p.H, 0, bytes(p.H));
    }
  }
}

template <class Cell>
void forward_thread(Worker w) {
  initial_states(w);
  const index most = chunk_rows(w.p, w.planes);
  for (index begin = 0, end; begin < w.group.steps; begin = end) {
    end = begin + 1;
    while (end < w.group.steps && w.group.first[end + 1] - w.group.first[begin] <= most) ++end;
    if (!w.p.training) w.chunk_begin = w.group.first[begin];
    project_input(w, begin, end);
    for (index s = begin; s < end; ++s) {
      w.backwards = s & 1;
      Cell::forward(w, s, w.group.active[s]);
    }
  }
  w.wait();
  final_states(w);
}

inline void prepare_forward(const Pass& pass) {
  sum_biases(pass.p, pass.planes, pass.Hp, pass.bias);
  pass.prepare();
}

template <class Cell>
void run_forward(const Pass& pass) {
  parallel(pass.threads(), [&](int thread) { forward_thread<Cell>(pass.worker(thread)); });
}

}  // namespace longspan::LONGSPAN_ISA
