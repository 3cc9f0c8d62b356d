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
  # For modeld.pc: users of the static library link these too.
  set_property(GLOBAL APPEND PROPERTY MD_REQUIRES ${${target}_MODULE_NAME})
endfunction()

md_dependency(ZLIB zlib zlib1g-dev)
md_dependency(PNG libpng libpng-dev)
md_dependency(JPEG libjpeg libjpeg62-turbo-dev)
md_dependency(WEBP libwebp libwebp-dev)
md_dependency(PCRE2 libpcre2-8 libpcre2-dev)
md_dependency(HDF5 "hdf5;hdf5-serial" libhdf5-dev)
md_dependency(JANSSON jansson libjansson-dev)
md_dependency(SECCOMP libseccomp libseccomp-dev)

# md_uses(<module> <libraries>...): link libraries into one module only, so
# that what a module stands on is said in one place (CMakeLists.txt).
function(md_uses module)
  if(TARGET md_${module})
    target_link_libraries(md_${module} PUBLIC ${ARGN})
  endif()
  set(MD_USES_${module} ${ARGN} PARENT_SCOPE) # for libmodeld
endfunction()
