//! From a declaration to a message: the derives, the representation, and the implementation of `Message`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Meta, Path, Token};

use crate::arguments::Arguments;
use crate::{fields, structure};

pub fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let arguments = Arguments::parse(arguments)?;
    let mut item: DeriveInput = syn::parse2(item)?;
    let krate = &arguments.krate;
    let repr = Representation::of(&item.attrs)?;
    let (structure, repr, from_bytes) = match &mut item.data {
        Data::Struct(data) => {
            for field in &data.fields {
                fields::check(field)?;
            }
            let from_bytes = arguments.from_bytes
                || data.fields.iter().all(|field| fields::has_no_invalid_bytes(&field.ty));
            let structure = structure::of_struct(krate, &item.ident, &mut data.fields)?;
            (structure, (!repr.is_given).then(|| quote!(#[repr(C)])), from_bytes)
        }
        Data::Enum(data) => {
            if let Some(variant) = data.variants.iter().find(|v| !matches!(v.fields, Fields::Unit))
            {
                return Err(Error::new(
                    variant.fields.span(),
                    "a variant of a message has no fields: use a struct with the fields of all variants, \
                     or send the enum with serde (feature `postcard` of sysvring)",
                ));
            }
            if data.variants.is_empty() {
                return Err(Error::new(
                    item.ident.span(),
                    "an enum without variants has no value that could be sent",
                ));
            }
            let number = repr.number.clone().unwrap_or_else(|| Ident::new("u8", Span::call_site()));
            let structure = structure::of_enum(krate, &item.ident, &number, data);
            let add = repr.number.is_none().then(|| quote!(#[repr(#number)]));
            (structure, add, arguments.from_bytes)
        }
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span(),
                "a union is no message: nothing tells which field is valid; use a struct",
            ));
        }
    };
    let derives = derives(krate, &item.attrs, from_bytes)?;
    let implementation = implementation(krate, &item, &structure);
    Ok(quote! {
        #derives
        #repr
        #item
        #implementation
    })
}

/// The representation that the user chose.
struct Representation {
    is_given: bool,
    /// The integer of an enum.
    number: Option<Ident>,
}

impl Representation {
    fn of(attributes: &[Attribute]) -> syn::Result<Representation> {
        let mut found = Representation { is_given: false, number: None };
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
            let parts =
                attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
            for part in &parts {
                let Some(name) = part.path().get_ident() else { continue };
                if name == "Rust" {
                    return Err(Error::new(
                        name.span(),
                        "the compiler may order the fields as it likes: use `#[repr(C)]`, or leave \
                         the attribute out",
                    ));
                }
                let text = name.to_string();
                if text.starts_with(['u', 'i']) {
                    found.number = Some(name.clone());
                }
                // `align` alone leaves the order of the fields to the compiler.
                found.is_given |= text != "align";
            }
        }
        Ok(found)
    }
}

/// Returns the derives of zerocopy that the item does not have itself.
fn derives(krate: &Path, attributes: &[Attribute], from_bytes: bool) -> syn::Result<TokenStream> {
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

fn implementation(krate: &Path, item: &DeriveInput, structure: &TokenStream) -> TokenStream {
    let name = &item.ident;
    let mut generics = item.generics.clone();
    for parameter in item.generics.type_params() {
        let parameter = &parameter.ident;
        let bound = syn::parse_quote!(#parameter: #krate::Message);
        generics.make_where_clause().predicates.push(bound);
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters #krate::Message for #name #arguments #bounds {
            fn structure() -> #krate::Structure {
                #structure
            }
        }
    }
}
