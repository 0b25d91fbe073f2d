//! A field of a struct, as the other modules need it.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Field, Fields, Ident, LitStr, Meta, Token, Type};

/// A field of a struct.
pub struct Part {
    /// Its name without `r#`, or its number, to which those in front count that are configured out.
    pub name: LitStr,
    /// Where its name is, or its type.
    pub span: Span,
    pub ty: Type,
    /// Its `#[cfg]` attributes, which the compiler has not evaluated yet.
    pub cfg: Vec<Attribute>,
    /// Whether it has `#[message(opaque)]`.
    pub is_opaque: bool,
}

/// Returns the fields of a struct, which are cleaned of `#[message(opaque)]`.
pub fn parts(fields: &mut Fields) -> syn::Result<Vec<Part>> {
    let mut number = 0..;
    let mut part = |field: &mut Field| {
        let number = number.next().unwrap_or(0);
        let name = match &field.ident {
            Some(name) => text(name)?,
            None => LitStr::new(&number.to_string(), Span::call_site()),
        };
        let span = field.ident.as_ref().map_or_else(|| field.ty.span(), Ident::span);
        let is_opaque = take_opaque(field)?;
        Ok(Part { name, span, ty: field.ty.clone(), cfg: cfg(&field.attrs)?, is_opaque })
    };
    fields.iter_mut().map(&mut part).collect()
}

/// Returns a name without `r#`. The text of a structure has no names with other characters than letters,
/// digits and underscores, such as combining marks, which are characters of identifiers.
pub fn text(name: &Ident) -> syn::Result<LitStr> {
    let text = name.unraw().to_string();
    if let Some(other) = text.chars().find(|c| !c.is_alphanumeric() && *c != '_') {
        let code = u32::from(other);
        return Err(Error::new(
            name.span(),
            format!(
                "`{text}` has a character that is neither a letter nor a digit, U+{code:04X}: rename it"
            ),
        ));
    }
    Ok(LitStr::new(&text, name.span()))
}

/// Returns whether one of these names is among the tokens.
pub fn mentions(tokens: TokenStream, names: &[&Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.iter().any(|name| ident == **name),
        TokenTree::Group(group) => mentions(group.stream(), names),
        _ => false,
    })
}

/// Returns the `#[cfg]` attributes among these.
pub fn cfg(attributes: &[Attribute]) -> syn::Result<Vec<Attribute>> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cfg_attr")) {
        let parts = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        for part in parts.iter().skip(1) {
            if part.path().is_ident("cfg") || is_ours(part) {
                return Err(Error::new_spanned(
                    part,
                    "the attribute `message` cannot see this here, because the compiler evaluates it \
                     later: write it without `cfg_attr`",
                ));
            }
        }
    }
    Ok(attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect())
}

/// Returns whether the compiler may leave out what has these attributes.
pub fn has_cfg(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg"))
}

/// Returns whether this is an attribute of this macro.
pub fn is_ours(meta: &Meta) -> bool {
    meta.path().segments.last().is_some_and(|last| last.ident == "message")
}

/// Removes `#[message(opaque)]` from a field, and returns whether it was there.
fn take_opaque(field: &mut Field) -> syn::Result<bool> {
    let mut is_opaque = false;
    for attribute in field.attrs.iter().filter(|attribute| is_ours(&attribute.meta)) {
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
    field.attrs.retain(|attribute| !is_ours(&attribute.meta));
    Ok(is_opaque)
}
