//! Short names of manufacturers: SMBIOS says `Dell Inc.`, people say `Dell`.

use std::borrow::Cow;

/// What SMBIOS says (lower case, without legal forms) and what people say.
const KNOWN: [(&str, &str); 13] = [
    ("hewlett-packard", "HP"),
    ("hewlett packard enterprise", "HPE"),
    ("super micro computer", "Supermicro"),
    ("asustek computer", "ASUS"),
    ("cisco systems", "Cisco"),
    ("huawei technologies", "Huawei"),
    ("quanta computer", "Quanta"),
    ("quanta cloud technology", "QCT"),
    ("intel corporate", "Intel"),
    ("giga-byte technology", "GIGABYTE"),
    ("red hat", "Red Hat"),
    ("fujitsu siemens", "Fujitsu"),
    ("lenovo", "Lenovo"),
];

/// Legal forms at the end of a name.
const FORMS: [&str; 12] = [
    "inc",
    "corp",
    "corporation",
    "ltd",
    "limited",
    "co",
    "company",
    "gmbh",
    "ag",
    "llc",
    "sa",
    "international",
];

/// The short name of a manufacturer; the name itself when there is none shorter.
///
/// Legal forms, dots and commas at the end go (`Dell Inc.` → `Dell`, `VMware, Inc.` → `VMware`), then a few well-known
/// long names are replaced.
pub fn short(raw: &str) -> Cow<'_, str> {
    let mut name = raw.trim();
    loop {
        let cut = name.trim_end_matches(['.', ',', ' ']);
        let last = cut.rsplit([' ', ',']).next().unwrap_or_default();
        let form = last.trim_end_matches('.');
        let is_form = FORMS.iter().any(|known| known.eq_ignore_ascii_case(form));
        let rest = cut.get(..cut.len() - last.len()).unwrap_or_default();
        // A name that is nothing but a legal form stays.
        if !is_form || rest.trim().is_empty() {
            name = cut;
            break;
        }
        name = rest;
    }
    match KNOWN.iter().find(|(long, _)| long.eq_ignore_ascii_case(name)) {
        Some((_, short)) => Cow::Borrowed(*short),
        None if name.is_empty() => Cow::Borrowed(raw),
        None => Cow::Borrowed(name),
    }
}
