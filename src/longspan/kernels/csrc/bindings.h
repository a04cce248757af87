// What the files that talk to Python share.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "kernels.h"

namespace longspan {

// The build of the kernels that runs.
extern const KernelSet* chosen;

template <class T>
T* pointer(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

// Tell a problem where one of its tensors is.
void set_tensor(Problem& p, const std::string& name, std::uintptr_t address);

void add_routine(nanobind::module_& m);
void add_stepper(nanobind::module_& m);
void add_online(nanobind::module_& m);

}  // namespace longspan
