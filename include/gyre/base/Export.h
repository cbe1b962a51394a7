// Export: what the shared library shows to the linker; everything else is hidden.
#pragma once

#define GYRE_API __attribute__((visibility("default")))
