// The GRU in both forms; see longspan/cells/gru.py. Planes: n r z hn, or n r z rh (memory.h).
#pragma once

#include "../recurrence.h"

namespace longspan::LONGSPAN_ISA {

struct Gru {
  static void forward(Worker& w, index s, index n) {
    add_recurrent(w, s, n);
    if (!w.p.cell.reset_after) add_reset_product(w, s, n);
    for (index j = 0; j < n; ++j) finish(w, s, j);
    w.wait();
  }

  static void backward(Worker& w, index s, index n) {
    for (index j = 0; j < n; ++j) start_backward(w, s, j);
    if (!w.p.cell.reset_after) back_through_reset(w, s, n);
    back_through_recurrent(w, s, n, false);
  }

 private:
  // Reset first: r is complete, and n still lacks U_n (r ⊙ h).
  static void add_reset_product(Worker& w, index s, index n) {
    for (index j = 0; j < n; ++j) {
      float* gates = w.row(w.m.saved.gates, s, j);
      const float* seen = w.seen(s, j);
      for (index u = w.unit_begin; u < w.unit_end; u += W) {
        const vec r = sigmoid(load(gates + w.Hp + u));
        store(gates + w.Hp + u, r);
        store(gates + 3 * w.Hp + u, r * load_first(seen + u, w.p.H - u));
      }
    }
    w.wait();
    for (index j = 0; j < n; ++j) {
      w.c[j] = w.row(w.m.saved.gates, s, j);
      w.a[j] = w.c[j] + 3 * w.Hp;
    }
    w.unit_product(n, w.weights.n, {w.c, w.Hp, Start::result, nullptr});
  }

  static void finish(Worker& w, index s, index j) {
    float *gates = w.row(w.m.saved.gates, s, j), *output = w.output(s, j);
    const float* before = w.h_before(s, j);
    const float* mask = w.of_step(w.p.update_mask, w.p.H, s, j);
    const Zone zone = zone_h(w, s, j);
    for (index u = w.unit_begin; u < w.unit_end; u += W) {
      const index left = w.p.H - u;
      vec a = load(gates + u), r = load(gates + w.Hp + u);
      if (w.p.cell.reset_after) {
        r = sigmoid(r);
        a += r * load(gates + 3 * w.Hp + u);
      }
      const vec z = sigmoid(load(gates + 2 * w.Hp + u)), n = tanh(a);
      store(gates + u, n);
      store(gates + w.Hp + u, r);
      store(gates + 2 * w.Hp + u, z);
      record(w, 0, s, j, u, r);
      record(w, 1, s, j, u, z);
      record(w, 2, s, j, u, n);
      const vec old = load_first(before + u, left);
      const vec update = mask ? n * load_first(mask + u, left) : n;
      vec h = (1.0f - z) * update + z * old;
      if (zone.on()) h = mix(zone, u, w.p.H, old, h);
      store_first(output + u, left, h);
    }
  }

  static void start_backward(Worker& w, index s, index j) {
    float *d = w.chunk_row(w.m.d_gates, s, j), *d_h = w.row(w.m.d_h, j);
    const float *gates = w.row(w.m.saved.gates, s, j), *d_out = d_output(w, s, j);
    const float* before = w.h_before(s, j);
    const float* mask = w.of_step(w.p.update_mask, w.p.H, s, j);
    const Zone zone = zone_h(w, s, j);
    for (index u = w.unit_begin; u < w.unit_end; u += W) {
      const vec n = load(gates + u), r = load(gates + w.Hp + u), z = load(gates + 2 * w.Hp + u);
      const vec kept = mask ? load_first(mask + u, w.p.H - u) : all(1.0f);
      vec d_new = arriving(d_h, d_out, u, w.p.P), direct{};
      if (zone.on()) {
        const vec share = zone.at(u, w.p.H);
        direct = share * d_new;
        d_new *= 1.0f - share;
      }
      store(d_h + u, direct + z * d_new);
      const vec old = load_first(before + u, w.p.H - u);
      const vec d_z = d_new * (old - n * kept) + d_record(w, 1, s, j, u);
      const vec d_n = d_new * (1.0f - z) * kept + d_record(w, 2, s, j, u);
      const vec d_a = d_n * (1.0f - n * n);
      store(d + u, d_a);
      store(d + 2 * w.Hp + u, d_z * z * (1.0f - z));
      if (!w.p.cell.reset_after) continue;
      const vec d_r = d_a * load(gates + 3 * w.Hp + u) + d_record(w, 0, s, j, u);
      store(d + w.Hp + u, d_r * r * (1.0f - r));
      store(d + 3 * w.Hp + u, d_a * r);
    }
  }

  // Reset first: from n's gradient through U_n to r ⊙ h, and on to r and h.
  static void back_through_reset(Worker& w, index s, index n) {
    w.wait();
    for (index j = 0; j < n; ++j) {
      w.a[j] = w.chunk_row(w.m.d_gates, s, j);
      w.c[j] = w.row(w.m.turned, j);
    }
    w.output_product(n, w.weights.n, {w.c, w.Pp, Start::zero, nullptr});
    for (index j = 0; j < n; ++j) {
      float *d = w.chunk_row(w.m.d_gates, s, j), *d_h = w.row(w.m.d_h, j);
      const float *d_rh = w.row(w.m.turned, j), *seen = w.seen(s, j);
      const float* hidden = w.p.hidden_mask ? w.p.hidden_mask + w.batch(j) * w.p.P : nullptr;
      for (index u = w.unit_begin; u < w.unit_end; u += W) {
        const vec r = load(w.row(w.m.saved.gates, s, j) + w.Hp + u), through = load(d_rh + u);
        const vec d_r = through * load_first(seen + u, w.p.H - u) + d_record(w, 0, s, j, u);
        store(d + w.Hp + u, d_r * r * (1.0f - r));
        const vec mask = hidden ? load_first(hidden + u, w.p.H - u) : all(1.0f);
        store(d_h + u, load(d_h + u) + through * r * mask);
      }
    }
  }
};

}  // namespace longspan::LONGSPAN_ISA
