// NotingFixture: a ServerFixture that keeps its latest connection, and notes how the last one
// ended.
#pragma once

#include <utility>

#include "support/ServerFixture.h"

namespace gyre {

class NotingFixture : public ServerFixture {
 protected:
  ServerScript noting(ServerScript script) {
    script.onUp = [this, up = script.onUp](const TcpConnectionPtr& connection) {
      connection_ = connection;
      if (up) up(connection);
    };
    script.onClose = [this](const TcpConnectionPtr& connection) {
      reason_ = connection->closeReason();
      error_ = connection->error();
    };
    return script;
  }

  TcpConnectionPtr connection_;
  CloseReason reason_ = CloseReason::None;
  int error_ = 0;
};

}  // namespace gyre
