//! Rules of this repository that neither the compiler nor clippy checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the files with this extension under a folder of the repository, build results aside.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no .{ending} in {folder}");
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// Returns the places in the sources, comments aside, that contain a word.
fn uses(word: &str) -> Vec<String> {
    let mut places = Vec::new();
    for path in files("src", "rs") {
        for (n, line) in fs::read_to_string(&path).expect("a source").lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|w| w == word) {
                let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("of this crate");
                places.push(format!("{}:{}: {}", path.display(), n + 1, line.trim()));
            }
        }
    }
    assert!(!places.is_empty(), "nothing uses {word}: this test checks nothing");
    places
}

#[test]
fn the_c_library_is_called_in_one_place() {
    let elsewhere: Vec<String> =
        uses("libc").into_iter().filter(|place| !place.starts_with("src/sysv/")).collect();
    assert!(elsewhere.is_empty(), "libc outside src/sysv:\n{}", elsewhere.join("\n"));
}

#[test]
fn atomics_come_from_one_place() {
    // Every path to an atomic contains the module's name, and no other code does.
    let elsewhere: Vec<String> =
        uses("atomic").into_iter().filter(|place| !place.starts_with("src/sync")).collect();
    assert!(
        elsewhere.is_empty(),
        "atomics that the model checker does not see:\n{}",
        elsewhere.join("\n")
    );
}

/// The modules of the crate. Each may use those before it.
const LAYERS: [&str; 27] = [
    "sync",
    "sysv",
    "role",
    "flavor",
    "layout",
    "structure",
    "message",
    "ring",
    "dead_letter",
    "error",
    "address",
    "liveness",
    "wait",
    "protocol",
    "segment",
    "doorbell",
    "os_error",
    "admin",
    "options",
    "endpoint",
    "open",
    "poll",
    "mpmc",
    "spsc",
    "broadcast",
    "untyped",
    "postcard",
];

/// Returns the modules that a source uses, each with its line, tests and the crate's macros aside.
fn imports(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (n, line) in source.lines().enumerate() {
        if line.starts_with("#[cfg(") && line.contains("test") && !line.contains("not(test") {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        for rest in code.split("crate::").skip(1) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if LAYERS.contains(&&rest[..end]) {
                found.push((n + 1, rest[..end].to_owned()));
            }
        }
    }
    found
}

/// Returns the imports of `source`, a file of this layer, that go up.
fn upward(layer: &str, source: &str) -> Vec<String> {
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name).expect("a layer");
    let up = imports(source).into_iter().filter(|(_, used)| rank(used) > rank(layer));
    up.map(|(line, used)| format!("{line}: {layer} uses {used}")).collect()
}

#[test]
fn imports_go_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut up, mut imported) = (Vec::new(), 0);
    for path in files("src", "rs") {
        let inside = path.strip_prefix(&root).expect("of this crate").with_extension("");
        let parts: Vec<_> = inside.iter().map(|part| part.to_str().expect("a name")).collect();
        let test = ["tests", "testing", "properties", "exhaustive", "models"];
        if matches!(parts[0], "lib" | "iter") || parts.iter().any(|part| test.contains(part)) {
            continue;
        }
        assert!(LAYERS.contains(&parts[0]), "{} belongs to no layer: add it to LAYERS", parts[0]);
        let source = fs::read_to_string(&path).expect("a source");
        imported += imports(&source).len();
        up.extend(
            upward(parts[0], &source).into_iter().map(|at| format!("{}:{at}", inside.display())),
        );
    }
    assert!(up.is_empty(), "imports that go up:\n{}", up.join("\n"));
    assert!(imported > 100, "this test checks nothing");
}

#[test]
fn an_import_that_goes_up_is_detected() {
    assert_eq!(upward("ring", "use crate::layout;\nuse crate::wait::Gate;"), ["2: ring uses wait"]);
    assert_eq!(
        upward("ring", "// crate::wait\nlet x = crate::open::open();"),
        ["2: ring uses open"]
    );
    let tests_aside =
        "use crate::layout;\n#[cfg(all(test, not(loom)))]\nmod tests { use crate::open; }";
    assert_eq!(upward("ring", tests_aside), [""; 0]);
}

#[test]
fn the_first_example_is_the_downstream_program() {
    let readme = read("README.md");
    let (_, example) = readme.split_once("```rust\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    assert_eq!(example, read("tests/downstream/src/main.rs"));
    assert!(example.lines().count() <= 15);
    let manifest = read("tests/downstream/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]\n").expect("its dependencies");
    assert_eq!(dependencies.trim(), "sysvring = { path = \"../..\" }");
}

/// What the guide shows without compiling it needs a feature, and is in an example.
#[test]
fn the_guide_shows_lines_of_examples() {
    let example = read("examples/postcard.rs");
    let example: BTreeSet<&str> = example.lines().map(str::trim).collect();
    let guide = read("docs/guide.md");
    let blocks =
        guide.split("```rust,ignore\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown: Vec<&str> = blocks.flat_map(str::lines).map(str::trim).collect();
    assert!(shown.len() > 5, "this test checks nothing");
    for line in shown {
        assert!(line.is_empty() || example.contains(line), "{line:?} is in no example");
    }
}

/// Returns the anchors of the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_between_documents_have_targets() {
    let mut links = 0;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = files("docs", "md");
    pages.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|page| root.join(page)));
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            let exists = target.exists()
                && (heading.is_empty()
                    || anchors(&fs::read_to_string(&target).expect("a page")).contains(heading));
            assert!(exists, "{} links to {link}, which does not exist", page.display());
            links += 1;
        }
    }
    assert!(links > 3);
}

#[test]
fn versions_agree() {
    let manifest = read("Cargo.toml");
    let field = |name: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.expect("a field").trim_matches('"').to_owned()
    };
    let (version, rust) = (field("version"), field("rust-version"));
    assert!(
        read("CHANGELOG.md").contains(&format!("[{version}]")),
        "CHANGELOG.md has no {version}"
    );
    let readme = read("README.md");
    let words: Vec<&str> = readme.split_whitespace().collect();
    assert!(words.join(" ").contains(&format!("Rust {rust} or later")), "README.md: {rust}");
}

/// Returns the lines of a table of a manifest.
fn table(manifest: &str, name: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter(|line| line.contains(" = ")).map(str::to_owned).collect()
}

#[test]
fn the_minimal_versions_are_those_of_the_manifest() {
    let manifests = [read("Cargo.toml"), read("crates/macros/Cargo.toml")];
    let least = read("tests/minimal/Cargo.toml");
    let mut wanted: Vec<_> =
        manifests.iter().flat_map(|manifest| table(manifest, "dependencies")).collect();
    // The attribute is a part of the crate.
    wanted.retain(|dependency| !dependency.contains("path = "));
    for dependency in &wanted {
        // "0.9" means at least 0.9.0.
        let (before, version) = dependency.split_once('"').expect("a version");
        let (version, after) = version.split_once('"').expect("its end");
        let zeros = ".0".repeat(2 - version.matches('.').count());
        let line = format!("{before}\"={version}{zeros}\"{after}");
        assert!(least.lines().any(|other| other == line), "tests/minimal/Cargo.toml lacks {line}");
    }
    // The other dependency is the crate itself.
    assert_eq!(table(&least, "dependencies").len(), wanted.len() + 1);
}

/// Phrases of the project's early dialect, each with what to write instead.
const BANNED: [(&str, &str); 17] = [
    ("one to one", "SPSC"),
    ("many to many", "MPMC"),
    ("there and back", "round trip"),
    ("in hand", "in flight"),
    ("where it lies", "in place"),
    ("the kernel's word", "liveness check"),
    ("who waits", "a waiter"),
    ("whoever", "a process that"),
    ("sleeper", "a parked waiter"),
    ("yardstick", "baseline"),
    ("at the heels", "close behind"),
    ("half made", "incomplete"),
    ("see the top of this file", "a sentence that stands alone"),
    ("nobody's", "orphaned"),
    ("in vain", "unsuccessful, futile"),
    ("set aside", "discarded as poison"),
    ("soak", "stress"),
];

/// Returns the banned phrases in a text, with their lines.
fn dialect(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        // A phrase may also be part of a name.
        let lower = line.to_lowercase().replace('_', " ");
        for (phrase, instead) in BANNED {
            if lower.contains(phrase) {
                found.push(format!("{}: \"{phrase}\"; write: {instead}", n + 1));
            }
        }
    }
    found
}

/// Returns the lines that add to a time, or subtract from it, without a bound: such a sum or difference
/// overflows when a clock goes back, or for a very long time.
fn unbounded_times(text: &str) -> Vec<String> {
    const TIMES: [&str; 4] = ["now", "now_ns", "coarse_ns", "wall_ns"];
    let is_time = |word: &str| {
        let name = word.trim_end_matches("()").rsplit(|c: char| !c.is_alphanumeric() && c != '_');
        name.take(1).any(|name| TIMES.contains(&name)) && !word.contains("Instant::")
    };
    let is_unbounded = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        words.windows(2).any(|pair| is_time(pair[0]) && ["+", "-"].contains(&pair[1]))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| is_unbounded(line));
    lines.map(|(n, line)| format!("{}: {}", n + 1, line.trim())).collect()
}

#[test]
fn times_are_added_and_subtracted_with_a_bound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for path in files("src", "rs") {
        let name = path.strip_prefix(root).expect("of this crate").display().to_string();
        let text = fs::read_to_string(&path).expect("a text");
        // Tests come last, or are files of their own.
        let shipped = text.split("\nmod tests {").next().unwrap_or("");
        if !name.contains("tests") && !name.contains("models") {
            found.extend(unbounded_times(shipped).into_iter().map(|at| format!("{name}:{at}")));
        }
    }
    assert!(
        found.is_empty(),
        "use saturating_add, saturating_sub or time::since:\n{}",
        found.join("\n")
    );
}

#[test]
fn an_unbounded_time_is_detected() {
    let bad = ["time::now_ns() - start", "if now - start >= 3", "(now + 1, 0)", "x = now_ns + 5;"];
    assert!(bad.iter().all(|line| unbounded_times(line).len() == 1));
    assert_eq!(unbounded_times("now.saturating_sub(start) - 1; know - 1"), [""; 0]);
}

/// The one text that may contain banned phrases: their list.
const EXEMPT: &str = "tests/tidy.rs";

#[test]
fn the_fields_terms_are_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources =
        ["src", "examples", "tests", "benches", "fuzz", "crates"].map(|folder| files(folder, "rs"));
    let mut paths = [sources.concat(), files("docs", "md")].concat();
    paths.extend(files("crates", "md"));
    paths.extend(["README.md", "CHANGELOG.md"].map(|page| root.join(page)));
    let mut found = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root).expect("of this crate").display().to_string();
        if name != EXEMPT {
            let text = fs::read_to_string(&path).expect("a text");
            found.extend(dialect(&text).into_iter().map(|at| format!("{name}:{at}")));
        }
    }
    assert!(found.is_empty(), "{} banned phrases:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_banned_phrase_is_detected() {
    assert_eq!(dialect("fine\nIt is Nobody's").len(), 1);
    assert_eq!(dialect("a parked waiter"), [""; 0]);
}
