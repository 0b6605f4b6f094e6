//! Streams that are none, are broken, or mean harm: an error on the other side, and nothing left.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use crate::pair::Pair;

const LONGEST: u32 = 4 << 20;

fn hello(version: u32) -> Vec<u8> {
    let mut bytes = b"rrmigrat".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Lengths are varints of seven bits a byte.
fn bytes(of: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut length = of.len();
    while length > 127 {
        out.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(of);
    out
}

fn offer(pair: &Pair, architecture: &str) -> Vec<u8> {
    let config = riverrun::default_config(None);
    let mut body = vec![0];
    body.extend(bytes(b"stranger"));
    body.extend(bytes(config.as_bytes()));
    body.extend(bytes(pair.bundle.to_str().unwrap().as_bytes()));
    body.extend([1, 0, 0, 0, 0, 0]);
    body.extend(bytes(architecture.as_bytes()));
    frame(1, &body)
}

/// Sends it to a target and hangs up: what the target says.
fn say(pair: &Pair, what: &[u8]) -> String {
    let received = pair.receive(&["--timeout", "20s"]);
    let mut stream = pair.connect();
    // It may give up before all is read.
    let _ = stream.write_all(what);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let ended = received.end();
    assert!(!ended.status.success(), "{}", ended.text);
    assert!(!ended.text.contains("panicked"), "{}", ended.text);
    ended.text
}

#[test]
fn a_hostile_stream_is_an_error_and_leaves_nothing() {
    let Some(pair) = Pair::new("hostile") else { return };
    let arch = std::env::consts::ARCH;
    let with = |more: Vec<u8>| [hello(2), offer(&pair, arch), more].concat();
    let huge = [&[1_u8][..], &(LONGEST + 1).to_le_bytes()].concat();
    let most = [&[1_u8][..], &LONGEST.to_le_bytes(), b"short"].concat();
    let image = |name: &[u8]| frame(1, &[&[5][..], &bytes(name), &[1]].concat());
    let images = frame(1, &[4, 1, 0]);
    let entry = |path: &[u8]| {
        let meta = [0xa4, 0x83, 0x02, 0, 0, 0, 0, 0];
        frame(1, &[&[1][..], &bytes(path), &meta, &[1, 1]].concat())
    };
    let pages =
        |number, bytes: &[u8]| [frame(1, &[14, number, 0, 0]), frame(2, bytes), frame(1, &[15])].concat();
    for (name, stream, wanted) in [
        ("nothing", Vec::new(), "is gone"),
        ("half a hello", hello(2)[..7].to_vec(), "is gone"),
        ("something else", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "does not begin as one"),
        ("a newer version", hello(3), "speaks version 3"),
        ("an older version", hello(0), "speaks version 0"),
        ("no offer", [hello(2), frame(1, &[8])].concat(), "Go comes at the wrong time"),
        ("another machine", [hello(2), offer(&pair, "pdp11")].concat(), "receive a container of pdp11"),
        ("a huge frame", with(huge), "a frame has 4194305 bytes"),
        ("a frame without its end", with(most), "is gone"),
        ("an unknown frame", with(frame(9, &[1])), "no frame of kind 9"),
        ("an unknown message", with(frame(1, &[99])), "a message cannot be read"),
        ("a message with more", with(frame(1, &[8, 8])), "longer than it is"),
        ("bytes of nothing", with(frame(2, &[1])), "bytes comes at the wrong time"),
        ("pages out of order", with(frame(1, &[14, 5, 1, 0])), "round 5: out of order"),
        ("pages that are none", with(pages(1, &[9; 48])), "Unknown command 151587081"),
        ("pages without an end", with(pages(1, &[9])), "criu page-server"),
        ("a way up", with([images.clone(), image(b"../../x")].concat()), "no name of an image"),
        ("an absolute name", with([images.clone(), image(b"/etc/x")].concat()), "no name of an image"),
        ("a link's name", with([images.clone(), image(b"parent")].concat()), "no name of an image"),
        (
            "a file with more",
            with([images.clone(), image(b"a"), frame(2, &[1, 2])].concat()),
            "longer than it is",
        ),
        (
            "a hole with more",
            with([images.clone(), image(b"a"), frame(3, &[255; 8])].concat()),
            "longer than it is",
        ),
        (
            "one image twice",
            with([images.clone(), image(b"a"), frame(2, &[1]), image(b"a")].concat()),
            "make ",
        ),
        ("no parent", with(frame(1, &[4, 7, 1])), "out of order"),
        ("no images", with(frame(1, &[7, 1])), "no images to restore"),
        ("a way up in a tree", with(entry(b"../x")), "no path in a tree"),
        ("the root as a file", with(entry(b"")), "no path in a tree"),
        ("empty images", with([images, frame(1, &[6]), frame(1, &[7, 1])].concat()), "descriptors.json"),
    ] {
        let text = say(&pair, &stream);
        assert!(text.contains(wanted), "{name}: {text}");
        if text.contains("(see ") {
            // The log stays where the error says.
            for left in std::fs::read_dir(pair.work()).unwrap().flatten() {
                std::fs::remove_dir_all(left.path()).unwrap();
            }
        }
        pair.stayed();
    }
    pair.delete();
}

#[test]
fn a_target_of_another_version_is_told_from_a_broken_one() {
    let Some(pair) = Pair::new("version") else { return };
    for (greeting, wanted) in [(hello(7), "speaks version 7"), (b"SSH-2.0-OpenSSH_9\n".to_vec(), "as one")] {
        let listener = UnixListener::bind(&pair.socket).unwrap();
        let sent = pair.send(&[]);
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&greeting).unwrap();
        let ended = sent.end();
        assert!(!ended.status.success() && ended.text.contains(wanted), "{}", ended.text);
        pair.stayed();
        std::fs::remove_file(&pair.socket).unwrap();
    }
    pair.delete();
}

#[test]
fn a_side_that_says_nothing_counts_as_gone() {
    let Some(pair) = Pair::new("silence") else { return };
    let listener = UnixListener::bind(&pair.socket).unwrap();
    let sent = pair.send(&["--timeout", "200ms"]);
    let (stream, _) = listener.accept().unwrap();
    let ended = sent.end();
    assert!(!ended.status.success() && ended.text.contains("it has said nothing for"), "{}", ended.text);
    drop((stream, listener));
    pair.stayed();
    std::fs::remove_file(&pair.socket).unwrap();
    pair.delete();
}
