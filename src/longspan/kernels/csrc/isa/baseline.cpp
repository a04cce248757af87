#define LONGSPAN_ISA baseline
#define LONGSPAN_NAME "baseline"
#define LONGSPAN_WIDTH 4
#include "build.h"
