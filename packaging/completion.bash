# Completion of Telltale's programs in bash: their options and the values these take, as the programs' --help says them.
_telltale() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} help values
  help=$("${COMP_WORDS[0]}" --help 2>/dev/null)
  if [[ $before == --* ]]; then
    # "--precision TEXT:{auto,f32}=f32": the words between the braces
    values=$(sed -n "s/^ *\(-[a-zA-Z],\)\?$before [^ ]*{\([^}]*\)}.*/\2/p" <<<"$help" | tr ',' ' ')
    if [[ -n $values ]]; then
      mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
      return
    fi
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(grep -oE '^ +(-[a-zA-Z],)?--[a-z][a-z0-9-]*' <<<"$help" | grep -oE -- '--.*')" -- "$word")
    return
  fi
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$word")
}
complete -F _telltale @TT_INSTALLED_PROGRAMS@
