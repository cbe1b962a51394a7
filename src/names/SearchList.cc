#include "names/SearchList.h"

#include <algorithm>
#include <string_view>

namespace gyre {
namespace {

constexpr std::size_t kNameMax = 254;  // RFC 1035, 2.3.4, with the dot at the end

// "search ." names the root: what it adds to a name is nothing, and the name as it is comes anyway.
std::string_view withoutDots(std::string_view domain) noexcept {
  while (domain.starts_with('.')) domain.remove_prefix(1);
  while (domain.ends_with('.')) domain.remove_suffix(1);
  return domain;
}

}  // namespace

std::vector<std::string> SearchList::namesOf(const std::string& host) const {
  if (host.ends_with('.')) return {host};
  const std::string asItIs = host + ".";
  const bool isFirst = std::count(host.begin(), host.end(), '.') >= dotsMin;
  std::vector<std::string> names;
  if (isFirst) names.push_back(asItIs);
  for (const std::string& domain : domains) {
    const std::string_view suffix = withoutDots(domain);
    if (suffix.empty() || asItIs.size() + suffix.size() + 1 > kNameMax) continue;
    names.push_back(std::string(asItIs).append(suffix).append("."));
  }
  if (!isFirst) names.push_back(asItIs);
  return names;
}

bool isLocalhost(const std::string& host) noexcept {
  constexpr std::string_view kName = "localhost";
  std::string_view name = host;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() < kName.size()) return false;
  const std::string_view end = name.substr(name.size() - kName.size());
  const bool isIt = std::equal(end.begin(), end.end(), kName.begin(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
  return isIt && (name.size() == kName.size() || name[name.size() - kName.size() - 1] == '.');
}

}  // namespace gyre
