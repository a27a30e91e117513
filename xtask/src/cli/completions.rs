//! The scripts that make a shell complete `cargo xtask `. clap_complete knows how a shell completes a program; what is
//! added here is the way there: the program typed is `cargo`, whose own completion stays in charge of all else.

use clap::builder::PossibleValuesParser;
use clap::{Args, Command};
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, PowerShell, Zsh};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_parser = PossibleValuesParser::new(SHELLS))]
    shell: String,
}

const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "powershell"];

/// What follows clap's function for bash.
const BASH: &str = r#"
# What is typed is `cargo`: words after `cargo xtask` go to the function above, all others to what completed them before.
_cargo_xtask_note() {
    local before
    before="$(complete -p cargo 2> /dev/null)" || return 0
    [[ $before == *"-F "* ]] || return 0
    before="${before##*-F }"
    before="${before%% *}"
    [[ $before == _cargo_xtask ]] || _cargo_xtask_before="$before"
}

_cargo_xtask() {
    local at=1
    [[ ${COMP_WORDS[1]:-} == +* ]] && at=2
    if [[ ${COMP_WORDS[at]:-} == xtask ]] && ((COMP_CWORD > at)); then
        COMP_WORDS=("${COMP_WORDS[@]:at}")
        COMP_CWORD=$((COMP_CWORD - at))
        _xtask xtask "$2" "$3"
        return
    fi
    if [[ -z ${_cargo_xtask_before:-} ]]; then
        # bash-completion loads what it knows of a command when that is first asked for.
        if declare -F _comp_load > /dev/null; then
            _comp_load cargo
        elif declare -F _completion_loader > /dev/null; then
            _completion_loader cargo
        fi
        _cargo_xtask_note
        complete -F _cargo_xtask -o bashdefault -o default cargo
    fi
    [[ -z ${_cargo_xtask_before:-} ]] || "$_cargo_xtask_before" "$@"
}

_cargo_xtask_note
complete -F _cargo_xtask -o bashdefault -o default cargo
"#;

/// What follows clap's completions for fish. They are of a command `xtask`, which does not have to exist.
const FISH: &str = r#"
# What is typed is `cargo`: words after `cargo xtask` are completed as those after `xtask`.
function __cargo_xtask
    set -l words (commandline -opc)
    while test (count $words) -gt 0 -a "$words[1]" != xtask
        set -e words[1]
    end
    complete -C (string join ' ' -- (string escape -- $words))" "(commandline -ct)
end
complete -c cargo -n '__fish_seen_subcommand_from xtask' -f -a '(__cargo_xtask)'
"#;

impl CompletionsArgs {
    /// The script for the shell.
    pub(super) fn script(&self, command: Command) -> String {
        let xtask = command.name("xtask").bin_name("xtask");
        match self.shell.as_str() {
            "bash" => written(Bash, xtask) + BASH,
            "zsh" => zsh(&written(Zsh, xtask)),
            "fish" => written(Fish, xtask) + FISH,
            // Nothing else completes cargo there: the whole of it is described as `xtask` alone.
            _ => {
                let cargo = Command::new("cargo").bin_name("cargo");
                written(PowerShell, cargo.subcommand(xtask.bin_name("cargo xtask")))
            }
        }
    }
}

fn written(shell: impl clap_complete::Generator, mut command: Command) -> String {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// cargo's completion for zsh calls a function `_cargo-NAME` for a command it does not know, so that is what the file becomes.
fn zsh(script: &str) -> String {
    let body = script.split("\nif [ \"$funcstack[1]\"").next();
    let body = body
        .unwrap_or(script)
        .replacen("#compdef xtask", "#autoload", 1);
    format!("{}\n\n_xtask \"$@\"\n", body.trim_end())
}
