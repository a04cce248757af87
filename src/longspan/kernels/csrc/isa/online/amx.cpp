#define LONGSPAN_ISA amx
#include "../../learn.h"
