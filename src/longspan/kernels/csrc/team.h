// Threads: OpenMP's, which torch uses too, so that both share one pool. Under ThreadSanitizer, which
// cannot see into OpenMP's library, plain threads do the same work.
#pragma once

#include <atomic>

#if defined(LONGSPAN_PLAIN_THREADS)
#include <thread>
#include <vector>
#elif defined(_OPENMP)
#include <omp.h>
#endif

#include "vector.h"

#if defined(__x86_64__) && !defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace longspan::LONGSPAN_ISA {

template <class Body>
void parallel(int threads, const Body& body) {
  if (threads <= 1) return body(0);
#if defined(LONGSPAN_PLAIN_THREADS)
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&body, i] { body(i); });
  body(0);
  for (auto& other : others) other.join();
#elif defined(_OPENMP)
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num());
#else
  for (int i = 0; i < threads; ++i) body(i);  // one at a time: see threads_at_hand
#endif
}

LONGSPAN_INLINE void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A barrier that spins: steps are far shorter than a system call. After a while it gives way, since
// more threads than processors would otherwise wait for each other's time slices.
struct alignas(64) Barrier {
  std::atomic<int> arrived{0};
  std::atomic<int> round{0};

  void wait(int members) {
    if (members == 1) return;
    const int now = round.load(std::memory_order_relaxed);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
      arrived.store(0, std::memory_order_relaxed);
      round.store(now + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round.load(std::memory_order_acquire) == now; ++spins) {
      if (spins < 1024) pause();
      else yield();
    }
  }

  static void yield();
};

}  // namespace longspan::LONGSPAN_ISA
