// The kernels without Python: random problems in buffers of exactly the right size, for sanitizers
// and for processors that only an emulator can show. Each build must agree with the baseline, and
// each gradient with the change of the loss along a random direction.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "kernels.h"
#include "plan.h"
#include "team_size.h"

using namespace longspan;

namespace {

using Floats = std::vector<float>;

struct Random {
  std::mt19937 engine;
  int below(int n) { return static_cast<int>(engine() % static_cast<unsigned>(n)); }
  bool coin(int one_in) { return below(one_in) == 0; }
  Floats normal(index n, float scale) {
    std::normal_distribution<float> draw(0.0f, scale);
    Floats values(static_cast<std::size_t>(n));
    for (float& v : values) v = draw(engine);
    return values;
  }
  Floats mask(index n, float rate) {
    Floats values(static_cast<std::size_t>(n));
    for (float& v : values) v = static_cast<float>(below(1000)) < 1000.0f * rate ? 1.0f : 0.0f;
    return values;
  }
};

// A problem that owns its memory.
struct Case {
  Problem p{};
  int threads = 1;
  bool packed = false;  // the weights before forward, not in it
  bool peephole = false, full_gate_recurrence = false;
  std::vector<std::unique_ptr<Floats>> kept;
  std::vector<std::pair<Floats*, Floats*>> inputs;  // with their gradients
  std::vector<std::int64_t> lengths;
  std::vector<std::uint8_t> reset;
  std::vector<double> flow;
  std::vector<std::pair<Floats*, Floats>> outputs;  // with the loss's slope

  Floats* keep(Floats values) {
    kept.push_back(std::make_unique<Floats>(std::move(values)));
    return kept.back().get();
  }
  const float* input(Random& random, index n, float scale, float** gradient) {
    Floats* values = keep(random.normal(n, scale));
    Floats* slope = keep(Floats(values->size()));
    inputs.emplace_back(values, slope);
    *gradient = slope->data();
    return values->data();
  }
  float* output(Random& random, index n, const float** slope) {
    Floats* values = keep(Floats(static_cast<std::size_t>(n)));
    outputs.emplace_back(values, random.normal(n, 1.0f));
    *slope = outputs.back().second.data();
    return values->data();
  }
};

void choose_cell(Case& c, Random& random) {
  Problem& p = c.p;
  p.cell.kind = static_cast<Kind>(random.below(3));
  p.cell.relu = random.coin(4);
  p.cell.reset_after = !random.coin(2);
  const auto on = [&] { return !random.coin(6); };
  p.cell.input_gate = on(), p.cell.forget_gate = on(), p.cell.output_gate = on();
  p.cell.input_activation = on(), p.cell.output_activation = on();
  p.cell.coupled_gates = random.coin(4);
  if (p.cell.coupled_gates) p.cell.input_gate = p.cell.forget_gate = true;
  c.peephole = random.coin(3);
  c.full_gate_recurrence = random.coin(4);
  p.gates = p.cell.kind == Kind::rnn ? 1 : 3;
  if (p.cell.kind == Kind::lstm)
    p.gates = 1 + (p.cell.input_gate && !p.cell.coupled_gates) + p.cell.forget_gate +
              p.cell.output_gate;
  if (p.cell.kind != Kind::lstm || p.gates == 1)
    c.peephole = c.full_gate_recurrence = false;
}

void choose_sizes(Case& c, Random& random) {
  Problem& p = c.p;
  p.T = 1 + random.below(7), p.B = 1 + random.below(9);
  p.I = 1 + random.below(20);
  p.H = random.coin(5) ? 64 * (1 + random.below(5)) + random.below(9) : 1 + random.below(40);
  p.P = p.cell.kind == Kind::lstm && p.H > 1 && random.coin(4) ? 1 + random.below(int(p.H) - 1) : p.H;
  p.reverse = random.coin(2);
  p.training = true;
  c.threads = 1 + random.below(4);
  if (random.coin(2)) {
    for (index b = 0; b < p.B; ++b) c.lengths.push_back(random.below(static_cast<int>(p.T) + 1));
    p.lengths = c.lengths.data();
  }
  if (random.coin(3)) {
    for (index k = 0; k < p.T * p.B; ++k) c.reset.push_back(random.coin(3));
    p.reset = c.reset.data();
  }
}

void fill(Case& c, Random& random) {
  Problem& p = c.p;
  const index rows = p.gates * p.H, sigmoids = p.gates - 1;
  const float scale = 1.0f / std::sqrt(static_cast<float>(p.H));
  float* dx = nullptr;
  p.x = {const_cast<float*>(c.input(random, p.T * p.B * p.I, 1, &dx)), p.B * p.I, p.I};
  p.d_x = {dx, p.B * p.I, p.I};
  p.h0 = c.input(random, p.B * p.P, 1, &p.d_h0);
  p.weight_ih = c.input(random, rows * p.I, 0.5, &p.d_weight_ih);
  p.weight_hh = c.input(random, rows * p.P, scale, &p.d_weight_hh);
  if (!random.coin(3)) {
    p.bias_ih = c.input(random, rows, 0.5, &p.d_bias_ih);
    p.bias_hh = c.input(random, rows, 0.5, &p.d_bias_hh);
  }
  const bool lstm = p.cell.kind == Kind::lstm;
  if (lstm) p.c0 = c.input(random, p.B * p.H, 1, &p.d_c0);
  if (p.P < p.H) p.weight_hr = c.input(random, p.P * p.H, scale, &p.d_weight_hr);
  if (c.peephole) p.weight_ch = c.input(random, sigmoids * p.H, 0.5, &p.d_weight_ch);
  if (c.full_gate_recurrence) {
    p.gates0 = c.input(random, p.B * sigmoids * p.H, 1, &p.d_gates0);
    p.weight_gg = c.input(random, sigmoids * p.H * sigmoids * p.H, scale, &p.d_weight_gg);
  }
  const bool reset_first = p.cell.kind == Kind::gru && !p.cell.reset_after;
  if (p.H > 7 && !reset_first && random.coin(3)) {
    p.norm_ih = c.input(random, 2 * rows, 0.7f, &p.d_norm_ih);
    p.norm_hh = c.input(random, 2 * rows, 0.7f, &p.d_norm_hh);
    if (lstm) p.norm_c = c.input(random, 2 * p.H, 0.7f, &p.d_norm_c);
  }
  if (random.coin(4)) p.hidden_mask = c.keep(random.mask(p.B * p.P, 0.7f))->data();
  if (random.coin(4)) p.update_mask = c.keep(random.mask(p.T * p.B * p.H, 0.7f))->data();
  if (random.coin(4)) p.zoneout_h_mask = c.keep(random.mask(p.T * p.B * p.P, 0.2f))->data();
  if (random.coin(4)) p.zoneout_c = p.zoneout_h = 0.2f;

  const float* slope = nullptr;
  p.output = {c.output(random, p.T * p.B * p.P, &slope), p.B * p.P, p.P};
  p.d_output = {const_cast<float*>(slope), p.B * p.P, p.P};
  p.h_n = c.output(random, p.B * p.P, &p.d_h_n);
  if (lstm) p.c_n = c.output(random, p.B * p.H, &p.d_c_n);
  if (p.weight_gg) p.gates_n = c.output(random, p.B * sigmoids * p.H, &p.d_gates_n);
  const int records = p.cell.kind == Kind::rnn ? 1 : lstm ? 5 : 3;
  if (random.coin(4))
    for (int k = 0; k < records; ++k)
      p.record[k] = c.output(random, p.T * p.B * p.H, &p.d_record[k]);
  if (random.coin(2)) {
    c.flow.resize(static_cast<std::size_t>(2 * p.T));
    p.flow = c.flow.data();
  }
}

// After each row's last step nothing comes back but the gradients of the outputs.
double last_flow(const Problem& p) {
  double sum = 0.0;
  for (index b = 0; b < p.B; ++b) {
    const index n = p.lengths ? p.lengths[b] : p.T;
    if (!n) continue;
    const float* out = p.d_output.data + (p.reverse ? 0 : n - 1) * p.d_output.step + b * p.d_output.row;
    for (index u = 0; u < p.P; ++u) {
      const double d = static_cast<double>(out[u]) + static_cast<double>(p.d_h_n[b * p.P + u]);
      sum += d * d;
    }
  }
  return sum;
}

struct Aligned {
  void* data;
  explicit Aligned(std::size_t bytes) : data(std::aligned_alloc(64, (bytes + 127) / 64 * 64)) {}
  ~Aligned() { std::free(data); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
};

double run(Case& c, const KernelSet& kernels, bool backward) {
  Problem& p = c.p;
  const PlanOwner owner(p, threads_at_hand(c.threads));
  Aligned saved(kernels.saved_bytes(p, owner.plan().packed_rows));
  {
    Aligned packed(kernels.packed_bytes(p));
    if (c.packed) {
      p.packed = static_cast<char*>(packed.data);
      kernels.pack(p, p.packed, c.threads);
    }
    Aligned scratch(kernels.scratch_bytes(p, owner.plan(), false));
    kernels.forward(p, owner.plan(), static_cast<float*>(saved.data),
                    static_cast<char*>(scratch.data));
    p.packed = nullptr;
  }
  double loss = 0.0;
  for (const auto& [values, slope] : c.outputs)
    for (std::size_t k = 0; k < values->size(); ++k)
      loss += static_cast<double>((*values)[k]) * static_cast<double>(slope[k]);
  if (backward) {
    Aligned scratch(kernels.scratch_bytes(p, owner.plan(), true));
    kernels.backward(p, owner.plan(), static_cast<float*>(saved.data),
                     static_cast<char*>(scratch.data));
  }
  return loss;
}

int failures = 0;
void expect(bool fine, const char* what, int seed, double a, double b) {
  if (fine) return;
  ++failures;
  std::printf("seed %d: %s: %g, %g\n", seed, what, a, b);
}

// The loss's change along a random direction of all inputs, by differences and by gradients.
void check_slope(Case& c, const KernelSet& kernels, Random& random, int seed) {
  run(c, kernels, true);
  double expected = 0.0, size = 0.0;
  std::vector<Floats> before, direction;
  for (const auto& [values, gradient] : c.inputs) {
    before.push_back(*values);
    direction.push_back(random.normal(static_cast<index>(values->size()), 1.0f));
    for (std::size_t k = 0; k < values->size(); ++k) {
      const double part = static_cast<double>((*gradient)[k]) * static_cast<double>(direction.back()[k]);
      expected += part;
      size += part * part;
    }
  }
  const float step = 1e-3f;
  double losses[2];
  for (int side = 0; side < 2; ++side) {
    for (std::size_t i = 0; i < c.inputs.size(); ++i)
      for (std::size_t k = 0; k < before[i].size(); ++k)
        (*c.inputs[i].first)[k] = before[i][k] + (side ? step : -step) * direction[i][k];
    losses[side] = run(c, kernels, false);
  }
  for (std::size_t i = 0; i < c.inputs.size(); ++i) *c.inputs[i].first = before[i];
  const double found = (losses[1] - losses[0]) / (2.0 * static_cast<double>(step));
  const double allowed = 0.03 * (std::sqrt(size) + std::fabs(expected)) + 0.05;
  expect(std::fabs(found - expected) <= allowed, "slope", seed, found, expected);
}

void check_builds(Case& c, int seed, float allowed) {
  std::vector<Floats> first;
  const KernelSet* const* builds = available_kernels();
  int last = 0;
  while (builds[last + 1]) ++last;
  for (int k = last; k >= 0; --k) {
    std::fill(c.flow.begin(), c.flow.end(), 0.0);
    run(c, *builds[k], true);
    if (c.p.flow)
      expect(std::fabs(c.flow[0] - last_flow(c.p)) <= 1e-4 * (last_flow(c.p) + 1e-2), "flow", seed,
             c.flow[0], last_flow(c.p));
    std::vector<Floats> found;
    for (const auto& [values, slope] : c.outputs) found.push_back(*values);
    for (const auto& [values, gradient] : c.inputs) found.push_back(*gradient);
    if (k == last) first = found;
    for (std::size_t i = 0; i < found.size(); ++i) {
      float most = 1e-2f, error = 0.0f;
      for (float v : first[i]) most = std::fmax(most, std::fabs(v));
      for (std::size_t n = 0; n < found[i].size(); ++n)
        error = std::fmax(error, std::fabs(found[i][n] - first[i][n]));
      expect(error <= allowed * most, builds[k]->name(), seed, error, most);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 300;
  for (int seed = 0; seed < count; ++seed) {
    Random random{std::mt19937(static_cast<unsigned>(seed))};
    Case c;
    choose_cell(c, random);
    choose_sizes(c, random);
    fill(c, random);
    c.packed = seed % 2;
    set_thresholds({1, 1, seed % 3 ? index{1} << 19 : 0});
    // A kink has no slope, and layer normalisation of few values bends too much for differences.
    const bool smooth = !(c.p.cell.kind == Kind::rnn && c.p.cell.relu) && !c.p.norm_ih;
    if (smooth) check_slope(c, *available_kernels()[0], random, seed);
    check_builds(c, seed, 2e-3f);
    // A sum's last bit may decide to which of two bfloat16 numbers a state is rounded.
    c.p.bfloat16 = true;
    check_builds(c, seed, 5e-2f);
  }
  std::printf("%d passed, %d failed\n", count - failures, failures);
  return failures ? 1 : 0;
}
