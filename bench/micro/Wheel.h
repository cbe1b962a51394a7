// Wheel: what entries of the timing wheel cost, by how many there are.
#pragma once

#include "Measured.h"

namespace micro {

// Adds rows for wheels of 10 thousand, 100 thousand and a million entries.
void addWheelCosts(Report& report);

}  // namespace micro
