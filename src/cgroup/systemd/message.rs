//! The bytes of D-Bus messages, little endian as we write them, either way as we read them (D-Bus specification,
//! "Message Protocol"). Pure; a malformed message is `None`.
#![forbid(unsafe_code)]

use super::value::Value;

/// No answer that we ask for is longer.
const LONGEST: usize = 1 << 20;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Return,
    Error,
    Signal,
}

/// A message that was received.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) reply_to: u32,
    pub(crate) member: String,
    /// Of an error: `org.freedesktop.systemd1.UnitExists`.
    pub(crate) error: String,
    pub(crate) body: Vec<Value>,
}

/// A method call that is to be sent.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// None on a connection without a bus between.
    pub(crate) destination: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    pub(crate) body: &'a [Value],
}

impl Call<'_> {
    /// Its bytes, with `serial`, which the answer will name.
    pub(crate) fn bytes(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        self.body.iter().for_each(|value| body.value(value));
        let field =
            |code: u8, value: Value| Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))]);
        let mut fields = vec![
            field(1, Value::ObjectPath(self.path.into())),
            field(2, Value::str(self.interface)),
            field(3, Value::str(self.member)),
        ];
        fields.extend(self.destination.map(|name| field(6, Value::str(name))));
        let signature: String = self.body.iter().map(Value::signature).collect();
        if !signature.is_empty() {
            fields.push(field(8, Value::Signature(signature)));
        }
        let mut message = Writer { bytes: vec![b'l', 1, 0, 1] };
        message.u32(u32::try_from(body.bytes.len()).unwrap_or(u32::MAX));
        message.u32(serial);
        message.value(&Value::Array("(yv)".into(), fields));
        message.align(8);
        message.bytes.extend(body.bytes);
        message.bytes
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn aligned(&mut self, bytes: &[u8]) {
        self.align(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    fn u32(&mut self, n: u32) {
        self.aligned(&n.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.bytes.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.bytes.extend_from_slice(signature.as_bytes());
        self.bytes.push(0);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(yes) => self.u32(u32::from(*yes)),
            Value::Byte(n) => self.bytes.push(*n),
            Value::I16(n) => self.aligned(&n.to_le_bytes()),
            Value::U16(n) => self.aligned(&n.to_le_bytes()),
            Value::I32(n) => self.aligned(&n.to_le_bytes()),
            Value::U32(n) => self.u32(*n),
            Value::I64(n) => self.aligned(&n.to_le_bytes()),
            Value::U64(n) => self.aligned(&n.to_le_bytes()),
            Value::Double(n) => self.aligned(&n.to_le_bytes()),
            Value::Str(text) | Value::ObjectPath(text) => self.text(text),
            Value::Signature(text) => self.signature(text),
            Value::Array(element, items) => {
                self.u32(0);
                let length = self.bytes.len() - 4;
                // The padding before the first element does not count.
                self.align(alignment(element.as_bytes().first().copied().unwrap_or(b'y')));
                let start = self.bytes.len();
                items.iter().for_each(|item| self.value(item));
                let size = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
                self.bytes[length..length + 4].copy_from_slice(&size.to_le_bytes());
            }
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().for_each(|field| self.value(field));
            }
            Value::Variant(inner) => {
                self.signature(&inner.signature());
                self.value(inner);
            }
        }
    }
}

fn alignment(kind: u8) -> usize {
    match kind {
        b'y' | b'g' | b'v' => 1,
        b'n' | b'q' => 2,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 4,
    }
}

/// How long the message at the front of `bytes` is in all, as soon as that can be seen. Err: no message of D-Bus.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, ()> {
    if bytes.len() < 16 {
        return Ok(None);
    }
    let mut reader = Reader { bytes, at: 4, big: big(bytes[0]).ok_or(())? };
    let body = reader.u32().ok_or(())? as usize;
    reader.at = 12;
    let fields = reader.u32().ok_or(())? as usize;
    let whole = fields.checked_add(16).map(|header| header.next_multiple_of(8) + body).ok_or(())?;
    if whole > LONGEST { Err(()) } else { Ok(Some(whole)) }
}

fn big(order: u8) -> Option<bool> {
    match order {
        b'l' => Some(false),
        b'B' => Some(true),
        _ => None,
    }
}

impl Message {
    /// From the bytes of one whole message.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 1, big: big(*bytes.first()?)? };
        let kind = match reader.take(1)? {
            [1] => Kind::Call,
            [2] => Kind::Return,
            [3] => Kind::Error,
            [4] => Kind::Signal,
            _ => return None,
        };
        reader.at = 12;
        let mut message =
            Self { kind, reply_to: 0, member: String::new(), error: String::new(), body: Vec::new() };
        let mut signature = String::new();
        let Value::Array(_, fields) = reader.value(&mut "a(yv)", DEPTH)? else { return None };
        for field in fields {
            let Value::Struct(field) = field else { return None };
            let [Value::Byte(code), Value::Variant(value)] = field.as_slice() else { return None };
            match (code, value.as_ref()) {
                (3, Value::Str(text)) => message.member.clone_from(text),
                (4, Value::Str(text)) => message.error.clone_from(text),
                (5, Value::U32(serial)) => message.reply_to = *serial,
                (8, Value::Signature(text)) => signature.clone_from(text),
                _ => {}
            }
        }
        reader.align(8)?;
        let mut rest = signature.as_str();
        while !rest.is_empty() {
            message.body.push(reader.value(&mut rest, DEPTH)?);
        }
        Some(message)
    }

    /// What an error says.
    pub(crate) fn text(&self) -> &str {
        match self.body.first() {
            Some(Value::Str(text)) => text,
            _ => &self.error,
        }
    }
}

/// Nesting that the specification allows, arrays and structs together.
const DEPTH: u32 = 64;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn align(&mut self, to: usize) -> Option<()> {
        let at = self.at.next_multiple_of(to);
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.align(N)?;
        let mut bytes: [u8; N] = self.take(N)?.try_into().ok()?;
        if self.big {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let text = std::str::from_utf8(self.take(length)?).ok()?.to_owned();
        (self.take(1)? == [0]).then_some(text)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.take(1)?[0];
        self.text(length.into())
    }

    /// The value of the first type in `signature`, which loses that.
    fn value(&mut self, signature: &mut &str, depth: u32) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let (first, rest) = signature.split_at_checked(1)?;
        *signature = rest;
        Some(match first {
            "b" => Value::Bool(self.u32()? != 0),
            "y" => Value::Byte(self.take(1)?[0]),
            "n" => Value::I16(i16::from_le_bytes(self.number()?)),
            "q" => Value::U16(u16::from_le_bytes(self.number()?)),
            "i" => Value::I32(i32::from_le_bytes(self.number()?)),
            "u" => Value::U32(self.u32()?),
            "x" => Value::I64(i64::from_le_bytes(self.number()?)),
            "t" => Value::U64(u64::from_le_bytes(self.number()?)),
            "d" => Value::Double(f64::from_le_bytes(self.number()?)),
            "s" | "o" => {
                let length = self.u32()? as usize;
                let text = self.text(length)?;
                if first == "s" { Value::Str(text) } else { Value::ObjectPath(text) }
            }
            "g" => Value::Signature(self.signature()?),
            "v" => {
                let inner = self.signature()?;
                let mut inner = inner.as_str();
                let value = self.value(&mut inner, depth)?;
                inner.is_empty().then(|| Value::Variant(Box::new(value)))?
            }
            "a" => self.array(signature, depth)?,
            // A dictionary is read as an array of pairs.
            "(" | "{" => {
                self.align(8)?;
                let mut fields = Vec::new();
                while !signature.starts_with([')', '}']) {
                    fields.push(self.value(signature, depth)?);
                }
                *signature = &signature[1..];
                Value::Struct(fields)
            }
            _ => return None,
        })
    }

    fn array(&mut self, signature: &mut &str, depth: u32) -> Option<Value> {
        let length = self.u32()? as usize;
        let whole = *signature;
        self.align(alignment(*whole.as_bytes().first()?))?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let mut items = Vec::new();
        while self.at < end {
            let before = self.at;
            *signature = whole;
            items.push(self.value(signature, depth)?);
            // An element without bytes would be read for ever.
            if self.at == before {
                return None;
            }
        }
        if items.is_empty() {
            *signature = skip(whole)?;
        }
        let element = &whole[..whole.len() - signature.len()];
        (self.at == end).then(|| Value::Array(element.into(), items))
    }
}

/// What follows the first complete type.
fn skip(signature: &str) -> Option<&str> {
    let mut open = 0;
    for (index, c) in signature.char_indices() {
        match c {
            '(' | '{' => open += 1,
            ')' | '}' => open -= 1,
            'a' => continue,
            _ => {}
        }
        if open == 0 {
            return signature.get(index + c.len_utf8()..);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn call<'a>(body: &'a [Value]) -> Call<'a> {
        Call { destination: Some("org.x"), path: "/x", interface: "org.x.Y", member: "Do", body }
    }

    /// As `busctl` sends it: the specification's own example of a header, and alignment in the body.
    #[test]
    fn a_call_has_the_bytes_of_the_specification() {
        let hello = Call {
            destination: Some("org.freedesktop.DBus"),
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            body: &[],
        };
        let mut expected = b"l\x01\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x6d\x00\x00\x00".to_vec();
        expected.extend(b"\x01\x01o\x00\x15\x00\x00\x00/org/freedesktop/DBus\x00\x00\x00");
        expected.extend(b"\x02\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00");
        expected.extend(b"\x03\x01s\x00\x05\x00\x00\x00Hello\x00\x00\x00");
        expected.extend(b"\x06\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00");
        assert_eq!(hello.bytes(1).len(), expected.len());
        assert_eq!(hello.bytes(1), expected);
        assert_eq!(length(&expected), Ok(Some(expected.len())));
    }

    #[test]
    fn what_was_written_is_read() {
        let body = [
            Value::str("unit"),
            Value::Byte(7),
            Value::Array(
                "(sv)".into(),
                vec![Value::Struct(vec![
                    Value::str("DeviceAllow"),
                    Value::Variant(Box::new(Value::Array("(ss)".into(), Vec::new()))),
                ])],
            ),
            Value::bytes(&[1, 2, 3]),
            Value::U64(u64::MAX),
            Value::Array("(sa(sv))".into(), Vec::new()),
            Value::Bool(true),
        ];
        let bytes = call(&body).bytes(9);
        assert_eq!(length(&bytes), Ok(Some(bytes.len())));
        let message = Message::read(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str(), &message.body[..]), (Kind::Call, "Do", &body[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (length(&bytes), Message::read(&bytes));
        }

        #[test]
        fn no_damage_panics(at in 0usize..300, byte in any::<u8>(), cut in 0usize..300) {
            let body = [Value::strings(["a", "b"]), Value::Variant(Box::new(Value::Struct(vec![Value::U16(1)])))];
            let mut bytes = call(&body).bytes(1);
            if let Some(damaged) = bytes.get_mut(at) { *damaged = byte; }
            bytes.truncate(bytes.len().saturating_sub(cut % 64));
            let _ = (length(&bytes), Message::read(&bytes));
        }
    }
}
