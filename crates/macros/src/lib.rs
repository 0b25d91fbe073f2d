//! The attribute `#[sysvring::message]`. Programs use it by that name.

mod arguments;
mod checks;
mod derives;
mod field;
mod message;
mod plain;
mod refused;
mod representation;
mod structure;
mod variants;

use proc_macro::TokenStream;

// Its documentation is where it is re-exported, in `sysvring`, whose items it links to.
#[expect(missing_docs, reason = "documented in sysvring")]
#[proc_macro_attribute]
pub fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    message::expand(arguments.into(), item.into())
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
