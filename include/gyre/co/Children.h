// Children: tasks that run beside each other while their parent waits for the end of all.
//
// Thread  The parent's loop.
// Borrows The tasks.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>

#include "gyre/co/Promise.h"
#include "gyre/co/Scheduler.h"
#include "gyre/co/StopScope.h"
#include "gyre/co/Task.h"

namespace gyre::co {

class GYRE_API Children final : public Completion {
 public:
  // What makes those that still run superfluous: they are cancelled then.
  enum class StopOn { Error, FirstEnd };

  explicit Children(StopOn stopOn) noexcept : stopOn_(stopOn) {}

  // The first that ended; null before.
  const Promise* first() const noexcept { return first_; }
  // Throws what the first that failed threw.
  void rethrow() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

  // `start(child)` is called by `forEach` with each promise and its frame.
  template <typename ForEach>
  class Awaiter {
   public:
    Awaiter(Children& children, ForEach forEach) : children_(children), forEach_(forEach) {}
    bool await_ready() const noexcept { return false; }
    template <typename Parent>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Parent> parent) noexcept {
      Promise& promise = parent.promise();
      Scheduler& scheduler = promise.scheduler();
      children_.begin(parent, promise);
      forEach_([&](Promise& child, std::coroutine_handle<> frame) {
        children_.start(child, frame, scheduler);
      });
      return children_.oneLess();
    }
    void await_resume() noexcept { children_.scope_.reset(); }

   private:
    Children& children_;
    ForEach forEach_;
  };

  template <typename... T>
  auto all(Task<T>&... tasks) {
    const auto frames = std::make_tuple(tasks.frame()...);
    const auto forEach = [frames](auto start) {
      std::apply([&](auto... frame) { (start(frame.promise(), frame), ...); }, frames);
    };
    return Awaiter(*this, forEach);
  }
  // Borrows the container of tasks.
  template <typename Tasks>
  auto allOf(Tasks& tasks) {
    const auto forEach = [&tasks](auto start) {
      for (auto& task : tasks) start(task.frame().promise(), task.frame());
    };
    return Awaiter(*this, forEach);
  }

  std::coroutine_handle<> taskEnded(Promise& promise) noexcept override;

 private:
  void begin(std::coroutine_handle<> parent, Promise& promise) noexcept;
  void start(Promise& child, std::coroutine_handle<> frame, Scheduler& scheduler) noexcept;
  std::coroutine_handle<> oneLess() noexcept;

  const StopOn stopOn_;
  std::optional<StopScope> scope_;
  std::coroutine_handle<> parent_;
  std::size_t running_ = 0;  // and 1 while they are being started
  const Promise* first_ = nullptr;
  std::exception_ptr error_;
};

}  // namespace gyre::co
