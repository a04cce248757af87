// One build of the kernels: included once by each file beside this one, which says which.
#include "../scan.h"

namespace longspan {
namespace LONGSPAN_ISA {
void Barrier::yield() { give_way(); }
const KernelSet& kernels() {
  static const Kernels set;
  return set;
}
}  // namespace LONGSPAN_ISA
}  // namespace longspan
