# `make install`: program, library, manual page, completion, systemd unit with
# its configuration at their FHS places under CMAKE_INSTALL_PREFIX, which installed files also name.  The
# target `product` builds what is installed and nothing else.
include(GNUInstallDirs)
add_custom_target(product)

if(TARGET modeld)
  # Names in the order of the list that the program itself is made of.
  file(STRINGS ${CMAKE_SOURCE_DIR}/src/cli/cmds.def rows REGEX "^CMD\\(")
  string(REGEX REPLACE "CMD\\(([a-z]+)[^;]*" "\\1" MD_COMMANDS "${rows}")
  string(REPLACE ";" " " MD_COMMANDS "${MD_COMMANDS}")
  configure_file(share/modeld.bash gen/modeld.bash @ONLY)
  configure_file(share/modeld.service gen/modeld.service @ONLY)

  set(page ${CMAKE_BINARY_DIR}/gen/modeld.1)
  set(conf ${CMAKE_BINARY_DIR}/gen/modeld.conf)
  add_custom_command(OUTPUT ${page} ${conf}
    COMMAND mkshare man ${page}
    COMMAND mkshare conf ${conf}
    DEPENDS mkshare VERBATIM)
  add_custom_target(md_share ALL DEPENDS ${page} ${conf})

  add_dependencies(product modeld md_share)
  install(TARGETS modeld)
  install(FILES ${CMAKE_BINARY_DIR}/gen/modeld.bash RENAME modeld
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${CMAKE_BINARY_DIR}/gen/modeld.service
    DESTINATION lib/systemd/system)
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  # What the administrator wrote stays.
  install(CODE "
    set(dir \"${CMAKE_INSTALL_FULL_SYSCONFDIR}/modeld\")
    if(NOT EXISTS \"\$ENV{DESTDIR}\${dir}/modeld.conf\")
      file(INSTALL \"${conf}\" DESTINATION \"\${dir}\")
    else()
      list(APPEND CMAKE_INSTALL_MANIFEST_FILES \"\${dir}/modeld.conf\")
    endif()")
  install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()

if(TARGET modeld_shared)
  include(CMakePackageConfigHelpers)
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/modeld)
  get_property(MD_REQUIRES GLOBAL PROPERTY MD_REQUIRES)
  string(REPLACE ";" " " MD_REQUIRES "${MD_REQUIRES}")
  configure_file(share/modeld.pc.in gen/modeld.pc @ONLY)
  configure_package_config_file(share/modeldConfig.cmake.in
    ${CMAKE_BINARY_DIR}/gen/modeldConfig.cmake
    INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(
    ${CMAKE_BINARY_DIR}/gen/modeldConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  add_dependencies(product modeld_shared modeld_static)
  install(TARGETS modeld_shared EXPORT modeldTargets COMPONENT library)
  install(TARGETS modeld_static DESTINATION ${CMAKE_INSTALL_LIBDIR}
    COMPONENT library)
  install(FILES include/modeld.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    COMPONENT library)
  install(EXPORT modeldTargets NAMESPACE modeld:: DESTINATION ${package_dir}
    COMPONENT library)
  install(FILES ${CMAKE_BINARY_DIR}/gen/modeldConfig.cmake
    ${CMAKE_BINARY_DIR}/gen/modeldConfigVersion.cmake
    DESTINATION ${package_dir} COMPONENT library)
  install(FILES ${CMAKE_BINARY_DIR}/gen/modeld.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
endif()
