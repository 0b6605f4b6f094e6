//! `riverrun events`: what happens to a container, a line of JSON each.
#![forbid(unsafe_code)]

use std::time::Duration;

use riverrun::{Call, Container, Event, EventsOptions, Kind, Status};

use crate::args::Matches;
use crate::duration;
use crate::failure::Outcome;
use crate::output;
use crate::session::Session;

/// Prints statistics and OOM events until the container ends; with `--stats`, statistics once.
pub(crate) fn events(session: &Session, matches: &Matches) -> Outcome {
    let typed = matches.text("interval").unwrap_or("5s");
    let interval = duration::parse(typed)
        .ok_or_else(|| format!("invalid value \"{typed}\" for flag -interval: parse error"))?;
    let container = session.context()?.open(matches.id())?;
    if interval <= 0 {
        return Err("duration interval must be greater than 0".into());
    }
    if container.state()?.status == Status::Stopped {
        return Err(format!("container with id {} is not running", container.id()).into());
    }
    if matches.switch("stats") {
        output::print(&format!("{}\n", container.stats()?.to_event_json(container.id())))?;
        return Ok(0);
    }
    stream(&container, Duration::from_nanos(interval.unsigned_abs()))
}

fn stream(container: &Container, interval: Duration) -> Outcome {
    let options = EventsOptions { oom: true, stats: Some(interval), ..EventsOptions::default() };
    let stream = match container.events(&options) {
        // It has just ended.
        Err(error) if error.kind() == Kind::NotRunning => return Ok(0),
        stream => stream?,
    };
    // Who is killed after memory ran out was told of already; it may also have run out in a cgroup above.
    let mut told: u64 = 0;
    loop {
        let event = stream.next(Call::default())?;
        let news = match &event {
            Event::End => return Ok(0),
            Event::Oom(count) => {
                told += count;
                true
            }
            Event::OomKill(count) => {
                let more = *count > told;
                told = told.saturating_sub(*count);
                more
            }
            _ => true,
        };
        if let Some(json) = event.to_json(container.id()).filter(|_| news) {
            output::print(&format!("{json}\n"))?;
        }
    }
}
