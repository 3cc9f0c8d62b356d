# md_modules(): one static archive per row of src/LAYERS that has sources,
# linked against exactly the modules the row allows, so that a call upward
# fails at link time.  Sources are found by glob (docs/adr/0003): a file that
# no list names is caught by tools/lint/lists.py.
function(md_modules)
  file(STRINGS ${CMAKE_SOURCE_DIR}/src/LAYERS rows REGEX "^[a-z]")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/src/LAYERS)
  set(all)
  foreach(row IN LISTS rows)
    string(REGEX MATCH "^([a-z]+):(.*)$" _ "${row}")
    set(name ${CMAKE_MATCH_1})
    separate_arguments(deps UNIX_COMMAND "${CMAKE_MATCH_2}")
    file(GLOB_RECURSE src CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.c)
    if(MODELD_GENERIC)
      list(FILTER src EXCLUDE REGEX "/src/kernels/(x86|arm)/")
    endif()
    list(FILTER src EXCLUDE REGEX "/src/app/main\\.c$")
    if(NOT src)
      continue()
    endif()
    add_library(md_${name} STATIC ${src})
    target_include_directories(md_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src
      ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/gen)
    target_compile_options(md_${name} PRIVATE
      "SHELL:-include ${CMAKE_SOURCE_DIR}/src/base/banned.h")
    if(name STREQUAL "base")
      target_compile_definitions(md_base PRIVATE MD_ALLOW_MALLOC)
    endif()
    if(name STREQUAL "kernels")
      # Intrinsics take and give plain int where sizes are meant.
      target_compile_options(md_${name} PRIVATE -Wno-conversion
        -Wno-sign-conversion)
    endif()
    foreach(dep IN LISTS deps)
      if(TARGET md_${dep})
        target_link_libraries(md_${name} PUBLIC md_${dep})
      endif()
    endforeach()
    list(APPEND all md_${name})
  endforeach()
  set(MD_MODULES ${all} PARENT_SCOPE)
endfunction()
