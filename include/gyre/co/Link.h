// Link: membership of an object in one intrusive list, which costs no memory and cannot fail.
//
// Thread  That of the list, or under the lock of the list.
// Ends    Leaves its list when it is destroyed.
#pragma once

#include "gyre/base/Export.h"

namespace gyre::co {

class Link {
 public:
  Link() noexcept = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { unlink(); }

  bool isLinked() const noexcept { return next_ != this; }
  void unlink() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

 private:
  template <typename T>
  friend class LinkList;

  void insertBefore(Link& other) noexcept {
    previous_ = other.previous_;
    next_ = &other;
    previous_->next_ = this;
    other.previous_ = this;
  }

  Link* previous_ = this;
  Link* next_ = this;
};

// A list of objects that derive from Link, oldest first. T may be incomplete where it is declared.
template <typename T>
class LinkList {
 public:
  bool isEmpty() const noexcept { return !head_.isLinked(); }
  // REQUIRES: the object is in no list.
  void append(T& object) noexcept { static_cast<Link&>(object).insertBefore(head_); }
  // REQUIRES: not empty.
  T& first() noexcept { return static_cast<T&>(*head_.next_); }
  // The oldest, taken out, or null.
  T* pop() noexcept {
    if (isEmpty()) return nullptr;
    T& object = first();
    static_cast<Link&>(object).unlink();
    return &object;
  }
  // Takes all of the other list's, behind its own.
  void takeAll(LinkList& other) noexcept {
    while (T* object = other.pop()) append(*object);
  }
  // REQUIRES: `call` takes no object out but the one it is given.
  template <typename Call>
  void forEach(Call call) {
    for (Link* link = head_.next_; link != &head_;) {
      Link* next = link->next_;
      call(static_cast<T&>(*link));
      link = next;
    }
  }

 private:
  Link head_;
};

}  // namespace gyre::co
