//! Attributes that register functions with `sysvring_support`, so that `main.rs` of a suite names
//! its modules only.

use proc_macro::{TokenStream, TokenTree};

/// Registers a function as a test: `#[test]`, `#[test(quiet)]` or `#[test(root)]`, as
/// `suite::Needs` defines it.
#[proc_macro_attribute]
pub fn test(needs: TokenStream, function: TokenStream) -> TokenStream {
    let needs = match needs.to_string().as_str() {
        "" => "Nothing",
        "quiet" => "Quiet",
        "root" => "Root",
        _ => return "compile_error! { \"a test needs `quiet` or `root`\" }".parse().unwrap(),
    };
    register(function, |name| {
        format!(
            "sysvring_support::suite::Test {{
                path: concat!(module_path!(), \"::{name}\"),
                body: |_| {name}(),
                needs: sysvring_support::suite::Needs::{needs},
            }}"
        )
    })
}

/// Registers a function as the work of a child process, started as
/// `Worker::start(&[&"module::function", ...])`.
#[proc_macro_attribute]
pub fn work(_: TokenStream, function: TokenStream) -> TokenStream {
    register(function, |name| {
        format!(
            "sysvring_support::worker::Work {{
                path: concat!(module_path!(), \"::{name}\"),
                body: {name},
            }}"
        )
    })
}

/// Returns the function, followed by its registration.
fn register(mut function: TokenStream, entry: impl Fn(&str) -> String) -> TokenStream {
    let mut tokens = function.clone().into_iter();
    tokens.find(|token| token.to_string() == "fn").expect("an attribute of a function");
    let Some(TokenTree::Ident(name)) = tokens.next() else { panic!("a function has a name") };
    let entry = entry(&name.to_string());
    let submit = format!("sysvring_support::inventory::submit! {{ {entry} }}");
    function.extend(submit.parse::<TokenStream>().expect("Rust"));
    function
}
