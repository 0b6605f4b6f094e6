//! Values in the text format of GVariant, as `org.systemd.property.*` annotations have them
//! (<https://docs.gtk.org/glib/gvariant-text-format.html>). Pure; any input is answered by a value or a sentence.
#![forbid(unsafe_code)]

use super::value::Value;

/// How deep arrays, tuples and variants may lie in one another: more than any property has.
const DEPTH: u32 = 16;

/// One value and nothing after it.
pub(crate) fn value(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text };
    let value = parser.value(None, DEPTH)?;
    parser.space();
    if parser.rest.is_empty() { Ok(value) } else { Err(format!("text after the value: {:?}", parser.rest)) }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    fn word(&mut self, part: impl Fn(char) -> bool) -> &'a str {
        self.space();
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// `expected`: the signature that is asked for, if the context knows.
    fn value(&mut self, expected: Option<&str>, depth: u32) -> Result<Value, String> {
        let value = self.untested(expected, depth)?;
        match expected {
            Some(signature) if signature != value.signature() => {
                Err(format!("{value} is not a {signature:?}"))
            }
            _ => Ok(value),
        }
    }

    fn untested(&mut self, expected: Option<&str>, depth: u32) -> Result<Value, String> {
        let depth = depth.checked_sub(1).ok_or("nested too deep")?;
        self.space();
        match self.rest.chars().next() {
            None => Err("the value is missing".into()),
            Some('@') => {
                self.take("@");
                let signature = self.word(|c| c.is_ascii_alphabetic() || "(){}".contains(c));
                check_signature(signature)?;
                self.value(Some(signature), depth)
            }
            Some('[') => self.array(expected, depth),
            Some('(') => self.tuple(expected, depth),
            Some('<') => {
                self.take("<");
                let inner = self.value(None, depth)?;
                if self.take(">") {
                    Ok(Value::Variant(Box::new(inner)))
                } else {
                    Err("`>` is missing".into())
                }
            }
            Some('\'' | '"') => text_value(self.string()?, expected),
            Some(c) if c.is_ascii_digit() || "+-.".contains(c) => {
                number(self.word(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)), expected)
            }
            Some(_) => self.keyword(depth),
        }
    }

    fn keyword(&mut self, depth: u32) -> Result<Value, String> {
        let signature = match self.word(|c| c.is_ascii_alphanumeric()) {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            "boolean" => "b",
            "byte" => "y",
            "int16" => "n",
            "uint16" => "q",
            "int32" => "i",
            "uint32" => "u",
            "int64" => "x",
            "uint64" => "t",
            "double" => "d",
            "string" => "s",
            "objectpath" => "o",
            "signature" => "g",
            "" => return Err(format!("not a value: {:?}", self.rest)),
            word => return Err(format!("unknown word {word:?}")),
        };
        self.value(Some(signature), depth)
    }

    fn array(&mut self, expected: Option<&str>, depth: u32) -> Result<Value, String> {
        self.take("[");
        let mut element = match expected {
            Some(signature) => Some(
                signature
                    .strip_prefix('a')
                    .ok_or_else(|| format!("an array is not a {signature:?}"))?
                    .to_owned(),
            ),
            None => None,
        };
        let mut items = Vec::new();
        while !self.take("]") {
            if !items.is_empty() && !self.take(",") {
                return Err("`,` or `]` is missing".into());
            }
            let item = self.value(element.as_deref(), depth)?;
            element.get_or_insert_with(|| item.signature());
            items.push(item);
        }
        let element = element.ok_or("an empty array needs its type: @as []")?;
        Ok(Value::Array(element, items))
    }

    fn tuple(&mut self, expected: Option<&str>, depth: u32) -> Result<Value, String> {
        self.take("(");
        let mut types = match expected {
            Some(signature) => Some(fields(signature)?.into_iter()),
            None => None,
        };
        let mut items = Vec::new();
        while !self.take(")") {
            if !items.is_empty() && !self.take(",") {
                return Err("`,` or `)` is missing".into());
            }
            if !items.is_empty() && self.take(")") {
                break;
            }
            let wanted = match &mut types {
                Some(types) => Some(types.next().ok_or("more fields than the type has")?),
                None => None,
            };
            items.push(self.value(wanted, depth)?);
        }
        if items.is_empty() {
            return Err("an empty tuple is no value of D-Bus".into());
        }
        Ok(Value::Struct(items))
    }

    fn string(&mut self) -> Result<String, String> {
        let mut chars = self.rest.char_indices();
        let quote = chars.next().map(|(_, c)| c);
        let mut text = String::new();
        while let Some((index, c)) = chars.next() {
            match c {
                c if Some(c) == quote => {
                    self.rest = &self.rest[index + c.len_utf8()..];
                    return Ok(text);
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(kind @ ('u' | 'U')) => {
                        let digits: String =
                            chars.by_ref().take(if kind == 'u' { 4 } else { 8 }).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        text.push(code.ok_or_else(|| format!("not a character: \\{kind}{digits}"))?);
                    }
                    Some(c) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err("the closing quote is missing".into())
    }
}

fn text_value(text: String, expected: Option<&str>) -> Result<Value, String> {
    if text.contains('\0') {
        return Err("a string of D-Bus has no zero byte".into());
    }
    match expected {
        Some("o") if !text.starts_with('/') => Err(format!("not an object path: {text:?}")),
        Some("o") => Ok(Value::ObjectPath(text)),
        Some("g") => check_signature(&text).map(|()| Value::Signature(text)),
        _ => Ok(Value::Str(text)),
    }
}

/// int32 without a type, or double with a point (as GVariant has it).
fn number(word: &str, expected: Option<&str>) -> Result<Value, String> {
    let bad = |_| format!("not a number of its type: {word}");
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let whole = match (digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")), digits) {
        (Some(hex), _) => i128::from_str_radix(hex, 16),
        (None, octal)
            if octal.len() > 1 && octal.starts_with('0') && octal.bytes().all(|b| b.is_ascii_digit()) =>
        {
            i128::from_str_radix(octal, 8)
        }
        _ => digits.parse(),
    };
    if expected == Some("d") || (expected.is_none() && whole.is_err()) {
        let double = word.parse::<f64>().map_err(|_| format!("not a number: {word}"))?;
        return Ok(Value::Double(double));
    }
    let whole = sign
        * whole
            .ok()
            .filter(|n| *n <= u64::MAX.into())
            .ok_or_else(|| format!("not a whole number: {word}"))?;
    match expected {
        Some("y") => whole.try_into().map(Value::Byte).map_err(bad),
        Some("n") => whole.try_into().map(Value::I16).map_err(bad),
        Some("q") => whole.try_into().map(Value::U16).map_err(bad),
        Some("i") | None => whole.try_into().map(Value::I32).map_err(bad),
        Some("u") => whole.try_into().map(Value::U32).map_err(bad),
        Some("x") => whole.try_into().map(Value::I64).map_err(bad),
        Some("t") => whole.try_into().map(Value::U64).map_err(bad),
        Some(other) => Err(format!("a number is not a {other:?}")),
    }
}

fn check_signature(signature: &str) -> Result<(), String> {
    match complete(signature, DEPTH) {
        Some("") => Ok(()),
        _ => Err(format!("not the type of one value: {signature:?}")),
    }
}

/// What follows the first complete type.
fn complete(signature: &str, depth: u32) -> Option<&str> {
    let depth = depth.checked_sub(1)?;
    let first = signature.chars().next()?;
    let rest = &signature[first.len_utf8()..];
    match first {
        'a' => complete(rest, depth),
        '(' => {
            let mut rest = complete(rest, depth)?;
            while !rest.starts_with(')') {
                rest = complete(rest, depth)?;
            }
            Some(&rest[1..])
        }
        c if "ybnqiuxtdsogv".contains(c) => Some(rest),
        _ => None,
    }
}

/// The types of a tuple's fields.
fn fields(signature: &str) -> Result<Vec<&str>, String> {
    let inner = signature.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    let mut inner = inner.ok_or_else(|| format!("a tuple is not a {signature:?}"))?;
    let mut fields = Vec::new();
    while !inner.is_empty() {
        let rest = complete(inner, DEPTH).ok_or_else(|| format!("not a type: {signature:?}"))?;
        fields.push(&inner[..inner.len() - rest.len()]);
        inner = rest;
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};

    use super::*;

    #[test]
    fn annotations_of_the_wild_are_read() {
        for (text, signature) in [
            ("uint64 123456789", "t"),
            ("5", "i"),
            ("0x10", "i"),
            ("1.5", "d"),
            ("'inactive-or-failed'", "s"),
            ("\"x\"", "s"),
            ("true", "b"),
            ("['device.mount', 'other.mount']", "as"),
            ("@as []", "as"),
            ("[('/dev/null', 'rw')]", "a(ss)"),
            ("@a(st) [('/dev/vda', 100)]", "a(st)"),
            ("[byte 0x01, 2]", "ay"),
            ("<'in it'>", "v"),
            ("('one',)", "(s)"),
        ] {
            assert_eq!(value(text).map(|value| value.signature()), Ok(signature.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_told() {
        for text in [
            "",
            "uint64",
            "uint64 -1",
            "byte 256",
            "'open",
            "[]",
            "[1, 'a']",
            "[1 2]",
            "(1",
            "()",
            "bogus",
            "1 2",
            "@a{sv} {}",
            "@zz 1",
            "objectpath 'x'",
            "99999999999999999999999",
            "<1",
            "uint64 'a'",
            "'\\u00'",
            "@",
        ] {
            assert!(value(text).is_err(), "{text}");
        }
        assert!(value(&"[".repeat(100_000)).is_err());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<u8>().prop_map(Value::Byte),
            any::<i16>().prop_map(Value::I16),
            any::<i32>().prop_map(Value::I32),
            any::<i64>().prop_map(Value::I64),
            any::<u64>().prop_map(Value::U64),
            "[^\0]{0,8}".prop_map(Value::Str),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                (inner.clone(), 0usize..3)
                    .prop_map(|(item, n)| Value::Array(item.signature(), vec![item; n])),
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Value::Struct),
                inner.prop_map(|value| Value::Variant(Box::new(value))),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_that_was_written_is_read_as_it_was(written in values()) {
            assert_eq!(value(&written.to_string()), Ok(written));
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]()<>'\"@a-z0-9 ,\\\\]{0,40}") {
            let _ = value(&text);
        }
    }
}
