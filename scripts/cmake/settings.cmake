# SPDX-License-Identifier: Apache-2.0
#
# What every target shares: the language, the warnings, hardening and sanitizers.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_COLOR_DIAGNOSTICS ON)
set_property(GLOBAL PROPERTY USE_FOLDERS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Debug CACHE STRING "Debug or Release" FORCE)
endif()

find_program(CB_CCACHE ccache)
if(CB_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${CB_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CB_CCACHE}")
endif()

set(cb_warnings -Wall -Wextra -Wshadow -Werror)
set(cb_cxx_warnings ${cb_warnings} -Wswitch-enum -Wnon-virtual-dtor -Wold-style-cast)
set(cb_room_warnings ${cb_cxx_warnings} -Wconversion -Wsign-conversion)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc 12 warns falsely about std::string's operator+ (its bug 105651).
  list(APPEND cb_cxx_warnings -Wno-restrict)
  list(APPEND cb_room_warnings -Wno-restrict)
endif()
# Tests name the fields they care about and leave the others at their defaults.
set(cb_test_warnings ${cb_cxx_warnings} -Wno-missing-field-initializers)

# Release keeps its symbols, and no NDEBUG: CB_CHECK and assert stay on in production.
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_DEBUG "-Og -g")
  set(CMAKE_${language}_FLAGS_RELEASE "-O2 -g")
endforeach()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options(-fstack-protector-strong)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-clash-protection)
  add_link_options(-pie -Wl,-z,relro,-z,now)
endif()

if(CB_SANITIZE)
  # vptr asks for RTTI, which rooms are compiled without.
  add_compile_options(-fsanitize=${CB_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CB_SANITIZE})
  if(CB_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=vptr)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)  # false alarms in instrumented code
  endif()
endif()

if(CB_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "CB_FUZZ needs clang: use cmake --preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
