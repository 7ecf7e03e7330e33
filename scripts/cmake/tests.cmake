# SPDX-License-Identifier: Apache-2.0
#
# Tests: tests/<folder>/CMakeLists.txt, each calling cb_test or cb_script_test.
#
# One ctest entry is one binary; its cases are counted from the report that it writes (scripts/run-tests).
# A test that cannot run here exits with 77 and says why; with CB_REQUIRE_KERNEL=1 that is a failure.

find_package(GTest REQUIRED)

set(cb_labels fast sim kernel e2e crash bench)
set(cb_timeout_fast 60)
set(cb_timeout_sim 600)
set(cb_timeout_kernel 300)
set(cb_timeout_e2e 900)
set(cb_timeout_crash 900)
set(cb_timeout_bench 3600)

# Sets what all tests share. Everything but fast and sim runs alone: those tests measure time, or load the
# kernel, and must not disturb one another.
function(cb_describe_test name labels timeout)
  list(GET labels 0 first)
  if(NOT first IN_LIST cb_labels)
    message(FATAL_ERROR "test ${name}: the first of LABELS must be one of ${cb_labels}")
  endif()
  if(NOT timeout)
    set(timeout ${cb_timeout_${first}})
  endif()
  if(CB_SANITIZE)
    math(EXPR timeout "${timeout} * 3")
  endif()
  set(alone TRUE)
  if(first STREQUAL "fast" OR first STREQUAL "sim")
    set(alone FALSE)
  endif()
  set_tests_properties(${name} PROPERTIES
    LABELS "${labels}" TIMEOUT ${timeout} RUN_SERIAL ${alone} SKIP_RETURN_CODE 77
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
    ENVIRONMENT "CB_SOURCE_DIR=${CMAKE_SOURCE_DIR};CB_BUILD_DIR=${CMAKE_BINARY_DIR};CB_REPORT=${CMAKE_BINARY_DIR}/reports/${name}.xml;GTEST_OUTPUT=xml:${CMAKE_BINARY_DIR}/reports/${name}.xml")
endfunction()

# Answers in ${out} whether all cb_ targets are there. If not: an error when CB_STRICT, else a notice.
function(cb_needs_are_there out name)
  set(${out} TRUE PARENT_SCOPE)
  foreach(need IN LISTS ARGN)
    if(need MATCHES "^cb_" AND NOT need MATCHES "::" AND NOT TARGET ${need})
      if(CB_STRICT)
        message(FATAL_ERROR "test ${name} needs ${need}, which is not built")
      endif()
      message(NOTICE "-- leaving out test ${name}: ${need} is not built")
      set(${out} FALSE PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

# cb_test(name [SOURCES file...] [LIBS room-or-library...] LABELS fast|sim|kernel|e2e|crash|bench...
#         [ROOT] [OWN_MAIN] [TIMEOUT seconds] [ARGS argument...])
#
# A GoogleTest binary from SOURCES (default: every .cpp of the folder). ROOT: skipped, loudly, without root.
# OWN_MAIN: the sources have a main(). The environment tells it CB_SOURCE_DIR and CB_BUILD_DIR.
function(cb_test name)
  cmake_parse_arguments(test "ROOT;OWN_MAIN" "TIMEOUT" "SOURCES;LIBS;LABELS;ARGS" ${ARGN})
  if(test_UNPARSED_ARGUMENTS OR NOT test_LABELS)
    message(FATAL_ERROR "cb_test(${name}): LABELS missing, or '${test_UNPARSED_ARGUMENTS}' not understood")
  endif()
  if(NOT test_SOURCES)
    file(GLOB test_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  endif()
  cb_resolve(needs ${test_LIBS})
  cb_needs_are_there(there ${name} ${needs})
  if(NOT there)
    return()
  endif()
  add_executable(${name} ${test_SOURCES})
  target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${cb_test_warnings}>"
                                         "$<$<COMPILE_LANGUAGE:C>:${cb_warnings}>")
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/userspace" "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${needs} GTest::gmock)
  if(test_OWN_MAIN)
    target_link_libraries(${name} PRIVATE GTest::gtest)
  else()
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  set(command "$<TARGET_FILE:${name}>" ${test_ARGS})
  if(test_ROOT)
    set(command "${CMAKE_SOURCE_DIR}/scripts/cmake/needs-root" ${command})
  endif()
  add_test(NAME ${name} COMMAND ${command})
  cb_describe_test(${name} "${test_LABELS}" "${test_TIMEOUT}")
endfunction()

# cb_script_test(name COMMAND program argument... LABELS label... [ROOT] [TIMEOUT seconds])
#
# A test that is a script. It may write a JUnit report to $CB_REPORT; if not it counts as one case.
function(cb_script_test name)
  cmake_parse_arguments(test "ROOT" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  set(command ${test_COMMAND})
  if(test_ROOT)
    set(command "${CMAKE_SOURCE_DIR}/scripts/cmake/needs-root" ${command})
  endif()
  add_test(NAME ${name} COMMAND ${command})
  cb_describe_test(${name} "${test_LABELS}" "${test_TIMEOUT}")
endfunction()

# cb_fuzzer(name [SOURCES file...] [LIBS room-or-library...])
#
# A libFuzzer binary in <build>/fuzz/, built by preset fuzz only; `make fuzz` runs them all. The seeds are in
# corpus/<name>/ beside the CMakeLists.txt.
add_custom_target(cb_fuzzers)
function(cb_fuzzer name)
  cmake_parse_arguments(fuzz "" "" "SOURCES;LIBS" ${ARGN})
  if(NOT CB_FUZZ)
    return()
  endif()
  cb_resolve(needs ${fuzz_LIBS})
  cb_needs_are_there(there ${name} ${needs})
  if(NOT there)
    return()
  endif()
  if(NOT fuzz_SOURCES)
    set(fuzz_SOURCES ${name}.cpp)
  endif()
  add_executable(${name} EXCLUDE_FROM_ALL ${fuzz_SOURCES})
  target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${cb_test_warnings}>")
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/userspace" "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${needs} -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  add_dependencies(cb_fuzzers ${name})
endfunction()

# tests/support first: the others link it.
function(cb_add_tests)
  file(GLOB folders CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/*/CMakeLists.txt")
  list(TRANSFORM folders REPLACE "/CMakeLists.txt$" "")
  set(support "${CMAKE_SOURCE_DIR}/tests/support")
  if(support IN_LIST folders)
    list(REMOVE_ITEM folders "${support}")
    list(PREPEND folders "${support}")
  endif()
  foreach(folder IN LISTS folders)
    get_filename_component(name "${folder}" NAME)
    if(CB_TESTS STREQUAL "all" OR name IN_LIST CB_TESTS)
      add_subdirectory("${folder}")
    endif()
  endforeach()
endfunction()
