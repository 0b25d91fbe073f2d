//! The representation: what the user chose, and what is added.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, Ident, LitInt, Meta, Token};

/// The parts of the `repr` attributes of an item.
#[derive(Default)]
pub struct Representation {
    c: Option<Ident>,
    transparent: bool,
    /// The integer of an enum.
    number: Option<Ident>,
    /// The number in `packed(2)`, 1 for `packed`.
    pub packed: Option<usize>,
    /// The number in `align(64)`.
    pub align: Option<usize>,
}

impl Representation {
    pub fn of(attributes: &[Attribute]) -> syn::Result<Representation> {
        let mut found = Representation::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
            for part in
                attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?
            {
                found.take(&part)?;
            }
        }
        Ok(found)
    }

    fn take(&mut self, part: &Meta) -> syn::Result<()> {
        let Some(name) = part.path().get_ident() else { return Ok(()) };
        match &*name.to_string() {
            "Rust" => {
                return Err(Error::new(
                    name.span(),
                    "the compiler may order the fields of `repr(Rust)` as it likes: leave the attribute \
                     out, or use `#[repr(C)]`",
                ));
            }
            "C" => self.c = Some(name.clone()),
            "transparent" => self.transparent = true,
            "packed" => self.packed = number_in(part).or(Some(1)),
            "align" => self.align = number_in(part),
            integer if integer.starts_with(['u', 'i']) => self.number = Some(name.clone()),
            // The compiler knows, or refuses it.
            _ => {}
        }
        Ok(())
    }

    /// Returns whether the representation excludes padding between fields.
    pub fn has_no_padding(&self) -> bool {
        self.transparent || self.packed.is_some()
    }

    /// Returns what a struct lacks: without `C`, the compiler may order its fields.
    pub fn missing_of_struct(&self) -> syn::Result<Option<TokenStream>> {
        if let Some(number) = &self.number {
            let text = "an integer represents an enum, not a struct: leave the attribute out";
            return Err(Error::new(number.span(), text));
        }
        Ok((self.c.is_none() && !self.transparent).then(|| quote!(#[repr(C)])))
    }

    /// Returns the integer of an enum, and what it lacks.
    pub fn number_of_enum(&self) -> syn::Result<(Ident, Option<TokenStream>)> {
        match (&self.number, &self.c) {
            (Some(number), _) if number == "u128" || number == "i128" => {
                let text = "an enum of a message has at most 64 bits: use `#[repr(u64)]` or `#[repr(i64)]`";
                Err(Error::new(number.span(), text))
            }
            (Some(number), _) => Ok((number.clone(), None)),
            (None, Some(c)) => Err(Error::new(
                c.span(),
                "the C compiler chooses the size of this enum: name an integer, such as `#[repr(u8)]` or, \
                 for most C compilers, `#[repr(i32)]`",
            )),
            (None, None) => Ok((Ident::new("u8", Span::call_site()), Some(quote!(#[repr(u8)])))),
        }
    }
}

/// Returns the number in parentheses, or after the equals sign, which the compiler refuses.
fn number_in(part: &Meta) -> Option<usize> {
    let number: LitInt = match part {
        Meta::List(list) => list.parse_args().ok()?,
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(literal) => syn::parse2(quote!(#literal)).ok()?,
            _ => return None,
        },
        Meta::Path(_) => return None,
    };
    number.base10_parse().ok()
}
