# Completion for bash. The flags come from the program's help page, so the two cannot differ. --help and
# --version are added here, since the help page has them only in its usage lines.

_upgrade_responder() {
    local word=$2 before=$3 help value
    help=$(upgrade-responder --help 2>/dev/null) || return
    # bash splits --flag=value into three words.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    value=$(sed -n "s/^  $before \([A-Z][A-Z:,.]*\).*/\1/p" <<<"$help")
    compopt +o nospace
    case $value in
        FILE) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        DIR) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        FORMAT) mapfile -t COMPREPLY < <(compgen -W 'text csv json line-protocol' -- "$word") ;;
        WHAT) mapfile -t COMPREPLY < <(compgen -W 'all app_version country city' -- "$word") ;;
        ?*) COMPREPLY=() ;;
        *)
            if [[ $word == -* ]]; then
                value="$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' <<<"$help") --help --version"
            else
                value='start report check-config explain take-over export-totals import-totals new-application help'
            fi
            mapfile -t COMPREPLY < <(compgen -W "$value" -- "$word")
            ;;
    esac
}
complete -F _upgrade_responder upgrade-responder
