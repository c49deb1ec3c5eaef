# Every kernel's cases once more, each lane a thread as ThreadSanitizer sees it (lane_threads.h): the objects of this build, but for the
# kernels' .cu files, which alone are instrumented.
set(threads_cu ${fake_cu})
list(FILTER threads_cu INCLUDE REGEX "/kernels/")
set(device_cu ${threads_cu}) # they launch nothing
list(FILTER threads_cu EXCLUDE REGEX "/kernels/device/")
list(FILTER device_cu INCLUDE REGEX "/kernels/device/")
add_library(tt_lane_threads OBJECT ${threads_cu} tests/lane_threads/lane_races.cpp)
target_compile_definitions(tt_lane_threads PRIVATE TT_FAKE_GPU=1 TT_LANE_THREADS=1)
target_compile_options(tt_lane_threads PRIVATE -include ${CMAKE_SOURCE_DIR}/tests/fake_gpu/intrinsics.h -fno-strict-aliasing
                                               -fsanitize=thread -Wno-tsan -Wno-maybe-uninitialized -O1 -g1)
target_link_libraries(tt_lane_threads PUBLIC tt_flags)
target_include_directories(tt_lane_threads SYSTEM PRIVATE ${CUDNN_INCLUDE})
set(threads_objects $<TARGET_OBJECTS:tt_lane_threads>)
foreach(floor tt_base tt_kernels)
  list(APPEND threads_objects $<FILTER:$<TARGET_OBJECTS:${floor}>,EXCLUDE,\\.cu\\.o$>)
endforeach()
add_executable(lane_races tests/lane_threads/lane_threads.cpp ${device_cu} ${threads_objects} $<TARGET_OBJECTS:tt_cases>)
target_link_libraries(lane_races PRIVATE tt_flags GTest::gtest GTest::gtest_main CLI11::CLI11 spdlog::spdlog fmt::fmt OpenSSL::Crypto)
target_link_options(lane_races PRIVATE -fsanitize=thread)
set_target_properties(lane_races PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
# GCC's OpenMP is not instrumented: one thread of it. Where the system scatters addresses more than this ThreadSanitizer knows, it is asked not to.
set(as_it_lies sh -c "setarch -R true 2>/dev/null && exec setarch -R \"$0\" \"$@\" || exec \"$0\" \"$@\"" $<TARGET_FILE:lane_races> --gtest_brief=1)
add_test(NAME lane_races COMMAND ${as_it_lies} --gtest_filter=-LaneBarriers.*)
# Each barrier is a process of its own, in which names of places would take most of the time.
add_test(NAME lane_barriers COMMAND ${as_it_lies} --gtest_filter=LaneBarriers.*)
set_tests_properties(lane_races lane_barriers PROPERTIES LABELS slow TIMEOUT 1200 ENVIRONMENT OMP_NUM_THREADS=1)
set_property(TEST lane_barriers APPEND PROPERTY ENVIRONMENT TSAN_OPTIONS=symbolize=0)
