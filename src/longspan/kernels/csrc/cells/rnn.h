// The simple cell: h' = φ(a), a = W x + U h + b; see longspan/cells/rnn.py.
#pragma once

#include "../recurrence.h"

namespace longspan::LONGSPAN_ISA {

struct Rnn {
  static void forward(Worker& w, index s, index n) {
    add_recurrent(w, s, n);
    for (index j = 0; j < n; ++j) {
      float *gates = w.row(w.m.saved.gates, s, j), *output = w.output(s, j);
      const float* before = w.h_before(s, j);
      const float* mask = w.of_step(w.p.update_mask, w.p.H, s, j);
      const Zone zone = zone_h(w, s, j);
      for (index u = w.unit_begin; u < w.unit_end; u += W) {
        const index left = w.p.H - u;
        const vec a = load(gates + u);
        const vec value = w.p.cell.relu ? (a < 0.0f ? vec{} : a) : tanh(a);
        store(gates + u, value);
        record(w, 0, s, j, u, value);
        vec h = mask ? value * load_first(mask + u, left) : value;
        if (zone.on()) h = mix(zone, u, w.p.H, load_first(before + u, left), h);
        store_first(output + u, left, h);
      }
    }
    w.wait();
  }

  static void backward(Worker& w, index s, index n) {
    bool fresh = true;
    for (index j = 0; j < n; ++j) {
      float *d = w.chunk_row(w.m.d_gates, s, j), *d_h = w.row(w.m.d_h, j);
      const float *gates = w.row(w.m.saved.gates, s, j), *d_out = d_output(w, s, j);
      const float* mask = w.of_step(w.p.update_mask, w.p.H, s, j);
      const Zone zone = zone_h(w, s, j);
      for (index u = w.unit_begin; u < w.unit_end; u += W) {
        vec d_new = arriving(d_h, d_out, u, w.p.P);
        if (zone.on()) {
          const vec share = zone.at(u, w.p.H);
          store(d_h + u, share * d_new);
          d_new *= 1.0f - share;
          fresh = false;
        }
        if (mask) d_new *= load_first(mask + u, w.p.H - u);
        d_new += d_record(w, 0, s, j, u);
        const vec value = load(gates + u);
        store(d + u, w.p.cell.relu ? (value > 0.0f ? d_new : vec{}) : d_new * (1.0f - value * value));
      }
    }
    back_through_recurrent(w, s, n, fresh);
  }
};

}  // namespace longspan::LONGSPAN_ISA
