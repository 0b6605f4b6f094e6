//! The terminal: a pty of the container's own devpts, and the ownership of the standard streams.
//!
//! Runs in: the init program. The master is opened below the container's root and leaves over the socket; the slave
//! comes from the master (TIOCGPTPEER), never from a path (CVE-2025-52565).

use alloc::format;

use linux_raw_sys::general as k;
use linux_raw_sys::ioctl::{TIOCGPTN, TIOCGPTPEER, TIOCSCTTY, TIOCSPTLCK, TIOCSWINSZ};

use crate::channel::{Channel, Doing, Outcome};
use crate::mount;
use crate::root::Root;
use crate::sys::{self, EINVAL, EPERM, EROFS, Fd, Text, call};
use crate::wire::{Class, ToRuntime};

/// struct winsize.
#[repr(C)]
struct WindowSize {
    rows: u16,
    cols: u16,
    x_pixels: u16,
    y_pixels: u16,
}

/// Opens a pty, makes its slave the controlling terminal and the three streams, sends the master.
pub(crate) fn open(root: &Root, channel: &Channel, rows: u16, cols: u16, console: bool) -> Outcome {
    let master =
        root.open("/dev/pts/ptmx", k::O_RDWR | k::O_NOCTTY).doing(Class::Console, "open", "/dev/pts/ptmx")?;
    let unlocked: i32 = 0;
    sys::ioctl(&master, TIOCSPTLCK, &raw const unlocked as usize).doing(Class::Console, "unlock", "pty")?;
    let mut number: u32 = 0;
    sys::ioctl(&master, TIOCGPTN, &raw mut number as usize).doing(Class::Console, "number", "pty")?;
    let flags = k::O_RDWR | k::O_NOCTTY | k::O_CLOEXEC;
    let slave = sys::ioctl(&master, TIOCGPTPEER, flags as usize).map(Fd::own);
    let slave = slave.doing(Class::Console, "open slave of", "pty")?;
    if (rows, cols) != (0, 0) {
        let size = WindowSize { rows, cols, x_pixels: 0, y_pixels: 0 };
        sys::ioctl(&master, TIOCSWINSZ, &raw const size as usize).doing(Class::Console, "size", "pty")?;
    }
    if console {
        let target = root.make_file("/dev/console").doing(Class::Console, "make", "/dev/console")?;
        mount::bind_descriptor(&slave, &target).doing(Class::Console, "bind pty on", "/dev/console")?;
    }
    channel.send(&ToRuntime::Console { name: format!("/dev/pts/{number}") }, Some(&master));
    sys::ioctl(&slave, TIOCSCTTY, 0).doing(Class::Console, "make controlling terminal", "pty")?;
    for stream in 0..3 {
        sys::duplicate_to(&slave, stream).doing(Class::Console, "use as stream", "pty")?;
    }
    Ok(())
}

/// Gives the standard streams to the process's user, so that it can open them again through /proc/self/fd. A stream
/// that is the host's /dev/null becomes the container's, and neither is given away.
pub(crate) fn own_streams(root: &Root, uid: u32) -> Outcome {
    let mut null = None;
    for number in 0..3 {
        let stream = core::mem::ManuallyDrop::new(Fd::own(number));
        let Ok(there) = sys::stat(&stream) else { continue };
        if there.is_null() {
            // An image may hold anything by this name: only the null device itself will do.
            let own = null.get_or_insert_with(|| {
                let opened = root.open("/dev/null", k::O_RDWR).ok();
                opened.filter(|own| sys::stat(own).is_ok_and(|stat| stat.is_null()))
            });
            if let Some(own) = own {
                sys::duplicate_to(own, stream.number()).doing(
                    Class::Console,
                    "replace",
                    "stream on /dev/null",
                )?;
            }
        } else if there.uid != uid {
            let (unchanged, flags) = (u32::MAX, k::AT_EMPTY_PATH);
            let empty = Text::new("");
            match call!(__NR_fchownat, stream.number(), empty.as_ptr(), uid, unchanged, flags) {
                // A read-only or foreign filesystem, an unmapped owner: the stream works all the same.
                Ok(_) | Err(EPERM | EROFS | EINVAL) => {}
                failed => drop(failed.doing(Class::Console, "change owner of", "standard stream")?),
            }
        }
    }
    Ok(())
}
