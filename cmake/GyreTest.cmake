# GyreTest: one test program per floor, and how ctest runs it.
#
# Labels  <floor>, the name of the folder under tests/.
#         quick    what `./dev test` runs in the sanitizer trees.
#         long     suites named *LongTest; only `./dev test --long` runs them.
include(GoogleTest)

set(gyre_sanitizer_environment
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
    "UBSAN_OPTIONS=print_stacktrace=1" "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")

# tests/support/*.cc, and GoogleTest and our libraries with it.
function(gyre_test_support)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/support/*.cc")
  if(sources)
    add_library(gyre_test_support STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(gyre_test_support INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(
    gyre_test_support ${scope} "${PROJECT_SOURCE_DIR}/tests" "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(gyre_test_support ${scope} ${gyre_libraries} GTest::gmock
                                          GTest::gtest_main Threads::Threads)
endfunction()

# gyre_test(<floor> [PROGRAM] [SOURCES file...] [LABELS label...] [LIBRARIES target...]
#           [TIMEOUT seconds] [LONG_TIMEOUT seconds] [VARIANTS "prefix:NAME=value NAME=value"...]
#           [LONG_VARIANTS ...] [FAULT_SEEDS count FAULT_EXCEPT test...]
#           [SHARDS count] [ALONE test...])
#
# Makes gyre_<floor>_test of tests/<floor>/*.cc; nothing if there are none. Each variant runs the
# same tests once more as <prefix>.<test>, in the given environment; in the sanitizer trees only
# with `./dev test --long`, a long variant there only. FAULT_SEEDS makes variants with faulty rings
# (TestOptions.h), without the tests named; the even seeds on tiny rings, all but the first long.
# SHARDS runs the tests, and those of each variant but the faulty ones, in so many processes instead
# of one each: the time of many small tests is mostly that of starting. The tests named ALONE, and
# the long ones, keep a process of their own. summary.py tells the tests of a shard apart. PROGRAM
# hands the tests the built program's path as GYRE_PROGRAM.
function(gyre_test floor)
  cmake_parse_arguments(arg "PROGRAM" "TIMEOUT;LONG_TIMEOUT;FAULT_SEEDS;SHARDS"
                        "SOURCES;LABELS;LIBRARIES;VARIANTS;LONG_VARIANTS;FAULT_EXCEPT;ALONE"
                        ${ARGN})
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${floor}/*.cc")
  endif()
  if(NOT arg_SOURCES)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  if(NOT arg_LONG_TIMEOUT)
    set(arg_LONG_TIMEOUT 600)
  endif()

  set(target "gyre_${floor}_test")
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE gyre_test_support ${arg_LIBRARIES})
  # Most of the time of a full build is GoogleTest, parsed and optimised again in every test.
  target_precompile_headers(${target} PRIVATE <gtest/gtest.h>)
  # g++ 12 sees writes beyond the end of a std::string at -O1 that are not there.
  target_compile_options(${target} 
    PRIVATE -O1 "$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow>")
  if(arg_PROGRAM)
    add_dependencies(${target} gyre_program)
    target_compile_definitions(${target} PRIVATE GYRE_PROGRAM="$<TARGET_FILE:gyre_program>")
  endif()

  set(labels ${floor} ${arg_LABELS})
  gyre_register(${target} "" "${labels};quick" "")
  foreach(variant IN LISTS arg_VARIANTS arg_LONG_VARIANTS)
    string(REGEX MATCH "^([a-z]+):(.+)$" ignored "${variant}")
    set(prefix "${CMAKE_MATCH_1}")
    string(REPLACE " " ";" environment "${CMAKE_MATCH_2}")
    set(long "")
    if(variant IN_LIST arg_LONG_VARIANTS)
      set(long "long")
    endif()
    gyre_register(${target} "${prefix}" "${labels};${prefix};${long}" "${environment}")
  endforeach()
  if(arg_FAULT_SEEDS)
    gyre_register_faulty(${target} "${labels};faulty")
  endif()
endfunction()

function(gyre_register target prefix labels environment)
  if(NOT arg_SHARDS)
    gyre_register_tests(${target} "${prefix}" "${labels}" "${environment}")
    return()
  endif()
  list(JOIN arg_ALONE ":" alone)
  set(alone "*LongTest*:${alone}")
  gyre_register_tests(${target} "${prefix}" "${labels}" "${environment}" TEST_FILTER "${alone}")
  list(APPEND environment ${gyre_sanitizer_environment} "GTEST_TOTAL_SHARDS=${arg_SHARDS}")
  math(EXPR last "${arg_SHARDS} - 1")
  foreach(shard RANGE ${last})
    set(name "${target}.shard${shard}")
    if(prefix)
      set(name "${prefix}.${name}")
    endif()
    add_test(NAME ${name} COMMAND ${target} "--gtest_filter=-${alone}")
    set_tests_properties(
      ${name} PROPERTIES LABELS "${labels}" TIMEOUT ${arg_LONG_TIMEOUT}
                         ENVIRONMENT "${environment};GTEST_SHARD_INDEX=${shard}")
  endforeach()
endfunction()

function(gyre_register_faulty target labels)
  list(JOIN arg_FAULT_EXCEPT ":" except)
  foreach(seed RANGE 1 ${arg_FAULT_SEEDS})
    set(environment "GYRE_TEST_FAULTS=${seed}")
    math(EXPR is_odd "${seed} % 2")
    if(NOT is_odd)
      list(APPEND environment "GYRE_TEST_RINGS=tiny")
    endif()
    gyre_register_tests(${target} "faulty${seed}" "${labels}" "${environment}" TEST_FILTER
                        "-${except}")
    list(APPEND labels long)
  endforeach()
endfunction()

# gtest_discover_tests cannot carry lists in properties, so a script that ctest reads after the
# discovery sets them. Parameters stay out of the names: printed, they may hold addresses.
# Further arguments go to gtest_discover_tests.
function(gyre_register_tests target prefix labels environment)
  set(list "${target}_${prefix}_tests")
  set(dotted_prefix "")
  if(prefix)
    set(dotted_prefix "${prefix}.")
  endif()
  gtest_discover_tests(
    ${target}
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    NO_PRETTY_VALUES
    TEST_PREFIX "${dotted_prefix}"
    TEST_LIST ${list}
    ${ARGN}
    PROPERTIES TIMEOUT ${arg_TIMEOUT})
  list(APPEND environment ${gyre_sanitizer_environment})
  set(long_timeout ${arg_LONG_TIMEOUT})
  set(script "${CMAKE_CURRENT_BINARY_DIR}/${list}_properties.cmake")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/GyreTestProperties.cmake.in" "${script}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${script}")
endfunction()
