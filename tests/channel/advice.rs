//! What every error's text must be: a sentence that says what is wrong and what to do.

use std::fmt::{Debug, Display};

/// One of these is in every advice of this crate.
const DO: [&str; 22] = [
    "must", "try", "open", "remove", "choose", "ask", "wait", "end ", "take", "leave", "use",
    "raise", "look", "build", "start", "rename", "receive", "close", "continue", "without", "free",
    "allow",
];

/// Fails unless the error's text is such a sentence; the text.
pub fn advises(error: &(impl Debug + Display)) -> String {
    let text = error.to_string();
    let words = text.split_whitespace().count();
    assert!((4..=60).contains(&words), "{words} words: {text:?}");
    assert!(DO.iter().any(|verb| text.contains(verb)), "it does not say what to do: {text:?}");
    // A field's number, not its Debug form; and no process 0.
    assert!(!text.contains("Some(") && !text.contains("Errno("), "{text:?}");
    assert!(!text.contains("process 0 "), "nobody's number: {text:?}");
    assert!(!text.contains('\n') && text.trim() == text, "one line: {text:?}");
    text
}

/// The error of what must fail, in words.
#[track_caller]
pub fn refusal<T: Debug, E: Debug + Display>(result: Result<T, E>) -> E {
    match result {
        Ok(value) => panic!("it should have been refused: {value:?}"),
        Err(error) => {
            advises(&error);
            error
        }
    }
}
