//! CSV lists: one machine a row, columns named by the header, in any order.
//!
//! | column | value |
//! |---|---|
//! | `name` | any name [`fold`](crate::names::fold) takes; without one the host name or the MAC address names it |
//! | `mac` | one or several, by blanks or `;` |
//! | `uuid` | SMBIOS GUID as text, in either byte order |
//! | `serial` | SMBIOS serial number |
//! | `group`, `image` | names as they are recorded |
//! | `address` | IPv4 addresses to reserve, by blanks or `;` |
//! | `hostname` | what the machine is told by DHCP |
//! | `params.<key>` | a value for templates and scripts |
//!
//! Cells follow RFC 4180: quotes around cells with separators, doubled quotes inside. The separator is comma, semicolon
//! or tab, whichever makes known columns of the header; a first line `sep=;` as Excel reads it counts. Rows without any
//! value are skipped.

use crate::draft::Draft;
use crate::fault::Code;
use crate::found::{Collector, Found, Options};
use crate::limits::{COLUMNS_MAX, PARAMS_MAX, VALUE_BYTES_MAX};
use crate::suggest::nearest;
use crate::text::{LineCounter, decode, shown};
use csv::StringRecord;

/// Columns with a meaning, beside `params.<key>`.
pub const COLUMNS: [&str; 8] = ["name", "mac", "uuid", "serial", "group", "image", "address", "hostname"];

/// What other lists call them.
const OTHER_WORDS: [(&str, &str); 19] = [
    ("host", "name"),
    ("computername", "name"),
    ("macaddress", "mac"),
    ("mac-address", "mac"),
    ("mac_address", "mac"),
    ("mac address", "mac"),
    ("macs", "mac"),
    ("hwaddr", "mac"),
    ("ethernet", "mac"),
    ("guid", "uuid"),
    ("smbios-uuid", "uuid"),
    ("serialnumber", "serial"),
    ("serial number", "serial"),
    ("serial_number", "serial"),
    ("profile", "image"),
    ("ip", "address"),
    ("ip address", "address"),
    ("ipaddress", "address"),
    ("fqdn", "hostname"),
];

const SEPARATORS: [char; 3] = [',', ';', '\t'];

#[derive(Clone, PartialEq, Eq, Debug)]
enum Column {
    Known(&'static str),
    Param(String),
    Other,
}

/// Reads a CSV list. `source` names it in messages.
pub fn read(source: &str, bytes: &[u8], options: &Options) -> Found {
    let mut out = Collector::new(source, options);
    match decode(bytes) {
        Ok(text) => rows(&text, &mut out),
        Err(error) => out.no_text(error),
    }
    out.finish()
}

fn rows(text: &str, out: &mut Collector) {
    // Excel's own line, which says what separates the cells.
    let declared = text.strip_prefix("sep=").and_then(|rest| rest.chars().next());
    let declared = declared.filter(|c| SEPARATORS.contains(c));
    let (skipped, body) = match (declared, text.split_once('\n')) {
        (Some(_), Some((_, rest))) => (1, rest),
        _ => (0, text),
    };
    let separator = declared.unwrap_or_else(|| separator_of(body));
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(u8::try_from(separator).unwrap_or(b','))
        .has_headers(false)
        .flexible(true)
        .from_reader(body.as_bytes());
    let mut columns: Option<Vec<Column>> = None;
    let mut record = StringRecord::new();
    let mut counter = LineCounter::new(body);
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                // The text is UTF-8 and any number of cells will do: nothing else is known to fail.
                out.fault(Code::Syntax, 0, "", shown(&error.to_string()), "");
                return;
            }
        }
        let start = record.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(0));
        let line = counter.of_next(start).saturating_add(skipped);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        match &columns {
            None => match header(&record, line, out) {
                Some(read) => columns = Some(read),
                None => return,
            },
            Some(columns) => row(&record, line, columns, out),
        }
        if !out.has_room() {
            return;
        }
    }
    if columns.is_none() {
        let message = "the list is empty".to_owned();
        out.fault(
            Code::Header,
            0,
            "",
            message,
            "begin with a line that names the columns, such as `name,mac,image`",
        );
    }
}

/// The separator under which the header has most known columns, then most columns.
fn separator_of(text: &str) -> char {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let score = |separator: char| {
        let cells: Vec<&str> = header.split(separator).collect();
        let known = cells.iter().filter(|cell| !matches!(column(&plain(cell)), Column::Other)).count();
        (known, cells.len())
    };
    let mut best = ',';
    for separator in SEPARATORS {
        if score(separator) > score(best) {
            best = separator;
        }
    }
    best
}

fn plain(cell: &str) -> String {
    cell.trim().trim_matches('"').trim().to_lowercase()
}

fn column(word: &str) -> Column {
    if let Some(key) = word.strip_prefix("params.") {
        return Column::Param(key.to_owned());
    }
    COLUMNS.iter().find(|known| **known == word).map_or(Column::Other, |known| Column::Known(known))
}

/// Every column of the header; `None` when the list cannot be read with it.
fn header(record: &StringRecord, line: u32, out: &mut Collector) -> Option<Vec<Column>> {
    if record.len() > COLUMNS_MAX {
        let message = format!("the header has {} columns, more than {COLUMNS_MAX}", record.len());
        out.fault(Code::Limit, line, "", message, "");
        return None;
    }
    let mut columns: Vec<Column> = Vec::new();
    let mut refusals: Vec<(String, String)> = Vec::new();
    for cell in record {
        let word = plain(cell);
        let mut read = column(&word);
        match &mut read {
            Column::Other => {
                let other = OTHER_WORDS.iter().find(|(other, _)| *other == word).map(|(_, ours)| *ours);
                if let Some(ours) = other.or_else(|| nearest(&word, &COLUMNS)) {
                    let message = format!("column `{}` is not known; did you mean `{ours}`?", shown(cell));
                    refusals
                        .push((message, format!("call it `{ours}`, or `params.{ours}-2` to keep it beside")));
                } else if word.starts_with("param") {
                    let message = format!("column `{}` is not known", shown(cell));
                    refusals.push((message, "parameters are called `params.<key>`".to_owned()));
                } else if !word.is_empty() {
                    let message = format!("column `{}` is not read", shown(cell));
                    out.fault(Code::Column, line, "", message, "call it `params.<key>` to keep its values");
                }
            }
            Column::Param(key) => {
                // Keys keep their case.
                let written = cell.trim().trim_matches('"').trim().get("params.".len()..).unwrap_or_default();
                written.clone_into(key);
                if key.is_empty()
                    || key.len() > 256
                    || key.chars().any(|c| c.is_control() || c.is_whitespace())
                {
                    let message = format!("`{}` names no parameter", shown(cell));
                    refusals.push((message, "write `params.<key>`".to_owned()));
                }
            }
            Column::Known(_) => {}
        }
        if read != Column::Other && columns.contains(&read) {
            refusals.push((format!("column `{}` stands twice", shown(cell)), "keep one of them".to_owned()));
        }
        columns.push(read);
    }
    let params = columns.iter().filter(|column| matches!(column, Column::Param(_))).count();
    if params > PARAMS_MAX {
        refusals.push((format!("the header has {params} parameters, more than {PARAMS_MAX}"), String::new()));
    }
    let identities = ["mac", "uuid", "serial"];
    if refusals.is_empty()
        && !columns.iter().any(|column| matches!(column, Column::Known(known) if identities.contains(known)))
    {
        let message = "the header has none of the columns `mac`, `uuid` and `serial`".to_owned();
        let fix = "begin the list with a line that names its columns; one of the three tells which machine a row is";
        refusals.push((message, fix.to_owned()));
    }
    let good = refusals.is_empty();
    for (message, fix) in refusals {
        out.fault(Code::Header, line, "", message, &fix);
    }
    good.then_some(columns)
}

fn row(record: &StringRecord, line: u32, columns: &[Column], out: &mut Collector) {
    let cell = |known: &'static str| {
        let at = columns.iter().position(|column| *column == Column::Known(known))?;
        record.get(at).map(value).filter(|value| !value.is_empty())
    };
    let entry = ["name", "hostname", "mac", "serial"].into_iter().find_map(cell).unwrap_or_default();
    let mut draft = Draft::new(line, entry);
    if let Some(extra) = record.iter().skip(columns.len()).find(|cell| !cell.trim().is_empty()) {
        let message = format!(
            "the row has {} cells and the header {}; the first too many is `{}`",
            record.len(),
            columns.len(),
            shown(extra)
        );
        draft.fault(out, Code::Cells, message, "put quotes around values that contain the separator");
        return;
    }
    if record.len() < columns.len() {
        let message = format!("the row has {} cells and the header {}", record.len(), columns.len());
        draft.fault(out, Code::ShortRow, message, "look whether a separator is missing");
    }
    if let Some(long) = record.iter().find(|cell| cell.len() > VALUE_BYTES_MAX) {
        let message = format!("a cell has {} bytes; a quote may not be closed", long.len());
        draft.fault(out, Code::Limit, message, "look for a quote without its other half");
        return;
    }
    draft.name = cell("name").map(str::to_owned);
    for mac in several(cell("mac")) {
        draft.mac(out, mac);
    }
    if let Some(text) = cell("uuid") {
        match text.parse() {
            Ok(guid) => draft.uuid(out, guid),
            Err(_) => {
                let message = format!("`{}` is not a GUID", shown(text));
                let fix = "write 32 hex digits such as 4c4c4544-0057-5810-804a-c3c04f463732";
                let code = if crate::parts::is_scientific(text) { Code::Mangled } else { Code::Uuid };
                draft.fault(out, code, message, fix);
            }
        }
    }
    if let Some(text) = cell("serial") {
        draft.serial(out, text);
    }
    if let Some(text) = cell("group") {
        draft.group(out, text);
    }
    if let Some(text) = cell("image") {
        draft.image(out, text);
    }
    for address in several(cell("address")) {
        draft.address(out, address);
    }
    if let Some(text) = cell("hostname") {
        draft.hostname(out, text);
    }
    for (column, text) in columns.iter().zip(record.iter().map(value)) {
        let Column::Param(key) = column else { continue };
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            let message = format!("parameter `{}` has control characters", shown(key));
            draft.fault(out, Code::Param, message, "remove them");
        } else if !text.is_empty() {
            draft.params.insert(key.clone(), text.to_owned());
        }
    }
    draft.finish(out);
}

/// A cell without what spreadsheets put around text: `="0012"`, a leading apostrophe.
fn value(cell: &str) -> &str {
    let cell = cell.trim();
    let formula = cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    let plain = formula.or_else(|| cell.strip_prefix('\'')).unwrap_or(cell);
    plain.trim()
}

/// Values of a cell, by blanks, semicolons or commas; a number as spreadsheets show it stays whole for its fault.
fn several(cell: Option<&str>) -> impl Iterator<Item = &str> {
    let cell = cell.unwrap_or_default();
    let number = crate::parts::is_scientific(cell);
    cell.split(move |c: char| !number && (c.is_whitespace() || matches!(c, ';' | ',')))
        .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests;
