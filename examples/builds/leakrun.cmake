# leakrun for a CMake project's tests. Copy this folder into it, and in its CMakeLists.txt, before the tests are added:
#
#     include(cmake/leakrun.cmake)
#
# and then
#
#     cmake -B build -DLEAKRUN=ON -DCMAKE_BUILD_TYPE=Debug && cmake --build build
#     ctest --test-dir build --output-on-failure       every test under leakrun: it fails where it leaks, or could not be measured
#     ctest --test-dir build -T memcheck               CTest's own count of defects, without LEAKRUN=ON
#
# The environment of ctest says more: LEAKRUN_PROFILE=massif, LEAKRUN_CHECK="--baseline leaks.json" ... (see leakrun-test beside this file).
# Only tests whose command is a target of the project are run under leakrun, as CMake has it; a script or python is not.
# Raise a test's TIMEOUT: memcheck is 10 to 50 times slower. gtest_discover_tests() wants DISCOVERY_MODE PRE_TEST.

option(LEAKRUN "Run the tests under leakrun" OFF)

if(LEAKRUN)
    find_program(LEAKRUN_COMMAND leakrun REQUIRED)
    set(leakrun_launcher "${CMAKE_CURRENT_LIST_DIR}/leakrun-test")
    if(CMAKE_VERSION VERSION_LESS 3.29)
        set(CMAKE_CROSSCOMPILING_EMULATOR "${leakrun_launcher}") # is put before tests though nothing is cross-compiled
    else()
        set(CMAKE_TEST_LAUNCHER "${leakrun_launcher}")
    endif()
endif()

# Before include(CTest), which writes them down.
set(MEMORYCHECK_COMMAND "${CMAKE_CURRENT_LIST_DIR}/leakrun-memcheck" CACHE FILEPATH "What ctest -T memcheck runs the tests under")
set(MEMORYCHECK_TYPE Valgrind CACHE STRING "As whom CTest calls it")
include(CTest)
