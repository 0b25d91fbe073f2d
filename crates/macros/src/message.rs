//! From a declaration to a message: the checks, the derives, the representation, and the implementation of
//! `Message`.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{Data, DataEnum, DataStruct, DeriveInput, Error, Fields, Ident};

use crate::arguments::Arguments;
use crate::field::{self, Part};
use crate::representation::Representation;
use crate::{checks, derives, plain, refused, structure, variants};

/// Returns the declaration as a message. In place of a declaration with an error stands the error alone:
/// then the compiler reports no errors where the type is used.
pub fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let arguments = Arguments::parse(arguments)?;
    let mut item = parse(item)?;
    if let Some(lifetime) = item.generics.lifetimes().next() {
        return Err(Error::new_spanned(
            lifetime,
            "a lifetime means a reference, which other processes cannot follow: a message contains its \
             values, as arrays or in a slice at its end",
        ));
    }
    let repr = Representation::of(&item.attrs)?;
    let mut data = item.data.clone();
    let parts = match &mut data {
        Data::Struct(data) => of_struct(&arguments, &item, data, &repr)?,
        Data::Enum(data) => of_enum(&arguments, &item.ident, data, &repr)?,
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span,
                "a union is no message: nothing tells which field is valid; use a struct",
            ));
        }
    };
    item.data = data;
    let derives = derives::of(&arguments.krate, &item.attrs, parts.from_bytes)?;
    let implementation = implementation(&arguments, &item, &parts);
    let Parts { checks, repr, .. } = parts;
    Ok(quote! {
        #checks
        #derives
        #repr
        #item
        #implementation
    })
}

fn parse(item: TokenStream) -> syn::Result<DeriveInput> {
    syn::parse2(item.clone()).map_err(|error| match syn::parse2::<syn::Item>(item.clone()) {
        Ok(_) => {
            Error::new_spanned(item, "the attribute `message` is for a struct or a fieldless enum")
        }
        Err(_) => error,
    })
}

/// What is added to the declaration, apart from derives.
struct Parts {
    checks: TokenStream,
    repr: Option<TokenStream>,
    /// Whether every bit pattern is a value.
    from_bytes: bool,
    /// The expression of the structure.
    structure: TokenStream,
    fields: Vec<Part>,
}

/// Returns the parts of a struct, whose fields are cleaned of the attributes of this macro.
fn of_struct(
    arguments: &Arguments,
    item: &DeriveInput,
    data: &mut DataStruct,
    repr: &Representation,
) -> syn::Result<Parts> {
    let errors = data.fields.iter().filter_map(|field| refused::check(field).err());
    let all = errors.reduce(|mut all, error| {
        all.combine(error);
        all
    });
    all.map_or(Ok(()), Err)?;
    let is_tuple = matches!(data.fields, Fields::Unnamed(_));
    let fields = field::parts(&mut data.fields)?;
    refused::check_opaque(&item.generics, &fields)?;
    let krate = &arguments.krate;
    Ok(Parts {
        checks: checks::of_struct(krate, item, &fields, repr)?,
        repr: repr.missing_of_struct()?,
        from_bytes: arguments.from_bytes || fields.iter().all(|field| plain::is_plain(&field.ty)),
        structure: structure::of_struct(krate, &item.ident, is_tuple, &fields)?,
        fields,
    })
}

fn of_enum(
    arguments: &Arguments,
    name: &Ident,
    data: &DataEnum,
    repr: &Representation,
) -> syn::Result<Parts> {
    let (number, missing) = repr.number_of_enum()?;
    variants::check(name, data, &number, missing.is_none())?;
    Ok(Parts {
        checks: TokenStream::new(),
        repr: missing,
        from_bytes: arguments.from_bytes,
        structure: structure::of_enum(&arguments.krate, name, &number, data)?,
        fields: Vec::new(),
    })
}

/// Returns the implementation. That of a generic type holds for the arguments with which it can be sent.
fn implementation(arguments: &Arguments, item: &DeriveInput, parts: &Parts) -> TokenStream {
    let (krate, name) = (&arguments.krate, &item.ident);
    let mut generics = item.generics.clone();
    if !generics.params.is_empty() {
        let bounds = &mut generics.make_where_clause().predicates;
        for trait_name in ["TryFromBytes", "IntoBytes", "Immutable", "KnownLayout"] {
            let trait_name = format_ident!("{trait_name}");
            bounds.push(syn::parse_quote!(Self: #krate::zerocopy::#trait_name));
        }
        let names: Vec<_> = item.generics.type_params().map(|parameter| &parameter.ident).collect();
        for Part { ty, .. } in parts.fields.iter().filter(|field| !field.is_opaque) {
            if field::mentions(ty.to_token_stream(), &names) {
                bounds.push(syn::parse_quote!(#ty: #krate::Message));
            }
        }
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let structure = &parts.structure;
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #parameters #krate::Message for #name #arguments #bounds {
            fn structure() -> #krate::Structure {
                #structure
            }
        }
    }
}
