// PageResidency: what the kernel says of pages: mapped, resident, shared with a child or not.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gyre {

inline char* pageOf(const char* address) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(address) / page * page);
}

// True when every byte of the range belongs to a mapping of this process.
inline bool isMapped(const char* data, std::size_t size) {
  char* first = pageOf(data);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> states((size + page - 1) / page + 1);
  return ::mincore(first, size, states.data()) == 0 || errno != ENOMEM;
}

// How many pages of a page-aligned range are in memory.
inline std::size_t residentPages(const char* data, std::size_t size) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> states((size + page - 1) / page);
  if (::mincore(pageOf(data), size, states.data()) != 0) return 0;
  return static_cast<std::size_t>(
      std::count_if(states.begin(), states.end(), [](unsigned char s) { return (s & 1) != 0; }));
}

}  // namespace gyre
