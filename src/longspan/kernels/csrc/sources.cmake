# The kernels as a static library, without Python: shared by the extension module and by
# cross-compiled tests.
set(CSRC ${CMAKE_CURRENT_LIST_DIR})
add_library(longspan_kernels STATIC
  ${CSRC}/cpu.cpp ${CSRC}/plan.cpp ${CSRC}/team_size.cpp ${CSRC}/workspace.cpp
  ${CSRC}/isa/baseline.cpp ${CSRC}/isa/online/baseline.cpp)
set_target_properties(longspan_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET hidden)
target_include_directories(longspan_kernels PUBLIC ${CSRC})

# Fused multiply-adds are wanted, but for the online learner, whose results must not depend on the
# processor; reordering of sums is not. Vector types are passed between inlined
# functions only, so their calling convention does not matter (-Wno-psabi).
target_compile_options(longspan_kernels PRIVATE -O3 -ffp-contract=fast -fno-math-errno
  -fno-trapping-math -Wall -Wextra -Wno-psabi)
if(LONGSPAN_WERROR)
  target_compile_options(longspan_kernels PRIVATE -Werror)
endif()

set_source_files_properties(${CSRC}/isa/online/baseline.cpp PROPERTIES COMPILE_OPTIONS
  -ffp-contract=off)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_sources(longspan_kernels PRIVATE ${CSRC}/isa/avx2.cpp ${CSRC}/isa/avx512.cpp
    ${CSRC}/isa/online/avx2.cpp ${CSRC}/isa/online/avx512.cpp)
  target_compile_definitions(longspan_kernels PUBLIC LONGSPAN_X86)
  set(AVX512 "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mprefer-vector-width=512")
  set_source_files_properties(${CSRC}/isa/avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
  set_source_files_properties(${CSRC}/isa/avx512.cpp PROPERTIES COMPILE_OPTIONS
    "${AVX512}")
  set_source_files_properties(${CSRC}/isa/online/avx2.cpp PROPERTIES COMPILE_OPTIONS
    "-mavx2;-ffp-contract=off")
  set_source_files_properties(${CSRC}/isa/online/avx512.cpp PROPERTIES COMPILE_OPTIONS
    "${AVX512};-ffp-contract=off")
  # Compilers of before 2020 do not know bfloat16.
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-mavx512bf16 LONGSPAN_HAS_BFLOAT16)
  if(LONGSPAN_HAS_BFLOAT16)
    target_sources(longspan_kernels PRIVATE ${CSRC}/isa/avx512bf16.cpp
      ${CSRC}/isa/online/avx512bf16.cpp)
    target_compile_definitions(longspan_kernels PUBLIC LONGSPAN_BFLOAT16)
    set_source_files_properties(${CSRC}/isa/avx512bf16.cpp PROPERTIES COMPILE_OPTIONS
      "${AVX512};-mavx512bf16")
    set_source_files_properties(${CSRC}/isa/online/avx512bf16.cpp PROPERTIES COMPILE_OPTIONS
      "${AVX512};-mavx512bf16;-ffp-contract=off")
  endif()
  check_cxx_compiler_flag("-mamx-bf16 -mamx-tile" LONGSPAN_HAS_AMX)
  if(LONGSPAN_HAS_BFLOAT16 AND LONGSPAN_HAS_AMX AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_sources(longspan_kernels PRIVATE ${CSRC}/isa/amx.cpp ${CSRC}/isa/online/amx.cpp)
    target_compile_definitions(longspan_kernels PUBLIC LONGSPAN_AMX)
    set_source_files_properties(${CSRC}/isa/amx.cpp PROPERTIES COMPILE_OPTIONS
      "${AVX512};-mavx512bf16;-mamx-tile;-mamx-bf16")
    set_source_files_properties(${CSRC}/isa/online/amx.cpp PROPERTIES COMPILE_OPTIONS
      "${AVX512};-mavx512bf16;-mamx-tile;-mamx-bf16;-ffp-contract=off")
  endif()
endif()

if(LONGSPAN_SANITIZE)
  target_compile_options(longspan_kernels PUBLIC -g -fno-omit-frame-pointer
    -fsanitize=${LONGSPAN_SANITIZE})
  target_link_options(longspan_kernels PUBLIC -fsanitize=${LONGSPAN_SANITIZE})
endif()
if(LONGSPAN_SANITIZE MATCHES thread)
  # OpenMP's library is not built for ThreadSanitizer.
  target_compile_definitions(longspan_kernels PUBLIC LONGSPAN_PLAIN_THREADS)
  find_package(Threads REQUIRED)
  target_link_libraries(longspan_kernels PUBLIC Threads::Threads)
else()
  find_package(OpenMP)
  if(OpenMP_CXX_FOUND)
    target_link_libraries(longspan_kernels PUBLIC OpenMP::OpenMP_CXX)
  endif()
endif()
