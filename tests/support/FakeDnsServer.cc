#include "support/FakeDnsServer.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace gyre {
namespace {

constexpr std::size_t kHeaderSize = 12;  // RFC 1035, 4.1.1
constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeAaaa = 28;
constexpr std::uint16_t kAnswerFlags = 0x8180;  // an answer; recursion desired and available
constexpr std::uint16_t kTruncatedFlag = 0x0200;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void put16(std::string& out, std::size_t value) {
  out.push_back(static_cast<char>((value >> 8) & 0xff));
  out.push_back(static_cast<char>(value & 0xff));
}

std::uint16_t get16(std::string_view bytes, std::size_t at) {
  const auto high = static_cast<unsigned char>(bytes[at]);
  const auto low = static_cast<unsigned char>(bytes[at + 1]);
  return static_cast<std::uint16_t>(high << 8 | low);
}

struct Question {
  std::string name;
  std::uint16_t type = 0;
  std::size_t end = 0;  // where it ends in the message
};

std::optional<Question> parse(std::string_view message) {
  Question question;
  std::size_t at = kHeaderSize;
  while (at < message.size() && message[at] != 0) {
    const auto size = static_cast<std::size_t>(message[at]);
    if (at + 1 + size >= message.size()) return std::nullopt;
    if (!question.name.empty()) question.name += '.';
    question.name += message.substr(at + 1, size);
    at += 1 + size;
  }
  if (at + 5 > message.size()) return std::nullopt;
  for (char& letter : question.name) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  question.type = get16(message, at + 1);
  question.end = at + 5;
  return question;
}

std::string records(const std::vector<std::string>& addresses, std::uint16_t type) {
  std::string out;
  for (const std::string& text : addresses) {
    std::array<char, 16> binary{};
    const int family = type == kTypeA ? AF_INET : AF_INET6;
    const std::size_t size = type == kTypeA ? 4 : 16;
    if (::inet_pton(family, text.c_str(), binary.data()) != 1) fail("inet_pton");
    put16(out, 0xc000 | kHeaderSize);  // the name of the question
    put16(out, type);
    put16(out, 1);  // IN
    put16(out, 0);
    put16(out, 60);  // seconds to live
    put16(out, size);
    out.append(binary.data(), size);
  }
  return out;
}

}  // namespace

FakeDnsServer::FakeDnsServer()
    : udp_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  const InetAddress any = InetAddress::loopback(0);
  if (!udp_ || !listener_) fail("socket");
  if (::bind(listener_.get(), any.sockaddrPtr(), any.length()) != 0) fail("bind");
  if (::listen(listener_.get(), 16) != 0) fail("listen");
  const InetAddress same = address();
  if (::bind(udp_.get(), same.sockaddrPtr(), same.length()) != 0) fail("bind to the same port");
}

InetAddress FakeDnsServer::address() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(listener_.get(), address, &length) != 0) fail("getsockname");
  return InetAddress::fromSockaddr(address, length);
}

void FakeDnsServer::serve() {
  serveUdp();
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) connections_.push_back(std::move(fd));
  for (const UniqueFd& connection : connections_) serveTcp(connection.get());
}

void FakeDnsServer::serveUdp() {
  std::array<char, 1500> bytes;
  sockaddr_storage storage{};
  auto* from = reinterpret_cast<sockaddr*>(&storage);
  while (true) {
    socklen_t length = sizeof storage;
    const ssize_t got = ::recvfrom(udp_.get(), bytes.data(), bytes.size(), 0, from, &length);
    if (got <= 0) return;
    ++udpQuestions_;
    const auto answer = reply({bytes.data(), static_cast<std::size_t>(got)}, false);
    if (answer) ::sendto(udp_.get(), answer->data(), answer->size(), 0, from, length);
  }
}

// A question comes in one segment here.
void FakeDnsServer::serveTcp(int fd) {
  std::array<char, 1500> bytes;
  const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
  std::string_view rest(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (rest.size() > 2) {
    const std::size_t size = get16(rest, 0);
    if (rest.size() < 2 + size) return;
    ++tcpQuestions_;
    if (const auto answer = reply(rest.substr(2, size), true)) {
      std::string framed;
      put16(framed, answer->size());
      framed += *answer;
      ::send(fd, framed.data(), framed.size(), MSG_NOSIGNAL);
    }
    rest.remove_prefix(2 + size);
  }
}

void FakeDnsServer::note(const std::string& question) {
  if (std::find(asked_.begin(), asked_.end(), question) == asked_.end()) asked_.push_back(question);
}

std::optional<std::string> FakeDnsServer::reply(std::string_view message, bool isTcp) {
  const auto question = parse(message);
  if (!question) return std::nullopt;
  const auto known = names_.find(question->name);
  const DnsAnswer how =
      known == names_.end() ? DnsAnswer{DnsAnswer::Kind::NoSuchName} : known->second;
  using Kind = DnsAnswer::Kind;
  const bool isV4 = question->type == kTypeA;
  note(question->name + (isV4 ? " A" : " AAAA"));
  const Kind kind = (isV4 ? how.kindV4 : how.kindV6).value_or(how.kind);
  if (kind == Kind::Silence) return std::nullopt;
  const std::string id(message.substr(0, 2));
  if (kind == Kind::Garbage) return id + std::string(40, '\xff');
  const bool isTruncated = kind == Kind::Truncated && !isTcp;
  const bool isKnown = isV4 || question->type == kTypeAaaa;
  const auto& addresses = isV4 ? how.ipv4 : how.ipv6;
  const bool isThere = kind != Kind::NoSuchName && kind != Kind::ServerFailure;
  const std::size_t count = isTruncated || !isKnown || !isThere ? 0 : addresses.size();
  const std::size_t code = kind == Kind::NoSuchName ? 3 : kind == Kind::ServerFailure ? 2 : 0;
  std::string out = id;
  put16(out, kAnswerFlags | (isTruncated ? kTruncatedFlag : 0) | code);
  for (const std::size_t entries : {std::size_t{1}, count, std::size_t{0}, std::size_t{0}}) {
    put16(out, entries);
  }
  out += message.substr(kHeaderSize, question->end - kHeaderSize);
  if (count != 0) out += records(addresses, question->type);
  if (kind == Kind::HalfAMessage) out.resize(out.size() - 3);
  return out;
}

}  // namespace gyre
