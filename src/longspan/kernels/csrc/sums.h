// The sums over all rows that make the gradients of weights, and which threads add to which of them.
#pragma once

#include "pass.h"

namespace longspan::LONGSPAN_ISA {

struct Sums {
  index x_width, h_width, fed_width;
  float *ih, *hh, *n, *hr, *gg;  // [right][column], columns by planes
  float *x_bias, *h_bias;        // column sums

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

// One thread's columns of sums that are `width` wide.
struct Columns {
  index width, begin, end;

  Columns(index width_, int part, int parts) : width(width_) {
    const index count = (width + kPanel * W - 1) / (kPanel * W);
    begin = smaller(width, count * part / parts * kPanel * W);
    end = smaller(width, count * (part + 1) / parts * kPanel * W);
  }
  // Call f(place) for each vector of the first `rows` rows.
  template <class F>
  LONGSPAN_INLINE void each(index rows, const F& f) const {
    for (index k = 0; k < rows; ++k)
      for (index m = begin; m < end; m += W) f(k * width + m);
  }
};

// One thread's columns of all sums. f(sums' member, columns, rows) for each of them.
struct OwnColumns {
  const Pass& pass;
  Columns x, h, units, fed;

  OwnColumns(const Pass& pass_, const Sums& sums, int part, int parts)
      : pass(pass_), x(sums.x_width, part, parts), h(sums.h_width, part, parts),
        units(pass.Hp, part, parts), fed(sums.fed_width, part, parts) {}

  template <class F>
  void each(const Sums& sums, const F& f) const {
    const Problem& p = pass.p;
    f(&Sums::ih, x, p.x_is_gates ? 0 : round_up(p.I, kTile));
    f(&Sums::hh, h, round_up(p.P, kTile));
    f(&Sums::n, units, resets_first(p) ? round_up(p.H, kTile) : 0);
    f(&Sums::hr, units, p.weight_hr ? round_up(p.P, kTile) : 0);
    f(&Sums::gg, fed, p.weight_gg ? sums.fed_width : 0);
    f(&Sums::x_bias, x, 1);
    f(&Sums::h_bias, h, 1);
  }
};

// Threads that add to the same sums, and whose rows.
struct Team {
  int first_group, groups, member, members;
  Barrier* barrier;
  const Sums& sums;

  void wait() const { barrier->wait(members); }
};

// Each group has its own sums, so that its rows are used while they are in its threads' caches, or all
// threads have the same: the plan says.
struct Teams {
  const Pass& pass;
  int count;
  Sums* sums;
  Barrier* everyone;

  Teams(Arena& arena, const Pass& pass_) : pass(pass_) {
    count = pass.plan.own_sums ? pass.plan.groups : 1;
    sums = arena.take<Sums>(count);
    for (int k = 0; k < count; ++k) {
      const Sums piece(arena, pass);
      if (sums) new (sums + k) Sums(piece);
    }
    everyone = arena.take<Barrier>(1);
    if (everyone) new (everyone) Barrier;
  }

  Team of(int thread) const {
    const int split = pass.plan.split, group = thread / split;
    if (count == 1) return {0, pass.plan.groups, thread, pass.threads(), everyone, sums[0]};
    return {group, 1, thread % split, split, pass.groups[group].barrier, sums[group]};
  }

  // Add the other teams' sums to the first one's, for one thread's columns.
  void add_up(const OwnColumns& own) const {
    own.each(sums[0], [&](float* Sums::*piece, const Columns& columns, index rows) {
      for (int k = 1; k < count; ++k)
        columns.each(rows, [&](index at) {
          store(sums[0].*piece + at, load(sums[0].*piece + at) + load(sums[k].*piece + at));
        });
    });
  }
};

}  // namespace longspan::LONGSPAN_ISA
