# Runs while installing: a manual page for each installed program, made by help2man of what the program says itself.
find_program(HELP2MAN help2man)
set(prefix "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
if(NOT HELP2MAN)
  message(WARNING "help2man is not installed: no manual pages")
  return()
endif()
file(MAKE_DIRECTORY "${prefix}/share/man/man1")
foreach(program ${TT_INSTALLED_PROGRAMS})
  execute_process(COMMAND ${HELP2MAN} --locale=C.UTF-8 --no-info --section=1 "--source=Telltale ${TT_VERSION}" "--manual=Telltale"
                          "--output=${prefix}/share/man/man1/${program}.1" "${prefix}/bin/${program}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()
