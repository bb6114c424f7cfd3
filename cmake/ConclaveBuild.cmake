# How rooms, tests and programs are built. One function each; a room's own CMakeLists.txt is a list.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()
# Release keeps no assert(), but CONCLAVE_CHECK stays on in every build.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")

set(CONCLAVE_PEERS_DIR ${CMAKE_BINARY_DIR}/peers/usr/bin CACHE PATH
    "where etcd and etcdctl lie, which tests and benchmarks compare with")
set(CONCLAVE_SANITIZE "" CACHE STRING "address (with undefined), thread, or empty")
if(CONCLAVE_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(CONCLAVE_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(NOT CONCLAVE_SANITIZE STREQUAL "")
  message(FATAL_ERROR "CONCLAVE_SANITIZE is '${CONCLAVE_SANITIZE}'; it takes address or thread")
endif()

if(CONCLAVE_SANITIZE)
  # gcc's own manual: with sanitizers it warns of uninitialized values where there are none.
  add_compile_options(-Wno-maybe-uninitialized)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # So that another clone need not compile again what this one has.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=true ${CCACHE_PROGRAM})
endif()

find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(GRPCXX REQUIRED IMPORTED_TARGET grpc++)
pkg_check_modules(ABSL_SYNCHRONIZATION REQUIRED IMPORTED_TARGET absl_synchronization)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
find_package(Boost REQUIRED COMPONENTS program_options)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(GTest REQUIRED)

set(CONCLAVE_WARNINGS -Wall -Wextra -Werror)
add_library(conclave_warnings INTERFACE)
target_compile_options(conclave_warnings INTERFACE ${CONCLAVE_WARNINGS})

# Users write #include <conclave/lock/mutex.h>. The tree mirrors it: build/include/conclave/<room> is a
# link to the room's folder, so that the same line works here and against an install.
set(CONCLAVE_INCLUDE_DIR ${CMAKE_BINARY_DIR}/include)
file(MAKE_DIRECTORY ${CONCLAVE_INCLUDE_DIR}/conclave)

function(conclave_add_rooms)
  foreach(folder IN LISTS ARGN)
    get_filename_component(room ${folder} NAME)
    if(EXISTS ${CMAKE_SOURCE_DIR}/${folder}/CMakeLists.txt)
      file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${CONCLAVE_INCLUDE_DIR}/conclave/${room} SYMBOLIC)
      add_subdirectory(${folder})
    endif()
  endforeach()
endfunction()

# conclave_room(NAME SOURCES a.cc … [DEPENDS room …] [LIBRARIES target …] [PUBLIC_HEADERS a.h …])
# PUBLIC_HEADERS are what an install gives to users, as <conclave/NAME/a.h>.
function(conclave_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;DEPENDS;LIBRARIES;PUBLIC_HEADERS" ${ARGN})
  add_library(conclave_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(conclave_${name} PUBLIC
    $<BUILD_INTERFACE:${CONCLAVE_INCLUDE_DIR}> $<INSTALL_INTERFACE:include>)
  target_compile_options(conclave_${name} PRIVATE ${CONCLAVE_WARNINGS})
  target_compile_features(conclave_${name} PUBLIC cxx_std_20)
  foreach(room IN LISTS ROOM_DEPENDS)
    target_link_libraries(conclave_${name} PUBLIC conclave_${room})
  endforeach()
  target_link_libraries(conclave_${name} PUBLIC ${ROOM_LIBRARIES} Threads::Threads)
  install(FILES ${ROOM_PUBLIC_HEADERS} DESTINATION include/conclave/${name})
endfunction()

# What users link: the recipes, the client, the embedded server, and what they are made of.
function(conclave_install)
  foreach(room IN LISTS ARGN)
    set_target_properties(conclave_${room} PROPERTIES EXPORT_NAME ${room})
    install(TARGETS conclave_${room} EXPORT ConclaveTargets ARCHIVE DESTINATION lib/conclave)
  endforeach()
  install(EXPORT ConclaveTargets NAMESPACE Conclave:: DESTINATION lib/cmake/Conclave)
  install(FILES ${CMAKE_SOURCE_DIR}/cmake/ConclaveConfig.cmake DESTINATION lib/cmake/Conclave)
endfunction()

# conclave_program(NAME SOURCES a.cc … LINKS target …): lands in build/bin.
function(conclave_program name)
  cmake_parse_arguments(PROGRAM "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  target_link_libraries(${name} PRIVATE conclave_warnings ${PROGRAM_LINKS})
endfunction()

# conclave_test(NAME SOURCES a_test.cc … LINKS target … [LABELS label …] [TIMEOUT seconds])
# Label core: rooms without gRPC, which also run under ASan and UBSan in every change, under TSan in check-long.
# One ctest entry a program: GoogleTest's own cases run in one process, which keeps ctest quick.
function(conclave_test name)
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE conclave_warnings ${TEST_LINKS} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  if(core IN_LIST TEST_LABELS)
    set_property(GLOBAL APPEND PROPERTY CONCLAVE_CORE_TESTS ${name})
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${TEST_TIMEOUT} LABELS "${TEST_LABELS}")
endfunction()
