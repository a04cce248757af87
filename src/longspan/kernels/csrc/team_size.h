// How many threads a parallel region will really get.
#pragma once

namespace longspan {
int threads_at_hand(int wanted);
}
