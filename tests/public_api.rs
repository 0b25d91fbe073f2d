//! Compares the public interface with `docs/public-api.txt`, so that every change of it is noticed.
//!
//! The interface is read from the sources, so no particular compiler is needed. Macros and their
//! calls are listed instead of what they expand to. To accept an intended change:
//! `PUBLIC_API=write cargo test --test public_api`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{
    Attribute, Block, Fields, ImplItem, Item, ItemImpl, Meta, TraitItem, UseTree, Visibility,
};

/// The items of the crate except for tests, each with the module that contains it.
type Items = Vec<(Vec<String>, Item)>;

/// Returns whether an item is compiled for tests only, or for the examples of the README.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let words = list.tokens.to_string();
            words.contains("test") && !words.contains("not") || words.contains("doctest")
        }
        _ => false,
    })
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Reads a file and its modules. `folder` contains the files of the modules.
fn read(file: &Path, folder: &Path, module: &[String], all: &mut Items) {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    collect(parsed.items, folder, module, all);
}

fn collect(items: Vec<Item>, folder: &Path, module: &[String], all: &mut Items) {
    for item in items {
        if is_for_tests(attributes_of(&item)) {
            continue;
        }
        if let Item::Mod(inner) = &item {
            let name = inner.ident.to_string();
            let (path, below) =
                ([module, std::slice::from_ref(&name)].concat(), folder.join(&name));
            match &inner.content {
                Some((_, items)) => collect(items.clone(), &below, &path, all),
                None => {
                    let beside = folder.join(format!("{name}.rs"));
                    let file = if beside.exists() { beside } else { below.join("mod.rs") };
                    read(&file, &below, &path, all);
                }
            }
        }
        all.push((module.to_vec(), item));
    }
}

/// Collects the paths that a `use` names.
fn paths(tree: &UseTree, before: &[String], all: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            let before = [before, &[path.ident.to_string()]].concat();
            paths(&path.tree, &before, all);
        }
        UseTree::Name(name) => all.push([before, &[name.ident.to_string()]].concat()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| paths(tree, before, all)),
        // What only the attribute writes is no interface.
        UseTree::Rename(name) if name.rename == "__message" => {}
        UseTree::Rename(_) | UseTree::Glob(_) => panic!("a public name must be a plain one"),
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Keeps the attributes that matter to callers.
fn keep(attributes: &mut Vec<Attribute>) {
    let words = ["cfg_attr", "derive", "must_use", "non_exhaustive", "repr", "default"];
    attributes.retain(|attribute| words.iter().any(|word| attribute.path().is_ident(word)));
}

fn empty() -> Block {
    syn::parse_quote!({})
}

/// Returns the item as its callers see it, and its name; `None` for a private one or one that only
/// names others.
fn shown(mut item: Item) -> Option<(String, Item)> {
    let name = match &mut item {
        Item::Struct(item) if is_public(&item.vis) => {
            keep(&mut item.attrs);
            if let Fields::Named(fields) = &mut item.fields {
                let all = fields.named.len();
                fields.named = std::mem::take(&mut fields.named)
                    .into_iter()
                    .filter(|field| is_public(&field.vis))
                    .map(|mut field| {
                        keep(&mut field.attrs);
                        field
                    })
                    .collect();
                if fields.named.len() != all {
                    item.attrs.push(syn::parse_quote!(#[doc = " And private fields."]));
                }
            }
            item.ident.to_string()
        }
        Item::Enum(item) if is_public(&item.vis) => {
            keep(&mut item.attrs);
            for variant in &mut item.variants {
                keep(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| keep(&mut field.attrs));
            }
            item.ident.to_string()
        }
        Item::Trait(item) if is_public(&item.vis) => {
            keep(&mut item.attrs);
            for inner in &mut item.items {
                if let TraitItem::Fn(inner) = inner {
                    keep(&mut inner.attrs);
                    inner.default = inner.default.take().map(|_| empty());
                }
            }
            item.ident.to_string()
        }
        Item::Fn(item) if is_public(&item.vis) => {
            keep(&mut item.attrs);
            *item.block = empty();
            item.sig.ident.to_string()
        }
        Item::Const(item) if is_public(&item.vis) => {
            keep(&mut item.attrs);
            item.ident.to_string()
        }
        Item::Type(item) if is_public(&item.vis) => {
            keep(&mut item.attrs);
            item.ident.to_string()
        }
        _ => return None,
    };
    Some((name, item))
}

/// Returns the public part of an implementation; `None` if there is none.
fn shown_impl(mut item: ItemImpl) -> Option<ItemImpl> {
    item.attrs.clear();
    let of_trait = item.trait_.is_some();
    item.items.retain(|inner| match inner {
        ImplItem::Fn(inner) => !of_trait && is_public(&inner.vis),
        ImplItem::Const(inner) => of_trait || is_public(&inner.vis),
        _ => true,
    });
    for inner in &mut item.items {
        match inner {
            ImplItem::Fn(inner) => {
                keep(&mut inner.attrs);
                inner.block = empty();
            }
            ImplItem::Const(inner) => keep(&mut inner.attrs),
            ImplItem::Type(inner) => keep(&mut inner.attrs),
            _ => {}
        }
    }
    (of_trait || !item.items.is_empty()).then_some(item)
}

/// Returns the name of the type that an implementation is for.
fn name_of(ty: &syn::Type) -> Option<String> {
    match ty {
        syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        syn::Type::Reference(reference) => name_of(&reference.elem),
        _ => None,
    }
}

fn text(item: Item) -> String {
    prettyplease::unparse(&syn::File { shebang: None, attrs: Vec::new(), items: vec![item] })
}

/// Returns whether two modules belong to the same public one, in which names are unique.
fn are_near(one: &[String], other: &[String], public: &[Vec<String>]) -> bool {
    let near = |module: &[String]| {
        public.iter().filter(|public| module.starts_with(public)).max_by_key(|public| public.len())
    };
    near(one) == near(other)
}

fn listing() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Items::new();
    read(&source.join("lib.rs"), &source, &[], &mut all);
    let mut public = vec![Vec::new()];
    for (module, item) in &all {
        if let Item::Mod(item) = item
            && is_public(&item.vis)
            && module.is_empty()
        {
            public.push(vec![item.ident.to_string()]);
        }
    }
    let mut out = String::new();
    for module in &public {
        let name = [&["sysvring".to_owned()], &module[..]].concat().join("::");
        writeln!(out, "// {name}\n").expect("a string");
        let here = all.iter().filter(|(path, _)| path == module).map(|(_, item)| item);
        let mut names = Vec::new();
        for item in here {
            match item {
                Item::Use(item) if is_public(&item.vis) => paths(&item.tree, &[], &mut names),
                Item::Macro(_) => writeln!(out, "{}", text(item.clone())).expect("a string"),
                item => {
                    if let Some((name, _)) = shown(item.clone()) {
                        names.push(vec![name]);
                    }
                }
            }
        }
        names.sort_by_key(|path| path.last().cloned());
        for path in names {
            list(&mut out, &all, module, &path, &public);
        }
    }
    writeln!(out, "// what the macros in it write\n").expect("a string");
    for (module, item) in &all {
        if let (["iter"] | ["postcard", "receiver" | "sender"], Item::Macro(inner)) =
            (&module.iter().map(String::as_str).collect::<Vec<_>>()[..], item)
            && !inner.mac.path.is_ident("thread_local")
        {
            writeln!(out, "{}", text(item.clone())).expect("a string");
        }
    }
    out
}

/// Lists one public name of a module, with everything that is implemented for it.
fn list(out: &mut String, all: &Items, module: &[String], path: &[String], public: &[Vec<String>]) {
    let (name, before) = path.split_last().expect("a name");
    let at = match before.split_first() {
        Some((first, rest)) if first == "crate" => rest.to_vec(),
        _ => [module, before].concat(),
    };
    // What another public module has is listed there.
    if before.len() > 1 && at != module && public.contains(&at) {
        return writeln!(out, "pub use {};\n", path.join("::")).expect("a string");
    }
    let inside = all.iter().filter(|(path, _)| *path == at);
    let mut found = inside.filter_map(|(_, item)| shown(item.clone()));
    let found = found.find(|(found, _)| found == name).map(|(_, item)| item);
    let Some(item) = found else {
        let is_elsewhere = before.is_empty() || before[0] == "sysvring_macros";
        assert!(is_elsewhere, "{path:?} does not exist");
        return writeln!(out, "pub use {};\n", path.join("::")).expect("a string");
    };
    writeln!(out, "{}", text(item)).expect("a string");
    for (path, item) in all {
        if let Item::Impl(item) = item
            && name_of(&item.self_ty).as_ref() == Some(name)
            && are_near(path, &at, public)
            && item
                .trait_
                .as_ref()
                .is_none_or(|(_, path, _)| !path.segments.iter().any(|s| s.ident == "Sealed"))
            && let Some(item) = shown_impl(item.clone())
        {
            writeln!(out, "{}", text(Item::Impl(item))).expect("a string");
        }
    }
}

#[test]
fn the_public_interface_is_as_listed() {
    let page: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/public-api.txt");
    let now = listing();
    if std::env::var_os("PUBLIC_API").is_some_and(|word| word == "write") {
        fs::write(&page, &now).expect("the page");
    }
    let listed = fs::read_to_string(&page).expect("the page");
    let differs = now.lines().zip(listed.lines()).position(|(now, listed)| now != listed);
    if let Some(line) = differs.or((now != listed).then_some(now.lines().count())) {
        let near = |text: &str| {
            text.lines().skip(line.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n")
        };
        panic!(
            "the public interface differs from {} from line {} on:\n{}\n\nnow:\n{}\n\nIf that \
             is intended, run `PUBLIC_API=write cargo test --test public_api` and add it to the \
             changelog.",
            page.display(),
            line + 1,
            near(&listed),
            near(&now),
        );
    }
}

#[test]
fn the_listing_contains_known_items() {
    let now = listing();
    for line in [
        "pub trait Handle: sealed::Sealed + Sized {}",
        "    pub fn try_send(&mut self, message: &T) -> Result<(), SendError> {}",
        "    pub fn try_send(&self, message: &T) -> Result<(), SendError> {}",
        "    pub fn capacity(mut self, slots: usize) -> Options {}",
        "pub fn reap() -> Result<Vec<Reaped>, Error> {}",
        "impl std::error::Error for RecvError {}",
        "pub use zerocopy;",
    ] {
        assert!(now.lines().any(|listed| listed == line), "{line:?} is not in\n{now}");
    }
    assert!(!now.contains("pub(crate)") && !now.contains("fn arrive"), "{now}");
}
