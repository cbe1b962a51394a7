// gyre: everything a TCP server needs, in one include.
#pragma once

#include "gyre/base/Buffer.h"
#include "gyre/base/InetAddress.h"
#include "gyre/base/Log.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/EventLoopThread.h"
#include "gyre/loop/EventLoopThreadPool.h"
#include "gyre/loop/SignalWatcher.h"
#include "gyre/net/FixedLengthCodec.h"
#include "gyre/net/FrameReader.h"
#include "gyre/net/LengthFieldCodec.h"
#include "gyre/net/LineCodec.h"
#include "gyre/net/Resolver.h"
#include "gyre/net/ServiceRunner.h"
#include "gyre/net/TcpClient.h"
#include "gyre/net/TcpConnection.h"
#include "gyre/net/TcpServer.h"
