// AddressLimit: how many connections of one server come from each IP address.
//
// A connection is known by its id, since the kernel no longer tells the address of one that was
// reset.
//
// Thread  Any. It locks, and is asked only when there is such a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

namespace gyre {

class AddressLimit {
 public:
  // Before the first connection; 0: none, then nothing else is to be called.
  void setLimit(std::size_t connections) noexcept { limit_ = connections; }
  bool isOn() const noexcept { return limit_ != 0; }

  // False when so many from there are in already. May throw std::bad_alloc: then it is not in.
  bool enter(std::uint64_t id, const std::string& ip);
  void leave(std::uint64_t id) noexcept;

 private:
  std::size_t limit_ = 0;
  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> counts_;
  std::unordered_map<std::uint64_t, std::string> addresses_;  // by id
};

}  // namespace gyre
