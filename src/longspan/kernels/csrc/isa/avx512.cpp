#define LONGSPAN_ISA avx512
#define LONGSPAN_NAME "avx512"
#define LONGSPAN_WIDTH 16
#include "build.h"
