// The LSTM with its options; see longspan/cells/lstm.py for the equations. Planes: g i f o, without
// those that are missing (memory.h).
#pragma once

#include "../recurrence.h"

namespace longspan::LONGSPAN_ISA {

// kPlain: none of the options that act between the gates and h, so that the compiler can leave them
// out of the loop over units.
template <bool kPlain>
struct Lstm {
  static void forward(Worker& w, index s, index n) {
    add_recurrent(w, s, n);
    if constexpr (!kPlain) {
      if (w.p.weight_gg) add_fed_gates(w, s, n);
    }
    for (index j = 0; j < n; ++j) forward_row(w, s, j);
    if constexpr (!kPlain) {
      if (w.p.norm_c) finish_normalised(w, s, n);
      if (w.p.weight_hr) project(w, s, n);
    }
    w.wait();
  }

  static void backward(Worker& w, index s, index n) {
    bool fresh = true;
    if constexpr (!kPlain) {
      if (w.p.weight_hr) fresh = back_through_projection(w, s, n);
      if (w.p.norm_c) normalised_cell_gradients(w, s, n);
    }
    for (index j = 0; j < n; ++j) fresh = backward_row(w, s, j) && fresh;
    if constexpr (!kPlain) {
      if (w.p.weight_gg) back_through_fed_gates(w, s, n);
    }
    back_through_recurrent(w, s, n, fresh);
  }

 private:
  LONGSPAN_INLINE static vec peephole(const Worker& w, int plane, index u) {
    const float* weight = w.p.weight_ch + (plane - 1) * w.p.H;
    return load_first(weight + u, w.p.H - u);
  }

  // σ(a + p ⊙ c) in place, or 1 for a missing gate.
  LONGSPAN_INLINE static vec gate(Worker& w, float* gates, int plane, index u, vec c) {
    if constexpr (!kPlain) {
      if (plane < 0) return all(1.0f);
    }
    vec a = load(gates + plane * w.Hp + u);
    if constexpr (!kPlain) {
      if (w.p.weight_ch) a += peephole(w, plane, u) * c;
    }
    const vec value = sigmoid(a);
    store(gates + plane * w.Hp + u, value);
    return value;
  }
  LONGSPAN_INLINE static vec gate_value(const Worker& w, const float* gates, int plane, index u) {
    if constexpr (!kPlain) {
      if (plane < 0) return all(1.0f);
    }
    return load(gates + plane * w.Hp + u);
  }

  // Units between the gates and h: with all of them in one loop, the tanh of c would wait for its
  // gates, and the processor for both.
  static constexpr index kBlock = 8 * W;

  static void forward_row(Worker& w, index s, index j) {
    float* out = kPlain ? w.output(s, j) : hidden_target(w, s, j);
    const bool later = !kPlain && w.p.norm_c;  // h needs the whole row's c
    alignas(64) float o[kBlock], seen_c[kBlock];
    for (index begin = w.unit_begin; begin < w.unit_end; begin += kBlock) {
      const index end = smaller(begin + kBlock, w.unit_end);
      float* const proposed = later ? w.row(w.m.turned, j) + begin : seen_c;
      forward_units(w, s, j, begin, end, o, proposed);
      if (later) continue;
      for (index u = begin; u < end; u += W)
        write_hidden(w, s, j, u, out, load(o + u - begin), load(seen_c + u - begin));
    }
  }

  // The gates and c of some units; o and what h sees of c, before zoneout, are left at `o_out` and
  // `seen_c`.
  LONGSPAN_INLINE static void forward_units(Worker& w, index s, index j, index begin, index end,
                                            float* o_out, float* seen_c) {
    const Planes planes = w.planes;
    float *gates = w.row(w.m.saved.gates, s, j), *c_new = w.c_after(s, j);
    const float* c_old = w.c_before(s, j);
    const float* mask = w.of_step(w.p.update_mask, w.p.H, s, j);
    for (index u = begin; u < end; u += W) {
      const vec c = load(c_old + u);
      const vec f = gate(w, gates, kPlain ? 2 : planes.f, u, c);
      vec i = kPlain || !w.p.cell.coupled_gates ? gate(w, gates, kPlain ? 1 : planes.i, u, c)
                                                : 1.0f - f;
      vec g = load(gates + u);
      if (kPlain || w.p.cell.input_activation) g = tanh(g);
      store(gates + u, g);
      const vec update = !kPlain && mask ? g * load_first(mask + u, w.p.H - u) : g;
      const vec proposed = f * c + i * update;
      const vec o = gate(w, gates, kPlain ? 3 : planes.o, u, proposed);
      vec kept = proposed;
      if constexpr (!kPlain) {
        const Zone zone = zone_c(w, s, j);
        if (zone.on()) kept = mix(zone, u, w.p.H, c, proposed);
      }
      store(c_new + u, kept);
      if (w.p.record[0]) {
        record(w, 0, s, j, u, i), record(w, 1, s, j, u, f), record(w, 2, s, j, u, g);
        record(w, 3, s, j, u, o), record(w, 4, s, j, u, kept);
      }
      if constexpr (!kPlain) {
        if (w.p.weight_gg) keep_fed(w, gates, s, j, u);
      }
      store(o_out + u - begin, o);
      store(seen_c + u - begin, proposed);
    }
  }

  // h', or with projection what is to be projected.
  LONGSPAN_INLINE static void write_hidden(const Worker& w, index s, index j, index u, float* out,
                                           vec o, vec seen_c) {
    const index left = w.p.H - u;
    vec h = o * (kPlain || w.p.cell.output_activation ? tanh(seen_c) : seen_c);
    if constexpr (!kPlain) {
      if (w.p.weight_hr) return store(out + u, h);
      const Zone zone = zone_h(w, s, j);
      if (zone.on()) h = mix(zone, u, w.p.P, load_first(w.h_before(s, j) + u, left), h);
    }
    store_first(out + u, left, h);
  }
  static float* hidden_target(const Worker& w, index s, index j) {
    return w.p.weight_hr ? w.row(w.m.saved.projected, s, j) : w.output(s, j);
  }

  static void finish_normalised(Worker& w, index s, index n) {
    const auto proposed = [&](index j) { return w.row(w.m.turned, j); };
    row_statistics(w, n, {1, w.p.H, w.Hp}, proposed, [&](index j, float mean, float scale) {
      keep_statistics(w, w.statistics(2, s, j), mean, scale);
      const float *gates = w.row(w.m.saved.gates, s, j), *c = proposed(j);
      float* out = hidden_target(w, s, j);
      for (index u = w.unit_begin; u < w.unit_end; u += W) {
        const vec normal = (load(c + u) - mean) * scale;
        write_hidden(w, s, j, u, out, gate_value(w, gates, w.planes.o, u),
                     normal * c_gain(w, u) + c_shift(w, u));
      }
    });
  }
  LONGSPAN_INLINE static vec c_gain(const Worker& w, index u) { return load(w.weights.gain_c + u); }
  LONGSPAN_INLINE static vec c_shift(const Worker& w, index u) {
    return load(w.weights.gain_c + w.Hp + u);
  }

  static void project(Worker& w, index s, index n) {
    w.wait();
    for (index j = 0; j < n; ++j) {
      w.a[j] = w.row(w.m.saved.projected, s, j);
      w.c[j] = w.output(s, j);
    }
    w.output_product(n, w.weights.hr, {w.c, w.p.P, Start::zero, nullptr});
    for (index j = 0; j < n; ++j) {
      const Zone zone = zone_h(w, s, j);
      if (!zone.on()) continue;
      const float* before = w.h_before(s, j);
      for (index u = w.output_begin; u < w.output_end; u += W) {
        const index left = w.p.P - u;
        const vec h = load_first(w.c[j] + u, left);
        store_first(w.c[j] + u, left, mix(zone, u, w.p.P, load_first(before + u, left), h));
      }
    }
  }

  static void keep_fed(Worker& w, const float* gates, index s, index j, index u) {
    if (w.p.training) return;
    for (int k = 0; k < w.planes.sigmoids; ++k)
      store(w.fed_after(s, j) + k * w.Hp + u, load(gates + (1 + k) * w.Hp + u));
  }
  static void add_fed_gates(Worker& w, index s, index n) {
    for (index j = 0; j < n; ++j) {
      w.a[j] = w.fed_before(s, j);
      w.c[j] = w.row(w.m.saved.gates, s, j) + w.Hp;
    }
    w.unit_product(n, w.weights.gg, {w.c, w.planes.sigmoids * w.Hp, Start::result, nullptr});
  }
  static void back_through_fed_gates(Worker& w, index s, index n) {
    w.wait();
    for (index j = 0; j < n; ++j) {
      w.a[j] = w.chunk_row(w.m.d_gates, s, j) + w.Hp;
      w.c[j] = w.row(w.m.d_fed, j);
    }
    w.unit_product(n, w.weights.gg, {w.c, w.planes.sigmoids * w.Hp, Start::zero, nullptr});
  }

  // From h' to what was projected. Returns whether nothing of d_h goes on to the step before.
  static bool back_through_projection(Worker& w, index s, index n) {
    bool fresh = true;
    for (index j = 0; j < n; ++j) {
      float *d_h = w.row(w.m.d_h, j), *d_new = w.chunk_row(w.m.d_output, s, j);
      const float* d_out = d_output(w, s, j);
      const Zone zone = zone_h(w, s, j);
      for (index u = w.output_begin; u < w.output_end; u += W) {
        const vec d = arriving(d_h, d_out, u, w.p.P);
        if (zone.on()) {
          const vec share = zone.at(u, w.p.P);
          store(d_h + u, share * d);
          store(d_new + u, (1.0f - share) * d);
          fresh = false;
        } else {
          store(d_new + u, d);
        }
      }
      w.a[j] = d_new;
      w.c[j] = w.row(w.m.d_projected, j);
    }
    w.wait();
    w.unit_product(n, w.weights.hr, {w.c, w.Hp, Start::zero, nullptr});
    return fresh;
  }

  // The gradient of o ⊙ act(c) at own units, before zoneout of h (which `share` is about).
  LONGSPAN_INLINE static vec d_hidden(const Worker& w, index s, index j, index u, vec* share) {
    if (!kPlain && w.p.weight_hr) return load(w.row(w.m.d_projected, j) + u);
    const vec d = arriving(w.row(w.m.d_h, j), d_output(w, s, j), u, w.p.P);
    if constexpr (!kPlain) {
      const Zone zone = zone_h(w, s, j);
      if (zone.on()) {
        *share = zone.at(u, w.p.P);
        return (1.0f - *share) * d;
      }
    }
    return d;
  }

  // c' before zoneout, from what was kept.
  LONGSPAN_INLINE static vec proposed_cell(const Worker& w, index s, index j, index u, vec i, vec f,
                                           vec g, vec c) {
    const float* mask = kPlain ? nullptr : w.of_step(w.p.update_mask, w.p.H, s, j);
    return f * c + i * (mask ? g * load_first(mask + u, w.p.H - u) : g);
  }
  LONGSPAN_INLINE static vec input_gate(const Worker& w, const float* gates, index u, vec f) {
    if constexpr (kPlain) return load(gates + w.Hp + u);
    return w.p.cell.coupled_gates ? 1.0f - f : gate_value(w, gates, w.planes.i, u);
  }

  // Layer norm of c: the gradient that reaches c' through h goes to `turned`, to be picked up by
  // backward_row; d_seen needs sums over the whole row.
  static void normalised_cell_gradients(Worker& w, index s, index n) {
    for (index j = 0; j < n; ++j) {
      const float *gates = w.row(w.m.saved.gates, s, j), *found = w.statistics(2, s, j);
      const float* c_old = w.c_before(s, j);
      float* out = w.row(w.m.turned, j);
      vec first{}, second{};
      for (index u = w.unit_begin; u < w.unit_end; u += W) {
        vec share{};
        const vec d = d_hidden(w, s, j, u, &share);
        const vec normal = normal_cell(w, s, j, u, gates, c_old, found);
        const vec seen = normal * c_gain(w, u) + c_shift(w, u);
        const vec act = w.p.cell.output_activation ? tanh(seen) : seen;
        const vec o = gate_value(w, gates, w.planes.o, u);
        const vec d_seen = w.p.cell.output_activation ? d * o * (1.0f - act * act) : d * o;
        float* sums = w.norm_c_sums + u;
        store(sums, load(sums) + d_seen * normal);
        store(sums + w.Hp, load(sums + w.Hp) + d_seen);
        const vec scaled = d_seen * c_gain(w, u);
        store(out + u, scaled);
        first += scaled;
        second += scaled * normal;
      }
      float* mine = partial(w, w.member, j);
      mine[0] = sum(first), mine[1] = sum(second);
    }
    gradient_means(w, n, static_cast<float>(w.p.H), [&](index j, float first, float second) {
      const float *gates = w.row(w.m.saved.gates, s, j), *found = w.statistics(2, s, j);
      float* out = w.row(w.m.turned, j);
      for (index u = w.unit_begin; u < w.unit_end; u += W) {
        const vec normal = normal_cell(w, s, j, u, gates, w.c_before(s, j), found);
        store(out + u, first_lanes((load(out + u) - first - normal * second) * found[1], w.p.H - u));
      }
    });
  }
  LONGSPAN_INLINE static vec normal_cell(const Worker& w, index s, index j, index u,
                                         const float* gates, const float* c_old,
                                         const float* found) {
    const vec f = gate_value(w, gates, w.planes.f, u);
    const vec c = proposed_cell(w, s, j, u, input_gate(w, gates, u, f), f, load(gates + u),
                                load(c_old + u));
    return first_lanes((c - found[0]) * found[1], w.p.H - u);
  }

  // Own units of one row. Returns whether nothing was left in d_h for the step before.
  static bool backward_row(Worker& w, index s, index j) {
    const Planes planes = w.planes;
    const float *gates = w.row(w.m.saved.gates, s, j), *c_old = w.c_before(s, j);
    float *d_gates = w.chunk_row(w.m.d_gates, s, j), *d_c = w.row(w.m.d_c, j);
    const float* mask = kPlain ? nullptr : w.of_step(w.p.update_mask, w.p.H, s, j);
    const Zone zone = zone_c(w, s, j);
    const bool keeps_h = !kPlain && !w.p.weight_hr && zone_h(w, s, j).on();
    vec squares{};
    for (index u = w.unit_begin; u < w.unit_end; u += W) {
      const vec g = load(gates + u), c = load(c_old + u);
      const vec f = gate_value(w, gates, kPlain ? 2 : planes.f, u);
      const vec o = gate_value(w, gates, kPlain ? 3 : planes.o, u);
      const vec i = input_gate(w, gates, u, f);
      const vec proposed = proposed_cell(w, s, j, u, i, f, g, c);

      vec share{};
      const vec d_hid = d_hidden(w, s, j, u, &share);
      if (keeps_h) {
        float* d_h = w.row(w.m.d_h, j) + u;
        const float* d_out = d_output(w, s, j);
        store(d_h, share * arriving(d_h - u, d_out, u, w.p.P));
      }
      vec d_kept = load(d_c + u);
      if (!kPlain || w.p.record[0]) d_kept += d_record(w, 4, s, j, u);
      vec d_cell = d_kept, d_c_old{};
      if (!kPlain && zone.on()) {
        const vec part = zone.at(u, w.p.H);
        d_cell = (1.0f - part) * d_kept;
        d_c_old = part * d_kept;
      }
      vec act;
      if (!kPlain && w.p.norm_c) {
        const float* found = w.statistics(2, s, j);
        const vec seen = (proposed - found[0]) * found[1] * c_gain(w, u) + c_shift(w, u);
        act = w.p.cell.output_activation ? tanh(seen) : seen;
        d_cell += load(w.row(w.m.turned, j) + u);
      } else if (kPlain || w.p.cell.output_activation) {
        act = tanh(proposed);
        d_cell += d_hid * o * (1.0f - act * act);
      } else {
        act = proposed;
        d_cell += d_hid * o;
      }
      const auto raw = [&](int gate, int plane, vec d, vec value, vec c_seen, vec* d_seen) {
        if constexpr (!kPlain) {
          if (plane < 0) return;
          d += d_record(w, gate, s, j, u);
          if (w.p.weight_gg) d += load(w.row(w.m.d_fed, j) + (plane - 1) * w.Hp + u);
        }
        d *= value * (1.0f - value);
        store(d_gates + plane * w.Hp + u, d);
        if constexpr (!kPlain) {
          if (!w.p.weight_ch) return;
          *d_seen += d * peephole(w, plane, u);
          float* sums = w.peephole_sums + (plane - 1) * w.Hp + u;
          store(sums, load(sums) + d * c_seen);
        }
      };
      raw(3, kPlain ? 3 : planes.o, d_hid * act, o, proposed, &d_cell);
      const vec d_state = !kPlain && zone.on() ? d_kept : d_cell;  // of c as step s + 1 sees it
      squares += d_state * d_state;
      vec d_i = d_cell * (!kPlain && mask ? g * load_first(mask + u, w.p.H - u) : g);
      vec d_f = d_cell * c;
      if (!kPlain && w.p.cell.coupled_gates) d_f -= d_i + d_record(w, 0, s, j, u);
      d_c_old += d_cell * f;
      raw(1, kPlain ? 2 : planes.f, d_f, f, c, &d_c_old);
      raw(0, kPlain ? 1 : planes.i, d_i, i, c, &d_c_old);
      vec d_g = d_cell * i;
      if (!kPlain && mask) d_g *= load_first(mask + u, w.p.H - u);
      if constexpr (!kPlain) d_g += d_record(w, 2, s, j, u);
      store(d_gates + u, kPlain || w.p.cell.input_activation ? d_g * (1.0f - g * g) : d_g);
      store(d_c + u, d_c_old);
    }
    if (w.flow) w.add_flow(1, s, j, squares);
    return !keeps_h;
  }
};

inline bool is_plain_lstm(const Problem& p) {
  const Cell& c = p.cell;
  bool records = false;
  for (const float* d : p.d_record) records = records || d;
  return c.input_gate && c.forget_gate && c.output_gate && c.input_activation &&
         c.output_activation && !c.coupled_gates && !p.weight_ch && !p.weight_gg && !p.weight_hr &&
         !p.norm_c && !p.update_mask && !p.zoneout_c_mask && !p.zoneout_h_mask &&
         p.zoneout_c == 0.0f && p.zoneout_h == 0.0f && !records;
}

}  // namespace longspan::LONGSPAN_ISA
