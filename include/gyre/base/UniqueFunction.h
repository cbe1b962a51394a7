// UniqueFunction: a callable that is moved, never copied; small ones need no memory.
//
// A callable of at most 48 bytes whose move cannot throw is stored inside, any other on the heap.
// Null function pointers, null member pointers and empty function wrappers make an empty one.
// Moved-from is empty. Like any non-const member, a call may change what it calls.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "gyre/base/Check.h"

namespace gyre {

template <class Signature>
class UniqueFunction;

// True for the types that may hold no callable and say so by comparing equal to nullptr.
template <class T>
inline constexpr bool kMayBeNullCallable = std::is_pointer_v<T> || std::is_member_pointer_v<T>;
template <class Signature>
inline constexpr bool kMayBeNullCallable<std::function<Signature>> = true;
template <class Signature>
inline constexpr bool kMayBeNullCallable<UniqueFunction<Signature>> = true;

template <class R, class... A>
class UniqueFunction<R(A...)> {
 public:
  static constexpr std::size_t kInlineSize = 48;

  UniqueFunction() noexcept = default;
  UniqueFunction(std::nullptr_t) noexcept {}

  template <class F, class Callable = std::decay_t<F>>
  requires(!std::is_same_v<Callable, UniqueFunction> && std::is_invocable_r_v<R, Callable&, A...>)
      UniqueFunction(F&& callable) {
    if constexpr (kMayBeNullCallable<Callable>) {
      if (isNull<Callable>(callable)) return;
    }
    store<Callable>(std::forward<F>(callable));
  }

  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this == &other) return *this;
    reset();
    take(other);
    return *this;
  }
  UniqueFunction& operator=(std::nullptr_t) noexcept {
    reset();
    return *this;
  }
  ~UniqueFunction() { reset(); }

  explicit operator bool() const noexcept { return invoke_ != nullptr; }

  // REQUIRES: not empty.
  R operator()(A... args) {
    GYRE_CHECK(invoke_ != nullptr, "an empty UniqueFunction was called");
    return invoke_(storage_, std::forward<A>(args)...);
  }

  friend bool operator==(const UniqueFunction& f, std::nullptr_t) noexcept { return !f; }

 private:
  using Invoke = R (*)(std::byte* storage, A&&... args);
  // Destroys the callable in from, after moving it to where to is not null.
  using Manage = void (*)(std::byte* from, std::byte* to) noexcept;

  template <class F>
  static constexpr bool kFitsInline =
      sizeof(F) <= kInlineSize &&
      alignof(F) <= alignof(std::max_align_t) && std::is_nothrow_move_constructible_v<F>;

  // By reference to the decayed type: a function itself is never null, a pointer to one may be.
  template <class F>
  static bool isNull(const F& callable) noexcept {
    return callable == nullptr;
  }

  template <class F>
  static F& inlined(std::byte* storage) noexcept {
    return *std::launder(reinterpret_cast<F*>(storage));
  }
  template <class F>
  static F*& onHeap(std::byte* storage) noexcept {
    return *std::launder(reinterpret_cast<F**>(storage));
  }

  template <class F>
  static R invokeStored(std::byte* storage, A&&... args) {
    if constexpr (kFitsInline<F>) {
      return call(inlined<F>(storage), std::forward<A>(args)...);
    } else {
      return call(*onHeap<F>(storage), std::forward<A>(args)...);
    }
  }

  template <class F>
  static R call(F& callable, A&&... args) {
    if constexpr (std::is_void_v<R>) {
      std::invoke(callable, std::forward<A>(args)...);
    } else {
      return std::invoke(callable, std::forward<A>(args)...);
    }
  }

  template <class F>
  static void manageInline(std::byte* from, std::byte* to) noexcept {
    F& callable = inlined<F>(from);
    if (to != nullptr) ::new (static_cast<void*>(to)) F(std::move(callable));
    callable.~F();
  }

  template <class F>
  static void manageHeap(std::byte* from, std::byte* to) noexcept {
    F* callable = onHeap<F>(from);
    if (to != nullptr) {
      ::new (static_cast<void*>(to)) F*(callable);
    } else {
      delete callable;
    }
  }

  template <class F, class Source>
  void store(Source&& source) {
    if constexpr (kFitsInline<F>) {
      ::new (static_cast<void*>(storage_)) F(std::forward<Source>(source));
      manage_ = &manageInline<F>;
    } else {
      auto callable = std::make_unique<F>(std::forward<Source>(source));
      ::new (static_cast<void*>(storage_)) F*(callable.release());
      manage_ = &manageHeap<F>;
    }
    invoke_ = &invokeStored<F>;
  }

  void take(UniqueFunction& other) noexcept {
    if (!other) return;
    other.manage_(other.storage_, storage_);
    invoke_ = std::exchange(other.invoke_, nullptr);
    manage_ = std::exchange(other.manage_, nullptr);
  }

  // Empty before the callable dies: its destructor may look at the object that holds this one.
  void reset() noexcept {
    if (invoke_ == nullptr) return;
    invoke_ = nullptr;
    std::exchange(manage_, nullptr)(storage_, nullptr);
  }

  alignas(std::max_align_t) std::byte storage_[kInlineSize];
  Invoke invoke_ = nullptr;
  Manage manage_ = nullptr;
};

static_assert(sizeof(UniqueFunction<void()>) == 64, "one cache line");

}  // namespace gyre
