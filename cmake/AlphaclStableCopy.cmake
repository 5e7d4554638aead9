# Copies files, headers or a compiler, into a folder of the build and names the copy. An isolated build finds its
# packages in a temporary folder, another one each time: in a compile line its path would make everything old, though
# not a byte has changed.
function(alphacl_stable_copy result folder source)
  set(copy "${CMAKE_BINARY_DIR}/${folder}")
  foreach(pattern IN LISTS ARGN)
    file(GLOB_RECURSE files RELATIVE "${source}" "${source}/${pattern}")
    if(NOT files)
      message(FATAL_ERROR "No ${pattern} in ${source}")
    endif()
    foreach(file IN LISTS files)
      cmake_path(GET file PARENT_PATH parent)
      file(MAKE_DIRECTORY "${copy}/${parent}")
      file(COPY_FILE "${source}/${file}" "${copy}/${file}" ONLY_IF_DIFFERENT)
    endforeach()
  endforeach()
  set(${result} "${copy}" PARENT_SCOPE)
endfunction()
