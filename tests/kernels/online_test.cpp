// The online learner without Python, for sanitizers and other processors: random networks in buffers
// of exactly the right size. Every build must give the baseline's bits.
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels.h"

namespace longspan {
namespace {

using Numbers = std::vector<double>;

index padded(index n) { return (n + kOnlinePad - 1) / kOnlinePad * kOnlinePad; }

struct Case {
  std::mt19937 engine;
  OnlineNetwork n{};
  OnlineSequences s{};
  Numbers hidden, peepholes, output, changes[3], sources, states, partials, peephole_partials;
  Numbers x, targets, outputs;
  std::vector<std::int64_t> symbols, lengths;
  std::vector<std::uint8_t> mask;

  index below(index most) { return static_cast<index>(engine() % static_cast<unsigned>(most)); }
  bool coin() { return below(2) == 0; }
  Numbers drawn(index size) {
    Numbers found(static_cast<std::size_t>(size));
    for (double& v : found) v = std::uniform_real_distribution<double>(-1.0, 1.0)(engine);
    return found;
  }

  explicit Case(unsigned seed) : engine(seed) {
    n.I = 1 + below(9), n.B = 1 + below(3), n.S = 1 + below(3), n.P = 1 + below(9);
    n.input_gate = coin(), n.forget_gate = coin(), n.output_gate = coin();
    n.recurrent = coin(), n.gate_recurrence = coin(), n.direct = coin();
    n.cell_bias = coin(), n.gate_bias = coin(), n.output_bias = coin();
    n.g = coin() ? Squash{4.0, -2.0} : Squash{0.0, 0.0};
    n.h = coin() ? Squash{2.0, -1.0} : Squash{0.0, 0.0};
    n.f = {1.0, 0.0};
    choose_weights();
    choose_sequences();
  }

  void choose_weights() {
    const index gates = n.input_gate + n.forget_gate + n.output_gate;
    const index C = n.B * n.S, U = C + gates * n.B;
    const index M = n.I + (n.recurrent ? (n.gate_recurrence ? U : C) : 0) + 1;
    hidden = drawn(M * padded(U));
    for (index m = 0; m < M; ++m)
      for (index u = U; u < padded(U); ++u) hidden[static_cast<std::size_t>(m * padded(U) + u)] = 0;
    output = drawn((C + n.direct * n.I + 1) * padded(n.P));
    sources = Numbers(static_cast<std::size_t>(M));
    states = Numbers(static_cast<std::size_t>(C));
    partials = Numbers(
        static_cast<std::size_t>(M * padded((1 + n.input_gate + n.forget_gate) * C)));
    if (coin()) {
      peepholes = drawn(3 * C);
      peephole_partials = Numbers(static_cast<std::size_t>(2 * n.S * C));
    }
  }

  void choose_sequences() {
    const index steps = 12;
    lengths = {5, 0, 1, 6};
    index wanted = 0;
    for (index t = 0; t < steps; ++t) {
      mask.push_back(coin());
      wanted += mask.back();
      symbols.push_back(below(n.I));
    }
    x = drawn(steps * n.I);
    targets = drawn(wanted * n.P);
    outputs = Numbers(targets.size());
    const bool dense = coin();
    s.x = dense ? x.data() : nullptr;
    s.learning_rate = coin() ? 0.1 : 0.0;
    s.decay = 0.99;
    s.momentum = dense && coin() ? 0.5 : 0.0;
    s.stop = coin() ? 1.2 : std::numeric_limits<double>::infinity();
    s.cells = s.momentum != 0.0 || below(4) != 0;
    s.count = 4;
  }

  // Everything that a build changes, after two calls.
  Numbers run(const KernelSet& build) const {
    Case own = *this;
    own.point();
    Numbers found;
    for (bool continued : {false, true}) {
      own.s.continued = continued;
      found.push_back(static_cast<double>(build.learn_online(own.n, own.s)));
      for (const Numbers* part : {&own.outputs, &own.hidden, &own.output, &own.peepholes,
                                  &own.states, &own.sources, &own.partials})
        found.insert(found.end(), part->begin(), part->end());
    }
    return found;
  }

  void point() {
    n.hidden = hidden.data(), n.output = output.data();
    n.sources = sources.data(), n.states = states.data(), n.partials = partials.data();
    if (!peepholes.empty())
      n.peepholes = peepholes.data(), n.peephole_partials = peephole_partials.data();
    if (s.x) s.x = x.data();
    s.symbols = symbols.data(), s.lengths = lengths.data(), s.mask = mask.data();
    s.targets = targets.data(), s.outputs = outputs.data();
    if (s.momentum == 0.0) return;
    const Numbers* all[] = {&hidden, &output, &peepholes};
    for (int k = 0; k < 3; ++k) changes[k] = Numbers(all[k]->size());
    n.hidden_change = changes[0].data(), n.output_change = changes[1].data();
    if (!peepholes.empty()) n.peepholes_change = changes[2].data();
  }
};

int check() {
  const int count = 300;
  int failures = 0;
  const KernelSet* const* builds = available_kernels();
  int last = 0;
  while (builds[last + 1]) ++last;
  for (int seed = 0; seed < count; ++seed) {
    const Case c(static_cast<unsigned>(seed));
    const Numbers expected = c.run(*builds[last]);
    for (int k = 0; k < last; ++k) {
      const Numbers found = c.run(*builds[k]);
      if (std::memcmp(found.data(), expected.data(), expected.size() * sizeof(double)) != 0) {
        std::printf("seed %d: %s differs from the baseline\n", seed, builds[k]->name());
        ++failures;
        break;
      }
    }
  }
  std::printf("%d passed, %d failed\n", count - failures, failures);
  return failures ? 1 : 0;
}

}  // namespace
}  // namespace longspan

int main() { return longspan::check(); }
