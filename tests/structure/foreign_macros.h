// foreign_macros: what other libraries define before a consumer includes gyre.
//
// X11's own header where it is installed; otherwise those of its macros that are common words.
#pragma once

#if __has_include(<X11/Xutil.h>)
#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <X11/Xresource.h>
#include <X11/Xutil.h>
#else
#define None 0L
#define Success 0
#define Status int
#define Bool int
#define True 1
#define False 0
#define Above 0
#define Below 1
#define Always 2
#define Unsorted 0
#define Complex 0
#define Convex 2
#define CursorShape 0
#define CurrentTime 0L
#define KeyPress 2
#define FocusIn 9
#define FocusOut 10
#define Expose 12
#define GrayScale 1
#define BadRequest 1
#define BadValue 2
#define BadAccess 10
#define BadAlloc 11
#define BadName 15
#define BadLength 16
#endif

// Qt
#define signals public
#define slots
#define emit
#define foreach(variable, container) for (variable : container)
#define forever for (;;)
#define Q_OBJECT

// curses, syslog, BSD, assertion libraries, logging by macro
#include <sys/param.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#define timeout(delay) wtimeout(stdscr, delay)
#define check(condition) (condition)
#define verify(condition) (condition)
#define require(condition) (condition)
#define DEBUG 1
#define ERROR 3
#define OK 0
