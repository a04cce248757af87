// What each build of the kernels offers, and which builds there are.
#pragma once

#include <cstddef>
#include <memory>

#include "online.h"
#include "problem.h"

namespace longspan {

// Input and states of a step, (B, ·); the states are updated in place.
struct StepAddresses {
  const float* x;
  float *h, *c, *gates;
};

// A layer that runs one step at a time: everything but these addresses is laid out.
class Prepared {
 public:
  virtual ~Prepared() = default;
  virtual void run(const StepAddresses& at) = 0;
};

class KernelSet {
 public:
  virtual const char* name() const = 0;
  // Memory that forward fills for backward, for that many packed rows.
  virtual std::size_t saved_bytes(const Problem&, index rows) const = 0;
  virtual std::size_t scratch_bytes(const Problem&, const Plan&, bool backward) const = 0;
  // Memory of the weights that forward packs, and how to fill it: for Problem::packed. Only the
  // weights, their sizes and the cell count.
  virtual std::size_t packed_bytes(const Problem&) const = 0;
  virtual void pack(const Problem&, char* to, int threads) const = 0;
  virtual void forward(const Problem&, const Plan&, float* saved, char* scratch) const = 0;
  // For inference step by step (T = 1, one thread): pack the weights once, and then only run. The
  // arguments must outlive the result.
  virtual std::unique_ptr<Prepared> prepare(const Problem&, const Plan&, char* scratch) const = 0;
  virtual void backward(const Problem&, const Plan&, float* saved, char* scratch) const = 0;
  // 0: sigmoid, 1: tanh; for tests of their accuracy.
  virtual void activation(int which, const float* x, float* y, index n) const = 0;
  // `value` with a probability of `threshold` / 2²⁴ in each of n places, else zero.
  virtual void random_mask(std::uint64_t seed, std::uint32_t threshold, float value, float* out,
                           index n, int threads) const = 0;
  // Runs sequences and learns from them; returns the number of steps until it stopped.
  virtual index learn_online(const OnlineNetwork&, const OnlineSequences&) const = 0;

 protected:
  ~KernelSet() = default;
};

// The builds that this processor can run, the fastest first; ends with null.
const KernelSet* const* available_kernels();

// Rows of which layer normalisation shares sums between threads, at most, unless a batch has more.
constexpr index kChunkRows = 128;

// Let another thread run.
void give_way();

}  // namespace longspan
