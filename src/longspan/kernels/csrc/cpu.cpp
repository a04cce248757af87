// Which builds of the kernels this processor can run.
#include <thread>

#include "kernels.h"

#if defined(LONGSPAN_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace longspan {

namespace baseline { const KernelSet& kernels(); }
#if defined(LONGSPAN_X86)
namespace avx2 { const KernelSet& kernels(); }
namespace avx512 { const KernelSet& kernels(); }
#if defined(LONGSPAN_BFLOAT16)
namespace avx512bf16 { const KernelSet& kernels(); }
#endif
#if defined(LONGSPAN_AMX)
namespace amx { const KernelSet& kernels(); }

namespace {

// Whether there is a matrix unit for bfloat16 and Linux lets this process use it: its registers are so
// large that each process has to ask.
bool may_use_amx() {
  constexpr unsigned kBfloat16 = 1u << 22, kTiles = 1u << 24;
  constexpr long kAsk = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & kBfloat16 && d & kTiles &&
         syscall(SYS_arch_prctl, kAsk, kTileData) == 0;
}

}  // namespace
#endif
#endif

void give_way() { std::this_thread::yield(); }

const KernelSet* const* available_kernels() {
  static const KernelSet* found[6] = {};
  static const bool once = [] {
    int count = 0;
#if defined(LONGSPAN_X86)
    __builtin_cpu_init();
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#if defined(LONGSPAN_AMX)
    if (avx512 && __builtin_cpu_supports("avx512bf16") && may_use_amx())
      found[count++] = &amx::kernels();
#endif
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
