//! Somebody between the two sides who loses a message: it does not arrive, nor anything after it, in either direction.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is lost. The numbers are those of the stream (`src/migrate/plan/frame.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    SourceHello,
    TargetHello,
    Message(u8),
}

pub(crate) const OFFER: u8 = 0;
pub(crate) const ENTRY: u8 = 1;
pub(crate) const TREE_END: u8 = 3;
pub(crate) const IMAGES: u8 = 4;
pub(crate) const IMAGE: u8 = 5;
pub(crate) const IMAGES_END: u8 = 6;
pub(crate) const RESTORE: u8 = 7;
pub(crate) const GO: u8 = 8;
pub(crate) const ACCEPTED: u8 = 9;
pub(crate) const STORED: u8 = 10;
pub(crate) const READY: u8 = 11;
pub(crate) const RUNNING: u8 = 12;
pub(crate) const PAGES: u8 = 14;
pub(crate) const PAGES_END: u8 = 15;
pub(crate) const ARRIVED: u8 = 16;

/// Called when the message has come and before the connections end.
type Then = Box<dyn FnMut() + Send>;

/// Listens at a socket of its own for one connection, and connects it to `target`; the message of that kind is lost.
pub(crate) fn between(target: &Path, lost: Lost, then: Then) -> PathBuf {
    let own = target.with_extension("proxy");
    let _ = std::fs::remove_file(&own);
    let listener = UnixListener::bind(&own).unwrap();
    let target = target.to_owned();
    thread::spawn(move || {
        let (source, _) = listener.accept().unwrap();
        let target = UnixStream::connect(target).unwrap();
        // Whoever loses it calls `then`, and ends the connections after that.
        let then = Arc::new(Mutex::new(then));
        let (from, to, of_back) =
            (target.try_clone().unwrap(), source.try_clone().unwrap(), Arc::clone(&then));
        let back = thread::spawn(move || {
            if pass(&from, &to, lost, Lost::TargetHello) {
                of_back.lock().unwrap()();
                shut(&from, &to);
            }
        });
        if pass(&source, &target, lost, Lost::SourceHello) {
            then.lock().unwrap()();
        }
        shut(&source, &target);
        back.join().unwrap();
    });
    own
}

fn shut(one: &UnixStream, other: &UnixStream) {
    let _ = one.shutdown(std::net::Shutdown::Both);
    let _ = other.shutdown(std::net::Shutdown::Both);
}

/// Passes on until the message comes, which is lost (true), or the stream ends.
fn pass(mut from: &UnixStream, mut to: &UnixStream, lost: Lost, hello: Lost) -> bool {
    let mut greeting = [0; 16];
    if from.read_exact(&mut greeting).is_err() {
        return false;
    }
    if lost == hello {
        return true;
    }
    if to.write_all(&greeting).is_err() {
        return false;
    }
    loop {
        let mut head = [0; 5];
        if from.read_exact(&mut head).is_err() {
            return false;
        }
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length];
        if from.read_exact(&mut body).is_err() {
            return false;
        }
        if head[0] == 1 && lost == Lost::Message(body[0]) {
            return true;
        }
        if to.write_all(&head).and_then(|()| to.write_all(&body)).is_err() {
            return false;
        }
    }
}
