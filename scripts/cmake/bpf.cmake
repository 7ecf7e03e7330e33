# SPDX-License-Identifier: Apache-2.0
#
# eBPF: bpf/NAME.bpf.c -> clang -> bpf/NAME.bpf.o -> bpftool -> bpf/NAME.skel.h, all in the build folder.
# Link cb_bpf and #include "NAME.skel.h".

find_program(CB_BPF_CLANG NAMES clang-14 clang REQUIRED)
find_program(CB_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64)$")
  set(cb_bpf_arch x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(cb_bpf_arch arm64)
else()
  message(FATAL_ERROR "eBPF programs are not built for ${CMAKE_SYSTEM_PROCESSOR} yet")
endif()

# -target bpf has no multiarch path of its own, and <asm/types.h> lives there.
execute_process(COMMAND "${CMAKE_C_COMPILER}" -print-multiarch OUTPUT_VARIABLE cb_multiarch
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT cb_multiarch)
  set(cb_multiarch "${CMAKE_LIBRARY_ARCHITECTURE}")
endif()

set(cb_bpf_flags -O2 -g -std=gnu11 -Wall -Wextra -Werror -target bpf -mcpu=v3
    -D__TARGET_ARCH_${cb_bpf_arch} "-I${CMAKE_SOURCE_DIR}" "-I${CMAKE_SOURCE_DIR}/bpf"
    -idirafter "/usr/include/${cb_multiarch}")

set(cb_bpf_out "${CMAKE_BINARY_DIR}/bpf")

function(cb_bpf_object name)
  set(source "${CMAKE_SOURCE_DIR}/bpf/${name}.bpf.c")
  set(object "${cb_bpf_out}/${name}.bpf.o")
  set(skeleton "${cb_bpf_out}/${name}.skel.h")
  file(GLOB headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/bpf/*.h")
  add_custom_command(
    OUTPUT "${object}"
    COMMAND "${CB_BPF_CLANG}" ${cb_bpf_flags} -c "${source}" -o "${object}"
    DEPENDS "${source}" ${headers}
    COMMENT "eBPF ${name}.bpf.o" VERBATIM)
  # Through a temporary file: a failed run must not leave an empty header that looks finished.
  add_custom_command(
    OUTPUT "${skeleton}"
    COMMAND sh -c "\"$1\" gen skeleton \"$2\" name \"$3_bpf\" >\"$4.tmp\" && mv \"$4.tmp\" \"$4\""
            skeleton "${CB_BPFTOOL}" "${object}" "${name}" "${skeleton}"
    DEPENDS "${object}"
    COMMENT "eBPF ${name}.skel.h" VERBATIM)
  add_custom_target(cb_bpf_${name} ALL DEPENDS "${object}" "${skeleton}")
  add_dependencies(cb_bpf cb_bpf_${name})
endfunction()

# Every program of bpf/, and the target that carries their skeletons. The objects' folder is also a
# definition, for the tests that load an object from its file.
function(cb_bpf_objects)
  file(MAKE_DIRECTORY "${cb_bpf_out}")
  add_library(cb_bpf INTERFACE)
  target_include_directories(cb_bpf SYSTEM INTERFACE "${cb_bpf_out}")
  target_include_directories(cb_bpf INTERFACE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(cb_bpf INTERFACE cb_lib::libbpf)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/bpf/*.bpf.c")
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME)
    string(REPLACE ".bpf.c" "" name "${name}")
    cb_bpf_object(${name})
  endforeach()
endfunction()
