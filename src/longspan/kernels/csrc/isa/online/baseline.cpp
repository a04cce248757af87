#define LONGSPAN_ISA baseline
#include "../../learn.h"
