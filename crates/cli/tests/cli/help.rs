//! Help, errors of the command line, completions and manual pages.

use crate::tool::run;

#[test]
fn the_help_explains_names_and_exit_codes() {
    let help = run(&["--help"]).ok().out;
    for word in ["USER/NAME", "id:SEGMENT:NONCE", "key:0xKEY", "file:PATH:PROJECT", "124", "Usage:"]
    {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
}

/// Every command that the help lists has a help of its own and a page, and nothing else has.
#[test]
fn every_command_has_a_help_and_a_page() {
    let help = run(&["--help"]).ok().out;
    let (_, commands) = help.split_once("Commands:\n").expect("commands");
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() >= 7, "{commands:?}");
    for command in commands {
        assert!(run(&[command, "--help"]).ok().out.contains("Usage:"), "{command}");
        let page = run(&["man", command]).ok().out;
        assert!(page.contains(&format!("sysvring\\-{command}")), "{page}");
    }
}

#[test]
fn the_pages_can_be_written_to_a_folder() {
    let folder = std::env::temp_dir().join(format!("sysvring-man-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let run = run(&["man", "--folder", folder.to_str().expect("a path")]);
    let pages = std::fs::read_dir(&folder).expect("a folder").count();
    std::fs::remove_dir_all(&folder).expect("removed");
    run.ok();
    assert!(pages >= 8, "{pages}");
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).ok().out;
        assert!(script.contains("reap"), "{shell}");
    }
}

#[test]
fn a_wrong_command_line_is_an_error_of_code_2() {
    for args in [
        &["nonsense"][..],
        &["stat"],
        &["stat", "key:7"],
        &["ls", "-o", "NONSENSE"],
        &["wait", "x", "nothing"],
        &["stat", "key:0x7", "--owner", "0"],
        &["ls", "--owner", "no such user"],
    ] {
        let run = run(args);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}: {}", run.err);
        assert!(run.err.starts_with("sysvring: "), "{args:?}: {}", run.err);
    }
    let run = run(&[]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("Usage:"), "{}", run.err);
}
