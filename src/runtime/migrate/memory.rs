//! The memory of a round at the target, out of the stream into CRIU's page server.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::tool::{FIRST, Tool, Working};
use crate::cgroup::apply::Entrances;
use crate::error::{Error, Kind, Result};
use crate::migrate::apply::images;
use crate::migrate::apply::pages::Pages;
use crate::migrate::apply::stream::{Stream, too_much};
use crate::migrate::apply::work::Work;
use crate::migrate::plan::frame::{Frame, Message, unexpected};
use crate::runtime::context::Context;
use crate::runtime::deadline::Deadline;
use crate::sys::poll;

/// Where the pages of a round go.
#[derive(Debug)]
pub(super) struct Store<'a> {
    pub(super) context: &'a Context,
    pub(super) program: Option<&'a std::path::Path>,
    pub(super) work: &'a Work,
    pub(super) deadline: &'a Deadline<'a>,
    pub(super) patience: Duration,
}

impl Store<'_> {
    /// Receives the memory of a round until the source says that this was all.
    pub(super) fn receive(
        &self,
        stream: &mut Stream<'_>,
        (number, parent, dedup): (u32, bool, bool),
        left: &mut u64,
    ) -> Result<()> {
        let directory = images::round(self.work, number, parent)?;
        let (mut pages, theirs) = Pages::pair(self.patience)?;
        let (socket, descriptors) = (FIRST.to_string(), [theirs]);
        let options = ["--ps-socket", &socket, "--auto-dedup"];
        let tool = Tool {
            program: self.program,
            command: "page-server",
            options: if dedup { &options } else { &options[..2] },
            directory: &directory,
            descriptors: &descriptors,
            entrances: &Entrances::default(),
        };
        let server = tool.start(self.context, self.deadline)?;
        drop(descriptors);
        stream.duplex(true);
        let through = pass(stream, &mut pages, &server, self.patience, left);
        stream.duplex(false);
        pages.no_more();
        let ended = through.and_then(|()| server.end(self.patience));
        if ended.is_err() {
            pages.give_up();
        }
        ended
    }
}

/// Bytes both ways until the source ends it. A server that ends before has failed.
fn pass(
    stream: &mut Stream<'_>,
    pages: &mut Pages,
    server: &Working,
    patience: Duration,
    left: &mut u64,
) -> Result<()> {
    loop {
        let heard = stream.heard_early() || {
            let mut fds = vec![stream.as_fd()];
            fds.extend(pages.as_fd());
            let until = Instant::now().checked_add(patience);
            match poll::readable(&fds, until) {
                Ok(Some(index)) => index == 0,
                // The stream knows how to say it.
                Ok(None) => true,
                Err(errno) => return Err(Error::os(Kind::System, "wait for pages", errno as i32)),
            }
        };
        if !heard {
            pages.pass_on(stream)?;
            continue;
        }
        match stream.hear()? {
            Frame::Bytes(bytes) => {
                *left = left.checked_sub(bytes.len() as u64).ok_or_else(too_much)?;
                // Its log tells why it ended.
                pages.put(&bytes).map_err(|error| if ended(server) { server.failed() } else { error })?;
            }
            Frame::Message(Message::PagesEnd) => return Ok(()),
            other => return Err(unexpected(&other)),
        }
    }
}

fn ended(server: &Working) -> bool {
    matches!(poll::readable(&[server.pidfd()], Instant::now().checked_add(SOON)), Ok(Some(_)))
}

/// How long after the end of its socket a process may take to end.
const SOON: Duration = Duration::from_secs(1);
