// The gradients of weights and inputs, from those of the gates, a chunk of steps at a time.
#pragma once

#include "recurrence.h"
#include "sums.h"

namespace longspan::LONGSPAN_ISA {

// One thread's share of what is done with each chunk.
struct Gradients {
  const Pass& pass;
  const Team team;
  const WorkerMemory& memory;
  const OwnColumns own;

  Gradients(const Pass& pass_, const Teams& teams, int thread)
      : pass(pass_), team(teams.of(thread)), memory(pass.workers[thread]),
        own(pass, team.sums, team.member, team.members) {}

  void clear_sums() const {
    own.each(team.sums, [&](float* Sums::*piece, const Columns& columns, index rows) {
      columns.each(rows, [&](index at) { store(team.sums.*piece + at, vec{}); });
    });
  }

  // Call f(worker) for each group of the team; the worker sees its chunk, and has this thread's memory.
  template <class F>
  void for_groups(const F& f) const {
    for (int g = team.first_group; g < team.first_group + team.groups; ++g) {
      Worker w = pass.worker(g * pass.plan.split);
      w.a = memory.a;
      w.c = memory.c;
      w.words = memory.words;
      w.chunk = *w.m.chunk;
      f(w);
    }
  }

  // Whether some group of the team has steps left.
  bool unfinished() const {
    bool found = false;
    for_groups([&](const Worker& w) { found = found || w.chunk.begin > 0; });
    return found;
  }

  // For blocks of the rows [begin, end) of a worker's chunk: fill(k, s, j) for each row, which sets the
  // pointers of place k, then use(first row, rows).
  template <class Fill, class Use>
  static void for_row_blocks(const Worker& w, index begin, index end, const Fill& fill,
                         const Use& use) {
    index k = 0, row = 0;
    for (index s = w.chunk.begin; s < w.chunk.end; ++s)
      for (index j = 0; j < w.group.active[s]; ++j, ++row) {
        if (row < begin || row >= end) continue;
        fill(k++, s, j);
        if (k < kRowBlock && row + 1 < end) continue;
        use(row + 1 - k, k);
        k = 0;
      }
  }

  // What a chunk's rows add to the sums.
  void add_chunk() const {
    for_groups([&](Worker& w) {
      add_main_products(w);
      const Problem& p = pass.p;
      const Sums& sums = team.sums;
      if (resets_first(p))
        add_product(w, w.m.d_gates.data, w.m.d_gates.stride, own.units, {w.a, p.H, sums.n},
                    [&](index s, index j) { return w.row(w.m.saved.gates, s, j) + 3 * pass.Hp; });
      if (p.weight_hr)
        add_product(w, w.row(w.m.saved.projected, w.chunk.begin, 0), w.m.saved.projected.stride,
                    own.units, {w.a, p.P, sums.hr},
                    [&](index s, index j) { return w.chunk_row(w.m.d_output, s, j); });
      if (p.weight_gg)
        add_product(w, w.m.d_gates.data + pass.Hp, w.m.d_gates.stride, own.fed,
                    {w.a, sums.fed_width, sums.gg},
                    [&](index s, index j) { return w.fed_before(s, j); });
    });
  }

  // A share of the chunk's input gradients.
  void write_inputs() const {
    const Problem& p = pass.p;
    if (!p.d_x.data) return;
    for_groups([&](Worker& w) {
      const index total = w.group.first[w.chunk.end] - w.group.first[w.chunk.begin];
      for_row_blocks(
          w, total * team.member / team.members, total * (team.member + 1) / team.members,
          [&](index k, index s, index j) {
            w.a[k] = x_gradients(w, s, j);
            w.c[k] = at(p.d_x, w.time(s, j), w.batch(j));
          },
          [&](index, index rows) {
            if (!p.x_is_gates)
              return product(rows, w.a, pass.weights.ih, 0, panels(pass.weights.ih),
                             {w.c, p.I, Start::zero, nullptr}, false, w.words);
            for (index k = 0; k < rows; ++k)
              for (int plane = 0; plane < pass.planes.x_count; ++plane)
                copy_unpadded(w.c[k] + pass.planes.x_order[plane] * p.H, w.a[k] + plane * pass.Hp,
                              1, p.H, pass.Hp);
          });
    });
  }

 private:
  // The gradients of W and U, and of what is added to their products.
  void add_main_products(Worker& w) const {
    const Problem& p = pass.p;
    const Sums& sums = team.sums;
    const Columns &x = own.x, &h = own.h;
    const bool normal = p.norm_ih || p.norm_hh, together = pass.products_agree();
    const Right right[2] = {{w.a, p.x_is_gates ? 0 : p.I, sums.ih},
                            {w.a + kRowBlock, p.P, sums.hh}};
    for_row_blocks(
        w, 0, w.group.first[w.chunk.end] - w.group.first[w.chunk.begin],
        [&](index k, index s, index j) {
          w.a[k] = at(p.x, w.time(s, j), w.batch(j));
          w.a[kRowBlock + k] = w.seen(s, j);
        },
        [&](index first, index rows) {
          const auto block = [&](const Rows& from) { return from.data + first * from.stride; };
          const index h_planes = planes_before_h();
          const Rows& left_x = p.norm_ih ? w.m.d_ih : w.m.d_gates;
          gradient_product(rows, block(left_x), left_x.stride, x.begin, x.end, right,
                           together ? 2 : 1, x.width, normal ? nullptr : sums.x_bias, w.words);
          if (together) return;
          const Rows& left_h = p.norm_hh ? w.m.d_hh : w.m.d_gates;
          gradient_product(rows, block(left_h) + (p.norm_hh ? 0 : h_planes), left_h.stride, h.begin,
                           h.end, right + 1, 1, h.width, normal ? nullptr : sums.h_bias, w.words);
          if (!normal) return;
          const Rows& d = w.m.d_gates;
          add_rows(rows, block(d), d.stride, x.begin, x.end, sums.x_bias);
          if (!pass.same_planes())
            add_rows(rows, block(d) + h_planes, d.stride, h.begin, h.end, sums.h_bias);
        });
  }
  index planes_before_h() const { return pass.planes.h_first * pass.Hp; }

  // One more product: of `left`, a row for each of the chunk's, and the right rows that row_of finds.
  template <class RowOf>
  static void add_product(const Worker& w, const float* left, index stride, const Columns& columns,
                          const Right& right, const RowOf& row_of) {
    for_row_blocks(
        w, 0, w.group.first[w.chunk.end] - w.group.first[w.chunk.begin],
        [&](index k, index s, index j) { w.a[k] = row_of(s, j); },
        [&](index first, index rows) {
          gradient_product(rows, left + first * stride, stride, columns.begin, columns.end, &right, 1,
                           columns.width, nullptr, w.words);
        });
  }
};

// After all chunks, one thread's columns of all sums become gradients in the weights' order.
inline void unpack_gradients(const Pass& pass, const Teams& teams, int thread) {
  const Problem& p = pass.p;
  const Sums& sums = teams.sums[0];
  const Axes& axes = pass.axes;
  const OwnColumns own(pass, sums, thread, pass.threads());
  teams.add_up(own);
  const Columns &x = own.x, &h = own.h, &units = own.units, &fed = own.fed;
  if (p.d_weight_ih)
    unpack_gradient(p.d_weight_ih, p.I, sums.ih, x.width, p.I, axes.x, x.begin, x.end);
  if (p.d_weight_hh) {
    unpack_gradient(p.d_weight_hh, p.P, sums.hh, h.width, p.P, axes.h, h.begin, h.end);
    if (resets_first(p))
      unpack_gradient(p.d_weight_hh, p.P, sums.n, units.width, p.H, axes.candidate, units.begin,
                      units.end);
  }
  if (p.d_weight_gg)
    for (int from = 0; from < pass.planes.sigmoids; ++from)
      unpack_gradient(p.d_weight_gg + from * p.H, pass.planes.sigmoids * p.H,
                      sums.gg + from * pass.Hp * fed.width, fed.width, p.H, axes.sigmoids,
                      fed.begin, fed.end);
  if (p.d_weight_hr)
    for (index k = 0; k < p.P; ++k)
      for (index u = units.begin; u < units.end; u += W)
        store_first(p.d_weight_hr + k * p.H + u, p.H - u, load(sums.hr + k * pass.Hp + u));
}

// Inputs that were padding have no gradient.
inline void clear_padding(const Pass& pass, int thread) {
  const Problem& p = pass.p;
  if (!p.d_x.data) return;
  const std::size_t bytes =
      static_cast<std::size_t>(p.x_is_gates ? pass.planes.x_count * p.H : p.I) * sizeof(float);
  for (int g = 0; g < pass.plan.groups; ++g) {
    const Group& group = pass.plan.group[g];
    for (index j = thread; j < group.rows; j += pass.threads())
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
