//! Completions and manual pages: of every command, and where the user wants them.

use std::process::Command;

use crate::support::Scratch;

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// Every command and sub-command that the help lists, with its flags.
fn commands(scratch: &Scratch, above: &str) -> Vec<(String, Vec<String>)> {
    let help = scratch.succeeds(&format!("{above} --help"));
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that goes on in a second line is indented further than a name.
    let begun = listed.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let names = begun.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let below = names.flat_map(|name| commands(scratch, format!("{above} {name}").trim()));
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split([' ', ',', '[']).next());
    let mut all = vec![(above.to_owned(), flags.map(str::to_owned).collect())];
    all.extend(below);
    all
}

#[test]
fn every_command_and_flag_has_a_manual_page_and_is_completed_by_every_shell() {
    let scratch = Scratch::new();
    let commands = commands(&scratch, "");
    let names: Vec<&str> = commands.iter().map(|(name, _)| name.as_str()).collect();
    assert!(["", "train", "scaler fit", "cache clear", "manual"].iter().all(|name| names.contains(name)), "{names:?}");

    assert!(scratch.succeeds("manual man1").contains(&format!("{} pages", commands.len())));
    let scripts = SHELLS.map(|shell| (shell, scratch.succeeds(&format!("completions {shell}"))));
    for (name, flags) in &commands {
        let page = format!("man1/{}.1", format!("ciphertune {name}").trim().replace(' ', "-"));
        let page = String::from_utf8(scratch.read(&page)).unwrap();
        assert!(page.contains(".TH ") && page.contains(".SH NAME"), "{page}");
        for flag in flags {
            assert!(page.contains(&format!("\\-\\-{}", flag.replace('-', "\\-"))), "{name} --{flag}");
        }
        for (shell, script) in &scripts {
            let last = name.split(' ').next_back().unwrap_or_default();
            assert!(script.contains(last), "{shell} does not know {name}");
            for flag in flags {
                assert!(script.contains(flag.as_str()), "{shell} does not know {name} --{flag}");
            }
        }
    }
    assert_eq!(scratch.listing().len(), commands.len() + 1);
}

#[test]
fn pages_go_beside_those_of_other_programs_and_replace_none_without_force() {
    let scratch = Scratch::new();
    scratch.make("man1");
    scratch.write("man1/other.1", "of another program");
    scratch.write("man1/ciphertune-train.1", "old");
    scratch.fails(2, "manual man1", &["ciphertune-train.1", "exists", "--force"]);
    assert_eq!(scratch.listing().len(), 3, "none was written");
    scratch.succeeds("manual man1 --force");
    assert_eq!(scratch.read("man1/other.1"), b"of another program");
    assert!(scratch.read("man1/ciphertune-train.1").starts_with(b".ie"));
    scratch.write("file", "");
    scratch.fails(2, "manual file", &["file", "no folder"]);
}

/// What bash offers for the last of `words`, and the options that it is told beside.
fn completed_by_bash(scratch: &Scratch, words: &str) -> Option<String> {
    let script = format!(
        r#"source completions.bash
           compopt() {{ echo "[$*]"; }}
           COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
           _ciphertune ciphertune "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
           echo "${{COMPREPLY[@]}}""#
    );
    let output = Command::new("bash").args(["--norc", "-c", &script]).current_dir(scratch.path("")).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn bash_completes_commands_choices_files_and_folders() {
    let scratch = Scratch::new();
    scratch.write("completions.bash", scratch.succeeds("completions bash"));
    scratch.write("model.enc", "");
    let Some(offered) = completed_by_bash(&scratch, "ciphertune tr") else {
        println!("bash is not installed: skipped");
        return;
    };
    assert_eq!(offered.trim(), "train");
    let offers = |words: &str| completed_by_bash(&scratch, words).unwrap();
    assert_eq!(offers("ciphertune train --me").trim(), "--memory");
    assert_eq!(offers("ciphertune run --recipe ''").trim(), "default paper");
    assert_eq!(offers("ciphertune completions z").trim(), "zsh");
    for flag in ["train --eval-keys", "extract --images", "extract --backbone", "run --preprocess"] {
        assert!(offers(&format!("ciphertune {flag} mo")).contains("model.enc"), "{flag}");
    }
    for flag in ["train --job", "encrypt --keys", "run --report", "run --cache"] {
        let offered = offers(&format!("ciphertune {flag} ''"));
        assert!(offered.contains("plusdirs") && !offered.contains("model.enc"), "{flag}: {offered}");
    }
}
