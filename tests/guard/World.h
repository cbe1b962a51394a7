// World: a loop, and peers of the servers on it, in the kernel's network or in a simulated one.
//
// Everything happens on one thread and in lockstep: all peers speak, the loop runs, all peers hear.
// So a load needs the same instructions each time. What belongs to the peers is not counted.
//
// Thread  One.
// Owns    The loop and the peers. Servers end before it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "gyre/loop/EventLoop.h"

namespace gyre::guard {

class World {
 public:
  virtual ~World() = default;

  virtual EventLoop& loop() = 0;
  // That many peers more.
  virtual void connect(const InetAddress& server, std::size_t peers) = 0;
  // Each peer says the text and hears as many bytes.
  virtual void exchange(std::string_view text) = 0;
  // All peers close.
  virtual void disconnect() = 0;
  virtual void runUntil(const std::function<bool()>& isDone) = 0;
};

std::unique_ptr<World> makeKernelWorld(Engine engine);
std::unique_ptr<World> makeSimWorld();

}  // namespace gyre::guard
