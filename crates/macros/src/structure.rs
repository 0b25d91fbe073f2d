//! The expression that describes a type.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{DataEnum, Field, Fields, Ident, LitStr, Path};

/// Returns the structure of a struct. Its fields are cleaned of `#[message(opaque)]`.
pub fn of_struct(krate: &Path, name: &Ident, fields: &mut Fields) -> syn::Result<TokenStream> {
    let mut parts = Vec::new();
    for (n, field) in fields.iter_mut().enumerate() {
        let label = match &field.ident {
            Some(name) => text(name),
            None => LitStr::new(&n.to_string(), Span::call_site()),
        };
        let ty = &field.ty.clone();
        let structure = match take_opaque(field)? {
            true => quote!(#krate::Structure::opaque::<#ty>()),
            false => quote!(<#ty as #krate::Message>::structure()),
        };
        parts.push(quote!((#label, #structure)));
    }
    let name = text(name);
    Ok(quote!(#krate::Structure::of_struct(#name, [#(#parts),*])))
}

/// Returns the structure of a fieldless enum.
pub fn of_enum(krate: &Path, name: &Ident, number: &Ident, data: &DataEnum) -> TokenStream {
    let number = number.to_string();
    let mut variant_of_number = number[..1].to_uppercase();
    variant_of_number.push_str(&number[1..]);
    let number = format_ident!("{variant_of_number}");
    let variants = data.variants.iter().map(|variant| {
        let (ident, label) = (&variant.ident, text(&variant.ident));
        quote!((#label, Self::#ident as i128))
    });
    let name = text(name);
    quote!(#krate::Structure::of_enum(#name, #krate::Number::#number, [#(#variants),*]))
}

/// Returns a name without `r#`.
fn text(name: &Ident) -> LitStr {
    LitStr::new(&name.unraw().to_string(), name.span())
}

/// Removes `#[message(opaque)]` from a field, and returns whether it was there.
fn take_opaque(field: &mut Field) -> syn::Result<bool> {
    let mut is_opaque = false;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("message")) {
        attribute.parse_nested_meta(|meta| match meta.path.is_ident("opaque") {
            true => {
                is_opaque = true;
                Ok(())
            }
            false => Err(meta.error(
                "unknown argument; there is `opaque` (a type that does not describe itself)",
            )),
        })?;
    }
    field.attrs.retain(|attribute| !attribute.path().is_ident("message"));
    Ok(is_opaque)
}
