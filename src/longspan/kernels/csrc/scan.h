// The scan: forward and backward through a whole sequence, for any cell. It does what is the same
// for all: dealing out memory and threads, the input projection, lengths, resets, states, and the
// weights' gradients at the end.
#pragma once

#include <type_traits>

#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "kernels.h"

namespace longspan::LONGSPAN_ISA {

// --- Weights -----------------------------------------------------------------------------------

struct PackJob {
  Packed* target;
  float* data;
  const float* weight;
  index stride;
  bool turned;
  Axis columns, sums;
};

constexpr int kIdentity[kMaxGates] = {0, 1, 2, 3};
constexpr int kCandidate[1] = {2};  // the GRU's n among r, z, n

struct PackJobs {
  PackJob job[5];
  int count = 0;

  // Reserve memory for a packed weight, if there is such a weight.
  void add(Arena& arena, Packed& target, const float* weight, index stride, bool turned,
           const Axis& columns, const Axis& sums) {
    if (!weight) return;
    const index vectors = vectors_of(columns);
    float* data = arena.take<float>(packed_size(columns, sums));
    index* offset = arena.take<index>(vectors);
    if (offset)
      for (index q = 0; q < vectors; ++q)
        offset[q] = q % columns.segments * columns.padded + q / columns.segments * W;
    target = {data, sums.segments * sums.padded, vectors, per_panel_of(columns), offset};
    job[count++] = {&target, data, weight, stride, turned, columns, sums};
  }
  void run(int thread, int threads) const {
    for (int k = 0; k < count; ++k)
      pack(job[k].data, job[k].weight, job[k].stride, job[k].turned, job[k].columns, job[k].sums,
           thread, threads);
  }
};

struct Axes {
  Axis x, h, units, outputs, inputs, sigmoids, candidate, one_h, one_p, one_i;

  Axes(const Problem& p, const Planes& planes) {
    const index Hp = round_up(p.H, W);
    x = {planes.x_count, planes.x_order, p.H, Hp};
    h = {planes.h_count, planes.h_order, p.H, Hp};
    units = {1, kIdentity, p.H, Hp};
    outputs = {1, kIdentity, p.P, round_up(p.P, W)};
    inputs = {1, kIdentity, p.I, round_up(p.I, W)};
    sigmoids = {planes.sigmoids, kIdentity, p.H, Hp};
    candidate = {1, kCandidate, p.H, Hp};
    one_h = {1, kIdentity, p.H, p.H};
    one_p = {1, kIdentity, p.P, p.P};
    one_i = {1, kIdentity, p.I, p.I};
  }
};

inline bool resets_first(const Problem& p) { return p.cell.kind == Kind::gru && !p.cell.reset_after; }

inline void forward_weights(Arena& arena, const Problem& p, const Axes& axes, Weights& weights,
                            PackJobs& jobs) {
  if (!p.x_is_gates) jobs.add(arena, weights.ih, p.weight_ih, p.I, true, axes.x, axes.one_i);
  jobs.add(arena, weights.hh, p.weight_hh, p.P, true, axes.h, axes.one_p);
  jobs.add(arena, weights.hr, p.weight_hr, p.H, true, axes.outputs, axes.one_h);
  jobs.add(arena, weights.gg, p.weight_gg, axes.sigmoids.segments * p.H, true, axes.sigmoids,
           axes.sigmoids);
  if (resets_first(p))
    jobs.add(arena, weights.n, p.weight_hh, p.P, true, axes.candidate, axes.one_h);
}

inline void backward_weights(Arena& arena, const Problem& p, const Axes& axes, Weights& weights,
                             PackJobs& jobs) {
  if (p.d_x.data && !p.x_is_gates)
    jobs.add(arena, weights.ih, p.weight_ih, p.I, false, axes.inputs, axes.x);
  jobs.add(arena, weights.hh, p.weight_hh, p.P, false, axes.outputs, axes.h);
  jobs.add(arena, weights.hr, p.weight_hr, p.H, false, axes.units, axes.one_p);
  jobs.add(arena, weights.gg, p.weight_gg, axes.sigmoids.segments * p.H, false, axes.sigmoids,
           axes.sigmoids);
  if (resets_first(p))
    jobs.add(arena, weights.n, p.weight_hh, p.P, false, axes.outputs, axes.candidate);
}

// b_ih + b_hh by planes.
inline void sum_biases(const Problem& p, const Planes& planes, index Hp, float* bias) {
  std::memset(bias, 0, static_cast<std::size_t>(planes.count * Hp) * sizeof(float));
  const auto add = [&](int plane, const float* from, int gate) {
    if (!from) return;
    for (index u = 0; u < p.H; ++u) bias[plane * Hp + u] += from[gate * p.H + u];
  };
  for (int k = 0; k < planes.x_count; ++k) add(k, p.x_is_gates ? nullptr : p.bias_ih, planes.x_order[k]);
  for (int k = 0; k < planes.h_count; ++k) add(planes.h_first + k, p.bias_hh, planes.h_order[k]);
  if (resets_first(p)) add(0, p.bias_hh, kCandidate[0]);
}

// --- Memory ------------------------------------------------------------------------------------

// Rows whose gates are computed together from the input: as many as stay in the second-level cache,
// but enough that the weights, if they do not stay there, are not read too often.
inline index chunk_rows(const Problem& p, const Planes& planes) {
  constexpr index kCache = 192 * 1024, kEnough = 48;
  const index fit = kCache / (planes.count * round_up(p.H, W) * 4);
  return fit < kEnough ? kEnough : smaller(fit, kChunkRows);
}

struct WorkerMemory {
  const float** a;
  float** c;
  float *peephole_sums, *gain_ih_sums, *gain_hh_sums, *norm_c_sums;
};

// Everything that one pass needs besides what forward keeps.
struct Pass {
  const Problem& p;
  const Plan& plan;
  const Planes planes;
  const Axes axes;
  const index Hp, Pp;
  Weights weights{};
  PackJobs jobs;
  float* bias = nullptr;
  float* zeros = nullptr;
  GroupMemory* groups = nullptr;
  WorkerMemory* workers = nullptr;
  Barrier* barriers = nullptr;

  Pass(const Problem& problem, const Plan& plan_)
      : p(problem), plan(plan_), planes(planes_of(problem)), axes(problem, planes),
        Hp(round_up(problem.H, W)), Pp(round_up(problem.P, W)) {}

  // Zeroed sums of gradients follow each other, so that one call clears them.
  void reserve(Arena& arena, float* saved, bool backward) {
    weights = {};
    jobs.count = 0;
    if (backward) backward_weights(arena, p, axes, weights, jobs);
    else forward_weights(arena, p, axes, weights, jobs);
    bias = arena.take<float>(planes.count * Hp);
    weights.bias = bias;
    const index widest = planes.count * Hp > Pp ? planes.count * Hp : Pp;
    zeros = arena.take<float>(widest);
    groups = arena.take<GroupMemory>(plan.groups);
    barriers = arena.take<Barrier>(plan.groups);
    workers = arena.take<WorkerMemory>(plan.groups * plan.split);
    Arena kept{reinterpret_cast<char*>(saved)};
    const Saved all = p.training ? saved_rows(kept, p, planes, plan.packed_rows, plan.packed_rows)
                                 : Saved{};
    index before = 0;
    for (int g = 0; g < plan.groups; ++g) {
      reserve_group(arena, all, before, g, backward);
      before += plan.group[g].first[plan.group[g].steps];
    }
    for (int k = 0; k < plan.groups * plan.split; ++k)
      reserve_worker(arena, plan.group[k / plan.split], k, backward);
  }

  Worker worker(int thread) const {
    const int g = thread / plan.split, member = thread % plan.split;
    const WorkerMemory& own = workers[thread];
    // Multiples of a panel, so that own units and own outputs are the same without projection.
    const auto share = [&](index padded, int part) {
      return smaller(padded, round_up(padded * part / plan.split, kPanel * W));
    };
    return {p, planes, plan.group[g], weights, groups[g], plan.split, member, Hp, Pp,
            share(Hp, member), share(Hp, member + 1), share(Pp, member), share(Pp, member + 1),
            own.a, own.c, own.peephole_sums, own.gain_ih_sums, own.gain_hh_sums, own.norm_c_sums,
            zeros};
  }

 private:
  static Rows shifted(const Rows& rows, index by) {
    return {rows.data ? rows.data + by * rows.stride : nullptr, rows.stride};
  }

  void reserve_group(Arena& arena, const Saved& all, index before, int g, bool backward) {
    GroupMemory m{};
    const index n = plan.group[g].rows;
    const index chunk = chunk_rows(p, planes) > n ? chunk_rows(p, planes) : n;
    if (p.training) {
      m.saved = {shifted(all.gates, before), shifted(all.c, before), shifted(all.ih, before),
                 shifted(all.hh, before), shifted(all.statistics, before),
                 shifted(all.seen, before), shifted(all.projected, before), {}};
    } else {
      m.saved = saved_rows(arena, p, planes, chunk, n);
      if (p.weight_gg) m.saved.fed = arena.rows(2 * n, planes.sigmoids * Hp);
    }
    if (p.cell.kind == Kind::lstm) m.c0 = arena.rows(n, Hp);
    if (p.weight_gg) m.gates0 = arena.rows(n, planes.sigmoids * Hp);
    m.turned = arena.rows(n, Hp > Pp ? Hp : Pp);
    m.partial = arena.take<float>(2 * plan.split * (n > kChunkRows ? n : kChunkRows) * 3);
    m.barrier = barriers ? new (barriers + g) Barrier : nullptr;
    if (backward) reserve_gradients(arena, m, g);
    if (groups) groups[g] = m;
  }

  void reserve_gradients(Arena& arena, GroupMemory& m, int g) {
    const index n = plan.group[g].rows, packed = plan.group[g].first[plan.group[g].steps];
    m.gradients = separate_gradients(p) ? arena.rows(packed, planes.count * Hp) : m.saved.gates;
    m.d_h = arena.rows(n, Pp);
    if (p.cell.kind == Kind::lstm) m.d_c = arena.rows(n, Hp);
    if (p.weight_gg) m.d_fed = arena.rows(n, planes.sigmoids * Hp);
    if (p.weight_hr) {
      m.d_projected = arena.rows(n, Hp);
      m.d_output = arena.rows(packed, Pp);
    }
  }

  void reserve_worker(Arena& arena, const Group& group, int k, bool backward) {
    index pointers = kRowBlock > kChunkRows ? kRowBlock : kChunkRows;
    if (group.rows > pointers) pointers = group.rows;
    WorkerMemory own{};
    own.a = arena.take<const float*>(2 * pointers);  // backward's last phase uses two lists
    own.c = arena.take<float*>(pointers);
    const auto sums = [&](index count) {
      float* piece = arena.take<float>(count);
      if (piece) std::memset(piece, 0, static_cast<std::size_t>(count) * sizeof(float));
      return piece;
    };
    if (backward && p.weight_ch) own.peephole_sums = sums(planes.sigmoids * Hp);
    if (backward && p.norm_ih) own.gain_ih_sums = sums(planes.x_count * Hp);
    if (backward && p.norm_hh) own.gain_hh_sums = sums(planes.h_count * Hp);
    if (backward && p.norm_c) own.norm_c_sums = sums(2 * Hp);
    if (workers) workers[k] = own;
  }
};

// --- Forward -----------------------------------------------------------------------------------

// A row of width `size` in planes of `padded`, from one without padding, or zero.
inline void copy_padded(float* to, const float* from, int planes, index size, index padded) {
  for (int plane = 0; plane < planes; ++plane)
    for (index u = 0; u < padded; u += W)
      store(to + plane * padded + u,
            from ? load_first(from + plane * size + u, size - u) : vec{});
}
inline void copy_unpadded(float* to, const float* from, int planes, index size, index padded) {
  for (int plane = 0; plane < planes; ++plane)
    std::memcpy(to + plane * size, from + plane * padded,
                static_cast<std::size_t>(size) * sizeof(float));
}

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
    add_normalised(w, extent, {p.norm_ih, w.planes.x_order}, raw(k), mean, scale,
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
      const float* last = !n ? w.row(w.m.gates0, j)
                          : p.training ? w.row(w.m.saved.gates, n - 1, j) + w.Hp
                                       : w.row(w.m.saved.fed, ((n - 1) & 1) * w.group.rows + j);
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
    for (index s = begin; s < end; ++s) Cell::forward(w, s, w.group.active[s]);
  }
  w.wait();
  final_states(w);
}

inline void clear_zeros(const Pass& pass) {
  const index gates = pass.planes.count * pass.Hp;
  std::memset(pass.zeros, 0, static_cast<std::size_t>(pass.Pp > gates ? pass.Pp : gates) * 4);
}

inline void prepare_forward(const Pass& pass, int threads) {
  sum_biases(pass.p, pass.planes, pass.Hp, pass.bias);
  clear_zeros(pass);
  parallel(threads, [&](int thread) { pass.jobs.run(thread, threads); });
}

template <class Cell>
void run_forward(const Pass& pass, int threads) {
  parallel(threads, [&](int thread) { forward_thread<Cell>(pass.worker(thread)); });
}

// --- Backward ----------------------------------------------------------------------------------

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

template <class Cell>
void backward_thread(Worker w) {
  initial_states(w);
  initial_gradients(w);
  for (index s = w.group.steps; s-- > 0;) {
    const index n = w.group.active[s];
    Cell::backward(w, s, n);
    cut_at_resets(w, s, n);
  }
  w.wait();
  final_gradients(w);
}

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
    ih = arena.take<float>(p.x_is_gates ? 0 : p.I * x_width);
    hh = arena.take<float>(p.P * h_width);
    n = arena.take<float>(resets_first(p) ? p.H * pass.Hp : 0);
    hr = arena.take<float>(p.weight_hr ? p.P * pass.Hp : 0);
    gg = arena.take<float>(p.weight_gg ? fed_width * fed_width : 0);
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
  void clear(float* sums, index n) const {
    for (index k = 0; k < n; ++k)
      for (index m = begin; m < end; m += W) store(sums + k * width + m, vec{});
  }
};

// Call f(worker, first packed row, rows) for blocks of rows, whose right-hand pointers `fill(worker,
// k, s, j)` has set.
template <class Fill, class F>
void for_row_blocks(const Pass& pass, int thread, const Fill& fill, const F& f) {
  for (int g = 0; g < pass.plan.groups; ++g) {
    Worker w = pass.worker(g * pass.plan.split);
    w.a = pass.workers[thread].a;
    w.c = pass.workers[thread].c;
    index k = 0;
    for (index s = 0; s < w.group.steps; ++s)
      for (index j = 0; j < w.group.active[s]; ++j) {
        fill(w, k++, s, j);
        if (k < kRowBlock && w.group.first[s] + j + 1 < w.group.first[w.group.steps]) continue;
        f(w, w.group.first[s] + j + 1 - k, k);
        k = 0;
      }
  }
}

inline void weight_gradients(const Pass& pass, const Sums& sums, int thread, int threads) {
  const Problem& p = pass.p;
  const Planes& planes = pass.planes;
  const bool normal = p.norm_ih || p.norm_hh;
  const bool together = !normal && planes.x_count == planes.count && planes.h_count == planes.count;
  const Job x(sums.x_width, thread, threads), h(sums.h_width, thread, threads);
  const Job units(pass.Hp, thread, threads), fed(sums.fed_width, thread, threads);
  const index inputs = p.x_is_gates ? 0 : p.I;
  x.clear(sums.ih, inputs);
  h.clear(sums.hh, p.P);
  x.clear(sums.x_bias, 1);
  h.clear(sums.h_bias, 1);
  if (sums.n) units.clear(sums.n, resets_first(p) ? p.H : 0);
  if (p.weight_hr) units.clear(sums.hr, p.P);
  if (p.weight_gg) fed.clear(sums.gg, sums.fed_width);

  const auto block = [](const Rows& rows, index k) { return rows.data + k * rows.stride; };
  for_row_blocks(
      pass, thread,
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
                           x.width, sums.x_bias);
          return;
        }
        gradient_product(rows, block(left_x, first), left_x.stride, x.begin, x.end, right, 1,
                         x.width, normal ? nullptr : sums.x_bias);
        const index shift = p.norm_hh ? 0 : planes.h_first * pass.Hp;
        gradient_product(rows, block(left_h, first) + shift, left_h.stride, h.begin, h.end,
                         right + 1, 1, h.width, normal ? nullptr : sums.h_bias);
        if (!normal) return;
        const Rows& d = w.m.gradients;
        gradient_product(rows, block(d, first), d.stride, x.begin, x.end, nullptr, 0, x.width,
                         sums.x_bias);
        gradient_product(rows, block(d, first) + planes.h_first * pass.Hp, d.stride, h.begin, h.end,
                         nullptr, 0, h.width, sums.h_bias);
      });
  if (resets_first(p))
    for_row_blocks(
        pass, thread,
        [&](Worker& w, index k, index s, index j) {
          w.a[k] = w.row(w.m.saved.gates, s, j) + 3 * pass.Hp;
        },
        [&](Worker& w, index first, index rows) {
          const Right right{w.a, p.H, sums.n};
          gradient_product(rows, block(w.m.gradients, first), w.m.gradients.stride, units.begin,
                           units.end, &right, 1, units.width, nullptr);
        });
  if (p.weight_hr)
    for_row_blocks(
        pass, thread,
        [&](Worker& w, index k, index s, index j) { w.a[k] = w.row(w.m.d_output, s, j); },
        [&](Worker& w, index first, index rows) {
          const Right right{w.a, p.P, sums.hr};
          gradient_product(rows, block(w.m.saved.projected, first), w.m.saved.projected.stride,
                           units.begin, units.end, &right, 1, units.width, nullptr);
        });
  if (p.weight_gg)
    for_row_blocks(
        pass, thread,
        [&](Worker& w, index k, index s, index j) { w.a[k] = Lstm<false>::fed_before(w, s, j); },
        [&](Worker& w, index first, index rows) {
          const Right right{w.a, sums.fed_width, sums.gg};
          gradient_product(rows, block(w.m.gradients, first) + pass.Hp, w.m.gradients.stride,
                           fed.begin, fed.end, &right, 1, fed.width, nullptr);
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
  for (int g = 0; g < pass.plan.groups; ++g) {
    Worker w = pass.worker(g * pass.plan.split);
    w.a = pass.workers[thread].a;
    w.c = pass.workers[thread].c;
    const index total = w.group.first[w.group.steps];
    const index begin = total * thread / threads, end = total * (thread + 1) / threads;
    index k = 0, packed = 0;
    for (index s = 0; s < w.group.steps; ++s)
      for (index j = 0; j < w.group.active[s]; ++j, ++packed) {
        if (packed < begin || packed >= end) continue;
        float* target = at(p.d_x, w.time(s, j), w.batch(j));
        const float* gradients = x_gradients(w, s, j);
        if (p.x_is_gates) {
          for (int plane = 0; plane < pass.planes.x_count; ++plane)
            copy_unpadded(target + pass.planes.x_order[plane] * p.H, gradients + plane * pass.Hp, 1,
                          p.H, pass.Hp);
          continue;
        }
        w.a[k] = gradients;
        w.c[k++] = target;
        if (k < kRowBlock && packed + 1 < end) continue;
        product(k, w.a, pass.weights.ih, 0, panels(pass.weights.ih),
                {w.c, p.I, Start::zero, nullptr});
        k = 0;
      }
    const std::size_t bytes =
        static_cast<std::size_t>(p.x_is_gates ? pass.planes.x_count * p.H : p.I) * sizeof(float);
    for (index j = thread; j < w.group.rows; j += threads)
      for (index t = w.group.length[j]; t < p.T; ++t) std::memset(at(p.d_x, t, w.batch(j)), 0, bytes);
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
  const bool together = !p.norm_ih && !p.norm_hh && planes.x_count == planes.count &&
                        planes.h_count == planes.count;
  const float* h_bias = together ? sums.x_bias : sums.h_bias;
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

template <class Cell>
void run_backward(const Pass& pass, const Sums& sums, int threads) {
  clear_zeros(pass);
  parallel(threads, [&](int thread) { pass.jobs.run(thread, threads); });
  parallel(threads, [&](int thread) { backward_thread<Cell>(pass.worker(thread)); });
  parallel(threads, [&](int thread) {
    weight_gradients(pass, sums, thread, threads);
    input_gradients(pass, thread, threads);
  });
  small_gradients(pass, sums);
}

// --- Entry points ------------------------------------------------------------------------------

// Call f with the policy of the problem's cell.
template <class F>
void with_cell(const Problem& p, const F& f) {
  switch (p.cell.kind) {
    case Kind::rnn: return f(static_cast<Rnn*>(nullptr));
    case Kind::gru: return f(static_cast<Gru*>(nullptr));
    default:
      if (is_plain_lstm(p)) return f(static_cast<Lstm<true>*>(nullptr));
      return f(static_cast<Lstm<false>*>(nullptr));
  }
}

struct Kernels final : KernelSet {
  static void run(const Pass& pass) {
    with_cell(pass.p, [&](auto* cell) {
      run_forward<std::remove_pointer_t<decltype(cell)>>(pass, pass.plan.groups * pass.plan.split);
    });
  }

  const char* name() const override { return LONGSPAN_NAME; }

  std::size_t saved_bytes(const Problem& p, index rows) const override {
    Arena arena{nullptr};
    saved_rows(arena, p, planes_of(p), rows, rows);
    return arena.used;
  }

  std::size_t scratch_bytes(const Problem& p, const Plan& plan, bool backward) const override {
    Arena arena{nullptr};
    Pass pass(p, plan);
    pass.reserve(arena, nullptr, backward);
    if (backward) Sums(arena, pass);
    return arena.used;
  }

  void forward(const Problem& p, const Plan& plan, float* saved, char* scratch) const override {
    Arena arena{scratch};
    Pass pass(p, plan);
    pass.reserve(arena, saved, false);
    prepare_forward(pass, plan.groups * plan.split);
    run(pass);
  }

  void prepare(const Problem& p, const Plan& plan, char* scratch) const override {
    Arena arena{scratch};
    Pass pass(p, plan);
    pass.reserve(arena, nullptr, false);
    prepare_forward(pass, plan.groups * plan.split);
  }

  void run_prepared(const Problem& p, const Plan& plan, char* scratch) const override {
    Arena arena{scratch};
    Pass pass(p, plan);
    pass.reserve(arena, nullptr, false);
    run(pass);
  }

  void backward(const Problem& p, const Plan& plan, float* saved, char* scratch) const override {
    Arena arena{scratch};
    Pass pass(p, plan);
    pass.reserve(arena, saved, true);
    const Sums sums(arena, pass);
    with_cell(p, [&](auto* cell) {
      run_backward<std::remove_pointer_t<decltype(cell)>>(pass, sums, plan.groups * plan.split);
    });
  }

  void activation(int which, const float* x, float* y, index n) const override {
    for (index k = 0; k < n; k += W) {
      const vec v = load_first(x + k, n - k);
      store_first(y + k, n - k, which ? tanh(v) : sigmoid(v));
    }
  }
};

}  // namespace longspan::LONGSPAN_ISA
