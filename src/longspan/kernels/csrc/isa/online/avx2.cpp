#define LONGSPAN_ISA avx2
#include "../../learn.h"
