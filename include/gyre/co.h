// co: coroutines over the loops of gyre, in one include.
#pragma once

#include "gyre/co/Channel.h"
#include "gyre/co/Event.h"
#include "gyre/co/FromCallback.h"
#include "gyre/co/Scope.h"
#include "gyre/co/Spawn.h"
#include "gyre/co/Task.h"
#include "gyre/co/Time.h"
#include "gyre/co/When.h"
