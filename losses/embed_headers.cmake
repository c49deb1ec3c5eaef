# Writes HEADERS (paths below ROOT) into the C++ file OUT, so that programs carry what a loss file includes.
set(text "#include \"losses/embedded_headers.h\"\n\nnamespace telltale {\n\nstd::span<const EmbeddedHeader> embedded_headers() {\n  static constexpr EmbeddedHeader kHeaders[] = {\n")
foreach(header ${HEADERS})
  file(READ ${ROOT}/${header} content)
  string(APPEND text "{\"${header}\", R\"embedded(${content})embedded\"},\n")
endforeach()
file(WRITE ${OUT} "${text}};\n  return kHeaders;\n}\n\n}  // namespace telltale\n")
