// Which thread runs which rows and hidden units.
#pragma once

#include <vector>

#include "kernels.h"

namespace longspan {

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
