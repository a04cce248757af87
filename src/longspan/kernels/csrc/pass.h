// One pass, forward or backward: its packed weights, and the memory of its threads.
#pragma once

#include "worker.h"

namespace longspan::LONGSPAN_ISA {

struct PackJob {
  float* data;
  const float* weight;
  index stride;
  bool turned;
  Axis columns, sums;
};

constexpr int kIdentity[kMaxGates] = {0, 1, 2, 3};
constexpr int kCandidate[1] = {2};  // the GRU's n among r, z, n

struct PackJobs {
  bool pairs;
  bool ready = false;  // the memory holds the packed weights: nothing is written
  PackJob job[5]{};
  int count = 0;

  // Reserve memory for a packed weight, if there is such a weight.
  void add(Arena& arena, Packed& target, const float* weight, index stride, bool turned,
           const Axis& columns, const Axis& sums) {
    if (!weight) return;
    const index vectors = vectors_of(columns);
    float* data = arena.take<float>(packed_size(columns, sums, pairs));
    index* offset = arena.take<index>(vectors);
    if (offset && !ready)
      for (index q = 0; q < vectors; ++q)
        offset[q] = q % columns.segments * columns.padded + q / columns.segments * W;
    target = {data, words_of(sums, pairs), sums.segments * sums.padded, vectors,
              per_panel_of(columns), offset};
    if (!ready) job[count++] = {data, weight, stride, turned, columns, sums};
  }
  void run(int thread, int threads) const {
    for (int k = 0; k < count; ++k)
      pack(job[k].data, job[k].weight, job[k].stride, job[k].turned, job[k].columns, job[k].sums,
           pairs, thread, threads);
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

// Memory of the weights that forward packs, and what fills it. With a null arena nothing may be used;
// it only counts what is needed.
struct ForwardPacking {
  const Planes planes;  // the jobs point to its orders of gates
  Weights weights{};
  PackJobs jobs;

  ForwardPacking(const Problem& p, Arena& arena) : planes(planes_of(p)), jobs{p.bfloat16} {
    forward_weights(arena, p, Axes(p, planes), weights, jobs);
  }
  ForwardPacking(const ForwardPacking&) = delete;
  ForwardPacking& operator=(const ForwardPacking&) = delete;
};

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

// Rows whose gates are computed together from the input: as many as stay in the second-level cache,
// but enough that the weights, if they do not stay there, are not read too often.
inline index chunk_rows(const Problem& p, const Planes& planes) {
  constexpr index kCache = 192 * 1024, kEnough = 48;
  const index fit = kCache / (planes.count * round_up(p.H, W) * 4);
  return fit < kEnough ? kEnough : smaller(fit, kChunkRows);
}

// Rows of gradients that are kept until they are used: of one step at least.
inline index chunk_capacity(const Group& group) {
  return group.rows > kRowBlock ? group.rows : kRowBlock;
}

struct WorkerMemory {
  const float** a;
  float** c;
  float *peephole_sums, *gain_ih_sums, *gain_hh_sums, *norm_c_sums;
  double* flow;
  WordRows words;
};

// Everything that one pass needs besides what forward keeps.
struct Pass {
  const Problem& p;
  const Plan& plan;
  const Planes planes;
  const Axes axes;
  const index Hp, Pp, widest;  // of a row of gates or of h, padded
  Weights weights{};
  PackJobs jobs;
  float* bias = nullptr;
  float *gain_ih = nullptr, *gain_hh = nullptr, *gain_c = nullptr;
  float* zeros = nullptr;
  GroupMemory* groups = nullptr;
  WorkerMemory* workers = nullptr;
  Barrier* barriers = nullptr;

  // With a null arena nothing may be used; it only counts what is needed.
  Pass(const Problem& problem, const Plan& plan_, Arena& arena, float* saved, bool backward)
      : p(problem), plan(plan_), planes(planes_of(problem)), axes(problem, planes),
        Hp(round_up(problem.H, W)), Pp(round_up(problem.P, W)),
        widest(planes.count * Hp > Pp ? planes.count * Hp : Pp), jobs{problem.bfloat16} {
    Arena packed{p.packed};
    jobs.ready = !backward && p.packed;
    if (backward) backward_weights(arena, p, axes, weights, jobs);
    else forward_weights(p.packed ? packed : arena, p, axes, weights, jobs);
    bias = arena.take<float>(planes.count * Hp);
    weights.bias = bias;
    const auto take_gain = [&](const float* norm, int count) {
      return norm ? arena.take<float>(2 * count * Hp) : nullptr;
    };
    weights.gain_ih = gain_ih = take_gain(p.norm_ih, planes.x_count);
    weights.gain_hh = gain_hh = take_gain(p.norm_hh, planes.h_count);
    weights.gain_c = gain_c = take_gain(p.norm_c, 1);
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
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  int threads() const { return plan.groups * plan.split; }

  // Whether both products cover all planes, and so need the same sums over the gates' gradients …
  bool same_planes() const {
    return planes.x_count == planes.count && planes.h_count == planes.count;
  }
  // … and see the same gradients.
  bool products_agree() const { return !p.norm_ih && !p.norm_hh && same_planes(); }

  void prepare() const {
    std::memset(zeros, 0, static_cast<std::size_t>(widest) * sizeof(float));
    copy_gain(gain_ih, p.norm_ih, planes.x_count, planes.x_order);
    copy_gain(gain_hh, p.norm_hh, planes.h_count, planes.h_order);
    copy_gain(gain_c, p.norm_c, 1, kIdentity);
    if (jobs.count) parallel(threads(), [&](int thread) { jobs.run(thread, threads()); });
  }

  Worker worker(int thread) const { return worker(thread, weights); }
  Worker worker(int thread, const Weights& weights) const {
    const int g = thread / plan.split, member = thread % plan.split;
    const WorkerMemory& own = workers[thread];
    // Multiples of a panel, so that own units and own outputs are the same without projection.
    const auto share = [&](index padded, int part) {
      return smaller(padded, round_up(padded * part / plan.split, kPanel * W));
    };
    return {p, planes, plan.group[g], weights, groups[g], plan.split, member, Hp, Pp,
            share(Hp, member), share(Hp, member + 1), share(Pp, member), share(Pp, member + 1),
            own.a, own.c, own.peephole_sums, own.gain_ih_sums, own.gain_hh_sums, own.norm_c_sums,
            own.flow, zeros, own.words};
  }

 private:
  // Gain, then shift, by planes, from the weight's order of gates.
  void copy_gain(float* to, const float* norm, int count, const int* order) const {
    if (!norm) return;
    for (int part = 0; part < 2; ++part)
      for (int plane = 0; plane < count; ++plane)
        copy_padded(to + (part * count + plane) * Hp, norm + (part * count + order[plane]) * p.H, 1,
                    p.H, Hp);
  }

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
    const index n = plan.group[g].rows;
    const index chunk = chunk_capacity(plan.group[g]);
    m.chunk = arena.take<Chunk>(1);
    m.d_gates = arena.rows(chunk, planes.count * Hp);
    if (p.norm_ih) m.d_ih = arena.rows(chunk, planes.x_count * Hp);
    if (p.norm_hh) m.d_hh = arena.rows(chunk, planes.h_count * Hp);
    m.d_h = arena.rows(n, Pp);
    if (p.cell.kind == Kind::lstm) m.d_c = arena.rows(n, Hp);
    if (p.weight_gg) m.d_fed = arena.rows(n, planes.sigmoids * Hp);
    if (p.weight_hr) {
      m.d_projected = arena.rows(n, Hp);
      m.d_output = arena.rows(chunk, Pp);
    }
  }

  void reserve_worker(Arena& arena, const Group& group, int k, bool backward) {
    index pointers = kRowBlock > kChunkRows ? kRowBlock : kChunkRows;
    if (group.rows > pointers) pointers = group.rows;
    WorkerMemory own{};
    own.a = arena.take<const float*>(2 * pointers);  // backward's last phase uses two lists
    own.c = arena.take<float*>(pointers);
    const auto cleared = [](auto* piece, index count) {
      if (piece) std::memset(piece, 0, static_cast<std::size_t>(count) * sizeof(*piece));
      return piece;
    };
    const auto sums = [&](index count) { return cleared(arena.take<float>(count), count); };
    if (backward && p.weight_ch) own.peephole_sums = sums(planes.sigmoids * Hp);
    if (backward && p.norm_ih) own.gain_ih_sums = sums(planes.x_count * Hp);
    if (backward && p.norm_hh) own.gain_hh_sums = sums(planes.h_count * Hp);
    if (backward && p.norm_c) own.norm_c_sums = sums(2 * Hp);
    if (backward && p.flow) own.flow = cleared(arena.take<double>(2 * p.T), 2 * p.T);
    if (p.bfloat16) own.words = reserve_words(arena, pointers);
    if (workers) workers[k] = own;
  }

  // For the rows of any product, or the pairs of rows of a gradient's; `rows` is at least kRowBlock.
  WordRows reserve_words(Arena& arena, index rows) const {
    const index values = widest > p.I ? widest : p.I;
    const index product = round_up(rows, 2 * kTile) * round_up((values + 1) / 2, W);
    const index gradient = kRowBlock / 2 * (round_up(p.I, W) + round_up(widest, W));
    float* data = arena.take<float>(product > gradient ? product : gradient);
    return {data, arena.take<const float*>(rows)};
  }
};

}  // namespace longspan::LONGSPAN_ISA
