// Which thread runs which rows and hidden units.
#pragma once

#include <vector>

#include "kernels.h"

namespace longspan {

// When more threads pay.
struct Thresholds {
  index thread = index{1} << 20;   // multiply-adds for each thread: about 10 µs of work
  index barrier = index{1} << 15;  // … for each thread and step, where threads meet at every step
  // Sums of weights' gradients that each group has for itself: so many floats, which its threads'
  // caches hold. Of larger ones, each group would go through all of them for its few rows.
  index own_sums = index{1} << 19;
};
void set_thresholds(Thresholds values);

class PlanOwner {
 public:
  // `threads`: at most so many; fewer where the work is too small to be worth a second one.
  PlanOwner(const Problem& p, int threads);
  const Plan& plan() const { return plan_; }

 private:
  void deal_out(const Problem& p, int groups);

  std::vector<index> numbers_;
  std::vector<Group> groups_;
  Plan plan_{};
};

}  // namespace longspan
