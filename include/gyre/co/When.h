// When: whenAll and whenAny run several tasks at the same time on the loop of their parent.
//
//   auto [user, orders] = co_await co::whenAll(loadUser(id), loadOrders(id));
//   auto answer = co_await co::whenAny(ask(first), ask(second));   // a variant: by index()
//
// None is left running: those that are no longer wanted are cancelled, and their ends awaited.
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "gyre/co/Children.h"
#include "gyre/co/Task.h"

namespace gyre::co {

// The values of all; a void becomes Nothing. The first error cancels the others, and is thrown once
// all have ended.
template <typename... T>
Task<std::tuple<Stored<T>...>> whenAll(Task<T>... tasks) {
  Children children(Children::StopOn::Error);
  co_await children.all(tasks...);
  children.rethrow();
  co_return std::tuple<Stored<T>...>(tasks.frame().promise().takeStored()...);
}

// In the order of the tasks.
template <typename T>
Task<std::vector<Stored<T>>> whenAll(std::vector<Task<T>> tasks) {
  Children children(Children::StopOn::Error);
  co_await children.allOf(tasks);
  children.rethrow();
  std::vector<Stored<T>> values;
  values.reserve(tasks.size());
  for (Task<T>& task : tasks) values.push_back(task.frame().promise().takeStored());
  co_return values;
}

namespace internal {

template <std::size_t I, typename Value, typename First, typename... Rest>
Value takeFirst(const Promise* first, First& task, Rest&... rest) {
  if (&task.frame().promise() == first) {
    return Value(std::in_place_index<I>, task.frame().promise().takeStored());
  }
  if constexpr (sizeof...(Rest) == 0) {
    GYRE_CHECK(false, "whenAny ended without an end");
    std::terminate();
  } else {
    return takeFirst<I + 1, Value>(first, rest...);
  }
}

}  // namespace internal

// The value of the first that ends, or its error; the others are cancelled.
template <typename... T>
Task<std::variant<Stored<T>...>> whenAny(Task<T>... tasks) {
  static_assert(sizeof...(T) > 0);
  Children children(Children::StopOn::FirstEnd);
  co_await children.all(tasks...);
  co_return internal::takeFirst<0, std::variant<Stored<T>...>>(children.first(), tasks...);
}

// Its place, and its value.
template <typename T>
Task<std::pair<std::size_t, Stored<T>>> whenAny(std::vector<Task<T>> tasks) {
  GYRE_CHECK(!tasks.empty(), "whenAny needs a task");
  Children children(Children::StopOn::FirstEnd);
  co_await children.allOf(tasks);
  std::size_t index = 0;
  while (&tasks[index].frame().promise() != children.first()) ++index;
  co_return std::pair<std::size_t, Stored<T>>(index, tasks[index].frame().promise().takeStored());
}

}  // namespace gyre::co
