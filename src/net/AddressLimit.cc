#include "net/AddressLimit.h"

namespace gyre {

bool AddressLimit::enter(std::uint64_t id, const std::string& ip) {
  if (ip.empty()) return true;
  const std::lock_guard lock(mutex_);
  const auto known = counts_.find(ip);
  if (known != counts_.end() && known->second >= limit_) return false;
  addresses_.emplace(id, ip);
  try {
    ++counts_[ip];
  } catch (...) {
    addresses_.erase(id);
    throw;
  }
  return true;
}

void AddressLimit::leave(std::uint64_t id) noexcept {
  const std::lock_guard lock(mutex_);
  const auto entry = addresses_.find(id);
  if (entry == addresses_.end()) return;
  const auto count = counts_.find(entry->second);
  if (--count->second == 0) counts_.erase(count);
  addresses_.erase(entry);
}

}  // namespace gyre
