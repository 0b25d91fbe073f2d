//! Standard input and output that are closed, full, or open in the wrong direction: no command takes
//! them for an empty input or for an output that was written.

use sysvring::StreamState;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Run, is_gone, run, run_redirected};

/// All that prints to standard output, with a channel that exists and has a message.
fn printing(name: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["ls"],
        vec!["ls", "-J"],
        vec!["stat", name],
        vec!["metrics"],
        vec!["doctor"],
        vec!["peek", name],
        vec!["tap", name, "--oldest", "-n", "1"],
        vec!["recv", name],
        #[cfg(feature = "top")]
        vec!["top", "--once", "-i", "50ms"],
        vec!["bench", "spsc-8", "--time", "10ms"],
        vec!["reap", "-J"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["man", "recv"],
        vec!["--help"],
        vec!["--version"],
        vec!["recv", "--help"],
    ]
}

fn fails(run: &Run, args: &[&str], why: &str) {
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{args:?}: {}", run.err);
    assert!(run.err.starts_with("sysvring: "), "{args:?}: {}", run.err);
    assert!(run.err.contains(why), "{args:?}: {}", run.err);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let ipc = IpcFixture::new();
    let name = Name::new("output");
    run(&["send", &name, "kept"]).ok();
    for args in printing(&name) {
        fails(&run_redirected(&args, ">&-"), &args, "standard output is closed");
        fails(&run_redirected(&args, ">/dev/full"), &args, "No space left on device");
        fails(&run_redirected(&args, "1</dev/null"), &args, "Bad file descriptor");
        assert_eq!(name.stat().depth, 1, "{args:?} took nothing");
    }
    assert_eq!(run(&["recv", &name]).ok().out, "kept\n");
    drop(name);
    ipc.assert_clean();
}

/// Programs open `/dev/null` for reading and writing, too, to discard an output.
#[test]
fn an_output_may_be_discarded() {
    let ipc = IpcFixture::new();
    let name = Name::new("output");
    for redirection in [">/dev/null", "1<>/dev/null"] {
        run(&["send", &name, "discarded"]).ok();
        run_redirected(&["recv", &name], redirection).ok();
        assert_eq!(name.stat().depth, 0, "{redirection}");
        run_redirected(&["--help"], redirection).ok();
    }
    drop(name);
    ipc.assert_clean();
}

/// What prints nothing needs no output.
#[test]
fn a_closed_output_that_is_not_used_is_no_error() {
    let ipc = IpcFixture::new();
    let name = Name::new("output");
    run_redirected(&["send", &name, "x"], ">&-").ok();
    run_redirected(&["wait", &name, "message"], ">&-").ok();
    run_redirected(&["reap"], ">&-").ok();
    run_redirected(&["rm", &name], ">&-").ok();
    assert!(is_gone(&*name));
    ipc.assert_clean();
}

#[test]
fn an_input_that_cannot_be_read_is_no_end() {
    let ipc = IpcFixture::new();
    let name = Name::new("input");
    let args = ["send", &*name];
    fails(&run_redirected(&args, "<&-"), &args, "standard input is closed");
    assert!(is_gone(&*name), "nothing was created");
    fails(&run_redirected(&args, "0>/dev/null"), &args, "Bad file descriptor");
    assert_eq!(name.stat().stream, StreamState::Open, "the stream was not finished");
    // An empty input is one.
    for redirection in ["</dev/null", "0<>/dev/null"] {
        run_redirected(&args, redirection).ok();
        assert_ne!(name.stat().stream, StreamState::Open, "{redirection}");
    }
    // With messages as arguments, it is not needed.
    run_redirected(&["send", &name, "x"], "<&-").ok();
    assert_eq!(name.stat().depth, 1);
    drop(name);
    ipc.assert_clean();
}
