// What the files that talk to Python share.
#pragma once

#include <nanobind/nanobind.h>

#include "kernels.h"

namespace longspan {

// The build of the kernels that runs.
extern const KernelSet* chosen;

void add_stepper(nanobind::module_& m);

}  // namespace longspan
