//! Completion scripts for bash, zsh and fish, printed from the table.
//!
//! All complete commands, options, the values of options and the ids of containers, which they ask
//! `riverrun list -q` for, with the `--root` that stands on the line. zsh's script is a list of `_arguments`
//! specifications, fish's of `complete` commands; bash's needs nothing but bash.
#![forbid(unsafe_code)]

use super::table::{COMMANDS, GLOBAL_FLAGS};
use super::{Command, Complete, Flag, Takes};

/// The shells.
pub(crate) const SHELLS: &[&str] = &["bash", "zsh", "fish"];

/// The script for `shell`, if there is one.
pub(crate) fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(zsh()),
        "fish" => Some(fish()),
        _ => None,
    }
}

const BASH_HEAD: &str = r#"# bash completion for riverrun, printed by "riverrun completion bash".
_riverrun() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local command='' root=() count=0 i=1 word
    COMPREPLY=()
    while (( i < COMP_CWORD )); do
        word=${COMP_WORDS[i]}
        if [[ $word == -* ]]; then
            if _riverrun_takes_value "$command" "$word"; then
                [[ $word == *-root ]] && root=(--root "${COMP_WORDS[i+1]}")
                (( i++ ))
            fi
        elif [[ -z $command ]]; then
            command=$word
        else
            (( count++ ))
        fi
        (( i++ ))
    done
    if [[ $prev == -* ]] && _riverrun_takes_value "$command" "$prev"; then
        _riverrun_value "$command" "$prev"
        return
    fi
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$(_riverrun_flags "$command")" -- "$cur"))
    elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "@COMMANDS@" -- "$cur"))
    elif (( count == 0 )); then
        case $command in
            completion) COMPREPLY=($(compgen -W "@SHELLS@" -- "$cur")) ;;
            help) COMPREPLY=($(compgen -W "@COMMANDS@" -- "$cur")) ;;
            @ID_COMMANDS@) COMPREPLY=($(compgen -W "$(riverrun "${root[@]}" list -q 2>/dev/null)" -- "$cur")) ;;
        esac
    fi
}
"#;

fn bash() -> String {
    let mut text = BASH_HEAD
        .replace("@COMMANDS@", &joined(COMMANDS.iter().map(|command| command.name), " "))
        .replace("@SHELLS@", &SHELLS.join(" "))
        .replace(
            "@ID_COMMANDS@",
            &joined(COMMANDS.iter().filter(|c| names_existing(c)).map(|c| c.name), "|"),
        );
    let sets = || [("", GLOBAL_FLAGS)].into_iter().chain(COMMANDS.iter().map(|c| (c.name, c.flags)));
    text += "_riverrun_flags() {\n    case $1 in\n";
    for (name, flags) in sets() {
        let flags = joined(flags.iter().flat_map(spellings).chain(["--help".to_owned()]), " ");
        text += &format!("        '{name}') echo \"{flags}\" ;;\n");
    }
    text += "    esac\n}\n_riverrun_takes_value() {\n    case \"$1 $2\" in\n";
    for (name, flags) in sets() {
        let valued = flags.iter().filter(|flag| flag.takes.hint().is_some()).flat_map(spellings);
        let patterns = joined(valued.map(|spelling| format!("'{name} {spelling}'")), "|");
        if !patterns.is_empty() {
            text += &format!("        {patterns}) return 0 ;;\n");
        }
    }
    text += "    esac\n    return 1\n}\n_riverrun_value() {\n    case \"$1 $2\" in\n";
    for (name, flags) in sets() {
        for flag in flags {
            let reply = match flag.takes.hint().map(|hint| hint.complete) {
                Some(Complete::Files) => "compgen -f -- \"$cur\"".to_owned(),
                Some(Complete::Directories) => "compgen -d -- \"$cur\"".to_owned(),
                Some(Complete::Words(words)) => format!("compgen -W \"{}\" -- \"$cur\"", words.join(" ")),
                Some(Complete::Free) | None => continue,
            };
            let patterns =
                joined(spellings(flag).into_iter().map(|spelling| format!("'{name} {spelling}'")), "|");
            text += &format!("        {patterns}) COMPREPLY=($({reply})) ;;\n");
        }
    }
    text + "    esac\n}\ncomplete -F _riverrun riverrun\n"
}

const ZSH_HEAD: &str = r#"#compdef riverrun
# zsh completion for riverrun, printed by "riverrun completion zsh".
_riverrun_ids() {
    local root=()
    [[ -n ${opt_args[--root]} ]] && root=(--root ${(Q)opt_args[--root]})
    compadd -- ${(f)"$(riverrun $root list -q 2>/dev/null)"}
}
_riverrun() {
    local state line context
    typeset -A opt_args
"#;

fn zsh() -> String {
    let mut text = ZSH_HEAD.to_owned();
    text += &format!("    _arguments -C {} '1: :->command' '*:: :->rest'\n", zsh_flags(GLOBAL_FLAGS));
    text += "    case $state in\n    command)\n        local commands=(\n";
    for command in COMMANDS {
        text += &format!("            {}\n", zsh_quoted(&format!("{}:{}", command.name, command.about)));
    }
    text += "        )\n        _describe command commands ;;\n    rest)\n        case $words[1] in\n";
    for command in COMMANDS {
        let argument = match command.name {
            "completion" => format!(" '1:shell:({})'", SHELLS.join(" ")),
            "help" => format!(" '1:command:({})'", joined(COMMANDS.iter().map(|c| c.name), " ")),
            _ if command.tail => " '1:container:_riverrun_ids' '*::command:_normal'".to_owned(),
            _ if names_existing(command) => " '1:container:_riverrun_ids'".to_owned(),
            _ => String::new(),
        };
        text += &format!("        {}) _arguments {}{argument} ;;\n", command.name, zsh_flags(command.flags));
    }
    text + "        esac ;;\n    esac\n}\n_riverrun \"$@\"\n"
}

fn zsh_flags(flags: &[Flag]) -> String {
    let specification = |flag: &Flag| {
        let star = if matches!(flag.takes, Takes::Many(_)) { "*" } else { "" };
        let value = flag.takes.hint().map_or(String::new(), |hint| {
            let action = match hint.complete {
                Complete::Free => " ".to_owned(),
                Complete::Files => "_files".to_owned(),
                Complete::Directories => "_files -/".to_owned(),
                Complete::Words(words) => format!("({})", words.join(" ")),
            };
            format!(":{}:{action}", hint.name.replace(':', "\\:"))
        });
        let about = flag.about.replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
        spellings(flag).into_iter().map(move |name| zsh_quoted(&format!("{star}{name}[{about}]{value}")))
    };
    joined(flags.iter().flat_map(specification).chain(["'(- *)--help[print this help]'".to_owned()]), " ")
}

fn zsh_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

const FISH_HEAD: &str = r#"# fish completion for riverrun, printed by "riverrun completion fish".
function __riverrun_command
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case @VALUED@
                set -q words[2]; and set -e words[1]
            case '-*'
            case '*'
                echo $words[1]
                return 0
        end
        set -e words[1]
    end
    return 1
end
function __riverrun_is
    contains -- (__riverrun_command) $argv
end
function __riverrun_ids
    set -l words (commandline -opc)
    set -l root
    set -l at (contains -i -- --root $words); and set root --root $words[(math $at + 1)]
    riverrun $root list -q 2>/dev/null
end
complete -c riverrun -f
"#;

fn fish() -> String {
    let valued = GLOBAL_FLAGS.iter().filter(|flag| flag.takes.hint().is_some()).flat_map(spellings);
    let mut text = FISH_HEAD.replace("@VALUED@", &joined(valued, " "));
    for flag in GLOBAL_FLAGS {
        text += &fish_flag("not __riverrun_command", flag);
    }
    for command in COMMANDS {
        let about = fish_quoted(command.about);
        let name = command.name;
        text += &format!("complete -c riverrun -n 'not __riverrun_command' -a {name} -d {about}\n");
        let condition = format!("__riverrun_is {name}");
        for flag in command.flags {
            text += &fish_flag(&condition, flag);
        }
        let arguments = match name {
            "completion" => SHELLS.join(" "),
            "help" => joined(COMMANDS.iter().map(|command| command.name), " "),
            _ if names_existing(command) => String::from("(__riverrun_ids)"),
            _ => continue,
        };
        text += &format!("complete -c riverrun -n '{condition}' -a '{arguments}'\n");
    }
    text
}

fn fish_flag(condition: &str, flag: &Flag) -> String {
    let short = flag.short.map_or(String::new(), |short| format!(" -s {short}"));
    let value = match flag.takes.hint().map(|hint| hint.complete) {
        None => String::new(),
        Some(Complete::Free) => String::from(" -x"),
        Some(Complete::Files) => String::from(" -r -F"),
        Some(Complete::Directories) => String::from(" -x -a '(__fish_complete_directories)'"),
        Some(Complete::Words(words)) => format!(" -x -a '{}'", words.join(" ")),
    };
    let about = fish_quoted(flag.about);
    format!("complete -c riverrun -n '{condition}'{short} -l {}{value} -d {about}\n", flag.long)
}

fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// `--bundle`, `-b`
fn spellings(flag: &Flag) -> Vec<String> {
    let long = format!("--{}", flag.long);
    flag.short.map(|short| format!("-{short}")).into_iter().chain([long]).collect()
}

/// Whether the first argument is the id of a container that exists.
fn names_existing(command: &Command) -> bool {
    command.arguments.starts_with("CONTAINER-ID") && !matches!(command.name, "create" | "run")
}

fn joined<S: AsRef<str>>(words: impl Iterator<Item = S>, between: &str) -> String {
    words.map(|word| word.as_ref().to_owned()).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_know_every_command_and_flag() {
        for shell in SHELLS {
            let text = script(shell).expect("a listed shell has a script");
            let dashes = if *shell == "fish" { "-l " } else { "--" };
            for command in COMMANDS {
                assert!(text.contains(command.name), "{shell}: {}", command.name);
                assert!(
                    command.flags.iter().all(|flag| text.contains(&format!("{dashes}{}", flag.long))),
                    "{shell}"
                );
            }
            assert!(
                !text.contains("@COMMANDS@") && !text.contains("@VALUED@"),
                "{shell}: a placeholder is left"
            );
        }
        assert_eq!(script("csh"), None);
    }
}
