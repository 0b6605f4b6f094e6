//! The source's memory on its way out of CRIU: to the target's page server, or when the target asks for it, which is when the
//! container runs there already.
#![forbid(unsafe_code)]

use std::os::fd::{BorrowedFd, OwnedFd};

use super::options::MigrationEvent;
use super::source::{Fate, Source};
use crate::error::Result;
use crate::migrate::apply::pages::Pages;
use crate::migrate::plan::frame::{Frame, Message, unexpected};
use crate::runtime::checkpoint::Attendant;
use crate::state::file::StateFile;

impl Source<'_, '_> {
    /// A socket for CRIU's memory, of which the target is told.
    pub(super) fn pages_begin(&mut self) -> Result<Vec<OwnedFd>> {
        let (lazy, patience) = (self.options.lazy, self.options.patience);
        if !lazy && !self.options.page_server {
            return Ok(Vec::new());
        }
        let (pages, theirs) = Pages::pair(patience)?;
        if !lazy {
            let (number, dedup) = (self.next(), self.options.criu.auto_dedup);
            self.stream.say(&Message::Pages { number, parent: number > 1, dedup })?;
            self.stream.duplex(true);
        }
        self.pages = Some(pages);
        Ok(vec![theirs])
    }

    /// That was all of it: the target has it.
    pub(super) fn pages_end(&mut self) -> Result<()> {
        self.stream.duplex(false);
        self.stream.say(&Message::PagesEnd)?;
        self.stream.expect(&Message::Stored)
    }

    /// What is waited for while CRIU sends memory, or is asked for it.
    pub(super) fn pages_beside(&self) -> Vec<BorrowedFd<'_>> {
        match &self.pages {
            // Before all else is sent the stream is read in turn.
            Some(pages) if !self.options.lazy || self.serving => {
                let mut fds = vec![self.stream.as_fd()];
                fds.extend(pages.as_fd());
                fds
            }
            _ => Vec::new(),
        }
    }

    /// Passes on what is there. After an error CRIU gives up.
    pub(super) fn pages_turn(&mut self, state: &StateFile) -> Result<()> {
        let Some(mut pages) = self.pages.take() else { return Ok(()) };
        let turned = self.pass(&mut pages, state);
        if turned.is_err() {
            pages.give_up();
        } else {
            self.pages = Some(pages);
        }
        turned
    }

    fn pass(&mut self, pages: &mut Pages, state: &StateFile) -> Result<()> {
        pages.pass_on(&mut self.stream)?;
        while self.stream.has_something() {
            match self.stream.hear()? {
                Frame::Bytes(bytes) => pages.put(&bytes)?,
                Frame::Message(Message::Ready) if self.serving && self.fate == Fate::Ours => {
                    (self.progress)(&MigrationEvent::Restored);
                    self.commit(state)?;
                }
                Frame::Message(Message::Running { pid }) if self.fate == Fate::Unknown => {
                    self.runs_as(pid);
                    let downtime = self.migrated.downtime;
                    (self.progress)(&MigrationEvent::Running { pid, downtime });
                }
                Frame::Message(Message::Arrived) if self.fate == Fate::Unknown => {
                    self.fate = Fate::Theirs;
                    pages.close();
                    return Ok(());
                }
                frame => {
                    if matches!(frame, Frame::Message(Message::Failed { .. })) {
                        self.fate = Fate::Ours;
                    }
                    return Err(unexpected(&frame));
                }
            }
        }
        Ok(())
    }
}

/// A round of memory that goes to the target's page server.
pub(super) struct Round<'a, 'b, 'fd>(pub(super) &'a mut Source<'b, 'fd>);

impl Attendant for Round<'_, '_, '_> {
    fn stopping(&mut self) {}

    fn written(&mut self, _: &StateFile) -> Result<()> {
        Ok(())
    }

    fn stays_frozen(&self) -> bool {
        false
    }

    fn page_sockets(&mut self) -> Result<Vec<OwnedFd>> {
        self.0.pages_begin()
    }

    fn beside(&self) -> Vec<BorrowedFd<'_>> {
        self.0.pages_beside()
    }

    fn turn(&mut self, state: &StateFile) -> Result<()> {
        self.0.pages_turn(state)
    }
}
