# Writes FILES (paths below ROOT) into the C++ file OUT, as what FUNCTION (declared in HEADER) returns: programs carry them.
set(text "#include \"${HEADER}\"\n\nnamespace telltale {\n\nstd::span<const EmbeddedFile> ${FUNCTION}() {\n  static constexpr EmbeddedFile kFiles[] = {\n")
foreach(file ${FILES})
  file(READ ${ROOT}/${file} content)
  string(APPEND text "{\"${file}\", R\"embedded(${content})embedded\"},\n")
endforeach()
file(WRITE ${OUT} "${text}};\n  return kFiles;\n}\n\n}  // namespace telltale\n")
