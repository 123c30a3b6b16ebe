//! Names of files as `mboot` makes them.

/// C's `isspace`.
pub(super) fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t'..='\r')
}

/// A path from the root, or a URL.
pub(super) fn is_absolute(name: &str) -> bool {
    name.starts_with(['/', '\\']) || name.contains("://")
}

/// `name` on `folder` unless it is absolute. `None` when it needs a folder and there is none.
pub(super) fn make(folder: Option<&str>, name: &str) -> Option<String> {
    let name = name.trim_start_matches(is_blank);
    if is_absolute(name) {
        return Some(clean(name));
    }
    let folder = folder?.trim_start_matches(is_blank);
    Some(if folder.is_empty() { clean(name) } else { clean(&format!("{folder}/{name}")) })
}

/// White space goes, backslashes turn, slashes merge; those of the first `://` stay.
fn clean(name: &str) -> String {
    let keep = name.find("://").map_or(0, |at| at + 3);
    let (mut cleaned, mut slash) = (String::with_capacity(name.len()), false);
    for (at, char) in name.char_indices().filter(|(_, char)| !is_blank(*char)) {
        if matches!(char, '/' | '\\') {
            if !slash || at < keep {
                cleaned.push('/');
            }
            slash = true;
        } else {
            cleaned.push(char);
            slash = false;
        }
    }
    cleaned
}

/// The folder of a `boot.cfg`, with which relative names begin when it says no `prefix`.
pub(super) fn folder_of_config(name: &str) -> String {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    folder.trim_end_matches('/').to_owned()
}

/// C's `dirname`, `.` and `/` made nothing.
pub(super) fn folder(file: &str) -> String {
    folder_of_config(file)
}

/// Host as the loader cuts it from a URL: up to the first `/`, or up to the last `:` anywhere behind the scheme, so that a
/// colon in the path makes nonsense of it.
pub(super) fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let mut end = rest.find('/').unwrap_or(rest.len());
    let bracket = rest.rfind(']').unwrap_or(0);
    if let Some(colon) = rest.get(bracket..)?.rfind(':') {
        end = bracket + colon;
    }
    rest.get(..end).map(str::to_owned)
}

/// A reference on a base: RFC 3986 §5.2.2, without fragments.
pub(super) fn resolve(base: &str, reference: &str) -> String {
    let reference = reference.split('#').next().unwrap_or_default();
    if scheme(reference).is_some() {
        return reference.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base));
    if let Some(other) = reference.strip_prefix("//") {
        return format!("{scheme}://{other}");
    }
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(at);
    let path = target.split('?').next().unwrap_or_default();
    let (own, query) = match reference.split_once('?') {
        Some((own, query)) => (own, format!("?{query}")),
        None => (reference, String::new()),
    };
    let path = match own {
        "" if query.is_empty() => return format!("{scheme}://{host}{target}"),
        "" => path.to_owned(),
        own if own.starts_with('/') => without_dots(own),
        own => without_dots(&format!("{}/{own}", path.rsplit_once('/').map_or("", |(folder, _)| folder))),
    };
    format!("{scheme}://{host}{path}{query}")
}

fn scheme(reference: &str) -> Option<&str> {
    let (scheme, _) = reference.split_once(':')?;
    let good = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '.' | '-');
    (scheme.starts_with(|char: char| char.is_ascii_alphabetic()) && scheme.chars().all(good))
        .then_some(scheme)
}

/// RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let last = parts.len().saturating_sub(1);
    for (at, part) in parts.into_iter().enumerate() {
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if at == last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}
