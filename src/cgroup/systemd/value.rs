//! A D-Bus value with its type, as properties of units are (D-Bus specification, "Type System"). Pure.
//!
//! Written, also in plans, in the text format of GVariant: `uint64 5`, `['a', 'b']`, `@a(ss) []`; read by `parse.rs`.
//! No dictionaries: no property of a unit has one.
#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parse;

/// One value of a basic or container type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Byte(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Double(f64),
    Str(String),
    ObjectPath(String),
    Signature(String),
    /// The signature of an element, for an empty one has a type, too.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

impl Value {
    pub(crate) fn str(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    pub(crate) fn strings<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Array("s".into(), items.into_iter().map(Self::str).collect())
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::Array("y".into(), bytes.iter().copied().map(Self::Byte).collect())
    }

    /// Its type, in the letters of D-Bus.
    pub(crate) fn signature(&self) -> String {
        match self {
            Self::Bool(_) => "b".into(),
            Self::Byte(_) => "y".into(),
            Self::I16(_) => "n".into(),
            Self::U16(_) => "q".into(),
            Self::I32(_) => "i".into(),
            Self::U32(_) => "u".into(),
            Self::I64(_) => "x".into(),
            Self::U64(_) => "t".into(),
            Self::Double(_) => "d".into(),
            Self::Str(_) => "s".into(),
            Self::ObjectPath(_) => "o".into(),
            Self::Signature(_) => "g".into(),
            Self::Array(element, _) => format!("a{element}"),
            Self::Struct(fields) => {
                format!("({})", fields.iter().map(Self::signature).collect::<String>())
            }
            Self::Variant(_) => "v".into(),
        }
    }

    /// A whole number, however it is typed.
    pub(crate) fn number(&self) -> Option<i128> {
        match *self {
            Self::Byte(n) => Some(n.into()),
            Self::I16(n) => Some(n.into()),
            Self::U16(n) => Some(n.into()),
            Self::I32(n) => Some(n.into()),
            Self::U32(n) => Some(n.into()),
            Self::I64(n) => Some(n.into()),
            Self::U64(n) => Some(n.into()),
            _ => None,
        }
    }
}

/// No text of ours is a NaN.
impl Eq for Value {}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(yes) => write!(f, "{yes}"),
            Self::Byte(n) => write!(f, "byte {n}"),
            Self::I16(n) => write!(f, "int16 {n}"),
            Self::U16(n) => write!(f, "uint16 {n}"),
            Self::I32(n) => write!(f, "{n}"),
            Self::U32(n) => write!(f, "uint32 {n}"),
            Self::I64(n) => write!(f, "int64 {n}"),
            Self::U64(n) => write!(f, "uint64 {n}"),
            Self::Double(n) => write!(f, "double {n}"),
            Self::Str(text) => quoted(f, text),
            Self::ObjectPath(path) => write!(f, "objectpath ").and_then(|()| quoted(f, path)),
            Self::Signature(text) => write!(f, "signature ").and_then(|()| quoted(f, text)),
            Self::Array(element, items) if items.is_empty() => write!(f, "@a{element} []"),
            Self::Array(_, items) => list(f, ("[", "]"), items),
            Self::Struct(fields) => list(f, ("(", if fields.len() == 1 { ",)" } else { ")" }), fields),
            Self::Variant(value) => write!(f, "<{value}>"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, (open, close): (&str, &str), items: &[Value]) -> fmt::Result {
    f.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(close)
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("'")?;
    for c in text.chars() {
        match c {
            '\'' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("'")
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse::value(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
