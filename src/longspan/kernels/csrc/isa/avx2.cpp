#define LONGSPAN_ISA avx2
#define LONGSPAN_NAME "avx2"
#define LONGSPAN_WIDTH 8
#include "build.h"
