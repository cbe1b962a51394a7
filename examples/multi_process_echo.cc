// multi_process_echo: several processes accept from one listener; one that crashes is replaced.
//
// The parent listens, forks, and waits for signals. It makes neither loop nor thread, which no
// child could use. Whichever child is ready first takes the next client.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <set>
#include <system_error>
#include <thread>

#include "Example.h"
#include "gyre/base/UniqueFd.h"

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

gyre::UniqueFd listenOn(const gyre::InetAddress& address) {
  gyre::UniqueFd listener(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.get(), address.sockaddrPtr(), address.length()) == 0 &&
      ::listen(listener.get(), SOMAXCONN) == 0) {
    return listener;
  }
  fail("cannot listen on " + address.toString() + " (choose another port, or 0)");
}

void announce(const gyre::UniqueFd& listener) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  auto* address = reinterpret_cast<sockaddr*>(&bound);
  if (::getsockname(listener.get(), address, &length) != 0) fail("getsockname");
  example::announce(gyre::InetAddress::fromSockaddr(address, length));
}

// Returns true in each child, and false in the parent when all children have ended.
bool becomeChild(std::size_t count) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::set<pid_t> children;
  for (bool isStopping = false; !isStopping || !children.empty();) {
    while (!isStopping && children.size() < count) {
      const pid_t child = ::fork();
      if (child < 0) fail("cannot start a process (see ulimit -u)");
      if (child == 0) return true;
      children.insert(child);
    }
    int signal = 0;
    ::sigwait(&signals, &signal);
    if (signal != SIGCHLD) {
      isStopping = true;
      for (const pid_t child : children) ::kill(child, SIGTERM);
    }
    for (pid_t ended = 0; (ended = ::waitpid(-1, nullptr, WNOHANG)) > 0;) children.erase(ended);
    // Children that crash again and again do not take the machine with them.
    if (signal == SIGCHLD) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

void serve(example::Arguments& arguments) {
  gyre::UniqueFd listener = listenOn(arguments.address("127.0.0.1:7028"));
  const int processes = arguments.number(2, 256);
  announce(listener);
  if (!becomeChild(static_cast<std::size_t>(processes))) return;

  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // no child outlives the parent
  gyre::ProactorOptions engine = gyre::defaultProactorOptions();
  engine.ringsPlanned = static_cast<std::uint32_t>(processes);  // they share what may be locked
  gyre::EventLoop loop(engine);
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, gyre::InetAddress(), "echo");
  server.setThreadNum(0);
  server.addListener(std::move(listener));
  server.setMessageCallback(
      [](const gyre::TcpConnectionPtr& connection, gyre::Buffer& in) { connection->send(in); });
  server.start();
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) {
  return example::run(argc, argv, "multi_process_echo [HOST:PORT] [PROCESSES]", serve);
}
