//! The log callback: one per context, called on the thread of the call that logs. Not a logger: no level
//! names, no time, no file.

use super::arg::invalid;
use super::error::c_text;
use crate::{Level, LogSink, Result};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

/// Log level: something went wrong, and the call went on. Since 0.1.
pub const RR_LOG_ERROR: i32 = 1;
/// Log level: something is likely not what was meant. Since 0.1.
pub const RR_LOG_WARN: i32 = 2;
/// Log level: something worth a line. Since 0.1.
pub const RR_LOG_INFO: i32 = 3;
/// Log level: what is being done. Since 0.1.
pub const RR_LOG_DEBUG: i32 = 4;

/// Receives log lines: `data` is the context's `log_data`, `level` one of `RR_LOG_*`, `msg` one line without
/// line end, `len` bytes of UTF-8 and a closing 0, `fields_json` a JSON object with further facts or NULL.
///
/// Both strings are borrowed until it returns. It runs on the thread of the call that logs, during that call
/// and never after it, and on several threads at once when several call. It must not unwind (C++ exceptions),
/// longjmp, or free the context. Since 0.1.
pub type rr_log_fn = Option<
    unsafe extern "C" fn(
        data: *mut c_void,
        level: c_int,
        msg: *const c_char,
        len: usize,
        fields_json: *const c_char,
    ),
>;

/// C's function with its data.
struct Target {
    function: unsafe extern "C" fn(*mut c_void, c_int, *const c_char, usize, *const c_char),
    data: *mut c_void,
}
// SAFETY: the header asks that function and data may be used from any thread that calls the library (rule 6).
unsafe impl Send for Target {}
// SAFETY: as above, at once from several.
unsafe impl Sync for Target {}

impl Target {
    fn tell(&self, level: Level, message: &str) {
        let text = c_text(message);
        let len = text.as_bytes().len();
        // SAFETY: the text is NUL-terminated and outlives the call; function and data are the caller's, who
        // keeps them usable as long as the context (rule 6).
        unsafe { (self.function)(self.data, level as c_int, text.as_ptr(), len, ptr::null()) };
    }
}

/// A context's `log_level`.
pub(super) fn least(level: i32) -> Result<Level> {
    match level {
        0 | RR_LOG_INFO => Ok(Level::Info),
        RR_LOG_ERROR => Ok(Level::Error),
        RR_LOG_WARN => Ok(Level::Warn),
        RR_LOG_DEBUG => Ok(Level::Debug),
        other => Err(invalid("log_level", format!("no level has the number {other}"))),
    }
}

/// The sink behind a context's `log` and `log_data`.
pub(super) fn sink(function: rr_log_fn, data: *mut c_void, least: Level) -> Option<LogSink> {
    function.map(|function| {
        let target = Target { function, data };
        let sink: LogSink = Arc::new(move |level, message| {
            if level <= least {
                target.tell(level, message);
            }
        });
        sink
    })
}

// The numbers of the header are those of Level.
const _: () = assert!(
    RR_LOG_ERROR == Level::Error as i32
        && RR_LOG_WARN == Level::Warn as i32
        && RR_LOG_INFO == Level::Info as i32
        && RR_LOG_DEBUG == Level::Debug as i32
);
