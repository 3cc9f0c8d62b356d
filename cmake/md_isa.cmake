# md_isa(<suffix> <flags>...): a kernel file's suffix names its instruction set
# and so its compiler flags; everything else is built for the plain baseline.
function(md_isa suffix)
  file(GLOB_RECURSE src CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/src/kernels/*_${suffix}.c)
  set_source_files_properties(${src} PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()
