//! Constants in front of a struct that do not compile if a field is no message or if there is padding. The
//! derives of zerocopy refuse both as well, but their errors come later and name no field.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, LitStr, Path, Type};

use crate::field::{Part, mentions, text};
use crate::representation::Representation;

/// Returns the constants for a struct.
pub fn of_struct(
    krate: &Path,
    item: &DeriveInput,
    fields: &[Part],
    repr: &Representation,
) -> syn::Result<TokenStream> {
    let itself = Ident::new("Self", Span::call_site());
    let mut parameters: Vec<&Ident> = item
        .generics
        .type_params()
        .map(|parameter| &parameter.ident)
        .chain(item.generics.const_params().map(|parameter| &parameter.ident))
        .collect();
    let is_generic = !parameters.is_empty();
    // The constants are outside of the declaration, where `Self` is another type, or none.
    parameters.push(&itself);
    let is_known = |ty: &Type| !mentions(ty.to_token_stream(), &parameters);
    let described = fields.iter().filter(|field| !field.is_opaque && is_known(&field.ty));
    let messages = described.map(|Part { ty, cfg, .. }| {
        let krate = at(ty.span(), krate);
        quote_spanned! {ty.span()=>
            #(#cfg)*
            const _: #krate::__message::IsMessage<#ty> = #krate::__message::IsMessage::YES;
        }
    });
    let padding = match is_generic {
        false if fields.iter().all(|field| is_known(&field.ty)) => {
            padding(krate, text(&item.ident)?, fields, repr)
        }
        false => TokenStream::new(),
        true if repr.has_no_padding() || fields.len() < 2 => TokenStream::new(),
        true => alignments(krate, fields, is_known),
    };
    Ok(quote! {
        #[allow(deprecated)]
        const _: () = {
            #[allow(unused_imports)]
            use #krate::__message::Unsized as _;
            #(#messages)*
            #padding
        };
    })
}

/// Returns the constants of a struct whose layout is known, where the attribute stands.
fn padding(krate: &Path, label: LitStr, fields: &[Part], repr: &Representation) -> TokenStream {
    let extents = fields.iter().map(|Part { name, ty, cfg, .. }| {
        quote!(#(#cfg)* (#name, #krate::__message::Probe::<#ty>::EXTENT))
    });
    let in_front = fields.iter().map(|Part { name, span, cfg, .. }| {
        quote_spanned! {*span=>
            #(#cfg)*
            const _: [(); __SYSVRING_FIELDS.padding_at(#name)] = [];
        }
    });
    let packed = repr.packed.unwrap_or(usize::MAX);
    let align = repr.align.unwrap_or(1);
    let at_end = quote_spanned! {label.span()=>
        const _: [(); __SYSVRING_FIELDS.padding_at_end(#label)] = [];
    };
    quote! {
        const __SYSVRING_FIELDS: #krate::__message::Fields = #krate::__message::Fields {
            fields: &[#(#extents),*],
            packed: #packed,
            align: #align,
        };
        #(#in_front)*
        #at_end
    }
}

/// Returns the constants of a generic struct, in which no field may be aligned.
fn alignments(krate: &Path, fields: &[Part], is_known: impl Fn(&Type) -> bool) -> TokenStream {
    let known = fields.iter().filter(|field| is_known(element(&field.ty)));
    let constants = known.map(|Part { name, span, ty, cfg, .. }| {
        let (krate, ty) = (at(*span, krate), element(ty));
        quote_spanned! {*span=>
            #(#cfg)*
            const _: [(); #krate::__message::Probe::<#ty>::EXTENT.alignment_of(#name)] = [];
        }
    });
    quote!(#(#constants)*)
}

/// Returns the type of the elements of arrays and slices.
fn element(ty: &Type) -> &Type {
    match ty {
        Type::Array(array) => element(&array.elem),
        Type::Slice(slice) => element(&slice.elem),
        Type::Group(inner) => element(&inner.elem),
        ty => ty,
    }
}

/// Returns a path whose errors are shown at this place.
fn at(span: Span, path: &Path) -> TokenStream {
    let respanned = |mut token: TokenTree| {
        token.set_span(token.span().resolved_at(span).located_at(span));
        token
    };
    path.to_token_stream().into_iter().map(respanned).collect()
}
