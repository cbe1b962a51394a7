// BlockList: a free list of equal blocks, carved from chunks, that are not constructed or cleared.
//
// Thread  One.
// Owns    All blocks, in use or not. They go back to the system with the list.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace gyre {

template <typename Block>
class BlockList {
  static_assert(std::is_trivially_destructible_v<Block>);

 public:
  // An uninitialised block, or null when memory is out.
  Block* acquire() noexcept {
    if (free_ == nullptr && !grow()) return nullptr;
    Slot* slot = free_;
    free_ = slot->next;
    return std::launder(reinterpret_cast<Block*>(slot));
  }

  void release(Block* block) noexcept {
    Slot* slot = new (block) Slot;
    slot->next = free_;
    free_ = slot;
  }

 private:
  union Slot {
    Slot* next = nullptr;
    alignas(Block) std::byte bytes[sizeof(Block)];
  };
  static constexpr std::size_t kChunk = 16;

  bool grow() noexcept {
    try {
      chunks_.push_back(std::make_unique_for_overwrite<Slot[]>(kChunk));
    } catch (const std::bad_alloc&) {
      return false;
    }
    for (std::size_t i = kChunk; i > 0; --i) {
      Slot& slot = chunks_.back()[i - 1];
      slot.next = free_;
      free_ = &slot;
    }
    return true;
  }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  Slot* free_ = nullptr;
};

}  // namespace gyre
