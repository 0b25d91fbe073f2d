//! The form of every error text: a sentence that states what is wrong and what to do.

use std::fmt::{Debug, Display};

/// Every advice of this crate contains one of these.
const DO: [&str; 24] = [
    "must", "try", "open", "remove", "choose", "ask", "wait", "stop ", "resume", "leave", "use",
    "raise", "look", "check", "build", "start", "rename", "receive", "close", "without", "free",
    "allow", "map", "take",
];

/// Checks that the text of an error is such a sentence, and returns it.
pub fn advises(error: &(impl Debug + Display)) -> String {
    let text = error.to_string();
    let words = text.split_whitespace().count();
    assert!((4..=60).contains(&words), "{words} words: {text:?}");
    assert!(DO.iter().any(|verb| text.contains(verb)), "no remedy: {text:?}");
    // Fields are shown as plain numbers, not in their Debug form; and there is no process 0.
    assert!(!text.contains("Some(") && !text.contains("Errno("), "{text:?}");
    assert!(!text.contains("process 0 "), "an unknown pid: {text:?}");
    assert!(!text.contains('\n') && text.trim() == text, "not one line: {text:?}");
    text
}

/// Returns the error of a call that must fail, after checking its text.
#[track_caller]
pub fn refusal<T: Debug, E: Debug + Display>(result: Result<T, E>) -> E {
    match result {
        Ok(value) => panic!("the call should have failed: {value:?}"),
        Err(error) => {
            advises(&error);
            error
        }
    }
}
