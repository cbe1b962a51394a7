#include "proactor/epoll/WatchTable.h"

#include <new>

namespace gyre {

Watch* WatchTable::findOrGrow(std::int32_t fd) noexcept {
  if (Watch* known = find(fd)) return known;
  const std::size_t chunks = static_cast<std::size_t>(fd) / kChunk + 1;
  try {
    chunks_.reserve(chunks);
    while (chunks_.size() < chunks) chunks_.push_back(std::make_unique<Watch[]>(kChunk));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return find(fd);
}

void WatchTable::pushWork(std::int32_t fd) noexcept {
  Watch& watch = *find(fd);
  if (watch.has(Watch::kWorking)) return;
  watch.set(Watch::kWorking);
  watch.nextWorking = -1;
  (workSize_ == 0 ? firstWorking_ : find(lastWorking_)->nextWorking) = fd;
  lastWorking_ = fd;
  ++workSize_;
}

std::int32_t WatchTable::popWork() noexcept {
  const std::int32_t fd = firstWorking_;
  Watch& watch = *find(fd);
  firstWorking_ = watch.nextWorking;
  watch.clear(Watch::kWorking);
  --workSize_;
  return fd;
}

}  // namespace gyre
