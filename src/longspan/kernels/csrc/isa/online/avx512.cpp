#define LONGSPAN_ISA avx512
#include "../../learn.h"
