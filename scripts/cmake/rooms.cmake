# SPDX-License-Identifier: Apache-2.0
#
# Rooms: userspace/<room>/ and drivers/<kind>/, each with a CMakeLists.txt of one or two lines.

# cb_room(name [EXCEPTIONS] [SOURCES file...] [DEPENDS room...] [LIBS library...])
#
# The library cb_<name> from every .cpp of the current folder (or from SOURCES); an INTERFACE library if
# there is none. Includes start at userspace/ and at the top: "core/step.h", "bpf/crossbeat_wire.h".
# Exceptions and RTTI are off, except where EXCEPTIONS says otherwise.
function(cb_room name)
  cmake_parse_arguments(room "EXCEPTIONS" "" "SOURCES;DEPENDS;LIBS" ${ARGN})
  if(room_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "cb_room(${name}): what is '${room_UNPARSED_ARGUMENTS}'?")
  endif()
  set(target cb_${name})
  if(NOT room_SOURCES)
    file(GLOB room_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  endif()
  cb_resolve(needs ${room_DEPENDS} ${room_LIBS})
  if(room_SOURCES)
    add_library(${target} STATIC ${room_SOURCES})
    set(reach PUBLIC)
    cb_compile_as_room(${target} "${room_EXCEPTIONS}")
  else()
    add_library(${target} INTERFACE)
    set(reach INTERFACE)
  endif()
  target_include_directories(${target} ${reach} "${CMAKE_SOURCE_DIR}/userspace" "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${target} ${reach} ${needs})
endfunction()

function(cb_compile_as_room target exceptions)
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${cb_room_warnings}>"
                                           "$<$<COMPILE_LANGUAGE:C>:${cb_warnings}>")
  if(NOT exceptions)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions;-fno-rtti>")
  endif()
endfunction()

# Adds the rooms that are there, in order; the drivers come just before the room named by drivers_before,
# the first that may know them.
function(cb_add_rooms parent rooms)
  cmake_parse_arguments(add "" "drivers_before" "" ${ARGN})
  set(drivers_added NO)
  foreach(room IN LISTS rooms)
    if(room STREQUAL add_drivers_before)
      cb_add_drivers()
      set(drivers_added YES)
    endif()
    if(EXISTS "${parent}/${room}/CMakeLists.txt")
      add_subdirectory("${parent}/${room}" "${CMAKE_BINARY_DIR}/userspace/${room}")
    endif()
  endforeach()
  if(NOT drivers_added)
    cb_add_drivers()
  endif()
endfunction()

function(cb_add_drivers)
  foreach(kind IN LISTS CB_DRIVERS)
    if(EXISTS "${CMAKE_SOURCE_DIR}/drivers/${kind}/CMakeLists.txt")
      add_subdirectory("${CMAKE_SOURCE_DIR}/drivers/${kind}" "${CMAKE_BINARY_DIR}/drivers/${kind}")
    endif()
  endforeach()
endfunction()

# cb_program(crossbeat-x ROOM room [EXCEPTIONS] [STATIC] DESTINATION bin|sbin)
#
# The program from userspace/crossbeat_x.cpp, once that file and its room are there. STATIC: it needs no shared
# library of the machine that it is copied to (sanitizers have none that is static, so not with them).
function(cb_program name)
  cmake_parse_arguments(program "EXCEPTIONS;STATIC" "ROOM;DESTINATION" "" ${ARGN})
  string(REPLACE "-" "_" file "${name}")
  set(source "${CMAKE_SOURCE_DIR}/userspace/${file}.cpp")
  if(NOT EXISTS "${source}" OR NOT TARGET cb_${program_ROOM})
    return()
  endif()
  add_executable(${name} "${source}")
  cb_compile_as_room(${name} "${program_EXCEPTIONS}")
  target_link_libraries(${name} PRIVATE cb_${program_ROOM})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  if(program_STATIC AND NOT CB_SANITIZE AND NOT CB_FUZZ)
    target_link_options(${name} PRIVATE -static-pie)
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${program_DESTINATION})
endfunction()
