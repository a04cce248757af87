// Python's view: pointers as integers in, pointers out; no torch here, so that one build serves
// every version of it. Nothing is checked here: native.py does.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
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

template <class T>
T* pointer(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

// A property that takes and returns an address.
template <auto Field>
void add_pointer(nb::class_<Problem>& type, const char* name) {
  using T = std::remove_pointer_t<std::decay_t<decltype(std::declval<Problem>().*Field)>>;
  type.def_prop_rw(
      name, [](const Problem& p) { return reinterpret_cast<std::uintptr_t>(p.*Field); },
      [](Problem& p, std::uintptr_t address) { p.*Field = pointer<T>(address); });
}

template <auto Field>
void add_view(nb::class_<Problem>& type, const char* name) {
  type.def(name, [](Problem& p, std::uintptr_t address, index step, index row) {
    p.*Field = {pointer<float>(address), step, row};
  });
}

// What forward keeps begins with the number of threads: backward must deal out the rows as forward
// did, whatever the number is by then.
constexpr std::size_t kHeader = 64;

std::size_t saved_bytes(const Problem& p, index rows) {
  return kHeader + chosen->saved_bytes(p, rows);
}

void run_forward(const Problem& p, const PlanOwner& owner, int threads, char* saved) {
  const Workspace scratch(chosen->scratch_bytes(p, owner.plan(), false));
  if (saved) *reinterpret_cast<int*>(saved) = threads;
  chosen->forward(p, owner.plan(), reinterpret_cast<float*>(saved ? saved + kHeader : nullptr),
                  scratch.data());
}

std::shared_ptr<Workspace> forward(const Problem& p) {
  const int threads = threads_at_hand(p.threads);
  const PlanOwner owner(p, threads);
  std::shared_ptr<Workspace> saved;
  if (p.training) saved = std::make_shared<Workspace>(saved_bytes(p, owner.plan().packed_rows));
  run_forward(p, owner, threads, saved ? saved->data() : nullptr);
  return saved;
}

void forward_into(const Problem& p, std::uintptr_t saved) {
  const int threads = threads_at_hand(p.threads);
  run_forward(p, PlanOwner(p, threads), threads, pointer<char>(saved));
}

void backward(const Problem& p, std::uintptr_t saved) {
  char* const memory = pointer<char>(saved);
  const PlanOwner owner(p, *reinterpret_cast<int*>(memory));
  const Plan& plan = owner.plan();
  if (plan.split > 1 && threads_at_hand(plan.groups * plan.split) < plan.groups * plan.split)
    throw std::runtime_error(
        "Backward runs inside another parallel region, with fewer threads than forward had. Call "
        "torch.set_num_threads(1) before forward.");
  const Workspace scratch(chosen->scratch_bytes(p, plan, true));
  chosen->backward(p, plan, reinterpret_cast<float*>(memory + kHeader), scratch.data());
}

// A torch tensor, (a, b, c), in pooled memory, which goes back to the pool with the tensor.
nb::ndarray<nb::pytorch, float, nb::ndim<3>> pooled(std::size_t a, std::size_t b, std::size_t c) {
  auto memory = std::make_unique<Workspace>(a * b * c * sizeof(float));
  void* data = memory->data();
  nb::capsule owner(memory.release(),
                    [](void* held) noexcept { delete static_cast<Workspace*>(held); });
  return {data, {a, b, c}, owner};
}

void add_problem(nb::module_& m) {
  nb::class_<Problem> type(m, "Problem");
  type.def(nb::init<>());
#define NUMBER(name) type.def_rw(#name, &Problem::name)
  NUMBER(T); NUMBER(B); NUMBER(I); NUMBER(H); NUMBER(P); NUMBER(gates); NUMBER(reverse);
  NUMBER(training); NUMBER(x_is_gates); NUMBER(bfloat16); NUMBER(threads); NUMBER(zoneout_c);
  NUMBER(zoneout_h);
#undef NUMBER
#define POINTER(name) add_pointer<&Problem::name>(type, #name)
  POINTER(h0); POINTER(c0); POINTER(gates0); POINTER(lengths); POINTER(reset);
  POINTER(weight_ih); POINTER(weight_hh); POINTER(bias_ih); POINTER(bias_hh);
  POINTER(weight_hr); POINTER(weight_ch); POINTER(weight_gg);
  POINTER(norm_ih); POINTER(norm_hh); POINTER(norm_c);
  POINTER(hidden_mask); POINTER(update_mask); POINTER(zoneout_c_mask); POINTER(zoneout_h_mask);
  POINTER(h_n); POINTER(c_n); POINTER(gates_n);
  POINTER(d_h_n); POINTER(d_c_n); POINTER(d_gates_n); POINTER(d_h0); POINTER(d_c0);
  POINTER(d_gates0); POINTER(d_weight_ih); POINTER(d_weight_hh); POINTER(d_bias_ih);
  POINTER(d_bias_hh); POINTER(d_weight_hr); POINTER(d_weight_ch); POINTER(d_weight_gg);
  POINTER(d_norm_ih); POINTER(d_norm_hh); POINTER(d_norm_c);
#undef POINTER
  add_view<&Problem::x>(type, "set_x");
  add_view<&Problem::output>(type, "set_output");
  add_view<&Problem::d_output>(type, "set_d_output");
  add_view<&Problem::d_x>(type, "set_d_x");
  type.def("set_record", [](Problem& p, int k, std::uintptr_t address) {
    p.record[k] = pointer<float>(address);
  });
  type.def("set_d_record", [](Problem& p, int k, std::uintptr_t address) {
    p.d_record[k] = pointer<const float>(address);
  });
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
  add_problem(m);
  nb::class_<Workspace>(m, "Workspace").def_prop_ro("address", [](const Workspace& w) {
    return reinterpret_cast<std::uintptr_t>(w.data());
  });
  add_stepper(m);
  m.def("forward", &forward, nb::call_guard<nb::gil_scoped_release>(),
        "Run forward; returns what backward needs, or None unless training.");
  m.def("forward_into", &forward_into, nb::call_guard<nb::gil_scoped_release>(),
        "Run forward, keeping what backward needs at an address (saved_bytes of it).");
  m.def("backward", &backward, nb::call_guard<nb::gil_scoped_release>(),
        "Run backward from what forward kept, which is overwritten unless the gates are fed back.");
  m.def("pooled", &pooled);
  m.def("saved_bytes", &saved_bytes);
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
  m.def("set_thresholds", [](index thread, index barrier) { set_thresholds({thread, barrier}); },
        "thread"_a = Thresholds{}.thread, "barrier"_a = Thresholds{}.barrier,
        "Multiply-adds from which a second thread, and a barrier at every step, are used.");
  m.def("activation", [](int which, std::uintptr_t x, std::uintptr_t y, index n) {
    chosen->activation(which, pointer<const float>(x), pointer<float>(y), n);
  });
}

}  // namespace longspan
