#include "sim/SimOperation.h"

#include <algorithm>
#include <cstring>

namespace gyre {
namespace {

constexpr const char* kChanged = "bytes were changed or freed while their send was in flight";

}  // namespace

SimOutput::SimOutput(std::span<const IoSlice> slices) : slices_(slices.begin(), slices.end()) {
  GYRE_CHECK(!slices.empty() && slices.size() <= kSendSlicesMax, "send takes 1 to 32 slices");
  for (const IoSlice& slice : slices) {
    GYRE_CHECK(slice.data != nullptr && slice.size > 0, "send takes no empty slice");
    snapshot_.append(slice.data, slice.size);
  }
  GYRE_CHECK(snapshot_.size() <= kSendBytesMax, "send takes at most 256 KiB together");
}

void SimOutput::writeTo(SimLink& link, SimSide side, std::size_t n) {
  while (n > 0) {
    const IoSlice& slice = slices_[slice_];
    const std::size_t size = std::min(n, slice.size - inSlice_);
    const char* bytes = slice.data + inSlice_;
    GYRE_CHECK(std::memcmp(bytes, snapshot_.data() + done_, size) == 0, kChanged);
    link.write(side, {bytes, size});
    n -= size;
    done_ += size;
    inSlice_ += size;
    if (inSlice_ < slice.size) continue;
    ++slice_;
    inSlice_ = 0;
  }
}

bool SimOutput::isOf(SimLender& lender) const noexcept {
  return std::any_of(slices_.begin(), slices_.end(),
                     [&lender](const IoSlice& slice) { return lender.isLent(slice.data); });
}

bool SimOutput::isIn(const char* memory, std::size_t size) const noexcept {
  return std::any_of(slices_.begin(), slices_.end(), [=](const IoSlice& slice) {
    return slice.data >= memory && slice.data < memory + size;
  });
}

void SimOutput::checkUnchanged() const {
  const char* expected = snapshot_.data();
  for (const IoSlice& slice : slices_) {
    GYRE_CHECK(std::memcmp(slice.data, expected, slice.size) == 0, kChanged);
    expected += slice.size;
  }
}

}  // namespace gyre
