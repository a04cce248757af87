// The online learner (online.h), written once for all builds. No sum is reordered and no product
// fused with a sum (see sources.cmake), so that every build gives the same bits: a training of a
// million sequences ends the same on every machine.
#pragma once

#include <cmath>
#include <cstring>

#include "online.h"

#define LONGSPAN_INLINE [[gnu::always_inline]] inline

namespace longspan::LONGSPAN_ISA {
namespace online {

constexpr int W = kOnlinePad;
typedef double vec __attribute__((vector_size(W * 8)));
typedef std::int64_t ivec __attribute__((vector_size(W * 8)));
typedef double vec_in_memory __attribute__((vector_size(W * 8), aligned(8), may_alias));

LONGSPAN_INLINE vec load(const double* p) { return *reinterpret_cast<const vec_in_memory*>(p); }
LONGSPAN_INLINE void store(double* p, vec v) { *reinterpret_cast<vec_in_memory*>(p) = v; }

// eˣ to within two units in the last place: 2ⁿ times a polynomial, with n = round(x / ln 2). What
// is beyond ±708 counts as ±708.
LONGSPAN_INLINE vec exp(vec x) {
  x = x < -708.0 ? vec{} - 708.0 : x;
  x = x > 708.0 ? vec{} + 708.0 : x;
  const vec shifted = x * 1.4426950408889634 + 6755399441055744.0;  // n in the lowest bits
  const vec n = shifted - 6755399441055744.0;
  const vec r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  const vec r2 = r * r, r4 = r2 * r2;
  const vec low = (1.0 + r) + r2 * (1.0 / 2 + r * (1.0 / 6));
  const vec middle = (1.0 / 24 + r * (1.0 / 120)) + r2 * (1.0 / 720 + r * (1.0 / 5040));
  const vec high = (1.0 / 40320 + r * (1.0 / 362880)) +
                   r2 * (1.0 / 3628800 + r * (1.0 / 39916800)) +
                   r4 * (1.0 / 479001600 + r * (1.0 / 6227020800));
  const ivec power = (reinterpret_cast<ivec>(shifted) + 1023) << 52;
  return (low + r4 * middle + (r4 * r4) * high) * reinterpret_cast<vec>(power);
}

LONGSPAN_INLINE vec sigmoid(vec x) { return 1.0 / (1.0 + exp(-x)); }

inline double sigmoid(double x) {
  double lanes[W];
  store(lanes, sigmoid(vec{} + x));
  return lanes[0];
}

inline index padded(index n) { return (n + W - 1) / W * W; }

// The value of a squashing function and its slope, from x and σ(x).
LONGSPAN_INLINE double value(const Squash& s, double x, double sigma) {
  return s.scale != 0.0 ? s.scale * sigma + s.shift : x;
}
LONGSPAN_INLINE double slope(const Squash& s, double sigma) {
  return s.scale != 0.0 ? s.scale * sigma * (1.0 - sigma) : 1.0;
}

class Learner {
 public:
  Learner(const OnlineNetwork& network, const OnlineSequences& given)
      : n(network), s(given), B(n.B), C(n.B * n.S),
        in(C), forget(in + n.input_gate * B), out(forget + n.forget_gate * B),
        U(out + n.output_gate * B), fed(n.recurrent ? (n.gate_recurrence ? U : C) : 0),
        M(n.I + fed + 1), kinds(1 + n.input_gate + n.forget_gate), Up(padded(U)), Cp(padded(C)),
        Kp(padded(kinds * C)), Pp(padded(n.P)), learns(s.learning_rate != 0.0), learning_rate(s.learning_rate) {
    double* at = memory = new double[static_cast<std::size_t>(3 * Up + 5 * Cp + 2 * Kp + 3 * Pp)]();
    const auto take = [&](index length) { return (at += length) - length; };
    net = take(Up), sigma = take(Up), previous = take(Cp), state = take(Cp), squashed = take(Cp);
    state_sigma = take(Cp), rise = take(Kp), decay = take(Kp), answer = take(Pp);
    answer_sigma = take(Pp), delta = take(Pp), error = take(Cp), gate_error = take(Up);
    std::memcpy(state, n.states, sizeof(double) * static_cast<std::size_t>(C));
  }

  ~Learner() { delete[] memory; }
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;

  // Returns the number of steps that were run.
  index run() {
    index step = 0, row = 0;
    bool going = true;
    for (index sequence = 0; going && sequence < s.count; ++sequence) {
      if (sequence || !s.continued) reset();
      for (index t = 0; going && t < s.lengths[sequence]; ++t, ++step) {
        read(step);
        if (s.cells) advance();
        if (s.mask[step]) going = respond(row++);
        if (s.cells) feed_back();
        learning_rate *= s.decay;
      }
    }
    std::memcpy(n.states, state, sizeof(double) * static_cast<std::size_t>(C));
    return step;
  }

 private:
  void reset() {
    std::memset(n.sources, 0, sizeof(double) * static_cast<std::size_t>(M));
    std::memset(n.partials, 0, sizeof(double) * static_cast<std::size_t>(M * Kp));
    if (n.peephole_partials)
      std::memset(n.peephole_partials, 0, sizeof(double) * static_cast<std::size_t>(2 * n.S * C));
    std::memset(state, 0, sizeof(double) * static_cast<std::size_t>(C));
  }

  void read(index step) {
    if (s.x)
      std::memcpy(n.sources, s.x + step * n.I, sizeof(double) * static_cast<std::size_t>(n.I));
    else
      symbol = s.symbols[step];
    n.sources[M - 1] = 1.0;
  }

  // Calls f with each source that is not zero by being another symbol.
  template <class F>
  LONGSPAN_INLINE void for_sources(const F& f) const {
    if (s.x)
      for (index m = 0; m < n.I; ++m) f(m, n.sources[m]);
    else
      f(symbol, 1.0);
    for (index m = n.I; m < M; ++m) f(m, n.sources[m]);
  }

  // One step of all cells, and of the derivatives of their states.
  void advance() {
    for (index u = 0; u < Up; u += W) {
      vec sum{};
      for_sources([&](index m, double y) { sum += y * load(n.hidden + m * Up + u); });
      store(net + u, sum);
    }
    if (n.peepholes) {
      if (n.input_gate) look(0, in);
      if (n.forget_gate) look(1, forget);
    }
    for (index u = 0; u < Up; u += W) store(sigma + u, sigmoid(load(net + u)));
    for (index c = 0; c < C; ++c) update(c);
    if (n.h.scale != 0.0)
      for (index c = 0; c < Cp; c += W) store(state_sigma + c, sigmoid(load(state + c)));
    for (index c = 0; c < C; ++c) squashed[c] = value(n.h, state[c], state_sigma[c]);
    if (n.peepholes && n.output_gate) {  // it sees the new states
      look(2, out);
      for (index b = 0; b < B; ++b) sigma[out + b] = sigmoid(net[out + b]);
    }
    if (learns) carry();
  }

  // Adds what the gates of one kind see of their cells' states.
  void look(index kind, index first) {
    for (index c = 0; c < C; ++c) net[first + c / n.S] += n.peepholes[place(kind, c)] * state[c];
  }
  index place(index kind, index c) const { return (kind * n.S + c % n.S) * B + c / n.S; }

  // The state of one cell; how much its derivatives are kept, and how they rise with a source.
  void update(index c) {
    const index b = c / n.S;
    const double i = n.input_gate ? sigma[in + b] : 1.0;
    const double keep = n.forget_gate ? sigma[forget + b] : 1.0;
    const double z = value(n.g, net[c], sigma[c]), before = state[c];
    previous[c] = before;
    state[c] = keep * before + i * z;
    index kind = 0;
    rise[c] = i * slope(n.g, sigma[c]);
    if (n.input_gate) rise[++kind * C + c] = z * (i * (1.0 - i));
    if (n.forget_gate) rise[++kind * C + c] = before * (keep * (1.0 - keep));
    for (; kind >= 0; --kind) decay[kind * C + c] = keep;
  }

  void carry() {
    if (n.forget_gate) {
      for (index m = 0; m < M; ++m) {
        const bool other = !s.x && m < n.I;
        const double y = other ? (m == symbol ? 1.0 : 0.0) : n.sources[m];
        double* row = n.partials + m * Kp;
        for (index k = 0; k < Kp; k += W)
          store(row + k, load(row + k) * load(decay + k) + y * load(rise + k));
      }
    } else {
      for_sources([&](index m, double y) {
        double* row = n.partials + m * Kp;
        for (index k = 0; k < Kp; k += W) store(row + k, load(row + k) + y * load(rise + k));
      });
    }
    if (n.peepholes)
      for (index kind = 0; kind < 2; ++kind)
        if (kind ? n.forget_gate : n.input_gate) carry_peepholes(kind);
  }

  void carry_peepholes(index kind) {
    const double* rises = rise + (kind ? kinds - 1 : 1) * C;
    for (index j = 0; j < n.S; ++j)
      for (index c = 0; c < C; ++c) {
        double& partial = n.peephole_partials[(kind * n.S + j) * C + c];
        partial = decay[c] * partial + rises[c] * previous[c / n.S * n.S + j];
      }
  }

  double output_gate(index c) const { return n.output_gate ? sigma[out + c / n.S] : 1.0; }

  // Calls f with each row of the output's weights and its source.
  template <class F>
  LONGSPAN_INLINE void for_outputs(const F& f) const {
    if (s.cells)
      for (index c = 0; c < C; ++c) f(c, output_gate(c) * squashed[c]);
    index row = C;
    if (n.direct) {
      if (s.x)
        for (index m = 0; m < n.I; ++m) f(C + m, n.sources[m]);
      else
        f(C + symbol, 1.0);
      row += n.I;
    }
    if (n.output_bias) f(row, 1.0);
  }

  // The outputs, and what is learnt from them. Returns whether they are close enough to go on.
  bool respond(index row) {
    const double* target = s.targets + row * n.P;
    for (index k = 0; k < Pp; k += W) {
      vec sum{};
      for_outputs([&](index r, double y) { sum += y * load(n.output + r * Pp + k); });
      store(answer + k, sum);
      store(answer_sigma + k, sigmoid(sum));
    }
    double worst = 0.0;
    for (index k = 0; k < n.P; ++k) {
      answer[k] = value(n.f, answer[k], answer_sigma[k]);
      s.outputs[row * n.P + k] = answer[k];
      const double difference = target[k] - answer[k];
      delta[k] = difference * slope(n.f, answer_sigma[k]);
      worst = std::fmax(worst, std::fabs(difference));
    }
    if (learns) learn();
    return !(worst >= s.stop) || std::isinf(s.stop);
  }

  void learn() {
    if (s.cells) {
      find_errors();
      learn_hidden();
      if (n.peepholes) learn_peepholes();
    }
    for_outputs([&](index r, double y) {
      for (index k = 0; k < n.P; ++k)
        change(n.output, n.output_change, r * Pp + k, y * delta[k]);
    });
  }

  LONGSPAN_INLINE void change(double* weights, double* last, index at, double downhill) const {
    double by = learning_rate * downhill;
    if (last) by = last[at] = by + s.momentum * last[at];
    weights[at] += by;
  }

  // By how much the squared error, halved, falls with the states and the output gates' nets.
  void find_errors() {
    for (index b = 0; b < B; ++b) gate_error[b] = 0.0;
    for (index c = 0; c < C; ++c) {
      const double* weights = n.output + c * Pp;
      double sum = 0.0;
      for (index k = 0; k < n.P; ++k) sum += weights[k] * delta[k];
      const double o = output_gate(c);
      error[c] = sum * o * slope(n.h, state_sigma[c]);
      if (n.output_gate) gate_error[c / n.S] += sum * squashed[c] * (o * (1.0 - o));
    }
  }

  // What the cells of block b say of a weight of one of its gates.
  double of_block(const double* partials, index b) const {
    double sum = 0.0;
    for (index c = b * n.S; c < (b + 1) * n.S; ++c) sum += error[c] * partials[c];
    return sum;
  }

  void learn_hidden() {
    for (index m = 0; m < M; ++m) {
      const bool bias = m == M - 1;
      const double* partials = n.partials + m * Kp;
      const index row = m * Up;
      if (!bias || n.cell_bias)
        for (index c = 0; c < C; ++c)
          change(n.hidden, n.hidden_change, row + c, error[c] * partials[c]);
      if (bias && !n.gate_bias) continue;
      for (index kind = 1; kind < kinds; ++kind)  // gates of which the states' derivatives are kept
        for (index b = 0; b < B; ++b)
          change(n.hidden, n.hidden_change, row + C + (kind - 1) * B + b,
                 of_block(partials + kind * C, b));
      if (n.output_gate) learn_output_gates(m);
    }
  }

  void learn_output_gates(index m) {
    const bool of_symbol = !s.x && m < n.I;
    if (of_symbol && m != symbol) return;
    const double y = of_symbol ? 1.0 : n.sources[m];
    for (index b = 0; b < B; ++b)
      change(n.hidden, n.hidden_change, m * Up + out + b, gate_error[b] * y);
  }

  void learn_peepholes() {
    for (index j = 0; j < n.S; ++j)
      for (index b = 0; b < B; ++b) {
        for (index kind = 0; kind < 2; ++kind)
          if (kind ? n.forget_gate : n.input_gate)
            change(n.peepholes, n.peepholes_change, (kind * n.S + j) * B + b,
                   of_block(n.peephole_partials + (kind * n.S + j) * C, b));
        if (n.output_gate)
          change(n.peepholes, n.peepholes_change, (2 * n.S + j) * B + b,
                 gate_error[b] * state[b * n.S + j]);
      }
  }

  // What the next step sees of this one.
  void feed_back() {
    if (!n.recurrent) return;
    double* const back = n.sources + n.I;
    for (index c = 0; c < C; ++c) back[c] = output_gate(c) * squashed[c];
    for (index u = C; u < fed; ++u) back[u] = sigma[u];
  }

  const OnlineNetwork& n;
  const OnlineSequences& s;
  const index B, C, in, forget, out, U, fed, M, kinds, Up, Cp, Kp, Pp;
  const bool learns;
  double learning_rate;
  index symbol = 0;
  double* memory;  // not a std::vector, whose functions builds would share (see vector.h)
  double *net, *sigma;                               // of the units
  double *previous, *state, *squashed, *state_sigma;  // of the cells: before, now, h of it, σ of it
  double *rise, *decay;                              // of the states' derivatives
  double *answer, *answer_sigma, *delta;             // of the outputs
  double *error, *gate_error;
};

}  // namespace online

index learn_online(const OnlineNetwork& network, const OnlineSequences& given) {
  return online::Learner(network, given).run();
}

}  // namespace longspan::LONGSPAN_ISA
