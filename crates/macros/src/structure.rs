//! The expression that describes a type.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DataEnum, Error, Ident, Path};

use crate::field::{Part, cfg, is_ours, text};

/// Returns the structure of a struct. The fields of a tuple struct are numbered after the compiler has
/// evaluated their `#[cfg]` attributes.
pub fn of_struct(
    krate: &Path,
    name: &Ident,
    is_tuple: bool,
    fields: &[Part],
) -> syn::Result<TokenStream> {
    let parts = fields.iter().map(|Part { name, ty, cfg, is_opaque, .. }| {
        let structure = match is_opaque {
            true => {
                quote!(#krate::Structure::Opaque { size: #krate::__message::Probe::<#ty>::SIZE })
            }
            false => quote!(<#ty as #krate::Message>::structure()),
        };
        match is_tuple {
            true => quote!(#(#cfg)* #structure),
            false => quote!(#(#cfg)* (#name, #structure)),
        }
    });
    let name = text(name)?;
    let probe = fields.iter().any(|field| field.is_opaque).then(|| {
        quote! {
            #[allow(unused_imports)]
            use #krate::__message::Unsized as _;
        }
    });
    let constructor = format_ident!("{}", if is_tuple { "of_tuple" } else { "of_struct" });
    Ok(quote! {
        #probe
        #krate::Structure::#constructor(#name, [#(#parts),*])
    })
}

/// Returns the structure of a fieldless enum.
pub fn of_enum(
    krate: &Path,
    name: &Ident,
    number: &Ident,
    data: &DataEnum,
) -> syn::Result<TokenStream> {
    let number = number.to_string();
    let mut variant_of_number = number[..1].to_uppercase();
    variant_of_number.push_str(&number[1..]);
    let number = format_ident!("{variant_of_number}");
    let mut variants = Vec::new();
    for variant in &data.variants {
        if let Some(attribute) = variant.attrs.iter().find(|attribute| is_ours(&attribute.meta)) {
            let text = "a variant has no arguments; there is `opaque` for a field of a struct";
            return Err(Error::new_spanned(attribute, text));
        }
        let (ident, label, cfg) = (&variant.ident, text(&variant.ident)?, cfg(&variant.attrs)?);
        variants.push(quote!(#(#cfg)* (#label, Self::#ident as ::core::primitive::i128)));
    }
    let name = text(name)?;
    Ok(quote!(#krate::Structure::of_enum(#name, #krate::Number::#number, [#(#variants),*])))
}
