// Python's view: pointers as integers in, pointers out; no torch here, so that one build serves
// every version of it. Nothing is checked here: native.py does.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings.h"
#include "plan.h"
#include "team_size.h"
#include "workspace.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace longspan {

const KernelSet* chosen = available_kernels()[0];

namespace {

// Places of a mask from which a second thread pays.
constexpr index kWorthAThread = 1 << 16;

// A torch tensor, (n,), in pooled memory, which goes back to the pool with the tensor.
nb::ndarray<nb::pytorch, float, nb::ndim<1>> pooled(std::size_t n) {
  auto memory = std::make_unique<Workspace>(n * sizeof(float));
  void* data = memory->data();
  nb::capsule owner(memory.release(),
                    [](void* held) noexcept { delete static_cast<Workspace*>(held); });
  return {data, {n}, owner};
}

void add_problem(nb::module_& m) {
  nb::class_<Problem> type(m, "Problem");
  type.def(nb::init<>());
#define NUMBER(name) type.def_rw(#name, &Problem::name)
  NUMBER(I); NUMBER(H); NUMBER(P); NUMBER(gates); NUMBER(reverse); NUMBER(x_is_gates);
  NUMBER(bfloat16); NUMBER(zoneout_c); NUMBER(zoneout_h);
#undef NUMBER
  type.def("set", &set_tensor, "Tell where a tensor is, by its name.");
  type.def("set_lstm", [](Problem& p, bool coupled_gates, bool input_gate, bool forget_gate,
                          bool output_gate, bool input_activation, bool output_activation) {
    p.cell = {Kind::lstm, coupled_gates, input_gate, forget_gate, output_gate, input_activation,
              output_activation, true, false};
  });
  type.def("set_gru", [](Problem& p, bool reset_after) {
    p.cell = {};
    p.cell.kind = Kind::gru;
    p.cell.reset_after = reset_after;
  });
  type.def("set_rnn", [](Problem& p, bool relu) {
    p.cell = {};
    p.cell.kind = Kind::rnn;
    p.cell.relu = relu;
  });
}

}  // namespace

NB_MODULE(_native, m) {
  // Programs keep their routines until the interpreter ends, which is no leak.
  nb::set_leak_warnings(false);
  add_problem(m);
  add_routine(m);
  nb::class_<Workspace>(m, "Workspace").def_prop_ro("address", [](const Workspace& w) {
    return reinterpret_cast<std::uintptr_t>(w.data());
  });
  add_stepper(m);
  add_online(m);
  m.def("pooled", &pooled);
  m.def("builds", [] {
    std::vector<std::string> names;
    for (auto build = available_kernels(); *build; ++build) names.emplace_back((*build)->name());
    return names;
  });
  m.def("choose", [](const std::string& name) {
    for (auto build = available_kernels(); *build; ++build)
      if (name == (*build)->name()) {
        chosen = *build;
        return true;
      }
    return false;
  });
  m.def("set_thresholds",
        [](index thread, index barrier, index own_sums) {
          set_thresholds({thread, barrier, own_sums});
        },
        "thread"_a = Thresholds{}.thread, "barrier"_a = Thresholds{}.barrier,
        "own_sums"_a = Thresholds{}.own_sums,
        "Multiply-adds from which a second thread, and a barrier at every step, are used.");
  m.def("random_mask", [](std::uint64_t seed, std::uint32_t threshold, float value,
                          std::uintptr_t out, index n, int threads) {
    threads = n < kWorthAThread ? 1 : threads_at_hand(threads);
    chosen->random_mask(seed, threshold, value, pointer<float>(out), n, threads);
  });
  m.def("activation", [](int which, std::uintptr_t x, std::uintptr_t y, index n) {
    chosen->activation(which, pointer<const float>(x), pointer<float>(y), n);
  });
}

}  // namespace longspan
