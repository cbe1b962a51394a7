# GyreBuild: what every target of the project has in common.

# Directory-wide on purpose: it reaches our targets and never a consumer's.
macro(gyre_use_developer_warnings)
  if(GYRE_DEVELOPER_WARNINGS)
    add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor
                        -Wold-style-cast -Werror)
  endif()
endmacro()

macro(gyre_use_sanitizer)
  if(GYRE_SANITIZER STREQUAL "address")
    # The vptr check probes memory through a pipe: it reports nonsense in tests that have used up
    # the descriptors.
    set(gyre_sanitizer_flags -fsanitize=address,undefined -fno-sanitize=vptr
                             -fno-sanitize-recover=all)
  elseif(GYRE_SANITIZER STREQUAL "thread")
    # The fences of the ring order us with the kernel, whose side the sanitizer cannot see.
    set(gyre_sanitizer_flags -fsanitize=thread $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  elseif(GYRE_SANITIZER)
    message(FATAL_ERROR "GYRE_SANITIZER is '${GYRE_SANITIZER}': use address, thread or nothing")
  endif()
  if(GYRE_SANITIZER)
    add_compile_options(${gyre_sanitizer_flags} -fno-omit-frame-pointer)
    add_link_options(${gyre_sanitizer_flags})
  endif()
endmacro()

# Released I/O memory lies under PROT_NONE for a while: no sanitizer sees what the kernel writes.
macro(gyre_use_quarantine)
  add_compile_definitions($<$<OR:$<CONFIG:Debug>,$<BOOL:${GYRE_SANITIZER}>>:GYRE_QUARANTINE>)
endmacro()

# The sources and public headers of the named floors, whichever of them exist.
function(gyre_glob_sources sources headers)
  set(found_sources)
  set(found_headers)
  foreach(floor IN LISTS ARGN)
    if(EXISTS "${PROJECT_SOURCE_DIR}/src/${floor}")
      file(GLOB_RECURSE found CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${floor}/*.cc")
      list(APPEND found_sources ${found})
    endif()
    if(EXISTS "${PROJECT_SOURCE_DIR}/include/gyre/${floor}")
      file(GLOB_RECURSE found CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/gyre/${floor}/*.h")
      list(APPEND found_headers ${found})
    endif()
  endforeach()
  set(${sources} "${found_sources}" PARENT_SCOPE)
  set(${headers} "${found_headers}" PARENT_SCOPE)
endfunction()

function(gyre_describe_library target sources headers)
  target_sources(
    ${target}
    PRIVATE ${sources}
    PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${headers})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(
    ${target}
    PROPERTIES CXX_EXTENSIONS OFF
               CXX_VISIBILITY_PRESET hidden
               VISIBILITY_INLINES_HIDDEN ON
               POSITION_INDEPENDENT_CODE ON
               VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  if(BUILD_SHARED_LIBS AND NOT GYRE_SANITIZER)
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
endfunction()

# gyre_add_component(<name> [PRIVATE library...]): the library gyre_<name>, gyre::<name> to others,
# of src/<name> and include/gyre/<name>.
macro(gyre_add_component name)
  gyre_glob_sources(gyre_${name}_sources gyre_${name}_headers ${name})
  if(EXISTS "${PROJECT_SOURCE_DIR}/include/gyre/${name}.h")
    list(APPEND gyre_${name}_headers "${PROJECT_SOURCE_DIR}/include/gyre/${name}.h")
  endif()
  add_library(gyre_${name})
  add_library(gyre::${name} ALIAS gyre_${name})
  gyre_describe_library(gyre_${name} "${gyre_${name}_sources}" "${gyre_${name}_headers}")
  set_target_properties(gyre_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(gyre_${name} PUBLIC gyre ${ARGN})
  list(APPEND gyre_libraries gyre_${name})
endmacro()

# What a message passes through on each floor becomes one translation unit, so that the compiler may
# look into all of it; the other sources, and every debug build, stay apart.
function(gyre_join_hot_sources target)
  if(NOT CMAKE_BUILD_TYPE MATCHES "^Rel" OR GYRE_SANITIZER)
    return()
  endif()
  set(engine proactor/KernelProactor.cc proactor/uring/BufferRing.cc proactor/uring/Ring.cc
             proactor/uring/UringArm.cc proactor/uring/UringBulk.cc
             proactor/uring/UringCompletions.cc proactor/uring/UringProactor.cc
             proactor/uring/UringRun.cc proactor/uring/UringSend.cc)
  set(connection proactor/BlockPool.cc connection/OutputQueue.cc connection/ConnectionBudget.cc
                 connection/ConnectionInput.cc connection/ConnectionOutput.cc
                 connection/TcpConnection.cc)
  foreach(group engine connection)
    list(TRANSFORM ${group} PREPEND "${PROJECT_SOURCE_DIR}/src/")
    set_source_files_properties(${${group}} PROPERTIES UNITY_GROUP ${group})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

# Every .cc of the folder becomes a program of its own, built into the folder of the same name.
function(gyre_add_programs folder)
  file(GLOB programs CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/*.cc")
  string(REPLACE "/" "_" prefix "${folder}")
  foreach(source IN LISTS programs)
    cmake_path(GET source STEM name)
    set(target "${prefix}_${name}")
    add_executable(${target} "${source}")
    target_compile_features(${target} PRIVATE cxx_std_20)
    target_link_libraries(${target} PRIVATE ${ARGN})
    set_target_properties(
      ${target} PROPERTIES OUTPUT_NAME "${name}"
                           CXX_EXTENSIONS OFF
                           RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/${folder}")
  endforeach()
endfunction()
