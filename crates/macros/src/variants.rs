//! The variants of an enum: that they have no fields, and that their numbers fit.

use syn::{DataEnum, Error, Expr, ExprLit, Fields, Ident, Lit, UnOp, Variant};

use crate::field::has_cfg;

/// Returns the error of an enum that cannot be a message with this integer.
pub fn check(name: &Ident, data: &DataEnum, number: &Ident, is_given: bool) -> syn::Result<()> {
    if data.variants.is_empty() {
        let text = "an enum without variants has no value that could be sent";
        return Err(Error::new(name.span(), text));
    }
    if let Some(variant) = data.variants.iter().find(|v| has_fields(v)) {
        return Err(Error::new_spanned(
            &variant.fields,
            "a variant of a message has no fields: use a struct with the enum and the fields of all \
             variants, or serialise the enum into a message of bytes (`[u8]`)",
        ));
    }
    let Some((min, max)) = range(number) else { return Ok(()) };
    let numbers: Vec<_> = numbers(data).collect();
    let Some((variant, value)) =
        numbers.iter().find(|(_, value)| !(min..=max).contains(value)).copied()
    else {
        return Ok(());
    };
    let least = numbers.iter().map(|(_, value)| *value).min().unwrap_or(value);
    let most = numbers.iter().map(|(_, value)| *value).max().unwrap_or(value);
    let fitting = FITTING.into_iter().find(|(_, min, max)| *min <= least && most <= *max);
    let number = match is_given {
        true => format!("`{number}`"),
        false => format!("`{number}`, which is the representation of an enum by default"),
    };
    let remedy = match fitting {
        Some((name, ..)) => format!("write `#[repr({name})]` below the attribute"),
        None => "no integer of 64 bits has room for all variants".into(),
    };
    let text = format!("variant `{}` is {value}, which is no {number}: {remedy}", variant.ident);
    Err(Error::new_spanned(variant, text))
}

fn has_fields(variant: &Variant) -> bool {
    !matches!(variant.fields, Fields::Unit) && !has_cfg(&variant.attrs)
}

/// The integers by their size, unsigned ones first.
const FITTING: [(&str, i128, i128); 8] = [
    ("u8", 0, u8::MAX as i128),
    ("i8", i8::MIN as i128, i8::MAX as i128),
    ("u16", 0, u16::MAX as i128),
    ("i16", i16::MIN as i128, i16::MAX as i128),
    ("u32", 0, u32::MAX as i128),
    ("i32", i32::MIN as i128, i32::MAX as i128),
    ("u64", 0, u64::MAX as i128),
    ("i64", i64::MIN as i128, i64::MAX as i128),
];

fn range(number: &Ident) -> Option<(i128, i128)> {
    // sysvring is for processors of 64 bits.
    let name = number.to_string().replace("size", "64");
    let (_, min, max) = FITTING.into_iter().find(|(fitting, ..)| *fitting == name)?;
    Some((min, max))
}

/// Returns the variants whose numbers are known here: which follow a literal, or nothing. The
/// compiler knows what an expression is, and which variants are configured out.
fn numbers(data: &DataEnum) -> impl Iterator<Item = (&Variant, i128)> {
    let mut next = Some(0);
    data.variants.iter().filter_map(move |variant| {
        if has_cfg(&variant.attrs) {
            next = None;
            return None;
        }
        if let Some((_, discriminant)) = &variant.discriminant {
            next = literal(discriminant);
        }
        let value = next?;
        next = value.checked_add(1);
        Some((variant, value))
    })
}

fn literal(value: &Expr) -> Option<i128> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Byte(byte), .. }) => Some(byte.value().into()),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            literal(&unary.expr)?.checked_neg()
        }
        Expr::Paren(inner) => literal(&inner.expr),
        Expr::Group(inner) => literal(&inner.expr),
        _ => None,
    }
}
