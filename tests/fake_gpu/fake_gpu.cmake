# The programs and tests that a GPU machine gets, once more, for a device that is not there (device.h): the objects of this build, but
# for the .cu files, which are compiled to give their kernels to its streams. They lie in BUILD/fake/{bin,tests,lib}.
file(GLOB_RECURSE fake_cu CONFIGURE_DEPENDS kernels/*.cu losses/*.cu)
set_source_files_properties(${fake_cu} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++")
add_library(tt_fake_gpu OBJECT ${fake_cu} tests/fake_gpu/memory.cpp tests/fake_gpu/streams.cpp tests/fake_gpu/runtime.cpp)
target_compile_definitions(tt_fake_gpu PRIVATE TT_FAKE_GPU=1)
# -O1 halves the time to compile. Device code reads memory as words of other types, which must lie on multiples of their size: what does not ends the program. Where a
# host file and a .cu both define an inline function, the linker takes the .cu's, whose objects come first.
target_compile_options(tt_fake_gpu PRIVATE -include ${CMAKE_SOURCE_DIR}/tests/fake_gpu/intrinsics.h -fno-strict-aliasing
                                           -fsanitize=alignment -fsanitize-undefined-trap-on-error -Wno-maybe-uninitialized -O1)
target_include_directories(tt_fake_gpu SYSTEM PRIVATE ${CUDNN_INCLUDE})
target_link_libraries(tt_fake_gpu PUBLIC tt_flags)
set(fake_objects $<TARGET_OBJECTS:tt_fake_gpu>)
foreach(floor ${floors})
  list(APPEND fake_objects $<FILTER:$<TARGET_OBJECTS:${floor}>,EXCLUDE,\\.cu\\.o$>)
endforeach()

# NVIDIA's libraries by their own names; what they need of the device they find in the program that opens them.
function(tt_fake_library name version)
  add_library(fake_${name} SHARED ${ARGN})
  target_include_directories(fake_${name} SYSTEM PRIVATE ${CUDNN_INCLUDE})
  target_link_libraries(fake_${name} PRIVATE tt_flags)
  set_target_properties(fake_${name} PROPERTIES OUTPUT_NAME ${name} SUFFIX .so.${version} LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake/lib)
endfunction()
file(STRINGS ${CUBLAS_INCLUDE}/cublas_api.h cublas_version REGEX "define CUBLAS_VER_MAJOR")
string(REGEX REPLACE ".*MAJOR ([0-9]+).*" "\\1" cublas_version "${cublas_version}")
tt_fake_library(cudnn 9 tests/fake_gpu/cudnn.cpp tests/fake_gpu/cudnn_operations.cpp)
tt_fake_library(cublasLt ${cublas_version} tests/fake_gpu/cublaslt.cpp)
tt_fake_library(nccl 2 tests/fake_gpu/nccl.cpp)

# TARGET's objects as a program in BUILD/fake/FOLDER.
function(tt_fake_program target folder)
  add_executable(fake_${target} $<TARGET_OBJECTS:${target}> ${fake_objects} ${ARGN})
  target_link_libraries(fake_${target} PRIVATE tt_flags CLI11::CLI11 spdlog::spdlog fmt::fmt OpenSSL::Crypto
                                               JPEG::JPEG PNG::PNG ${WEBP_DEMUX_LIBRARY} ${WEBP_LIBRARY} ZLIB::ZLIB)
  # RPATH, not RUNPATH: the fake libraries come before those of LD_LIBRARY_PATH.
  target_link_options(fake_${target} PRIVATE -Wl,--disable-new-dtags)
  set_target_properties(fake_${target} PROPERTIES OUTPUT_NAME ${target} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake/${folder}
                                                  BUILD_RPATH ${CMAKE_BINARY_DIR}/fake/lib)
  add_dependencies(fake_${target} fake_cudnn fake_cublasLt fake_nccl)
  if(TARGET telltale_mpi) # which a program looks for beside itself
    add_dependencies(fake_${target} telltale_mpi)
    add_custom_command(TARGET fake_${target} POST_BUILD COMMAND ${CMAKE_COMMAND} -E create_symlink $<TARGET_FILE:telltale_mpi>
                                                                $<TARGET_FILE_DIR:fake_${target}>/$<TARGET_FILE_NAME:telltale_mpi>)
  endif()
  add_dependencies(fake_gpu fake_${target})
endfunction()
add_custom_target(fake_gpu ALL)
file(READ tools/scripts/gpu_programs.sh gpu_lists)
foreach(list gpu_programs gpu_tests)
  string(REGEX MATCH "${list}=\\(([^)]*)\\)" _ "${gpu_lists}")
  string(REGEX REPLACE "[ \n]+" ";" ${list} "${CMAKE_MATCH_1}")
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS tools/scripts/gpu_programs.sh)
foreach(program ${gpu_programs})
  set(more)
  if(program STREQUAL bench)
    set(more $<TARGET_OBJECTS:tt_cases>)
  endif()
  tt_fake_program(${program} bin ${more})
endforeach()
# A GPU's tests on it: of each, what takes the device by its name. Left out: cuDNN's engines for a real card, losses compiled to machine code, and
# what a host loop takes many minutes for (ResNets of full width by hand: build/fake/tests/chain_test --gtest_filter='*InHalvesResNets*').
list(REMOVE_ITEM gpu_tests cudnn_plan_test losses_file_test losses_test losses_golden_test gated_conv_test conv_halves_test)
foreach(test ${gpu_tests})
  set(more)
  set(filter */cuda:-*InHalvesResNets*)
  if(test STREQUAL kernels_test)
    set(more $<TARGET_OBJECTS:tt_cases>)
    set(filter *_cuda_*)
  elseif(test STREQUAL transfer_test)
    set(more $<TARGET_OBJECTS:tt_cases>)
  endif()
  tt_fake_program(${test} tests ${more})
  target_link_libraries(fake_${test} PRIVATE GTest::gtest GTest::gtest_main)
  add_test(NAME fake_gpu.${test} COMMAND fake_${test} --gtest_filter=${filter} --gtest_brief=1)
  set_tests_properties(
    fake_gpu.${test} PROPERTIES LABELS slow TIMEOUT 1800 ENVIRONMENT
    "TT_REQUIRE_GPU=1;OMP_WAIT_POLICY=passive;XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/fake/cache;TT_PROGRAMS=${CMAKE_BINARY_DIR}/fake/bin")
endforeach()
