// Which builds of the kernels this processor can run.
#include <thread>

#include "kernels.h"

namespace longspan {

namespace baseline { const KernelSet& kernels(); }
#if defined(LONGSPAN_X86)
namespace avx2 { const KernelSet& kernels(); }
namespace avx512 { const KernelSet& kernels(); }
#if defined(LONGSPAN_BFLOAT16)
namespace avx512bf16 { const KernelSet& kernels(); }
#endif
#endif

void give_way() { std::this_thread::yield(); }

const KernelSet* const* available_kernels() {
  static const KernelSet* found[5] = {};
  static const bool once = [] {
    int count = 0;
#if defined(LONGSPAN_X86)
    __builtin_cpu_init();
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#if defined(LONGSPAN_BFLOAT16)
    if (avx512 && __builtin_cpu_supports("avx512bf16")) found[count++] = &avx512bf16::kernels();
#endif
    if (avx512) found[count++] = &avx512::kernels();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      found[count++] = &avx2::kernels();
#endif
    found[count] = &baseline::kernels();
    return true;
  }();
  (void)once;
  return found;
}

}  // namespace longspan
