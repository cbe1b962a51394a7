// refused: use a pointer for a reference
#include "gyre/co.h"

gyre::co::Task<int&> reference(int& value) { co_return value; }
