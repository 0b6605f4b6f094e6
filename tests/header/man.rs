//! The man pages of section 3, from the header's text: one for each function, struct, handle and function type, and
//! riverrun(3) for what holds for all. Text in, text out; `../header.rs` compares them with man/man3.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write;

/// A declaration of the header with its comment.
#[derive(Debug)]
pub(crate) struct Item {
    name: String,
    paragraphs: Vec<String>,
    /// As a C program sees it, without comments.
    code: String,
    /// Of a struct: each with its comment.
    fields: Vec<(String, Vec<String>)>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Constant,
    Type,
    Function,
}

/// Everything that the header declares, in its order.
pub(crate) fn items(header: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut lines = header.lines().skip_while(|line| !line.starts_with("#include")).peekable();
    while let Some(line) = lines.next() {
        if line.trim() != "/**" {
            continue;
        }
        let paragraphs = comment(&mut lines);
        let mut text: Vec<&str> = Vec::new();
        let mut fields = Vec::new();
        let mut field_comment = Vec::new();
        while let Some(line) = lines.next() {
            if line.trim() == "/**" {
                field_comment = comment(&mut lines);
                continue;
            }
            text.push(line);
            if line.starts_with(' ') && line.ends_with(';') && !field_comment.is_empty() {
                fields.push((line.trim().to_owned(), std::mem::take(&mut field_comment)));
            }
            let ends = line.starts_with("#define") || (line.ends_with(';') && !text[0].ends_with('{'));
            if ends || line.starts_with('}') {
                break;
            }
        }
        items.push(item(paragraphs, &text, fields));
    }
    items
}

/// The paragraphs of a comment whose first line is behind us.
fn comment<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in lines.by_ref().map(str::trim).take_while(|line| *line != "*/") {
        let text = line.trim_start_matches('*').trim();
        let last = paragraphs.last_mut().expect("there is always one");
        match (text.is_empty(), last.is_empty()) {
            (true, _) => paragraphs.push(String::new()),
            (false, true) => last.push_str(text),
            (false, false) => {
                last.push(' ');
                last.push_str(text);
            }
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

fn item(paragraphs: Vec<String>, text: &[&str], fields: Vec<(String, Vec<String>)>) -> Item {
    let code = text.join("\n");
    let first = text.first().copied().unwrap_or_default();
    let word = |text: &str| {
        let start = text.find(|c: char| c.is_ascii_alphanumeric() || c == '_').unwrap_or(text.len());
        let rest = &text[start..];
        rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())].to_owned()
    };
    let (kind, name) = if let Some(rest) = first.strip_prefix("#define ") {
        (Kind::Constant, word(rest))
    } else if first.starts_with("typedef") && code.contains("(*") {
        (Kind::Type, word(code.split_once("(*").map_or("", |(_, rest)| rest)))
    } else if first.starts_with("typedef") {
        let last = text.last().copied().unwrap_or_default();
        (Kind::Type, word(last.trim_end_matches(';').rsplit([' ', '*']).next().unwrap_or_default()))
    } else {
        let head = code.split_once('(').map_or("", |(head, _)| head);
        (Kind::Function, word(head.rsplit([' ', '*']).next().unwrap_or_default()))
    };
    Item { name, paragraphs, code, fields, kind }
}

/// File name to text.
pub(crate) fn pages(header: &str, version: &str) -> BTreeMap<String, String> {
    let items = items(header);
    let mut pages = BTreeMap::new();
    for item in items.iter().filter(|item| item.kind != Kind::Constant) {
        pages.insert(format!("{}.3", item.name), page(item, &items, version));
    }
    pages.insert("riverrun.3".to_owned(), overview(header, &items, version));
    pages
}

fn page(item: &Item, items: &[Item], version: &str) -> String {
    let mut text = head(&item.name, &first_sentence(&item.paragraphs), version);
    text.push_str(".SH SYNOPSIS\n.nf\n.B #include <riverrun.h>\n.PP\n");
    for line in item.code.lines() {
        let _ = writeln!(text, "\\fB{}\\fR", escaped(line));
    }
    text.push_str(".fi\n.PP\n.B cc ... $(pkg\\-config \\-\\-cflags \\-\\-libs riverrun)\n.SH DESCRIPTION\n");
    let is_errors = |paragraph: &&String| paragraph.starts_with("Errors: ");
    paragraphs(&mut text, item.paragraphs.iter().filter(|paragraph| !is_errors(paragraph)));
    for (field, comment) in &item.fields {
        let _ = writeln!(text, ".TP\n.B {}", escaped(field.trim_end_matches(';')));
        for (n, paragraph) in comment.iter().enumerate() {
            let _ = writeln!(text, "{}{}", if n > 0 { ".IP\n" } else { "" }, marked(paragraph));
        }
    }
    let all: String = item
        .paragraphs
        .iter()
        .chain(item.fields.iter().flat_map(|(_, comment)| comment))
        .fold(String::new(), |all, paragraph| all + paragraph + "\n");
    constants(&mut text, item, items, &all);
    if let Some(errors) = item.paragraphs.iter().find(is_errors) {
        let _ = writeln!(text, ".SH ERRORS\n{}", marked(errors.trim_start_matches("Errors: ")));
    }
    let mut see: Vec<&str> = items
        .iter()
        .filter(|other| other.kind != Kind::Constant && other.name != item.name)
        .filter(|other| names(&all, &other.name) || names(&item.code, &other.name))
        .map(|other| other.name.as_str())
        .collect();
    see.sort_unstable();
    see.push("riverrun");
    text.push_str(".SH SEE ALSO\n");
    for (n, name) in see.iter().enumerate() {
        let _ = writeln!(text, ".BR {name} (3){}", if n + 1 < see.len() { "," } else { "" });
    }
    text
}

/// The constants that a text speaks of, one by one or by their prefix.
fn constants(text: &mut String, item: &Item, items: &[Item], all: &str) {
    let spoken_of = |constant: &&Item| {
        let name = &constant.name;
        let by_prefix = name.match_indices('_').any(|(at, _)| all.contains(&format!("`{}_*`", &name[..at])));
        constant.kind == Kind::Constant
            && (by_prefix || (!name.starts_with("RR_E_") && names(all, name)) || item.name == "rr_code")
            && (item.name == "rr_code") == (name.starts_with("RR_E_") || name == "RR_OK")
    };
    let mut told = items.iter().filter(spoken_of).peekable();
    if told.peek().is_some() {
        text.push_str(".SH CONSTANTS\n");
    }
    for constant in told {
        let value = constant.code.trim_start_matches("#define ");
        let _ = writeln!(text, ".TP\n.B {}\n{}", escaped(value), marked(&constant.paragraphs.join(" ")));
    }
}

/// The header's first comment, and every function with its first sentence.
fn overview(header: &str, items: &[Item], version: &str) -> String {
    let mut text = head("riverrun", "an OCI container runtime as a library", version);
    text.push_str(".SH SYNOPSIS\n.nf\n.B #include <riverrun.h>\n.fi\n.PP\n");
    text.push_str(".B cc ... $(pkg\\-config \\-\\-cflags \\-\\-libs riverrun)\n.SH DESCRIPTION\n");
    text.push_str("Creates, starts, looks at and deletes containers of the OCI runtime specification, in the calling process.\n");
    let rules = header.lines().map(|line| line.strip_prefix(" * ").unwrap_or_default());
    for line in
        rules.take_while(|line| !line.starts_with("*/")).skip_while(|line| !line.starts_with("Results."))
    {
        if line.is_empty() {
            break;
        }
        match line.split_once(".  ").filter(|_| !line.starts_with(' ')) {
            Some((word, rest)) => {
                let _ = writeln!(text, ".TP\n.B {word}\n{}", marked(rest.trim()));
            }
            None => {
                let _ = writeln!(text, "{}", marked(line.trim()));
            }
        }
    }
    for (title, kind) in [("FUNCTIONS", Kind::Function), ("TYPES", Kind::Type)] {
        let _ = writeln!(text, ".SH {title}");
        for item in items.iter().filter(|item| item.kind == kind) {
            let _ =
                writeln!(text, ".TP\n.BR {} (3)\n{}", item.name, marked(&first_sentence(&item.paragraphs)));
        }
    }
    text.push_str(".SH SEE ALSO\n.BR riverrun (8)\n");
    text
}

fn head(name: &str, what: &str, version: &str) -> String {
    format!(
        ".\\\" Made from include/riverrun.h: do not edit, run `make header`.\n.TH {name} 3 \"\" \"riverrun {version}\" \"riverrun\"\n.SH NAME\n{name} \\- {}\n",
        escaped(&what.replace('`', ""))
    )
}

fn paragraphs<'a>(text: &mut String, paragraphs: impl Iterator<Item = &'a String>) {
    for (n, paragraph) in paragraphs.enumerate() {
        let _ = writeln!(text, "{}{}", if n > 0 { ".PP\n" } else { "" }, marked(paragraph));
    }
}

/// What a thing is, short enough for apropos(1): up to the first full stop, colon or semicolon.
fn first_sentence(paragraphs: &[String]) -> String {
    let text = paragraphs.first().map(String::as_str).unwrap_or_default();
    let end = [". ", ": ", "; "].iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    let sentence = text[..end].trim_end_matches(['.', ':']);
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) if !sentence.starts_with('`') => {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => sentence.to_owned(),
    }
}

/// Whether a text has this name in it, whole.
fn names(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + name.len()..].starts_with(part))
}

/// Text for roff(7), what is between backticks in bold.
fn marked(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let set = |(n, part): (usize, &str)| {
        if n % 2 == 1 { format!("\\fB{}\\fR", escaped(part)) } else { escaped(part) }
    };
    let line: String = parts.map(set).collect();
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
