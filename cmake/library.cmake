# libmodeld: the embedding interface of include/modeld.h as one shared and one
# static library.  The static one carries every module's objects, so that a
# user links one file; only modeld_* is exported by the shared one.
if(NOT TARGET md_api)
  return()
endif()

include(GNUInstallDirs)
# Everything below api in src/LAYERS, api included.
set(library_modules ${MD_MODULES})
list(REMOVE_ITEM library_modules md_cli md_app md_serve md_net)
set(library_objects)
foreach(module IN LISTS library_modules)
  list(APPEND library_objects $<TARGET_OBJECTS:${module}>)
endforeach()

foreach(kind IN ITEMS SHARED STATIC)
  string(TOLOWER modeld_${kind} target)
  add_library(${target} ${kind} EXCLUDE_FROM_ALL ${library_objects})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME modeld
    EXPORT_NAME modeld LINKER_LANGUAGE C)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
foreach(module IN LISTS library_modules)
  string(REGEX REPLACE "^md_" "" name ${module})
  target_link_libraries(modeld_shared PRIVATE ${MD_USES_${name}})
  target_link_libraries(modeld_static PRIVATE ${MD_USES_${name}})
endforeach()
set_target_properties(modeld_shared PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/share/modeld.map)
target_link_options(modeld_shared PRIVATE
  -Wl,--version-script=${CMAKE_SOURCE_DIR}/share/modeld.map)
if(NOT CMAKE_C_FLAGS MATCHES "-fsanitize") # clang's come with the program
  target_link_options(modeld_shared PRIVATE -Wl,-z,defs)
endif()
