//! Declarations that are no messages. The compiler must refuse each file of `tests/refused`, at the lines that
//! say so, with an error that says what to do.
//!
//! * `//~ ERROR text` at the end of a line: an error there contains the text. A line may have several.
//! * `//@ derives` in a file: errors of the derives of zerocopy follow ours, and are not listed. Without it, every
//!   error is listed.
//!
//! The first error of each file is a listed one: it is what people read.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An error: its line, and its text.
type At = (usize, String);

/// Returns the errors that a case lists.
fn listed(case: &str) -> Vec<At> {
    let of_line = |(n, line): (usize, &str)| {
        let texts = line.split("//~ ERROR ").skip(1).map(|text| text.trim().to_owned());
        texts.map(|text| (n + 1, text)).collect::<Vec<_>>()
    };
    case.lines().enumerate().flat_map(of_line).collect()
}

/// Returns the errors in what the compiler prints with `--error-format=short`.
fn printed(output: &str) -> Vec<At> {
    let error = |line: &str| {
        let (place, text) = line.split_once(": error")?;
        let (_, text) = text.split_once(": ")?;
        let line = place.split(':').nth(1)?.parse().ok()?;
        Some((line, text.to_owned()))
    };
    output.lines().filter_map(error).collect()
}

/// Returns what is wrong with the errors of a case.
fn wrong(case: &str, output: &str) -> Vec<String> {
    let (listed, printed) = (listed(case), printed(output));
    let is = |(line, text): &At, (at, error): &At| at == line && error.contains(text);
    let mut wrong = Vec::new();
    for expected in &listed {
        if !printed.iter().any(|error| is(expected, error)) {
            wrong.push(format!("line {}: no error says: {}", expected.0, expected.1));
        }
    }
    let is_listed = |error: &At| listed.iter().any(|expected| is(expected, error));
    let others: Vec<_> = printed.iter().filter(|error| !is_listed(error)).collect();
    if case.contains("//@ derives") {
        if let Some((line, text)) = printed.first().filter(|first| !is_listed(first)) {
            wrong.push(format!("line {line}: the first error is: {text}"));
        }
    } else {
        wrong.extend(others.iter().map(|(line, text)| format!("line {line}: not listed: {text}")));
    }
    if listed.is_empty() {
        wrong.push("nothing is listed".into());
    }
    wrong
}

/// The compiler and the library, as cargo has just built it.
struct Compiler {
    rustc: PathBuf,
    library: PathBuf,
}

impl Compiler {
    fn new() -> Compiler {
        let cargo = PathBuf::from(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
        let test = env::current_exe().expect("this test");
        let target = test.ancestors().nth(3).expect("the folder of build results");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let mut build = Command::new(&cargo);
        // What has just been built for this test, so that nothing is built twice.
        build.args(["test", "--no-run", "--offline", "--package", "sysvring-macros"]);
        build.args(["--message-format", "json"]);
        build.arg("--manifest-path").arg(root).arg("--target-dir").arg(target);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.output().expect("cargo");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let messages = String::from_utf8(built.stdout).expect("JSON");
        let library = messages
            .lines()
            .filter(|line| line.contains("\"compiler-artifact\""))
            .filter(|line| line.contains("\"name\":\"sysvring\""))
            .find_map(|line| line.split('"').find(|text| text.ends_with(".rlib")))
            .expect("the library among what cargo built");
        let beside = cargo.with_file_name("rustc");
        let rustc = if beside.exists() { beside } else { "rustc".into() };
        Compiler { rustc, library: library.into() }
    }

    /// Returns the errors of a file.
    fn errors(&self, file: &Path) -> String {
        let folder = self.library.parent().expect("its folder");
        let dependencies = folder.join("deps");
        let dependencies = if dependencies.exists() { &dependencies } else { folder };
        let mut library = std::ffi::OsString::from("sysvring=");
        library.push(&self.library);
        let compiled = Command::new(&self.rustc)
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "bin",
                "--emit",
                "metadata",
                "-o",
                "/dev/null",
            ])
            .args(["--error-format", "short", "--color", "never", "--cap-lints", "allow"])
            .arg("-L")
            .arg(dependencies)
            .arg("--extern")
            .arg(library)
            .arg(file)
            .output()
            .expect("rustc");
        let errors = String::from_utf8(compiled.stderr).expect("text");
        assert!(!compiled.status.success(), "{}: compiled", file.display());
        // A path may contain colons.
        errors.replace(file.to_str().expect("a path"), "case.rs")
    }
}

#[test]
fn each_case_is_refused_where_it_says() {
    let compiler = Compiler::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused");
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("the cases").map(|entry| entry.expect("one").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} has cases", folder.display());
    let mut failed = String::new();
    for file in files {
        let output = compiler.errors(&file);
        let wrong = wrong(&fs::read_to_string(&file).expect("a case"), &output);
        if !wrong.is_empty() {
            failed += &format!("{}:\n  {}\n{output}\n", file.display(), wrong.join("\n  "));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn errors_that_are_missing_or_not_listed_are_detected() {
    let case = "struct A; //~ ERROR no message\nstruct B;";
    assert_eq!(wrong(case, "case.rs:1:8: error[E0277]: `A` is no message: do this"), [""; 0]);
    assert_eq!(wrong(case, "case.rs:2:8: error: no message").len(), 2, "another line");
    assert_eq!(wrong(case, "case.rs:1:8: error: other").len(), 2, "another text");
    let two = "case.rs:1:8: error: no message\ncase.rs:2:8: error: other";
    assert_eq!(wrong(case, two), ["line 2: not listed: other"]);
    let derives = format!("//@ derives\n{case}");
    let first = "case.rs:3:8: error: other\ncase.rs:2:8: error: no message";
    assert_eq!(wrong(&derives, first), ["line 3: the first error is: other"]);
    let later = "case.rs:2:8: error: no message\ncase.rs:3:8: error: other\nerror: aborting";
    assert_eq!(wrong(&derives, later), [""; 0]);
    assert_eq!(wrong("struct A;", ""), ["nothing is listed"]);
}
