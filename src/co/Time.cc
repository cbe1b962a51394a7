#include "gyre/co/Time.h"

#include "gyre/loop/EventLoop.h"

namespace gyre::co {

void Sleep::arm() {
  timer_ = scheduler().loop().runAfter(delay_, [this] {
    timer_ = {};
    leave();
  });
}

void Sleep::disarm() noexcept {
  if (timer_.isValid()) scheduler().loop().cancel(timer_);
  timer_ = {};
}

void Sleep::onStop() noexcept {
  disarm();
  leaveStopped();
}

namespace internal {

TimeLimit::TimeLimit(EventLoop& loop, TimeSpan limit, StopScope& scope) : loop_(loop) {
  timer_ = loop.runAfter(limit, [this, &scope] {
    timer_ = {};
    isOver_ = true;
    scope.request();
  });
}

TimeLimit::~TimeLimit() {
  if (timer_.isValid()) loop_.cancel(timer_);
}

}  // namespace internal

}  // namespace gyre::co
