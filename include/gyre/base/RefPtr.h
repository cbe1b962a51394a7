// RefPtr: shared ownership of an object that carries its own count: one pointer wide.
//
// Thread  Copies may be made and dropped on any thread; the object is as safe as it says itself.
// Ends    With the last RefPtr, on the thread that drops it.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "gyre/base/Export.h"

namespace gyre {

// Base of what a RefPtr can hold.
class RefCounted {
 public:
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

 protected:
  RefCounted() = default;
  ~RefCounted() = default;

 private:
  template <typename T>
  friend class RefPtr;

  std::atomic<std::uint32_t> references_{0};
};

template <typename T>
class RefPtr {
 public:
  RefPtr() noexcept = default;
  explicit RefPtr(T* object) noexcept : object_(object) { retain(); }
  RefPtr(const RefPtr& other) noexcept : object_(other.object_) { retain(); }
  RefPtr(RefPtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  RefPtr& operator=(RefPtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~RefPtr() { drop(); }

  T* get() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  void retain() noexcept {
    if (object_ != nullptr) object_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  void drop() noexcept {
    // acq_rel: whoever drops the last reference sees what all others did to the object.
    if (object_ != nullptr && object_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete object_;
    }
  }

  T* object_ = nullptr;
};

template <typename T, typename... Args>
RefPtr<T> makeRef(Args&&... args) {
  return RefPtr<T>(new T(std::forward<Args>(args)...));
}

}  // namespace gyre
