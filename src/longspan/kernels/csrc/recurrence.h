// The parts of a step that all cells share: U h added to the gates on the way forward, and the way
// back from the gates' gradients to those of h.
#pragma once

#include "normalise.h"

namespace longspan::LONGSPAN_ISA {

inline Extent x_extent(const Worker& w) { return {w.planes.x_count, w.p.H, w.Hp}; }
inline Extent h_extent(const Worker& w) { return {w.planes.h_count, w.p.H, w.Hp}; }

// Dropout on h: what the recurrent product sees is kept, since its weight's gradient needs it.
inline void mask_hidden(Worker& w, index s, index n) {
  for (index j = 0; j < n; ++j) {
    const float* h = w.h_before(s, j);
    const float* mask = w.p.hidden_mask + w.batch(j) * w.p.P;
    float* seen = w.row(w.m.saved.seen, s, j);
    for (index u = w.output_begin; u < w.output_end; u += W)
      store(seen + u, load_first(h + u, w.p.P - u) * load_first(mask + u, w.p.P - u));
  }
  w.wait();
}

// Gates of step s, rows 0 … n: add (normalised) U h to their planes.
inline void add_recurrent(Worker& w, index s, index n) {
  if (!w.weights.hh.vectors) return;  // it is in the gates already: see step.h
  if (has_seen(w.p)) mask_hidden(w, s, n);
  const bool normal = w.p.norm_hh != nullptr;
  for (index j = 0; j < n; ++j) {
    w.a[j] = w.seen(s, j);
    w.c[j] = normal ? w.row(w.m.saved.hh, s, j) : w.row(w.m.saved.gates, s, j) + w.planes.h_first * w.Hp;
  }
  const index width = w.planes.h_count * w.Hp;
  w.unit_product(n, w.weights.hh, {w.c, width, normal ? Start::zero : Start::result, nullptr});
  if (!normal) return;
  const Extent extent = h_extent(w);
  const auto raw = [&](index j) { return w.row(w.m.saved.hh, s, j); };
  row_statistics(w, n, extent, raw, [&](index j, float mean, float scale) {
    keep_statistics(w, w.statistics(1, s, j), mean, scale);
    add_normalised(w, extent, w.weights.gain_hh, raw(j), mean, scale,
                   w.row(w.m.saved.gates, s, j) + w.planes.h_first * w.Hp);
  });
}

// Rows of the gates' gradients as the products with weights see them: after normalisation, if any.
LONGSPAN_INLINE const float* x_gradients(const Worker& w, index s, index j) {
  return w.chunk_row(w.p.norm_ih ? w.m.d_ih : w.m.d_gates, s, j);
}
LONGSPAN_INLINE const float* h_gradients(const Worker& w, index s, index j) {
  return w.p.norm_hh ? w.chunk_row(w.m.d_hh, s, j)
                     : w.chunk_row(w.m.d_gates, s, j) + w.planes.h_first * w.Hp;
}

inline void through_normalisation(Worker& w, index s, index n) {
  const auto rows = [&](int which, const Rows& raw, int first_plane, const Rows& found) {
    return [&, which, first_plane](index j) -> NormalisedRow {
      return {w.row(raw, s, j), w.chunk_row(w.m.d_gates, s, j) + first_plane * w.Hp,
              w.statistics(which, s, j), w.chunk_row(found, s, j)};
    };
  };
  if (w.p.norm_ih)
    normalised_gradients(w, n, x_extent(w), w.weights.gain_ih, w.gain_ih_sums,
                         rows(0, w.m.saved.ih, 0, w.m.d_ih));
  if (w.p.norm_hh)
    normalised_gradients(w, n, h_extent(w), w.weights.gain_hh, w.gain_hh_sums,
                         rows(1, w.m.saved.hh, w.planes.h_first, w.m.d_hh));
}

// d_h of the step before: what the cell left there (or nothing, if `fresh`), and the gradients of
// the gates through `weight`; `gradients(j)` are their rows.
template <class Gradients>
void add_to_hidden(Worker& w, index n, const Packed& weight, bool fresh,
                   const Gradients& gradients) {
  const bool masked = w.p.hidden_mask != nullptr;
  for (index j = 0; j < n; ++j) {
    w.a[j] = gradients(j);
    w.c[j] = w.row(masked ? w.m.turned : w.m.d_h, j);
  }
  w.output_product(n, weight, {w.c, w.Pp, masked || fresh ? Start::zero : Start::result, nullptr});
  if (!masked) return;
  for (index j = 0; j < n; ++j) {
    const float* mask = w.p.hidden_mask + w.batch(j) * w.p.P;
    float* d_h = w.row(w.m.d_h, j);
    for (index u = w.output_begin; u < w.output_end; u += W) {
      const vec through = load(w.row(w.m.turned, j) + u) * load_first(mask + u, w.p.P - u);
      store(d_h + u, fresh ? through : load(d_h + u) + through);
    }
  }
}

// After the gates' gradients of step s are complete for the own units: carry them on to step s - 1.
inline void back_through_recurrent(Worker& w, index s, index n, bool fresh) {
  through_normalisation(w, s, n);
  w.wait();
  add_to_hidden(w, n, w.weights.hh, fresh, [&](index j) { return h_gradients(w, s, j); });
}

// Zoneout of a row's own values: new ← d ⊙ old + (1 - d) ⊙ new.
struct Zone {
  const float* mask;  // of this row, or null
  float share;
  LONGSPAN_INLINE vec at(index u, index width) const {
    return mask ? load_first(mask + u, width - u) : all(share);
  }
  LONGSPAN_INLINE bool on() const { return mask || share != 0.0f; }
};
LONGSPAN_INLINE Zone zone_h(const Worker& w, index s, index j) {
  return {w.of_step(w.p.zoneout_h_mask, w.p.P, s, j), w.p.zoneout_h};
}
LONGSPAN_INLINE Zone zone_c(const Worker& w, index s, index j) {
  return {w.of_step(w.p.zoneout_c_mask, w.p.H, s, j), w.p.zoneout_c};
}
LONGSPAN_INLINE vec mix(const Zone& zone, index u, index width, vec old, vec fresh) {
  const vec d = zone.at(u, width);
  return d * old + (1.0f - d) * fresh;
}

// What arrives at h of step s from the output's gradient and from step s + 1.
LONGSPAN_INLINE vec arriving(const float* d_h, const float* d_output, index u, index width) {
  const vec carried = load(d_h + u);
  return d_output ? carried + load_first(d_output + u, width - u) : carried;
}
LONGSPAN_INLINE const float* d_output(const Worker& w, index s, index j) {
  return w.p.d_output.data ? at(w.p.d_output, w.time(s, j), w.batch(j)) : nullptr;
}

// Gradient of a recorded gate, where the caller asked for gates and used them.
LONGSPAN_INLINE vec d_record(const Worker& w, int gate, index s, index j, index u) {
  const float* tensor = w.p.d_record[gate];
  return tensor ? load_first(w.of_step(tensor, w.p.H, s, j) + u, w.p.H - u) : vec{};
}
LONGSPAN_INLINE void record(const Worker& w, int gate, index s, index j, index u, vec value) {
  float* tensor = w.p.record[gate];
  if (!tensor) return;
  float* row = tensor + (w.time(s, j) * w.p.B + w.batch(j)) * w.p.H;
  store_first(row + u, w.p.H - u, value);
}

}  // namespace longspan::LONGSPAN_ISA
