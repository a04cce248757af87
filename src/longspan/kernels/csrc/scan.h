// The scan for any cell: what a build of the kernels offers (kernels.h). A cell is a class with
// `forward` and `backward` of one step; forward.h and backward.h do what is the same for all.
#pragma once

#include <type_traits>

#include "backward.h"
#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "forward.h"
#include "kernels.h"
#include "random.h"
#include "step.h"

namespace longspan::LONGSPAN_ISA {

index learn_online(const OnlineNetwork& network, const OnlineSequences& given);  // learn.h

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
      run_forward<std::remove_pointer_t<decltype(cell)>>(pass);
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
    const Pass pass(p, plan, arena, nullptr, backward);
    if (backward) Teams(arena, pass);
    return arena.used;
  }

  std::size_t packed_bytes(const Problem& p) const override {
    Arena arena{nullptr};
    ForwardPacking(p, arena);
    return arena.used;
  }

  void pack(const Problem& p, char* to, int threads) const override {
    Arena arena{to};
    const ForwardPacking packing(p, arena);
    parallel(threads, [&](int thread) { packing.jobs.run(thread, threads); });
  }

  void forward(const Problem& p, const Plan& plan, float* saved, char* scratch) const override {
    Arena arena{scratch};
    const Pass pass(p, plan, arena, saved, false);
    prepare_forward(pass);
    run(pass);
  }

  std::unique_ptr<Prepared> prepare(const Problem& p, const Plan& plan,
                                    char* scratch) const override {
    std::unique_ptr<Prepared> step;
    with_cell(p, [&](auto* cell) {
      using Cell = std::remove_pointer_t<decltype(cell)>;
      step = std::make_unique<PreparedStep<Cell>>(p, plan, scratch);
    });
    return step;
  }

  void backward(const Problem& p, const Plan& plan, float* saved, char* scratch) const override {
    Arena arena{scratch};
    const Pass pass(p, plan, arena, saved, true);
    const Teams teams(arena, pass);
    with_cell(p, [&](auto* cell) {
      run_backward<std::remove_pointer_t<decltype(cell)>>(pass, teams);
    });
  }

  void random_mask(std::uint64_t seed, std::uint32_t threshold, float value, float* out, index n,
                   int threads) const override {
    parallel(threads, [&](int thread) {
      const auto end = [&](index part) { return part == threads ? n : n * part / threads / W * W; };
      longspan::LONGSPAN_ISA::random_mask(seed, threshold, value, out, end(thread), end(thread + 1));
    });
  }

  index learn_online(const OnlineNetwork& network, const OnlineSequences& given) const override {
    return longspan::LONGSPAN_ISA::learn_online(network, given);
  }

  void activation(int which, const float* x, float* y, index n) const override {
    for (index k = 0; k < n; k += W) {
      const vec v = load_first(x + k, n - k);
      store_first(y + k, n - k, which ? tanh(v) : sigmoid(v));
    }
  }
};

}  // namespace longspan::LONGSPAN_ISA
