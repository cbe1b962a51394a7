// Argument: what may be made inside a co_await expression.
//
// g++ 12 destroys some temporaries of such an expression twice: lambdas whose captures have
// destructors, and aggregates with members that have. Both compile without a warning. So functions
// whose result is awaited take no such type by value; an lvalue, made in a line of its own before,
// is right everywhere.
#pragma once

#include <type_traits>

#include "gyre/base/Export.h"

namespace gyre::co {

// For a parameter `U&& argument` that is to become a T.
template <typename U, typename T = std::remove_cvref_t<U>>
inline constexpr bool kSafeArgument = std::is_lvalue_reference_v<U> ||
                                      std::is_trivially_destructible_v<std::remove_cvref_t<U>> ||
                                      (std::is_same_v<std::remove_cvref_t<U>, T> &&
                                       !std::is_aggregate_v<T>);

// For a callable: a lambda cannot be told from another class.
template <typename F>
inline constexpr bool kSafeCallable =
    std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>>;

}  // namespace gyre::co
