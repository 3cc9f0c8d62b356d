# The program: src/app/main.c over every module.
if(EXISTS ${CMAKE_SOURCE_DIR}/src/app/main.c)
  add_executable(modeld ${CMAKE_SOURCE_DIR}/src/app/main.c)
  target_link_libraries(modeld PRIVATE ${MD_MODULES})
endif()
