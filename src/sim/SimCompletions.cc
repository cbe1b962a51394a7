#include "sim/SimCompletions.h"

#include <algorithm>

namespace gyre {

void SimCompletions::push(SimCompletion completion) {
  SimOperation& operation = *completion.operation;
  completion.at = std::max(world_.now(), operation.completionsAt);
  if (world_.strikes(SimFault::CompletionDelayed)) {
    completion.at += world_.skewed(std::chrono::milliseconds(10));
  }
  operation.completionsAt = completion.at;
  queue_.push_back(completion);
}

std::size_t SimCompletions::dueCount() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(queue_.begin(), queue_.end(),
                    [now = world_.now()](const SimCompletion& c) { return c.at <= now; }));
}

TimePoint SimCompletions::nextTime() const noexcept {
  TimePoint next = kForever;
  for (const SimCompletion& completion : queue_) next = std::min(next, completion.at);
  return next;
}

SimCompletion SimCompletions::take() {
  const TimePoint now = world_.now();
  const auto isDue = [now](const SimCompletion& c) { return c.at <= now; };
  auto first = std::find_if(queue_.begin(), queue_.end(), isDue);
  GYRE_CHECK(first != queue_.end(), "take: dueCount() > 0");
  auto chosen = first;
  if (world_.draws(SimFault::CompletionReordered)) {
    const auto start = world_.random().below(queue_.size());
    auto any =
        std::find_if(queue_.begin() + static_cast<std::ptrdiff_t>(start), queue_.end(), isDue);
    if (any == queue_.end()) any = first;
    // The oldest of its operation; that one is due too.
    chosen = std::find_if(queue_.begin(), queue_.end(),
                          [any](const SimCompletion& c) { return c.operation == any->operation; });
    if (chosen != first) world_.count(SimFault::CompletionReordered);
  }
  const SimCompletion completion = *chosen;
  queue_.erase(chosen);
  return completion;
}

}  // namespace gyre
