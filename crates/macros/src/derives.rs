//! The derives of zerocopy that the item does not have itself.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, LitStr, Path, Token};

/// Returns the attributes that derive what `attributes` do not derive.
pub fn of(krate: &Path, attributes: &[Attribute], from_bytes: bool) -> syn::Result<TokenStream> {
    let mut given = Vec::new();
    let mut names_the_crate = false;
    for attribute in attributes {
        names_the_crate |= attribute.path().is_ident("zerocopy");
        if attribute.path().is_ident("derive") {
            let paths =
                attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)?;
            given.extend(
                paths.iter().filter_map(|path| Some(path.segments.last()?.ident.to_string())),
            );
        }
    }
    let is_given = |name: &str| given.iter().any(|given| given == name);
    let bytes = if from_bytes { "FromBytes" } else { "TryFromBytes" };
    let reads = is_given("FromBytes") || is_given("TryFromBytes");
    let wanted = (!reads).then_some(bytes).into_iter().chain(
        ["IntoBytes", "Immutable", "KnownLayout"].into_iter().filter(|name| !is_given(name)),
    );
    let wanted = wanted.map(|name| format_ident!("{name}"));
    let path = LitStr::new(
        &quote!(#krate::zerocopy).to_token_stream().to_string().replace(' ', ""),
        Span::call_site(),
    );
    let path = (!names_the_crate).then(|| quote!(#[zerocopy(crate = #path)]));
    Ok(quote! {
        #[derive(#(#krate::zerocopy::#wanted),*)]
        #path
    })
}
