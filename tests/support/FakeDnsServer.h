// FakeDnsServer: a name server on a free port of 127.0.0.1 that answers as it is told.
//
// Thread  One: serve() is called while the test waits.
// Owns    Its sockets.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gyre/base/InetAddress.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {

struct DnsAnswer {
  enum class Kind {
    Addresses,
    NoSuchName,
    ServerFailure,
    Silence,
    Truncated,  // over UDP; the addresses over TCP
    Garbage,    // bytes that are no message, under the right id
    HalfAMessage,
  };
  Kind kind = Kind::Addresses;
  // Of the question for one family, where it differs.
  std::optional<Kind> kindV4 = {};
  std::optional<Kind> kindV6 = {};
  std::vector<std::string> ipv4 = {};
  std::vector<std::string> ipv6 = {};
};

class FakeDnsServer {
 public:
  FakeDnsServer();

  InetAddress address() const;
  // Names are in small letters; all others do not exist.
  void answer(const std::string& name, DnsAnswer how) { names_[name] = std::move(how); }
  // Answers what has come by now.
  void serve();
  // Questions that have come, over UDP and over TCP.
  std::size_t udpQuestions() const noexcept { return udpQuestions_; }
  std::size_t tcpQuestions() const noexcept { return tcpQuestions_; }
  // Each once, as "name A" or "name AAAA", in the order of their coming.
  const std::vector<std::string>& asked() const noexcept { return asked_; }

 private:
  void serveUdp();
  void serveTcp(int fd);
  void note(const std::string& question);
  // What is to be sent back, if anything.
  std::optional<std::string> reply(std::string_view question, bool isTcp);

  UniqueFd udp_;
  UniqueFd listener_;
  std::vector<UniqueFd> connections_;
  std::map<std::string, DnsAnswer> names_;
  std::vector<std::string> asked_;
  std::size_t udpQuestions_ = 0;
  std::size_t tcpQuestions_ = 0;
};

}  // namespace gyre
