//! What stands in the parentheses of the attribute.

use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::{LitStr, Path};

/// `#[message(from_bytes, crate = "path")]`.
pub struct Arguments {
    /// Whether every bit pattern is a value of the type, which no field shows by its type.
    pub from_bytes: bool,
    /// The path of `sysvring`.
    pub krate: Path,
}

impl Arguments {
    pub fn parse(tokens: TokenStream) -> syn::Result<Arguments> {
        let mut arguments = Arguments { from_bytes: false, krate: syn::parse_quote!(::sysvring) };
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("from_bytes") {
                arguments.from_bytes = true;
            } else if meta.path.is_ident("crate") {
                arguments.krate = meta.value()?.parse::<LitStr>()?.parse()?;
            } else {
                return Err(meta.error(
                    "unknown argument; there are `from_bytes` (every bit pattern is a value) and \
                     `crate = \"path\"` (where sysvring is)",
                ));
            }
            Ok(())
        });
        parser.parse2(tokens)?;
        Ok(arguments)
    }
}
