//! A conversation with `criu swrk`: requests, its questions in between, the answer. It is told by messages alone how a
//! request went, so that a host which reaps every child does no harm.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use prost::Message;

use super::rpc::{Features, Notify, Request, Response, Version, kind};
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, poll, socket};

/// How long the caller will wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'fd> {
    pub(crate) until: Option<Instant>,
    /// Readable: give up.
    pub(crate) cancel: Option<BorrowedFd<'fd>>,
    /// Readable: CRIU has ended. Processes that it left behind may hold its end of the socket.
    pub(crate) criu: BorrowedFd<'fd>,
}

/// Somebody who answers CRIU, and may have something to do beside it.
pub(crate) trait Partner {
    /// Answers a question of CRIU's: what has happened, with a descriptor for some.
    fn answer(&mut self, notify: &Notify, descriptor: Option<OwnedFd>) -> Result<()>;

    /// What is waited for beside CRIU.
    fn beside(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// One of those is readable. An error is the request's.
    fn turn(&mut self) -> Result<()> {
        Ok(())
    }

    /// What becomes of the request once that has failed: CRIU notices (true) and is waited for, or it is left.
    fn ends_by_itself(&self) -> bool {
        false
    }

    /// Nothing but CRIU's own end ends the request from now on.
    fn sees_it_through(&self) -> bool {
        false
    }
}

/// Nobody: what CRIU tells is as it should be.
impl Partner for () {
    fn answer(&mut self, _: &Notify, _: Option<OwnedFd>) -> Result<()> {
        Ok(())
    }
}

/// Our end.
#[derive(Debug)]
pub(crate) struct Swrk(OwnedFd);

impl Swrk {
    /// Both ends: ours and CRIU's.
    pub(crate) fn pair() -> Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socket::packets().map_err(|errno| Error::os(Kind::System, "make socket pair", errno as i32))?;
        Ok((Self(ours), theirs))
    }

    /// Which CRIU it is.
    pub(crate) fn version(&self, patience: Patience<'_>) -> Result<Version> {
        let request = Request { kind: kind::VERSION, keep_open: Some(true), ..Request::default() };
        let response = self.ask(&request, patience, &mut ())?;
        response.version.filter(|_| response.success).ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                "ask CRIU for its version: it has none to tell; 3.0 is the oldest that serves",
            )
        })
    }

    /// What CRIU and the kernel can do together.
    pub(crate) fn features(&self, patience: Patience<'_>) -> Result<Features> {
        let asked = Features { mem_track: Some(true), lazy_pages: Some(true) };
        let request = Request {
            kind: kind::FEATURE_CHECK,
            keep_open: Some(true),
            features: Some(asked),
            ..Request::default()
        };
        let response = self.ask(&request, patience, &mut ())?;
        Ok(response.features.unwrap_or_default())
    }

    /// Sends a request and answers questions until the answer comes. A question that cannot be answered well makes
    /// CRIU give up; the reason is the error then.
    pub(crate) fn ask(
        &self,
        request: &Request,
        patience: Patience<'_>,
        partner: &mut dyn Partner,
    ) -> Result<Response> {
        self.send(request)?;
        let mut reason = None;
        loop {
            // Once it has failed there is nothing left to do beside.
            if let Err(error) = self.until_it_speaks(patience, partner, reason.is_none()) {
                if reason.is_some() || !partner.ends_by_itself() || error.is_of_criu() {
                    return Err(reason.unwrap_or(error.into()));
                }
                reason = Some(error.into());
                continue;
            }
            let (response, descriptor) = match self.receive() {
                Err(error) => return Err(reason.unwrap_or(error)),
                received => received?,
            };
            if response.kind != kind::NOTIFY {
                return reason.map_or(Ok(response), Err);
            }
            let notify = response.notify.unwrap_or_default();
            let answered = partner.answer(&notify, descriptor);
            let notify_success = Some(answered.is_ok());
            reason = reason.or(answered.err());
            self.send(&Request { kind: kind::NOTIFY, notify_success, ..Request::default() })?;
        }
    }

    /// Waits for CRIU's next word, and lets the partner take its turns meanwhile.
    fn until_it_speaks(
        &self,
        patience: Patience<'_>,
        partner: &mut dyn Partner,
        beside: bool,
    ) -> std::result::Result<(), Waited> {
        loop {
            let through = partner.sees_it_through();
            let until = patience.until.filter(|_| !through);
            let mut fds = vec![self.0.as_fd(), patience.criu];
            fds.extend(patience.cancel.filter(|_| !through));
            let own = fds.len();
            if beside {
                fds.extend(partner.beside());
            }
            let waited = |error: Error| Waited::Criu(error.during("wait for CRIU"));
            match poll::readable(&fds, until) {
                Ok(Some(0)) => return Ok(()),
                Ok(Some(1)) => return Err(Waited::Criu(ended())),
                Ok(Some(index)) if index < own => {
                    return Err(waited(Error::new(Kind::Cancelled, "cancelled")));
                }
                Ok(Some(_)) => partner.turn().map_err(Waited::Beside)?,
                Ok(None) => return Err(waited(Error::new(Kind::Timeout, "timed out"))),
                Err(errno) => return Err(Waited::Criu(answer_failed(errno))),
            }
        }
    }

    fn send(&self, request: &Request) -> Result<()> {
        match socket::send(self.0.as_fd(), &request.encode_to_vec(), &[]) {
            // What it said before it ended is still to be read.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(Error::os(Kind::Criu, "send request to CRIU", errno as i32)),
        }
    }

    fn receive(&self) -> Result<(Response, Option<OwnedFd>)> {
        let mut packet = vec![0; 64 * 1024];
        match socket::receive(self.0.as_fd(), &mut packet) {
            Ok((0, _)) | Err(Errno::ECONNRESET) => Err(ended()),
            Ok((n, descriptor)) => {
                let response = Response::decode(&packet[..n])
                    .map_err(|error| Error::new(Kind::Criu, format!("read answer of CRIU: {error}")))?;
                Ok((response, descriptor))
            }
            Err(errno) => Err(answer_failed(errno)),
        }
    }
}

/// Why CRIU is not waited for any more.
enum Waited {
    Criu(Error),
    Beside(Error),
}

impl Waited {
    fn is_of_criu(&self) -> bool {
        matches!(self, Self::Criu(_))
    }
}

impl From<Waited> for Error {
    fn from(waited: Waited) -> Self {
        match waited {
            Waited::Criu(error) | Waited::Beside(error) => error,
        }
    }
}

fn ended() -> Error {
    Error::new(Kind::Criu, "CRIU ended without an answer")
}

fn answer_failed(errno: Errno) -> Error {
    Error::os(Kind::Criu, "receive answer of CRIU", errno as i32)
}
