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

/// Answers a question of CRIU's: what has happened, with a descriptor for some.
pub(crate) type Questions<'a> = dyn FnMut(&Notify, Option<OwnedFd>) -> Result<()> + 'a;

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
        let response = self.ask(&request, patience, &mut |_, _| Ok(()))?;
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
        let response = self.ask(&request, patience, &mut |_, _| Ok(()))?;
        Ok(response.features.unwrap_or_default())
    }

    /// Sends a request and answers questions until the answer comes. A question that cannot be answered well makes
    /// CRIU give up; the reason is the error then.
    pub(crate) fn ask(
        &self,
        request: &Request,
        patience: Patience<'_>,
        questions: &mut Questions<'_>,
    ) -> Result<Response> {
        self.send(request)?;
        let mut reason = None;
        loop {
            let (response, descriptor) = match self.receive(patience) {
                Err(error) => return Err(reason.unwrap_or(error)),
                received => received?,
            };
            if response.kind != kind::NOTIFY {
                return reason.map_or(Ok(response), Err);
            }
            let notify = response.notify.unwrap_or_default();
            let answered = questions(&notify, descriptor);
            let notify_success = Some(answered.is_ok());
            reason = reason.or(answered.err());
            self.send(&Request { kind: kind::NOTIFY, notify_success, ..Request::default() })?;
        }
    }

    fn send(&self, request: &Request) -> Result<()> {
        match socket::send(self.0.as_fd(), &request.encode_to_vec(), &[]) {
            // What it said before it ended is still to be read.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(Error::os(Kind::Criu, "send request to CRIU", errno as i32)),
        }
    }

    fn receive(&self, patience: Patience<'_>) -> Result<(Response, Option<OwnedFd>)> {
        let error = |errno: Errno| Error::os(Kind::Criu, "receive answer of CRIU", errno as i32);
        let ended = || Error::new(Kind::Criu, "CRIU ended without an answer");
        let mut fds = vec![self.0.as_fd()];
        fds.extend(patience.cancel);
        fds.push(patience.criu);
        match poll::readable(&fds, patience.until).map_err(error)? {
            Some(0) => {}
            Some(index) if index + 1 < fds.len() => {
                return Err(Error::new(Kind::Cancelled, "cancelled").during("wait for CRIU"));
            }
            Some(_) => return Err(ended()),
            None => return Err(Error::new(Kind::Timeout, "timed out").during("wait for CRIU")),
        }
        let mut packet = vec![0; 64 * 1024];
        match socket::receive(self.0.as_fd(), &mut packet) {
            Ok((0, _)) | Err(Errno::ECONNRESET) => Err(ended()),
            Ok((n, descriptor)) => {
                let response = Response::decode(&packet[..n])
                    .map_err(|error| Error::new(Kind::Criu, format!("read answer of CRIU: {error}")))?;
                Ok((response, descriptor))
            }
            Err(errno) => Err(error(errno)),
        }
    }
}
