// A layer that runs one step at a time, for inference: its weights are packed, and its memory is laid
// out, once.
#pragma once

#include <algorithm>
#include <vector>

#include "forward.h"
#include "kernels.h"
#include "workspace.h"

namespace longspan::LONGSPAN_ISA {

template <class Cell>
class PreparedStep final : public Prepared {
 public:
  PreparedStep(const Problem& p, const Plan& plan, char* scratch)
      : problem_(p), arena_{scratch}, pass_(problem_, plan, arena_, nullptr, false),
        weights_(pass_.weights), joined_(pass_.products_agree() && !p.hidden_mask) {
    prepare_forward(pass_);
    if (joined_) join();
    worker_ = std::make_unique<Worker>(pass_.worker(0, weights_));
  }

  void run(const StepAddresses& at) override {
    Problem& p = problem_;
    p.h0 = p.h_n = at.h;
    p.c0 = p.c_n = at.c;
    p.gates0 = p.gates_n = at.gates;
    Worker& w = *worker_;
    initial_states(w);
    if (joined_) {
      gates_at_once(w, at.x);
    } else {
      p.x = {const_cast<float*>(at.x), 0, p.I};
      project_input(w, 0, 1);
    }
    Cell::forward(w, 0, p.B);
    final_states(w);
  }

 private:
  // Where both products cover all planes, W x + U h is one product over [x, h]. This makes its matrix,
  // panel by panel, and leaves none for h alone.
  void join() {
    const Packed &x = weights_.ih, &h = weights_.hh;
    const index of_x = x.per_panel * W * x.k, of_h = h.per_panel * W * h.k;
    const index floats = panels(x) * (of_x + of_h);
    matrix_ = std::make_unique<Workspace>(static_cast<std::size_t>(floats) * sizeof(float));
    float* to = reinterpret_cast<float*>(matrix_->data());
    const float *from_x = x.data, *from_h = h.data;
    weights_.ih.data = to;
    for (index k = 0; k < panels(x); ++k) {
      const index width = smaller(x.per_panel, x.vectors - k * x.per_panel) * W;
      to = std::copy_n(from_x + k * of_x, width * x.k, to);
      to = std::copy_n(from_h + k * of_h, width * h.k, to);
    }
    weights_.ih.k += h.k;
    weights_.hh.vectors = 0;
    rows_.resize(static_cast<std::size_t>(problem_.B * weights_.ih.k));
  }

  void gates_at_once(Worker& w, const float* x) {
    const Problem& p = problem_;
    float* row = rows_.data();
    for (index b = 0; b < p.B; ++b) {
      w.a[b] = row;
      w.c[b] = w.row(w.m.saved.gates, 0, b);
      row = std::copy_n(x + b * p.I, p.I, row);
      row = std::copy_n(p.h0 + b * p.P, p.P, row);
    }
    product(p.B, w.a, weights_.ih, 0, panels(weights_.ih),
            {w.c, w.planes.count * w.Hp, Start::bias, w.weights.bias}, w.backwards, w.words);
  }

  Problem problem_;
  Arena arena_;
  Pass pass_;
  Weights weights_;
  bool joined_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Workspace> matrix_;
  std::vector<float> rows_;  // [x, h]
};

}  // namespace longspan::LONGSPAN_ISA
