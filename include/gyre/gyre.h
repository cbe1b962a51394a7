// gyre: everything a TCP server needs, in one include.
//
// Components have their own: gyre/names/Resolver.h, gyre/service/ServiceRunner.h, gyre/co.h.
#pragma once

#include "gyre/base/Buffer.h"
#include "gyre/base/InetAddress.h"
#include "gyre/base/Log.h"
#include "gyre/client/TcpClient.h"
#include "gyre/codec/FixedLengthCodec.h"
#include "gyre/codec/FrameReader.h"
#include "gyre/codec/LengthFieldCodec.h"
#include "gyre/codec/LineCodec.h"
#include "gyre/connection/TcpConnection.h"
#include "gyre/loop/ChildSignals.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/EventLoopThread.h"
#include "gyre/loop/EventLoopThreadPool.h"
#include "gyre/loop/SignalWatcher.h"
#include "gyre/server/TcpServer.h"
