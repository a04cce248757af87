#define LONGSPAN_ISA amx
#define LONGSPAN_NAME "amx"
#define LONGSPAN_WIDTH 16
#include "build.h"
