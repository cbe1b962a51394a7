// ConformanceFixture: the base of every conformance test: one world, one loop, nothing left behind.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "support/ConformanceLoop.h"

namespace gyre {

// The engines of this program, each with its usual sizes and with tiny ones.
std::vector<ConformanceEngine> conformanceEngines();
// Those whose handles are descriptors and whose time is real: other threads wake them.
std::vector<ConformanceEngine> kernelConformanceEngines();
// Those that no fault disturbs: what something costs can be counted.
std::vector<ConformanceEngine> undisturbedConformanceEngines();

// The name in the parameter of a test.
std::string conformanceEngineName(const testing::TestParamInfo<ConformanceEngine>& info);

// For link(): a send of kSendBytesMax gets stuck behind a peer that does not read.
inline constexpr int kTinyBuffers = 4096;

class ConformanceFixture : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  virtual const ConformanceEngine& engine() const = 0;

  ConformanceWorld& world() noexcept { return *world_; }
  // Made by the first call, so that a test can fork before there is an engine.
  ConformanceLoop& loop();
  Proactor& proactor() { return loop().proactor(); }

  struct Link {
    ConformanceSocket near;
    std::unique_ptr<ConformancePeer> far;
  };
  Link link(int bufferBytes = 0);
  ConformanceSocket listen(const ListenOptions& options = {});
  ConformanceSocket socket();
  // Takes over a descriptor of the kernel.
  ConformanceSocket adopt(int fd);
  // Runs `body` in a child process, which fails this test when it fails there.
  static void runInChild(const std::function<void()>& body);

 private:
  std::unique_ptr<ConformanceWorld> world_;
  std::unique_ptr<ConformanceLoop> loop_;
  std::size_t descriptors_ = 0;
};

class ConformanceTest : public ConformanceFixture,
                        public testing::WithParamInterface<ConformanceEngine> {
 protected:
  const ConformanceEngine& engine() const override { return GetParam(); }
};

}  // namespace gyre
