#include "plan.h"

#include <algorithm>
#include <numeric>

namespace longspan {
namespace {

Thresholds thresholds;

// With fewer rows than this in a group, reading the weights takes longer than computing with them,
// so threads had better share the weights than the rows: fewer if the weights stay in a thread's own
// cache.
constexpr index kCache = index{1} << 20;
index rows_of_a_group(const Problem& p) { return 4 * p.gates * p.H * p.P > kCache ? 16 : 4; }
// Hidden units that a thread gets are a multiple of this many at any width of vectors.
constexpr index kUnits = 64;

index step_work(const Problem& p) { return p.gates * p.H * p.P; }

struct Shape {
  int groups, split;
};

Shape shape(const Problem& p, index total_steps, int threads) {
  const index work = total_steps * p.gates * p.H * (p.P + (p.x_is_gates ? 0 : p.I));
  threads = static_cast<int>(std::clamp<index>(work / thresholds.thread, 1, threads));
  const int most_split = static_cast<int>(std::max<index>(1, std::min(p.H, p.P) / kUnits));
  const int groups = static_cast<int>(std::clamp<index>(p.B / rows_of_a_group(p), 1, threads));
  const int split = std::min(threads / groups, most_split);
  const index rows = std::max<index>(1, p.B / groups);
  if (split > 1 && rows * step_work(p) / split >= thresholds.barrier) return {groups, split};
  return {static_cast<int>(std::clamp<index>(p.B, 1, threads)), 1};
}

}  // namespace

void set_thresholds(Thresholds values) { thresholds = values; }

PlanOwner::PlanOwner(const Problem& p, int threads) {
  index total = p.T * p.B;
  if (p.lengths) total = std::accumulate(p.lengths, p.lengths + p.B, index{0});
  const Shape found = shape(p, total, threads);
  deal_out(p, found.groups);
  const index sums = p.gates * p.H * (p.P + (p.x_is_gates ? 0 : p.I));
  plan_ = {found.groups, found.split, groups_.data(), total, sums <= thresholds.own_sums};
}

void PlanOwner::deal_out(const Problem& p, int groups) {
  const auto length = [&](index b) { return p.lengths ? p.lengths[b] : p.T; };
  std::vector<index> order(static_cast<std::size_t>(p.B));
  std::iota(order.begin(), order.end(), index{0});
  if (p.lengths)
    std::stable_sort(order.begin(), order.end(),
                     [&](index a, index b) { return length(a) > length(b); });
  std::vector<std::size_t> begins;
  for (int g = 0; g < groups; ++g) {
    begins.push_back(numbers_.size());
    index rows = 0, steps = 0;
    // Full rows stay in their order, so that a group's lie side by side in memory.
    const index first = p.lengths ? g : p.B * g / groups, by = p.lengths ? groups : 1;
    const index end = p.lengths ? p.B : p.B * (g + 1) / groups;
    for (index k = first; k < end; k += by, ++rows) numbers_.push_back(order[static_cast<std::size_t>(k)]);
    for (index k = first; k < end; k += by)
      numbers_.push_back(length(order[static_cast<std::size_t>(k)]));
    if (rows) steps = length(order[static_cast<std::size_t>(first)]);
    std::vector<index> firsts{0};
    for (index s = 0, active = rows; s <= steps; ++s) {
      while (active && numbers_[begins.back() + static_cast<std::size_t>(rows + active - 1)] <= s)
        --active;
      numbers_.push_back(active);
      firsts.push_back(firsts.back() + active);
    }
    numbers_.insert(numbers_.end(), firsts.begin(), firsts.end());
    groups_.push_back({rows, nullptr, nullptr, steps, nullptr, nullptr});
  }
  for (int g = 0; g < groups; ++g) {  // only now does numbers_ stay where it is
    Group& group = groups_[static_cast<std::size_t>(g)];
    group.batch = numbers_.data() + begins[static_cast<std::size_t>(g)];
    group.length = group.batch + group.rows;
    group.active = group.length + group.rows;
    group.first = group.active + group.steps + 1;
  }
}

}  // namespace longspan
