//! What goes over the stream, and its bytes.
//!
//! First each side says HELLO: sixteen bytes that every version reads, so that two that do not understand each other say
//! so. Then frames: one byte for the kind, four for the length (little-endian), the body. A [`Message`] is postcard; bytes
//! of files come in frames of their own after the message that names the file, as do holes. No frame is longer than
//! [`LONGEST`], so that a stranger cannot make the other side find memory for it.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::names;
use crate::error::{Error, Kind, Result};

/// Rises with every change of what is below.
pub(crate) const VERSION: u32 = 2;
const MAGIC: &[u8; 8] = b"rrmigrat";
/// The longest body.
pub(crate) const LONGEST: usize = 4 << 20;
/// The bytes of a HELLO, and those in front of a body.
pub(crate) const HELLO: usize = 16;
pub(crate) const HEAD: usize = 5;

const MESSAGE: u8 = 1;
const BYTES: u8 = 2;
const HOLE: u8 = 3;

/// What the source would like the target to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(crate) id: String,
    pub(crate) config: Vec<u8>,
    pub(crate) bundle: String,
    /// The files of the root filesystem follow.
    pub(crate) copy: bool,
    pub(crate) tcp_established: bool,
    pub(crate) ext_unix_sk: bool,
    pub(crate) shell_job: bool,
    pub(crate) file_locks: bool,
    /// It is to run before its memory is there.
    pub(crate) lazy: bool,
    pub(crate) architecture: String,
}

/// What a file is, beside its name and bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds of the last change of its bytes.
    pub(crate) modified: (i64, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// One thing in a tree of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    Directory,
    /// Its bytes follow.
    File(u64),
    Symlink(Vec<u8>),
    /// The same file as this path, which came before.
    Link(Vec<u8>),
    /// A device with its number, a fifo or a socket.
    Node(u64),
}

/// From one side to the other; the module's drawing says when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    // From the source.
    Offer(Offer),
    /// `[]` is the root itself.
    Entry {
        path: Vec<u8>,
        meta: Meta,
        entry: Entry,
    },
    /// It is no longer there.
    Remove(Vec<u8>),
    TreeEnd,
    /// The directory of a round, and whether it builds upon the one before.
    Images {
        number: u32,
        parent: bool,
    },
    /// A file in it. Its bytes follow.
    Image {
        name: String,
        size: u64,
    },
    ImagesEnd,
    Restore {
        number: u32,
    },
    Go,
    // From the target.
    Accepted,
    Stored,
    Ready,
    Running {
        pid: i32,
    },
    // From both.
    Failed {
        code: i32,
        message: String,
    },
    // From the source.
    /// The memory of a round comes over CRIU's page server: bytes in both directions, which are CRIU's own, until
    /// [`PagesEnd`](Self::PagesEnd). `dedup`: what it makes superfluous in the rounds before is freed.
    Pages {
        number: u32,
        parent: bool,
        dedup: bool,
    },
    PagesEnd,
    // From the target.
    /// It runs, and all its memory is here.
    Arrived,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Message(Message),
    Bytes(Vec<u8>),
    /// So many zeroes that are not there.
    Hole(u64),
}

/// Our first bytes.
pub(crate) fn hello() -> [u8; HELLO] {
    let mut bytes = [0; HELLO];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// That the other side's are the same.
pub(crate) fn check_hello(bytes: &[u8; HELLO]) -> Result<()> {
    if &bytes[..8] != MAGIC {
        return Err(malformed("it does not begin as one"));
    }
    let version = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if version == VERSION {
        return Ok(());
    }
    let message =
        format!("the other side speaks version {version} of the migration stream, this one {VERSION}");
    Err(Error::new(Kind::Unsupported, message))
}

/// A message as a frame. An error if it is too long, which only a configuration, or what a file has beside its bytes,
/// can be.
pub(crate) fn message(message: &Message) -> Result<Vec<u8>> {
    let body = postcard::to_allocvec(message).unwrap_or_default();
    frame(MESSAGE, &body)
}

/// What is in front of so many bytes of a file.
pub(crate) fn bytes_head(length: usize) -> Result<[u8; HEAD]> {
    let [a, b, c, d] = checked(length)?.to_le_bytes();
    Ok([BYTES, a, b, c, d])
}

/// A hole of a file as a frame.
pub(crate) fn hole(length: u64) -> Result<Vec<u8>> {
    frame(HOLE, &length.to_le_bytes())
}

fn frame(kind: u8, body: &[u8]) -> Result<Vec<u8>> {
    let length = checked(body.len())?;
    let mut frame = Vec::with_capacity(HEAD + body.len());
    frame.push(kind);
    frame.extend(length.to_le_bytes());
    frame.extend(body);
    Ok(frame)
}

fn checked(length: usize) -> Result<u32> {
    u32::try_from(length).ok().filter(|_| (1..=LONGEST).contains(&length)).ok_or_else(|| {
        let message = format!("send {length} bytes in one piece: at most {LONGEST}");
        Error::new(Kind::InvalidArgument, message)
    })
}

/// The kind, and how long the body is that follows.
pub(crate) fn head(head: [u8; HEAD]) -> Result<(u8, usize)> {
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if !(1..=LONGEST).contains(&length) {
        return Err(malformed(&format!("a frame has {length} bytes")));
    }
    Ok((kind, length))
}

/// The frame of that kind and body.
pub(crate) fn body(kind: u8, body: Vec<u8>) -> Result<Frame> {
    match kind {
        MESSAGE => {
            let (message, rest) = postcard::take_from_bytes::<Message>(&body)
                .map_err(|_| malformed("a message cannot be read"))?;
            if !rest.is_empty() {
                return Err(malformed("a message is longer than it is"));
            }
            check(&message)?;
            Ok(Frame::Message(message))
        }
        BYTES => Ok(Frame::Bytes(body)),
        HOLE => {
            let length = body.try_into().map_err(|_| malformed("a hole has no length"))?;
            Ok(Frame::Hole(u64::from_le_bytes(length)))
        }
        _ => Err(malformed(&format!("there is no frame of kind {kind}"))),
    }
}

/// That names are names.
fn check(message: &Message) -> Result<()> {
    let path = |path: &[u8]| {
        if names::is_below(path) {
            return Ok(());
        }
        Err(malformed(&format!("{:?} is no path in a tree", String::from_utf8_lossy(path))))
    };
    match message {
        Message::Image { name, .. } if !names::is_image(name) => {
            Err(malformed(&format!("{name:?} is no name of an image")))
        }
        Message::Entry { path: own, entry, .. } => {
            if !own.is_empty() || !matches!(entry, Entry::Directory) {
                path(own)?;
            }
            if let Entry::Link(first) = entry { path(first) } else { Ok(()) }
        }
        Message::Remove(gone) => path(gone),
        _ => Ok(()),
    }
}

/// What comes is no migration, or a broken one.
pub(crate) fn malformed(what: &str) -> Error {
    Error::new(Kind::InvalidArgument, what).during("read the migration stream")
}

/// Not what should come now.
pub(crate) fn unexpected(frame: &Frame) -> Error {
    let what = match frame {
        Frame::Message(Message::Failed { code, message }) => {
            let kind = Kind::from_code(*code).unwrap_or(Kind::System);
            return Error::new(kind, format!("the other side gives up: {message}"));
        }
        Frame::Message(message) => {
            let text = format!("{message:?}");
            let end = text.find([' ', '(']).unwrap_or(text.len());
            text[..end].to_owned()
        }
        Frame::Bytes(_) | Frame::Hole(_) => "bytes".to_owned(),
    };
    malformed(&format!("{what} comes at the wrong time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Frame> {
        let (kind, length) = head(bytes[..HEAD].try_into().unwrap())?;
        assert_eq!(bytes.len(), HEAD + length);
        body(kind, bytes[HEAD..].to_vec())
    }

    #[test]
    fn what_is_sent_is_what_comes() {
        let offer = Offer { id: "web".into(), config: vec![1; 70_000], copy: true, ..Offer::default() };
        let meta = Meta { mode: 0o100_644, xattrs: vec![(b"user.a".to_vec(), vec![0])], ..Meta::default() };
        let entry = Message::Entry { path: b"etc/x".to_vec(), meta, entry: Entry::File(7) };
        let failed = Message::Failed { code: 99, message: "write x: no space".into() };
        for sent in [Message::Offer(offer), entry, Message::Go, Message::Running { pid: 7 }, failed] {
            assert_eq!(read(&message(&sent).unwrap()).unwrap(), Frame::Message(sent));
        }
        let bytes = [&bytes_head(3).unwrap()[..], b"abc"].concat();
        assert_eq!(read(&bytes).unwrap(), Frame::Bytes(b"abc".to_vec()));
        assert_eq!(read(&hole(1 << 40).unwrap()).unwrap(), Frame::Hole(1 << 40));
    }

    #[test]
    fn another_version_is_told_from_something_else() {
        check_hello(&hello()).unwrap();
        let mut newer = hello();
        newer[8] = 9;
        let error = check_hello(&newer).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains("version 9"), "{error}");
        let error = check_hello(b"GET / HTTP/1.1\r\n").unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }

    #[test]
    fn lengths_are_believed_up_to_the_longest() {
        for length in [0, LONGEST as u32 + 1, u32::MAX] {
            let [a, b, c, d] = length.to_le_bytes();
            assert!(head([MESSAGE, a, b, c, d]).is_err(), "{length}");
        }
        assert!(bytes_head(0).is_err());
        assert!(bytes_head(LONGEST + 1).is_err());
    }

    #[test]
    fn names_that_lead_elsewhere_do_not_come_through() {
        let image = |name: &str| Message::Image { name: name.into(), size: 1 };
        let entry = |path: &str, entry| Message::Entry { path: path.into(), meta: Meta::default(), entry };
        for hostile in [
            image("../x"),
            image("/etc/passwd"),
            entry("../x", Entry::File(1)),
            entry("", Entry::File(1)),
            entry("a", Entry::Link(b"../../etc/shadow".to_vec())),
            Message::Remove(b"..".to_vec()),
        ] {
            assert!(read(&message(&hostile).unwrap()).is_err(), "{hostile:?}");
        }
        read(&message(&entry("", Entry::Directory)).unwrap()).unwrap();
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind: u8, bytes: Vec<u8>) {
            let _ = body(kind, bytes);
        }
    }
}
