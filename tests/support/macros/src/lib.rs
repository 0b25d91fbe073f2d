//! Attributes that register functions with `sysvring_support`, so that `main.rs` of a suite names
//! its modules only.

use proc_macro::{TokenStream, TokenTree};

/// Registers a function as a test: `#[test]`, or with a need such as `#[test(quiet)]` or
/// `#[test(root)]`, as `suite::Needs` defines it. A function that is generic over a `handle::AnyFlavor` is registered
/// for SPSC, MPMC and broadcast channels; over a `handle::TakingFlavor`, for the first two.
#[proc_macro_attribute]
pub fn test(needs: TokenStream, function: TokenStream) -> TokenStream {
    let needs = match needs.to_string().as_str() {
        "" => "Nothing",
        "quiet" => "Quiet",
        "root" => "Root",
        "memory_group" => "MemoryGroup",
        "huge_page_group" => "HugePageGroup",
        _ => return "compile_error! { \"no such need, see `suite::Needs`\" }".parse().unwrap(),
    };
    register(function, |name, flavor| {
        let (suffix, parameter) = match flavor {
            Some(flavor) => (
                format!("_{}", flavor.to_lowercase()),
                format!("::<sysvring_support::handle::{flavor}>"),
            ),
            None => Default::default(),
        };
        format!(
            "sysvring_support::suite::Test {{
                path: concat!(module_path!(), \"::{name}{suffix}\"),
                body: |_| {name}{parameter}(),
                needs: sysvring_support::suite::Needs::{needs},
            }}"
        )
    })
}

/// Registers a function as the work of a child process, started as
/// `Worker::start(&[&"module::function", ...])`.
#[proc_macro_attribute]
pub fn work(_: TokenStream, function: TokenStream) -> TokenStream {
    register(function, |name, _| {
        format!(
            "sysvring_support::worker::Work {{
                path: concat!(module_path!(), \"::{name}\"),
                body: {name},
            }}"
        )
    })
}

/// Returns the function, followed by its registration, or by one for each flavor.
fn register(
    mut function: TokenStream,
    entry: impl Fn(&str, Option<&str>) -> String,
) -> TokenStream {
    let mut tokens = function.clone().into_iter();
    tokens.find(|token| token.to_string() == "fn").expect("an attribute of a function");
    let Some(TokenTree::Ident(name)) = tokens.next() else { panic!("a function has a name") };
    let is_generic = tokens.next().is_some_and(|token| token.to_string() == "<");
    let bound = tokens.nth(2).map(|token| token.to_string());
    let flavors: &[_] = match bound.as_deref() {
        _ if !is_generic => &[None],
        Some("AnyFlavor") => &[Some("Spsc"), Some("Mpmc"), Some("Broadcast")],
        _ => &[Some("Spsc"), Some("Mpmc")],
    };
    for flavor in flavors {
        let entry = entry(&name.to_string(), *flavor);
        let submit = format!("sysvring_support::inventory::submit! {{ {entry} }}");
        function.extend(submit.parse::<TokenStream>().expect("Rust"));
    }
    function
}
