//! Types of fields that obviously cannot travel, each with what to use instead. What is not obvious, the
//! compiler refuses: that the type is no `Message`.

use syn::{
    Error, Field, GenericArgument, Generics, Path, PathArguments, PathSegment, TraitBoundModifier,
    Type, TypeParamBound, WherePredicate,
};

use crate::field::{Part, has_cfg};

/// What to use instead of a pointer.
const NO_POINTER: &str = "other processes cannot follow it; use an array (`[u8; 32]`), or end the struct in \
                          a slice (`text: [u8]`) and copy or serialise into it";

/// Returns the error of a field whose type cannot be part of a message, unless it may be configured out.
pub fn check(field: &Field) -> syn::Result<()> {
    if has_cfg(&field.attrs) {
        return Ok(());
    }
    match refused(&field.ty) {
        None => Ok(()),
        Some((ty, what)) => Err(Error::new_spanned(ty, what)),
    }
}

/// Returns the error of an opaque field that is a parameter with `?Sized`: where the type is declared, nothing
/// tells whether it has a size.
pub fn check_opaque(generics: &Generics, fields: &[Part]) -> syn::Result<()> {
    let clauses = || generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    for parameter in generics.type_params() {
        let is_it =
            |ty: &Type| matches!(ty, Type::Path(path) if path.path.is_ident(&parameter.ident));
        let in_clauses = clauses().filter_map(|predicate| match predicate {
            WherePredicate::Type(bounded) if is_it(&bounded.bounded_ty) => Some(&bounded.bounds),
            _ => None,
        });
        let mut bounds = parameter.bounds.iter().chain(in_clauses.flatten());
        let field = fields.iter().find(|field| field.is_opaque && is_it(&field.ty));
        if let Some(field) = field.filter(|_| bounds.any(may_be_unsized)) {
            return Err(Error::new_spanned(
                &field.ty,
                "the size of an opaque field is not known with `?Sized`: leave `?Sized` out, or `opaque` if \
                 the arguments are messages",
            ));
        }
    }
    Ok(())
}

fn may_be_unsized(bound: &TypeParamBound) -> bool {
    matches!(bound, TypeParamBound::Trait(bound) if matches!(bound.modifier, TraitBoundModifier::Maybe(_)))
}

/// Returns the part of a type that is refused, and why.
fn refused(ty: &Type) -> Option<(&Type, String)> {
    let pointer = |what: &str| Some((ty, format!("{what}: {NO_POINTER}")));
    match ty {
        Type::Reference(_) => pointer("a reference is a pointer"),
        Type::Ptr(_) => pointer("a message cannot contain a pointer"),
        Type::BareFn(_) => pointer("a function is a pointer"),
        Type::TraitObject(_) => pointer("a trait object contains a pointer"),
        Type::Array(array) => refused(&array.elem),
        Type::Slice(slice) => refused(&slice.elem),
        Type::Paren(inner) => refused(&inner.elem),
        Type::Group(inner) => refused(&inner.elem),
        Type::Tuple(tuple) if tuple.elems.is_empty() => None,
        Type::Tuple(tuple) => {
            let inside = tuple.elems.iter().find_map(refused);
            let text = "the compiler may order the fields of a tuple as it likes: use a struct that is a \
                        message itself, or a field for each";
            inside.or_else(|| Some((ty, text.into())))
        }
        Type::Path(path) if path.qself.is_none() => refused_path(ty, &path.path),
        _ => None,
    }
}

fn refused_path<'a>(ty: &'a Type, path: &'a Path) -> Option<(&'a Type, String)> {
    let last = path.segments.last()?;
    let name = last.ident.to_string();
    let types = || arguments(last);
    if path.is_ident("str") {
        let text = "a struct cannot end in `str`: use `[u8]`, and `str::from_utf8` where it is read (`str` \
                    alone is a message)";
        return Some((ty, text.into()));
    }
    if is_of_std(path) {
        let has_arguments = !last.arguments.is_none();
        // Programs have a `Cell` or a `Box` of their own, but hardly with arguments.
        const OWNERS: [&str; 11] = [
            "Vec", "Box", "Rc", "Arc", "Cow", "HashMap", "BTreeMap", "HashSet", "BTreeSet",
            "VecDeque", "NonNull",
        ];
        const TEXTS: [&str; 4] = ["String", "PathBuf", "OsString", "CString"];
        if has_arguments && OWNERS.contains(&&*name) || !has_arguments && TEXTS.contains(&&*name) {
            return Some((ty, format!("`{name}` contains a pointer: {NO_POINTER}")));
        }
        const CELLS: [&str; 6] = ["Cell", "RefCell", "UnsafeCell", "OnceCell", "Mutex", "RwLock"];
        let is_atomic = name
            .strip_prefix("Atomic")
            .is_some_and(|rest| rest == "Bool" || (rest.starts_with(['U', 'I']) && !has_arguments));
        if has_arguments && CELLS.contains(&&*name) || is_atomic {
            let text = "changes behind a shared reference, and what is sent does not: use the type of its \
                        value";
            return Some((ty, format!("`{name}` {text}")));
        }
        if ["Duration", "Instant", "SystemTime"].contains(&&*name) && !has_arguments {
            let text = "has no fixed layout: use a number, such as nanoseconds in a `u64`";
            return Some((ty, format!("`{name}` {text}")));
        }
        if name == "Option" && types().any(is_number) {
            let text = "an `Option` of this type has no fixed layout: use a `bool` or a number beside the \
                        value, a value that means none, or an `Option` of a `NonZero` integer";
            return Some((ty, text.into()));
        }
        if name == "PhantomData" {
            return None;
        }
    }
    types().find_map(refused)
}

/// Whether a path is a single name, or leads into the standard library.
fn is_of_std(path: &Path) -> bool {
    let first = path.segments.first().map(|first| first.ident.to_string());
    path.get_ident().is_some()
        || path.segments.len() == 1
        || ["std", "core", "alloc"].iter().any(|root| first.as_deref() == Some(root))
}

/// Returns the types among the generic arguments of a segment.
fn arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter()),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn is_number(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let is = |name: &&str| path.path.is_ident(name);
    crate::plain::PRIMITIVE.iter().any(is) || ["bool", "char"].iter().any(is)
}
