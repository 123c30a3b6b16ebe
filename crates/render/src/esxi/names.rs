//! Names that differ in case alone. A medium has upper-case names, its `boot.cfg` lower-case ones: files are looked up
//! without case, so two names of one image that fold alike would hide each other.

use std::collections::BTreeMap;

/// Groups of two names and more that are equal without ASCII case, in their order; the same name twice is such a group.
pub fn collisions<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut folded: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in names {
        folded.entry(name.to_ascii_lowercase()).or_default().push(name);
    }
    folded.into_values().filter(|group| group.len() > 1).collect()
}

#[cfg(test)]
mod tests;
