// The gradients of weights and inputs, from those of the gates at every step.
#pragma once

#include "pass.h"
#include "recurrence.h"

namespace longspan::LONGSPAN_ISA {

// Sums over all packed rows that make the gradients of weights; columns by planes.
struct Sums {
  index x_width, h_width, fed_width;
  float *ih, *hh, *n, *hr, *gg;          // [right][column]
  float *x_bias, *h_bias;                // column sums

  Sums(Arena& arena, const Pass& pass) {
    const Problem& p = pass.p;
    x_width = pass.planes.x_count * pass.Hp;
    h_width = pass.planes.h_count * pass.Hp;
    fed_width = pass.planes.sigmoids * pass.Hp;
    const auto take = [&](index rows, index width) {
      return arena.take<float>(round_up(rows, kTile) * width);
    };
    ih = take(p.x_is_gates ? 0 : p.I, x_width);
    hh = take(p.P, h_width);
    n = take(resets_first(p) ? p.H : 0, pass.Hp);
    hr = take(p.weight_hr ? p.P : 0, pass.Hp);
    gg = take(p.weight_gg ? fed_width : 0, fed_width);
    x_bias = arena.take<float>(x_width);
    h_bias = arena.take<float>(h_width);
  }
};

// One thread's columns of one product over all rows of all groups.
struct Job {
  index width, begin, end;

  Job(index width_, int thread, int threads) : width(width_) {
    const index count = (width + kPanel * W - 1) / (kPanel * W);
    begin = smaller(width, count * thread / threads * kPanel * W);
    end = smaller(width, count * (thread + 1) / threads * kPanel * W);
  }
  void clear_row(float* sums) const {
    for (index m = begin; m < end; m += W) store(sums + m, vec{});
  }
  void clear(float* sums, index n) const {
    for (index k = 0; k < round_up(n, kTile); ++k) clear_row(sums + k * width);
  }
};

// For blocks of one part of all groups' packed rows: call fill(worker, k, s, j) for each row, which
// sets the pointers of place k, then f(worker, first packed row, rows).
template <class Fill, class F>
void for_row_blocks(const Pass& pass, int thread, int part, int parts, const Fill& fill,
                    const F& f) {
  for (int g = 0; g < pass.plan.groups; ++g) {
    Worker w = pass.worker(g * pass.plan.split);
    w.a = pass.workers[thread].a;
    w.c = pass.workers[thread].c;
    w.words = pass.workers[thread].words;
    const index total = w.group.first[w.group.steps];
    const index begin = total * part / parts, end = total * (part + 1) / parts;
    index k = 0, packed = 0;
    for (index s = 0; s < w.group.steps; ++s)
      for (index j = 0; j < w.group.active[s]; ++j, ++packed) {
        if (packed < begin || packed >= end) continue;
        fill(w, k++, s, j);
        if (k < kRowBlock && packed + 1 < end) continue;
        f(w, packed + 1 - k, k);
        k = 0;
      }
  }
}

inline void weight_gradients(const Pass& pass, const Sums& sums, int thread, int threads) {
  const Problem& p = pass.p;
  const Planes& planes = pass.planes;
  const bool normal = p.norm_ih || p.norm_hh;
  const bool together = pass.products_agree();
  const Job x(sums.x_width, thread, threads), h(sums.h_width, thread, threads);
  const Job units(pass.Hp, thread, threads), fed(sums.fed_width, thread, threads);
  const index inputs = p.x_is_gates ? 0 : p.I;
  x.clear(sums.ih, inputs);
  h.clear(sums.hh, p.P);
  x.clear_row(sums.x_bias);
  h.clear_row(sums.h_bias);
  if (sums.n) units.clear(sums.n, resets_first(p) ? p.H : 0);
  if (p.weight_hr) units.clear(sums.hr, p.P);
  if (p.weight_gg) fed.clear(sums.gg, sums.fed_width);

  const auto block = [](const Rows& rows, index k) { return rows.data + k * rows.stride; };
  for_row_blocks(
      pass, thread, 0, 1,
      [&](Worker& w, index k, index s, index j) {
        w.a[k] = at(p.x, w.time(s, j), w.batch(j));
        w.a[kRowBlock + k] = w.seen(s, j);
      },
      [&](Worker& w, index first, index rows) {
        const Rows& left_x = p.norm_ih ? w.m.saved.ih : w.m.gradients;
        const Rows& left_h = p.norm_hh ? w.m.saved.hh : w.m.gradients;
        const Right right[2] = {{w.a, inputs, sums.ih}, {w.a + kRowBlock, p.P, sums.hh}};
        if (together) {
          gradient_product(rows, block(left_x, first), left_x.stride, x.begin, x.end, right, 2,
                           x.width, sums.x_bias, w.words);
          return;
        }
        gradient_product(rows, block(left_x, first), left_x.stride, x.begin, x.end, right, 1,
                         x.width, normal ? nullptr : sums.x_bias, w.words);
        const index shift = p.norm_hh ? 0 : planes.h_first * pass.Hp;
        gradient_product(rows, block(left_h, first) + shift, left_h.stride, h.begin, h.end,
                         right + 1, 1, h.width, normal ? nullptr : sums.h_bias, w.words);
        if (!normal) return;
        const Rows& d = w.m.gradients;
        add_rows(rows, block(d, first), d.stride, x.begin, x.end, sums.x_bias);
        if (pass.same_planes()) return;
        add_rows(rows, block(d, first) + planes.h_first * pass.Hp, d.stride, h.begin, h.end,
                 sums.h_bias);
      });
  if (resets_first(p))
    for_row_blocks(
        pass, thread, 0, 1,
        [&](Worker& w, index k, index s, index j) {
          w.a[k] = w.row(w.m.saved.gates, s, j) + 3 * pass.Hp;
        },
        [&](Worker& w, index first, index rows) {
          const Right right{w.a, p.H, sums.n};
          gradient_product(rows, block(w.m.gradients, first), w.m.gradients.stride, units.begin,
                           units.end, &right, 1, units.width, nullptr, w.words);
        });
  if (p.weight_hr)
    for_row_blocks(
        pass, thread, 0, 1,
        [&](Worker& w, index k, index s, index j) { w.a[k] = w.row(w.m.d_output, s, j); },
        [&](Worker& w, index first, index rows) {
          const Right right{w.a, p.P, sums.hr};
          gradient_product(rows, block(w.m.saved.projected, first), w.m.saved.projected.stride,
                           units.begin, units.end, &right, 1, units.width, nullptr, w.words);
        });
  if (p.weight_gg)
    for_row_blocks(
        pass, thread, 0, 1,
        [&](Worker& w, index k, index s, index j) { w.a[k] = w.fed_before(s, j); },
        [&](Worker& w, index first, index rows) {
          const Right right{w.a, sums.fed_width, sums.gg};
          gradient_product(rows, block(w.m.gradients, first) + pass.Hp, w.m.gradients.stride,
                           fed.begin, fed.end, &right, 1, fed.width, nullptr, w.words);
        });

  const Axes& axes = pass.axes;
  if (p.d_weight_ih)
    unpack_gradient(p.d_weight_ih, p.I, sums.ih, x.width, p.I, axes.x, x.begin, x.end);
  if (p.d_weight_hh) {
    unpack_gradient(p.d_weight_hh, p.P, sums.hh, h.width, p.P, axes.h, h.begin, h.end);
    if (resets_first(p))
      unpack_gradient(p.d_weight_hh, p.P, sums.n, units.width, p.H, axes.candidate, units.begin,
                      units.end);
  }
  if (p.d_weight_gg)
    for (int from = 0; from < planes.sigmoids; ++from)
      unpack_gradient(p.d_weight_gg + from * p.H, planes.sigmoids * p.H,
                      sums.gg + from * pass.Hp * fed.width, fed.width, p.H, axes.sigmoids,
                      fed.begin, fed.end);
  if (p.d_weight_hr)
    for (index k = 0; k < p.P; ++k)
      for (index u = units.begin; u < units.end; u += W)
        store_first(p.d_weight_hr + k * p.H + u, p.H - u, load(sums.hr + k * pass.Hp + u));
}

// A share of the rows' input gradients.
inline void input_gradients(const Pass& pass, int thread, int threads) {
  const Problem& p = pass.p;
  if (!p.d_x.data) return;
  for_row_blocks(
      pass, thread, thread, threads,
      [&](Worker& w, index k, index s, index j) {
        w.a[k] = x_gradients(w, s, j);
        w.c[k] = at(p.d_x, w.time(s, j), w.batch(j));
      },
      [&](Worker& w, index, index rows) {
        if (!p.x_is_gates)
          return product(rows, w.a, pass.weights.ih, 0, panels(pass.weights.ih),
                         {w.c, p.I, Start::zero, nullptr}, false, w.words);
        for (index k = 0; k < rows; ++k)
          for (int plane = 0; plane < pass.planes.x_count; ++plane)
            copy_unpadded(w.c[k] + pass.planes.x_order[plane] * p.H, w.a[k] + plane * pass.Hp, 1,
                          p.H, pass.Hp);
      });
  const std::size_t bytes =
      static_cast<std::size_t>(p.x_is_gates ? pass.planes.x_count * p.H : p.I) * sizeof(float);
  for (int g = 0; g < pass.plan.groups; ++g) {
    const Group& group = pass.plan.group[g];
    for (index j = thread; j < group.rows; j += threads)
      for (index t = group.length[j]; t < p.T; ++t)
        std::memset(at(p.d_x, t, group.batch[j]), 0, bytes);
  }
}

// Biases, gains and peepholes: sums over planes in the weights' order.
inline void small_gradients(const Pass& pass, const Sums& sums) {
  const Problem& p = pass.p;
  const Planes& planes = pass.planes;
  const index Hp = pass.Hp;
  const auto by_gate = [&](float* out, const float* from, int count, const int* order) {
    for (int plane = 0; out && plane < count; ++plane)
      std::memcpy(out + order[plane] * p.H, from + plane * Hp,
                  static_cast<std::size_t>(p.H) * sizeof(float));
  };
  const float* h_bias = pass.same_planes() ? sums.x_bias : sums.h_bias;
  by_gate(p.d_bias_ih, sums.x_bias, planes.x_count, planes.x_order);
  by_gate(p.d_bias_hh, h_bias, planes.h_count, planes.h_order);
  if (resets_first(p)) by_gate(p.d_bias_hh, sums.x_bias, 1, kCandidate);
  // Workers' own sums, in the order of the workers.
  const auto add_up = [&](float* WorkerMemory::*piece, index width) {
    float* total = pass.workers[0].*piece;
    for (int k = 1; k < pass.plan.groups * pass.plan.split; ++k)
      for (index u = 0; u < width; ++u) total[u] += (pass.workers[k].*piece)[u];
    return total;
  };
  if (p.d_norm_ih) {
    by_gate(p.d_norm_ih, add_up(&WorkerMemory::gain_ih_sums, planes.x_count * Hp), planes.x_count,
            planes.x_order);
    by_gate(p.d_norm_ih + planes.x_count * p.H, sums.x_bias, planes.x_count, planes.x_order);
  }
  if (p.d_norm_hh) {
    by_gate(p.d_norm_hh, add_up(&WorkerMemory::gain_hh_sums, planes.h_count * Hp), planes.h_count,
            planes.h_order);
    by_gate(p.d_norm_hh + planes.h_count * p.H, h_bias, planes.h_count, planes.h_order);
  }
  if (p.d_norm_c) by_gate(p.d_norm_c, add_up(&WorkerMemory::norm_c_sums, 2 * Hp), 2, kIdentity);
  if (p.d_weight_ch)
    by_gate(p.d_weight_ch, add_up(&WorkerMemory::peephole_sums, planes.sigmoids * Hp),
            planes.sigmoids, kIdentity);
}

}  // namespace longspan::LONGSPAN_ISA
