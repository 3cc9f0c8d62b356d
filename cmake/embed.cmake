# md_embed(<module> <file> <name>): make gen/<module>/<name>.h with the bytes of <file>
# as md_<name>[], before <module> is compiled.
function(md_embed module file name)
  set(out ${CMAKE_BINARY_DIR}/gen/${module}/${name}.h)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -D IN=${CMAKE_SOURCE_DIR}/${file} -D OUT=${out}
      -D NAME=${name} -P ${CMAKE_SOURCE_DIR}/tools/gen/embed.cmake
    DEPENDS ${file} tools/gen/embed.cmake VERBATIM)
  add_custom_target(embed_${name} DEPENDS ${out})
  add_dependencies(md_${module} embed_${name})
endfunction()
