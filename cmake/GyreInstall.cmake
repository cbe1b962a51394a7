# GyreInstall: libraries, headers, program, CMake package and pkg-config file.
include(CMakePackageConfigHelpers)

set(gyre_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/gyre")

# Installed programs and libraries find each other wherever the prefix is.
if(BUILD_SHARED_LIBS)
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR
             BASE_DIRECTORY "${CMAKE_INSTALL_FULL_BINDIR}" OUTPUT_VARIABLE gyre_bin_to_lib)
  foreach(target IN LISTS gyre_libraries)
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN")
  endforeach()
  if(TARGET gyre_program)
    set_target_properties(gyre_program PROPERTIES INSTALL_RPATH "$ORIGIN/${gyre_bin_to_lib}")
  endif()
endif()

# An export of its own each, so that only what is asked for needs its dependencies.
foreach(target IN LISTS gyre_libraries)
  install(
    TARGETS ${target}
    EXPORT ${target}Targets
    FILE_SET HEADERS)
  install(EXPORT ${target}Targets NAMESPACE gyre:: DESTINATION "${gyre_package_dir}")
endforeach()
if(TARGET gyre_program)
  install(TARGETS gyre_program)
endif()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# Only static libraries leave what they need to the consumer's linker.
set(gyre_needs_dependencies ON)
if(BUILD_SHARED_LIBS)
  set(gyre_needs_dependencies OFF)
endif()
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/gyreConfig.cmake.in" "${PROJECT_BINARY_DIR}/gyreConfig.cmake"
  INSTALL_DESTINATION "${gyre_package_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/gyreConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/gyreConfig.cmake"
              "${PROJECT_BINARY_DIR}/gyreConfigVersion.cmake" DESTINATION "${gyre_package_dir}")

# The prefix is written relative to the file, so that `cmake --install --prefix` keeps it true.
set(gyre_pc_requires_private "")
set(gyre_pc_libs_private "")
if(NOT BUILD_SHARED_LIBS)
  set(gyre_pc_requires_private "spdlog")
  set(gyre_pc_requires_names "libcares")
  set(gyre_pc_requires_service "libsystemd")
  set(gyre_pc_libs_private "-pthread")
endif()
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
           BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
           OUTPUT_VARIABLE gyre_pc_prefix)
function(gyre_install_pc package template)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/${template}.pc.in"
                 "${PROJECT_BINARY_DIR}/${package}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${package}.pc"
          DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

set(gyre_pc_description_names "Host names to addresses, for clients of gyre")
set(gyre_pc_description_service "Signals, systemd and hot restart, for servers of gyre")
set(gyre_pc_description_sim "A simulated network, to test what is built on gyre")
set(gyre_pc_description_co "Coroutines over the loops of gyre")
gyre_install_pc(gyre gyre)
foreach(component names service sim co)
  set(gyre_pc_description_component "${gyre_pc_description_${component}}")
  set(gyre_pc_requires_component "${gyre_pc_requires_${component}}")
  gyre_install_pc(gyre-${component} gyre-component)
endforeach()
