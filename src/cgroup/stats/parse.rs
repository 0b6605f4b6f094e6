//! The formats of the files: numbers, pairs, tables, lists of ranges. Lines that mean nothing to us are passed over:
//! the kernel may add what it likes.
#![forbid(unsafe_code)]

use super::{IoEntry, Pressure, Stall, UNLIMITED};

/// A number; `max` is 2^64-1, and -1 as well, which v1 wrote once.
pub(super) fn number(text: &str) -> Option<u64> {
    match text {
        "max" | "-1" => Some(UNLIMITED),
        _ => text.parse().ok(),
    }
}

/// `name number`.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name, value.parse().ok()?))
    })
}

/// `0-2,5` (cpuset(7), list format).
pub(super) fn ranges(text: &str) -> Vec<u16> {
    let mut numbers = Vec::new();
    for part in text.trim_end().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            numbers.extend(first..=last);
        }
    }
    numbers
}

/// Numbers with blanks between them: `cpuacct.usage_percpu`.
pub(super) fn row(text: &str) -> Vec<u64> {
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// `cpuacct.usage_all`: a title, then CPU, user, system. (user, system).
pub(super) fn usage_all(text: &str) -> (Vec<u64>, Vec<u64>) {
    text.lines()
        .skip(1)
        .filter_map(|line| match row(line)[..] {
            [_, user, system, ..] => Some((user, system)),
            _ => None,
        })
        .unzip()
}

/// `8:0 Read 4096` or `8:0 4096`; the line `Total` is passed over.
pub(super) fn blkio(text: &str) -> Vec<IoEntry> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (major, minor) = words.next()?.split_once(':')?;
            let (second, third) = (words.next()?, words.next());
            let (op, value) = third.map_or(("", second), |value| (second, value));
            Some(IoEntry {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
                op: op.to_owned(),
                value: value.parse().ok()?,
            })
        })
        .collect()
}

/// `8:0 rbytes=1 wbytes=2 …`: device, name, number.
pub(super) fn io_stat(text: &str) -> impl Iterator<Item = (u64, u64, &str, u64)> {
    text.lines().flat_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let device = words.next().and_then(|word| word.split_once(':'));
        let device = device.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        words.filter_map(move |word| {
            let (major, minor) = device?;
            let (name, value) = word.split_once('=')?;
            Some((major, minor, name, value.parse().ok()?))
        })
    })
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and `full` likewise.
pub(super) fn pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let (stall, fields) = match line.split_once(' ') {
            Some(("some", fields)) => (&mut pressure.some, fields),
            Some(("full", fields)) => (&mut pressure.full, fields),
            _ => continue,
        };
        *stall = stall_of(fields);
    }
    pressure
}

fn stall_of(fields: &str) -> Stall {
    let mut stall = Stall::default();
    for (name, value) in fields.split(' ').filter_map(|field| field.split_once('=')) {
        let share = || value.parse().unwrap_or_default();
        match name {
            "avg10" => stall.avg10 = share(),
            "avg60" => stall.avg60 = share(),
            "avg300" => stall.avg300 = share(),
            "total" => stall.total = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    stall
}

/// `mlx4_0 hca_handle=2 hca_object=2000`: device, handles, objects.
pub(super) fn rdma(text: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    text.lines().filter_map(|line| {
        let (device, fields) = line.split_once(' ')?;
        let field = |wanted: &str| {
            let found =
                fields.split(' ').filter_map(|field| field.split_once('=')).find(|(n, _)| *n == wanted);
            found.and_then(|(_, value)| number(value)).unwrap_or_default()
        };
        Some((device, field("hca_handle"), field("hca_object")))
    })
}

/// `hugetlb.2MB.current` is of `2MB`.
pub(super) fn page_size<'a>(name: &'a str, ending: &str) -> Option<&'a str> {
    let size = name.strip_prefix("hugetlb.")?.strip_suffix(ending)?;
    (!size.contains('.')).then_some(size)
}
