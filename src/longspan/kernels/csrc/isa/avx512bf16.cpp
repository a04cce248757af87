#define LONGSPAN_ISA avx512bf16
#define LONGSPAN_NAME "avx512bf16"
#define LONGSPAN_WIDTH 16
#include "build.h"
