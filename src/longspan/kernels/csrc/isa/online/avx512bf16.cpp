#define LONGSPAN_ISA avx512bf16
#include "../../learn.h"
