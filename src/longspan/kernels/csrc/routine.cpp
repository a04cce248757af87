// What a program becomes (kernels/program.py): a problem whose cell and options are filled in once,
// and that knows where each tensor of a call belongs. A call then brings sizes and addresses only.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstring>
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

namespace longspan {
namespace {

using Address = std::uintptr_t;
using Addresses = std::vector<Address>;
using Three = std::array<index, 3>;
using Setter = void (*)(Problem&, Address);

template <auto Field>
void set(Problem& p, Address address) {
  p.*Field = pointer<std::remove_pointer_t<std::decay_t<decltype(p.*Field)>>>(address);
}

// A tensor of a problem by its name, and its gradient, if it can have one.
struct Slot {
  const char* name;
  Setter value, gradient;
};

#define TENSOR(name) {#name, set<&Problem::name>, set<&Problem::d_##name>}
#define CONSTANT(name) {#name, set<&Problem::name>, nullptr}
constexpr Slot kSlots[] = {
    TENSOR(h0), TENSOR(c0), TENSOR(gates0), TENSOR(weight_ih), TENSOR(weight_hh), TENSOR(bias_ih),
    TENSOR(bias_hh), TENSOR(weight_hr), TENSOR(weight_ch), TENSOR(weight_gg), TENSOR(norm_ih),
    TENSOR(norm_hh), TENSOR(norm_c), CONSTANT(lengths), CONSTANT(reset), CONSTANT(hidden_mask),
    CONSTANT(update_mask), CONSTANT(zoneout_c_mask), CONSTANT(zoneout_h_mask),
};
#undef TENSOR
#undef CONSTANT

constexpr Setter kFinal[] = {set<&Problem::h_n>, set<&Problem::c_n>, set<&Problem::gates_n>};
constexpr Setter kFinalGradient[] = {set<&Problem::d_h_n>, set<&Problem::d_c_n>,
                                     set<&Problem::d_gates_n>};

const Slot& slot(const std::string& name) {
  for (const Slot& each : kSlots)
    if (name == each.name) return each;
  throw nb::value_error(("No tensor is called " + name + ".").c_str());
}

// What forward keeps begins with the number of threads: backward must deal out the rows as forward
// did, whatever the number is by then.
constexpr std::size_t kHeader = 64;

std::size_t bytes_to_save(const Problem& p, index rows) {
  return kHeader + chosen->saved_bytes(p, rows);
}

void run_forward(const Problem& p, const PlanOwner& owner, int threads, char* saved) {
  const Workspace scratch(chosen->scratch_bytes(p, owner.plan(), false));
  if (saved) std::memcpy(saved, &threads, sizeof threads);
  chosen->forward(p, owner.plan(), reinterpret_cast<float*>(saved ? saved + kHeader : nullptr),
                  scratch.data());
}

// The sizes of one call: x's shape and strides, widths of h and c.
struct Sizes {
  Three x_shape, x_strides;
  index H, P;
};

// The weights of one layer and direction as forward reads them, kept from call to call.
struct PackedWeights {
  Workspace memory;
  const KernelSet* by;  // another build has another layout

  PackedWeights(const Problem& p, int threads) : memory(chosen->packed_bytes(p)), by(chosen) {
    chosen->pack(p, memory.data(), threads);
  }
  bool fits() const { return by == chosen; }
};

class Routine {
 public:
  // `names` says what each address of a call is; x comes first.
  Routine(const Problem& blank, const std::vector<std::string>& names, int states)
      : blank_(blank), states_(static_cast<std::size_t>(states)) {
    for (std::size_t k = 1; k < names.size(); ++k) slots_.push_back(&slot(names[k]));
  }

  // How many bytes forward keeps of so many rows, at most.
  std::size_t saved_bytes(index H, index P, index rows) const {
    Problem p = blank_;
    p.H = H;
    p.P = P;
    for (const Slot* each : slots_) each->value(p, 1);  // only whether it is there counts
    return bytes_to_save(p, rows);
  }

  std::unique_ptr<PackedWeights> pack(const Sizes& sizes, const Addresses& given,
                                      int threads) const {
    return std::make_unique<PackedWeights>(problem(sizes, given), threads_at_hand(threads));
  }

  // With `packed` null the weights are packed for this call alone.
  std::shared_ptr<Workspace> forward(const Sizes& sizes, const Addresses& given,
                                     const Addresses& outputs, const Three& strides, int threads,
                                     bool training, const PackedWeights* packed) const {
    Problem p = problem(sizes, given);
    set_outputs(p, outputs, strides);
    p.training = training;
    if (packed) p.packed = packed->memory.data();
    threads = threads_at_hand(threads);
    const PlanOwner owner(p, threads);
    std::shared_ptr<Workspace> saved;
    if (training) saved = std::make_shared<Workspace>(bytes_to_save(p, owner.plan().packed_rows));
    run_forward(p, owner, threads, saved ? saved->data() : nullptr);
    return saved;
  }

  void forward_into(const Sizes& sizes, const Addresses& given, const Addresses& outputs,
                    const Three& strides, int threads, Address saved) const {
    Problem p = problem(sizes, given);
    set_outputs(p, outputs, strides);
    p.training = true;
    threads = threads_at_hand(threads);
    run_forward(p, PlanOwner(p, threads), threads, pointer<char>(saved));
  }

  // Gradients of the outputs, 0 for zero; of the tensors, 0 for those that are not wanted; and where
  // their flow through time is summed up, or 0.
  void backward(const Sizes& sizes, const Addresses& given, Address output, const Three& strides,
                const Addresses& incoming, const Three& incoming_strides, const Addresses& wanted,
                const Three& wanted_strides, Address saved, Address flow) const {
    Problem p = problem(sizes, given);
    p.training = true;
    p.output = view(output, strides);
    p.d_output = view(incoming[0], incoming_strides);
    for (std::size_t k = 1; k < incoming.size(); ++k)
      if (k <= states_) kFinalGradient[k - 1](p, incoming[k]);
      else p.d_record[k - 1 - states_] = pointer<const float>(incoming[k]);
    p.d_x = view(wanted[0], wanted_strides);
    for (std::size_t k = 1; k < wanted.size(); ++k)
      if (wanted[k]) slots_[k - 1]->gradient(p, wanted[k]);
    p.flow = pointer<double>(flow);
    run_backward(p, pointer<char>(saved));
  }

 private:
  static View view(Address address, const Three& strides) {
    return {pointer<float>(address), strides[0], strides[1]};
  }

  Problem problem(const Sizes& sizes, const Addresses& given) const {
    Problem p = blank_;
    p.T = sizes.x_shape[0];
    p.B = sizes.x_shape[1];
    p.I = sizes.x_shape[2];
    p.H = sizes.H;
    p.P = sizes.P;
    p.x = view(given[0], sizes.x_strides);
    for (std::size_t k = 1; k < given.size(); ++k) slots_[k - 1]->value(p, given[k]);
    return p;
  }

  void set_outputs(Problem& p, const Addresses& outputs, const Three& strides) const {
    p.output = view(outputs[0], strides);
    for (std::size_t k = 1; k < outputs.size(); ++k)
      if (k <= states_) kFinal[k - 1](p, outputs[k]);
      else p.record[k - 1 - states_] = pointer<float>(outputs[k]);
  }

  static void run_backward(const Problem& p, char* saved) {
    int threads = 0;
    std::memcpy(&threads, saved, sizeof threads);
    const PlanOwner owner(p, threads);
    const Plan& plan = owner.plan();
    if (plan.split > 1 && threads_at_hand(plan.groups * plan.split) < plan.groups * plan.split)
      throw std::runtime_error(
          "Backward runs inside another parallel region, with fewer threads than forward had. Call "
          "torch.set_num_threads(1) before forward.");
    const Workspace scratch(chosen->scratch_bytes(p, plan, true));
    chosen->backward(p, plan, reinterpret_cast<float*>(saved + kHeader), scratch.data());
  }

  Problem blank_;
  std::size_t states_;
  std::vector<const Slot*> slots_;
};

}  // namespace

void set_tensor(Problem& p, const std::string& name, std::uintptr_t address) {
  slot(name).value(p, address);
}

void add_routine(nb::module_& m) {
  using Released = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<Sizes>(m, "Sizes").def(nb::init<Three, Three, index, index>());
  nb::class_<PackedWeights>(m, "PackedWeights")
      .def("fits", &PackedWeights::fits, "Whether the build that is chosen now can read them.");
  nb::class_<Routine>(m, "Routine")
      .def(nb::init<const Problem&, const std::vector<std::string>&, int>())
      .def("saved_bytes", &Routine::saved_bytes)
      .def("pack", &Routine::pack, Released(), "Pack the weights of a call, for `forward`.")
      .def("forward", &Routine::forward, Released(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
           nb::arg(), nb::arg(), nb::arg().none(),
           "Run forward; returns what backward needs, or None unless training.")
      .def("forward_into", &Routine::forward_into, Released(),
           "Run forward, keeping what backward needs at an address (saved_bytes of it).")
      .def("backward", &Routine::backward, Released(),
           "Run backward from what forward kept.");
}

}  // namespace longspan
