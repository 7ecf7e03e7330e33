# SPDX-License-Identifier: Apache-2.0
#
# The libraries we stand on, all from Debian 12, each as cb_lib::NAME with SYSTEM includes. A room names
# them in LIBS without the prefix: cb_room(edge DEPENDS base core LIBS libnl liburing).

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(cb_library name)
  pkg_check_modules(cb_${name} QUIET IMPORTED_TARGET GLOBAL ${ARGN})
  if(NOT cb_${name}_FOUND)
    message(FATAL_ERROR "The library ${ARGN} is missing. Run: sudo scripts/deps build")
  endif()
  add_library(cb_lib::${name} ALIAS PkgConfig::cb_${name})
endfunction()

cb_library(libbpf libbpf)
cb_library(libnl libnl-3.0)
cb_library(libnl_route libnl-route-3.0)
cb_library(liburing liburing)
cb_library(libsodium libsodium)
cb_library(libsystemd libsystemd)
cb_library(openssl openssl)
cb_library(sqlite3 sqlite3)

# AES-GCM with the wide instructions of amd64, the only architecture for which Debian has it; elsewhere
# there is nothing behind the name, and OpenSSL's is used.
add_library(cb_libipsec_mb INTERFACE)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  find_library(CB_IPSEC_MB_LIBRARY IPSec_MB)
  find_path(CB_IPSEC_MB_INCLUDE intel-ipsec-mb.h)
  if(NOT CB_IPSEC_MB_LIBRARY OR NOT CB_IPSEC_MB_INCLUDE)
    message(FATAL_ERROR "The library libipsec-mb is missing. Run: sudo scripts/deps build")
  endif()
  target_link_libraries(cb_libipsec_mb INTERFACE "${CB_IPSEC_MB_LIBRARY}")
  target_include_directories(cb_libipsec_mb SYSTEM INTERFACE "${CB_IPSEC_MB_INCLUDE}")
  target_compile_definitions(cb_libipsec_mb INTERFACE CB_HAS_IPSEC_MB=1)
endif()
add_library(cb_lib::libipsec_mb ALIAS cb_libipsec_mb)

# Header only; found as files, so that Debian's own compiled variants cannot slip in.
function(cb_header_library name header)
  find_path(CB_${name}_INCLUDE ${header})
  if(NOT CB_${name}_INCLUDE)
    message(FATAL_ERROR "The header ${header} is missing. Run: sudo scripts/deps build")
  endif()
  add_library(cb_header_${name} INTERFACE)
  target_include_directories(cb_header_${name} SYSTEM INTERFACE "${CB_${name}_INCLUDE}")
  target_compile_definitions(cb_header_${name} INTERFACE ${ARGN})
  add_library(cb_lib::${name} ALIAS cb_header_${name})
endfunction()

cb_header_library(tomlplusplus toml++/toml.h TOML_HEADER_ONLY=1 TOML_EXCEPTIONS=0)
cb_header_library(nlohmann_json nlohmann/json.hpp)
cb_header_library(cli11 CLI/CLI.hpp)

add_library(cb_lib::threads ALIAS Threads::Threads)

# Turns names of LIBS and DEPENDS into targets: "core" -> cb_core, "liburing" -> cb_lib::liburing.
function(cb_resolve out)
  set(targets "")
  foreach(name IN LISTS ARGN)
    if(name MATCHES "^cb_" OR name MATCHES "::" OR name MATCHES "^-")
      list(APPEND targets "${name}")
    elseif(TARGET cb_lib::${name})
      list(APPEND targets "cb_lib::${name}")
    else()
      list(APPEND targets "cb_${name}")
    endif()
  endforeach()
  set(${out} "${targets}" PARENT_SCOPE)
endfunction()
