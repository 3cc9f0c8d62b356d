# System libraries (docs/adr/0011).  Each is a row: target, pkg-config names in
# order of preference, Debian package.  A library that is missing stops the
# configuration with the line that installs it.
find_package(Threads REQUIRED)
find_package(PkgConfig)
if(NOT PKG_CONFIG_FOUND)
  message(FATAL_ERROR "pkg-config is missing: apt-get install pkg-config "
    "(or `make deps`, which installs everything)")
endif()

function(md_dependency target names package)
  pkg_search_module(${target} IMPORTED_TARGET ${names})
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "${package} is missing: apt-get install ${package} "
      "(or `make deps`, which installs everything)")
  endif()
endfunction()

md_dependency(ZLIB zlib zlib1g-dev)
md_dependency(ZSTD libzstd libzstd-dev)
md_dependency(PNG libpng libpng-dev)
md_dependency(JPEG libjpeg libjpeg62-turbo-dev)
md_dependency(WEBP libwebp libwebp-dev)
md_dependency(PCRE2 libpcre2-8 libpcre2-dev)
md_dependency(HDF5 "hdf5;hdf5-serial" libhdf5-dev)
md_dependency(JANSSON jansson libjansson-dev)
md_dependency(SECCOMP libseccomp libseccomp-dev)
md_dependency(NGHTTP2 libnghttp2 libnghttp2-dev)
md_dependency(OPENSSL openssl libssl-dev)

# md_uses(<module> <libraries>...): link libraries into one module only, so
# that what a module stands on is said in one place (CMakeLists.txt).
function(md_uses module)
  if(TARGET md_${module})
    target_link_libraries(md_${module} PUBLIC ${ARGN})
  endif()
  set(MD_USES_${module} ${ARGN} PARENT_SCOPE) # for libmodeld
  # For modeld.pc: users of the static library link these too.
  list(TRANSFORM ARGN REPLACE "^PkgConfig::" "")
  foreach(target IN LISTS ARGN)
    set_property(GLOBAL APPEND PROPERTY MD_REQUIRES ${${target}_MODULE_NAME})
  endforeach()
endfunction()

# md_loads(<module> <target>): the module opens this library when it needs it
# (docs/adr/0024), by the name in MD_<target>_SONAME: headers, nothing to link.
function(md_loads module target)
  get_target_property(file PkgConfig::${target} INTERFACE_LINK_LIBRARIES)
  list(GET file 0 file)
  execute_process(COMMAND ${CMAKE_READELF} -d ${file}
    OUTPUT_VARIABLE dynamic RESULT_VARIABLE failed)
  if(failed OR NOT dynamic MATCHES "SONAME[^[]*\\[([^]]+)\\]")
    message(FATAL_ERROR "${file}: a shared library with a soname expected")
  endif()
  if(TARGET md_${module})
    target_include_directories(md_${module} SYSTEM PUBLIC
      ${${target}_INCLUDE_DIRS})
    target_compile_definitions(md_${module} PRIVATE
      MD_${target}_SONAME="${CMAKE_MATCH_1}")
  endif()
endfunction()
