// Transfer: the memory that a send, receiveInto or read works on while it is in flight.
//
// Thread  The engine's.
// Owns    TransferPool owns all transfers, in use or not. What their slices point to is the user's.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "gyre/proactor/Proactor.h"
#include "proactor/BlockList.h"

namespace gyre {

struct Transfer {
  IoContext* next;      // in the chain of the descriptor
  iovec* slices;        // what is left: the first begins behind what was done
  std::size_t done;     // bytes
  std::uint32_t count;  // of slices
  bool isLarge;

  // REQUIRES: bytes are not more than is left.
  void advance(std::size_t bytes) noexcept {
    done += bytes;
    while (count > 0 && bytes >= slices->iov_len) {
      bytes -= slices->iov_len;
      ++slices;
      --count;
    }
    if (count == 0) return;
    slices->iov_base = static_cast<char*>(slices->iov_base) + bytes;
    slices->iov_len -= bytes;
  }
};

inline bool hasTransfer(IoKind kind) noexcept {
  return kind == IoKind::Send || kind == IoKind::ReceiveInto || kind == IoKind::Read;
}

inline Transfer& transferOf(IoContext& context) noexcept {
  return *static_cast<Transfer*>(context.state().block);
}

class TransferPool {
 public:
  // Null when memory is out. REQUIRES: 1..kSendSlicesMax slices.
  Transfer* acquire(std::span<const IoSlice> slices) noexcept {
    return slices.size() <= kFew ? fill(few_.acquire(), slices) : fill(many_.acquire(), slices);
  }

  void release(Transfer& transfer) noexcept {
    if (transfer.isLarge) {
      many_.release(static_cast<Sized<kSendSlicesMax>*>(&transfer));
    } else {
      few_.release(static_cast<Sized<kFew>*>(&transfer));
    }
  }

 private:
  // Most sends have one or two slices; ten thousand stalled ones should not cost 544 bytes each.
  static constexpr std::size_t kFew = 4;

  template <std::size_t Count>
  struct Sized : Transfer {
    std::array<iovec, Count> storage;
  };

  template <std::size_t Count>
  static Transfer* fill(Sized<Count>* transfer, std::span<const IoSlice> slices) noexcept {
    if (transfer == nullptr) return nullptr;
    transfer->next = nullptr;
    transfer->slices = transfer->storage.data();
    transfer->done = 0;
    transfer->count = static_cast<std::uint32_t>(slices.size());
    transfer->isLarge = Count != kFew;
    iovec* slice = transfer->slices;
    for (const IoSlice& from : slices) *slice++ = {const_cast<char*>(from.data), from.size};
    return transfer;
  }

  BlockList<Sized<kFew>> few_;
  BlockList<Sized<kSendSlicesMax>> many_;
};

}  // namespace gyre
