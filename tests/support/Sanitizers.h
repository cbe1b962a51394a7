// Sanitizers: whether this build has one. Tests that measure memory or count system calls are left
// out of such a build: they would measure the sanitizer.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GYRE_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GYRE_TEST_SANITIZED 1
#endif
#endif
