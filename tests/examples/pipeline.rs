//! The pipeline's counts are correct, whatever the files contain.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::ipc_fixture::IpcFixture;
use crate::program::{Folder, Output, run};

/// Makes files of all kinds. Returns all of their text.
fn odd_files(folder: &Folder) -> Vec<Vec<u8>> {
    let letters: Vec<u8> = (0..50_000u32).map(|i| b'a' + (i % 7) as u8).collect();
    let mut files: Vec<(&OsStr, Vec<u8>)> = [
        ("empty", Vec::new()),
        ("newline", b"\n".to_vec()),
        ("one-line", b"the one line\n".to_vec()),
        ("no-final-newline", b"the first\nthe second".to_vec()),
        ("-option", b"the name is no option".to_vec()),
        ("a/deep/folder/here", b"deep down\r\n\r\nindeed\n\n".to_vec()),
        ("latin-1", b"na\xefve caf\xe9\n\xff\xfe\xfd".to_vec()),
        ("utf-8", "naïve café, 日本語\n".into()),
        ("binary", (0..=255).cycle().take(70_000).collect()),
        ("zeros", vec![0; 70_000]),
        ("long-line", "a line with the same words ".repeat(8_000).into()),
        ("long-word", letters.clone()),
        ("long-word-and-newline", [&letters[..], b"\n", &letters[..], b" end"].concat()),
    ]
    .map(|(name, text)| (OsStr::new(name), text))
    .into();
    // A name that is not UTF-8; texts that end at every boundary of slots.
    files.push((OsStr::from_bytes(b"caf\xe9"), b"a file of no name".to_vec()));
    let mut texts = Vec::new();
    for (name, text) in files {
        folder.file(name, &text);
        texts.push(text);
    }
    for len in (500..520).chain(4085..4100) {
        for (kind, text) in [
            ("word", vec![b'w'; len]),
            ("line", [vec![b'x'; len], vec![b'\n']].concat()),
            ("lines", b"ab\n".iter().copied().cycle().take(len).collect()),
            ("wide", b"ab ".iter().copied().cycle().take(len).collect()),
        ] {
            folder.file(format!("borders/{kind}-{len}"), &text);
            texts.push(text);
        }
    }
    // It does not follow links, which would never end.
    std::os::unix::fs::symlink("..", folder.0.join("a/deep/loop")).expect("a link");
    texts
}

/// Counts texts as the documentation defines.
pub fn expected(texts: &[Vec<u8>]) -> (usize, usize, usize, Vec<(String, usize)>) {
    let (mut lines, mut words, mut bytes) = (0, 0, 0);
    let mut tally: HashMap<Vec<u8>, usize> = HashMap::new();
    for text in texts {
        bytes += text.len();
        lines += text.split_inclusive(|byte| *byte == b'\n').count();
        let mut word = Vec::new();
        for byte in text.iter().chain(b" ") {
            let belongs = matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | 128..);
            if !word.is_empty() && (!belongs || word.len() == 255) {
                words += 1;
                *tally.entry(std::mem::take(&mut word)).or_default() += 1;
            }
            if belongs {
                word.push(*byte);
            }
        }
    }
    let mut tally: Vec<_> = tally.into_iter().collect();
    tally.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let commonest =
        tally.into_iter().take(10).map(|(w, n)| (String::from_utf8_lossy(&w).into(), n)).collect();
    (lines, words, bytes, commonest)
}

/// Returns the counts in a report.
pub fn reported(output: &Output) -> (usize, usize, usize, Vec<(String, usize)>) {
    let report = &output.report;
    let figures: Vec<(&str, usize)> = report
        .lines()
        .filter_map(|line| line.trim_start().split_once(' '))
        .filter_map(|(figure, of)| Some((of, figure.parse().ok()?)))
        .collect();
    let [("lines", lines), ("words", words), ("bytes", bytes), words_of @ ..] = &figures[..] else {
        panic!("not the report that is documented:\n{report}");
    };
    // The counts precede the speed.
    let commonest = words_of.iter().take_while(|(of, _)| !of.starts_with("messages, "));
    (*lines, *words, *bytes, commonest.map(|(word, n)| ((*word).to_owned(), *n)).collect())
}

pub fn assert_equal(output: &Output) {
    let Output { end, report, errors } = output;
    assert_eq!(errors, "");
    assert!(end.success(), "{end}\n{report}");
    assert!(report.contains("\nequal to the count in one process by plain code"), "{report}");
    assert!(report.contains(" messages/s, ") && report.contains(" MB/s"), "{report}");
}

#[test]
fn odd_files_are_counted_right() {
    let ipc = IpcFixture::new();
    let folder = Folder::new("odd-files");
    let expected = expected(&odd_files(&folder));
    for (slots, size, wait) in [
        ("64", "65536", "balanced"),
        ("1", "512", "balanced"),
        ("2", "513", "park"),
        ("16", "4096", "park"),
        ("1024", "767", "spin"),
    ] {
        let options = ["--slots", slots, "--slot-size", size, "--wait", wait].map(OsStr::new);
        let output = run("pipeline", &[&options[..], &[folder.0.as_os_str()]].concat());
        assert_equal(&output);
        assert_eq!(reported(&output), expected, "{slots} slots of {size}");
    }
    ipc.assert_clean();
}

#[test]
fn each_odd_file_alone_is_counted_right() {
    let ipc = IpcFixture::new();
    let folder = Folder::new("odd-file");
    for (n, text) in odd_files(&folder).into_iter().take(14).enumerate() {
        let path = folder.0.join(format!("alone-{n}"));
        fs::write(&path, &text).expect("a file");
        let output = run("pipeline", &[OsStr::new("--slot-size=600"), path.as_os_str()]);
        assert_equal(&output);
        assert_eq!(reported(&output), expected(&[text]), "file {n}");
    }
    ipc.assert_clean();
}

#[test]
fn an_empty_folder_has_nothing() {
    let ipc = IpcFixture::new();
    let folder = Folder::new("empty");
    let output = run("pipeline", &[&folder.0]);
    assert_equal(&output);
    assert_eq!(reported(&output), (0, 0, 0, vec![]));
    ipc.assert_clean();
}

#[test]
fn a_difference_is_told() {
    let ipc = IpcFixture::new();
    // It has another text each time it is read.
    let output = run("pipeline", &["/proc/sys/kernel/random/uuid"]);
    assert!(output.report.contains("DIFFERENT"), "{}", output.report);
    assert_eq!(output.end.code(), Some(1));
    ipc.assert_clean();
}

#[test]
fn what_cannot_be_read_is_one_sentence() {
    let ipc = IpcFixture::new();
    for path in ["/nowhere", "/dev/null"] {
        let Output { end, report, errors } = run("pipeline", &[path]);
        assert!(errors.contains(path) && errors.lines().count() == 1, "{errors}");
        assert_eq!((end.code(), &*report), (Some(1), ""));
    }
    ipc.assert_clean();
}
