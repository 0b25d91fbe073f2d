//! A writer ends, the segment stays, and a reader comes later.

use crate::ipc_fixture::IpcFixture;
use crate::program::{Output, run};

fn letter(name: &str, arguments: &[&str]) -> (bool, String, String) {
    let Output { end, report, errors } = run("letter", &[&["--name", name], arguments].concat());
    (end.success(), report, errors)
}

#[test]
fn a_letter_outlives_its_writer() {
    let ipc = IpcFixture::new();
    let name = format!("letter-test-{}", std::process::id());
    assert_eq!(letter(&name, &["write", "Dear reader,"]), (true, "".into(), "".into()));
    assert_eq!(letter(&name, &["write", "ünd so on"]), (true, "".into(), "".into()));
    assert!(!ipc.is_clean(), "the segment stays");

    let (shown, text, _) = letter(&name, &["show"]);
    assert!(shown);
    for part in [&*name, "2 of 16 slots filled", "sender    left", "writer"] {
        assert!(text.contains(part), "{part:?} in:\n{text}");
    }

    assert_eq!(letter(&name, &["read"]), (true, "Dear reader,\nünd so on\n".into(), "".into()));
    ipc.assert_clean();
    let (found, _, error) = letter(&name, &["read"]);
    assert!(!found && error.contains("does not exist"), "{error}");
    let (found, _, error) = letter(&name, &["show"]);
    assert!(!found && error.contains("does not exist"), "{error}");
}

#[test]
fn what_cannot_be_left_is_refused() {
    let ipc = IpcFixture::new();
    let name = format!("letter-test-full-{}", std::process::id());
    for n in 0..16 {
        assert!(letter(&name, &["write", &n.to_string()]).0);
    }
    let (left, _, error) = letter(&name, &["write", "one too many"]);
    assert!(!left && error.contains("full"), "{error}");
    let (left, _, error) = letter(&name, &["write", &"long".repeat(2000)]);
    assert!(!left && error.contains("8000") && error.contains("4096"), "{error}");
    let (read, text, _) = letter(&name, &["read"]);
    assert!(read);
    assert_eq!(
        text.lines().map(|line| line.parse().unwrap()).collect::<Vec<i32>>(),
        Vec::from_iter(0..16)
    );
    ipc.assert_clean();
}
