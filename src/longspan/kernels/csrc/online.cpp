// Python's view of the online learner (online.h): addresses of numpy's arrays, which
// kernels/online.py has checked.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <stdexcept>
#include <string>

#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace longspan {
namespace {

void set_array(OnlineNetwork& n, const std::string& name, std::uintptr_t address) {
  double* const data = pointer<double>(address);
#define ARRAY(field) if (name == #field) { n.field = data; return; }
  ARRAY(hidden) ARRAY(peepholes) ARRAY(output)
  ARRAY(hidden_change) ARRAY(peepholes_change) ARRAY(output_change)
  ARRAY(sources) ARRAY(states) ARRAY(partials) ARRAY(peephole_partials)
#undef ARRAY
  throw std::invalid_argument("an online network has no " + name);
}

index learn(const OnlineNetwork& network, std::uintptr_t x, std::uintptr_t symbols,
            std::uintptr_t lengths, index count, std::uintptr_t mask, std::uintptr_t targets,
            std::uintptr_t outputs, double learning_rate, double decay, double momentum,
            double stop, bool continued, bool cells) {
  const OnlineSequences given{pointer<const double>(x), pointer<const std::int64_t>(symbols),
                              pointer<const std::int64_t>(lengths), count,
                              pointer<const std::uint8_t>(mask), pointer<const double>(targets),
                              pointer<double>(outputs), learning_rate, decay, momentum, stop,
                              continued, cells};
  const nb::gil_scoped_release others_may_run;
  return chosen->learn_online(network, given);
}

}  // namespace

void add_online(nb::module_& m) {
  nb::class_<OnlineNetwork> type(m, "OnlineNetwork");
  type.def("__init__", [](OnlineNetwork* made) { new (made) OnlineNetwork{}; });
#define OPTION(name) type.def_rw(#name, &OnlineNetwork::name)
  OPTION(I); OPTION(B); OPTION(S); OPTION(P); OPTION(input_gate); OPTION(forget_gate);
  OPTION(output_gate); OPTION(recurrent); OPTION(gate_recurrence); OPTION(direct);
  OPTION(cell_bias); OPTION(gate_bias); OPTION(output_bias);
#undef OPTION
  type.def("set", &set_array, "Tell where an array is, by its name.");
  type.def("set_squashes", [](OnlineNetwork& n, double g_scale, double g_shift, double h_scale,
                              double h_shift, double f_scale, double f_shift) {
    n.g = {g_scale, g_shift};
    n.h = {h_scale, h_shift};
    n.f = {f_scale, f_shift};
  });
  m.def("learn_online", &learn, "network"_a, "x"_a, "symbols"_a, "lengths"_a, "count"_a, "mask"_a,
        "targets"_a, "outputs"_a, "learning_rate"_a, "decay"_a, "momentum"_a, "stop"_a,
        "continued"_a, "cells"_a);
  m.attr("ONLINE_PAD") = kOnlinePad;
}

}  // namespace longspan
