// Export: what the shared library shows to the linker; everything else is hidden.
//
// Every public header includes this one, directly or through another, so that a compiler without
// C++20 says so in its first error.
#pragma once

#if __cplusplus <= 201703L
#error "gyre needs C++20: compile with -std=c++20 (CMake: link gyre::gyre, or set cxx_std_20)"
#endif

#define GYRE_API __attribute__((visibility("default")))
