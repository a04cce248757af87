#include "team_size.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace longspan {

// Threads of a group wait for each other, so a region must get the threads that were planned: a
// nested region gets one, and under dynamic adjustment nobody can know.
int threads_at_hand(int wanted) {
#if defined(LONGSPAN_PLAIN_THREADS)
  return wanted;
#elif defined(_OPENMP)
  if (omp_in_parallel() || omp_get_dynamic()) return 1;
  const int limit = omp_get_thread_limit();
  return wanted < limit ? wanted : limit;
#else
  (void)wanted;
  return 1;
#endif
}

}  // namespace longspan
