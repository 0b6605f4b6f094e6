//! System calls, raw: numbers in, `Result` out. No policy, no OCI word.
//!
//! Runs in: the init program. It has its own wrappers, and not rustix's or libc's, because a third of what it needs
//! (setgroups and setresuid for the one thread, capset, mount_setattr, clone with CLONE_PARENT, keyctl) is in neither
//! without a C library, and one kind of wrapper reads better than two.

use alloc::vec::Vec;
use core::ffi::c_int;

use linux_raw_sys::general as k;

/// What the kernel answered: a positive errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

pub(crate) type Result<T = usize> = core::result::Result<T, Errno>;

pub(crate) const EPERM: Errno = Errno(linux_raw_sys::errno::EPERM as c_int);
pub(crate) const ENOENT: Errno = Errno(linux_raw_sys::errno::ENOENT as c_int);
pub(crate) const EINTR: Errno = Errno(linux_raw_sys::errno::EINTR as c_int);
pub(crate) const EACCES: Errno = Errno(linux_raw_sys::errno::EACCES as c_int);
pub(crate) const EEXIST: Errno = Errno(linux_raw_sys::errno::EEXIST as c_int);
pub(crate) const EAGAIN: Errno = Errno(linux_raw_sys::errno::EAGAIN as c_int);
pub(crate) const ENOTDIR: Errno = Errno(linux_raw_sys::errno::ENOTDIR as c_int);
pub(crate) const EISDIR: Errno = Errno(linux_raw_sys::errno::EISDIR as c_int);
pub(crate) const EINVAL: Errno = Errno(linux_raw_sys::errno::EINVAL as c_int);
pub(crate) const EROFS: Errno = Errno(linux_raw_sys::errno::EROFS as c_int);
pub(crate) const ENOSYS: Errno = Errno(linux_raw_sys::errno::ENOSYS as c_int);
pub(crate) const ELOOP: Errno = Errno(linux_raw_sys::errno::ELOOP as c_int);
pub(crate) const ECONNABORTED: Errno = Errno(linux_raw_sys::errno::ECONNABORTED as c_int);
pub(crate) const E2BIG: Errno = Errno(linux_raw_sys::errno::E2BIG as c_int);
pub(crate) const ENODATA: Errno = Errno(linux_raw_sys::errno::ENODATA as c_int);
pub(crate) const EOPNOTSUPP: Errno = Errno(linux_raw_sys::errno::EOPNOTSUPP as c_int);
pub(crate) const ERANGE: Errno = Errno(linux_raw_sys::errno::ERANGE as c_int);
pub(crate) const EDQUOT: Errno = Errno(linux_raw_sys::errno::EDQUOT as c_int);

#[cfg(target_arch = "x86_64")]
unsafe fn raw(number: u32, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the syscall instruction changes rcx, r11 and the result only; the caller vouches for the arguments.
    unsafe {
        core::arch::asm!("syscall",
            inlateout("rax") number as usize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn raw(number: u32, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: svc changes x0 only; the caller vouches for the arguments.
    unsafe {
        core::arch::asm!("svc #0",
            in("x8") number as usize, inlateout("x0") a[0] => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result
}

/// Any system call.
///
/// # Safety
/// Pointers among the arguments must be what the call's manual page asks for.
pub(crate) unsafe fn syscall(number: u32, arguments: &[usize]) -> Result {
    let mut six = [0; 6];
    six[..arguments.len()].copy_from_slice(arguments);
    // SAFETY: passed on from the caller.
    let result = unsafe { raw(number, six) };
    if (-4095..0).contains(&result) { Err(Errno(-result as c_int)) } else { Ok(result as usize) }
}

/// A system call whose arguments are numbers and pointers to live, NUL-terminated or sized objects of this frame.
macro_rules! call {
    ($name:ident $(, $argument:expr)*) => {
        // SAFETY: numbers, or pointers to objects that outlive the call and have the shape that its manual page asks
        // for; the wrapper around this line names both.
        unsafe { $crate::sys::syscall(linux_raw_sys::general::$name, &[$($argument as usize),*]) }
    };
}
pub(crate) use call;

/// A NUL-terminated copy of a path or name.
pub(crate) struct Text(Vec<u8>);

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }

    /// A name as the kernel has it.
    pub(crate) fn from_bytes(text: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text);
        bytes.push(0);
        Self(bytes)
    }

    /// Another text in the same memory, which the program's allocator would not take back.
    pub(crate) fn replace(&mut self, text: &[u8]) {
        self.0.clear();
        self.0.extend_from_slice(text);
        self.0.push(0);
    }

    /// Without the NUL.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.split_last().map_or(&[], |(_, bytes)| bytes)
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

/// What execve(2) takes: as long-lived as the texts.
pub(crate) fn pointers(texts: &[Text]) -> Vec<*const u8> {
    texts.iter().map(Text::as_ptr).chain([core::ptr::null()]).collect()
}

/// An open descriptor, closed when dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fd(c_int);

impl Fd {
    /// Takes over a descriptor that a system call, or the runtime, just gave us.
    pub(crate) const fn own(number: usize) -> Self {
        Self(number as c_int)
    }

    pub(crate) const fn number(&self) -> c_int {
        self.0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // The number may have been free already; nothing can be done about it here.
        let _ = call!(__NR_close, self.0);
    }
}

pub(crate) fn exit(status: c_int) -> ! {
    loop {
        // exit_group(2) does not return.
        let _ = call!(__NR_exit_group, status);
    }
}

/// mmap(2): anonymous, private, writable.
pub(crate) fn map_anonymous(size: usize) -> Result {
    call!(__NR_mmap, 0, size, k::PROT_READ | k::PROT_WRITE, k::MAP_PRIVATE | k::MAP_ANONYMOUS, -1isize, 0)
}

pub(crate) fn read(fd: &Fd, buffer: &mut [u8]) -> Result {
    call!(__NR_read, fd.number(), buffer.as_mut_ptr(), buffer.len())
}

pub(crate) fn write(fd: &Fd, bytes: &[u8]) -> Result {
    call!(__NR_write, fd.number(), bytes.as_ptr(), bytes.len())
}

pub(crate) fn prctl(option: u32, a: usize, b: usize) -> Result {
    call!(__NR_prctl, option, a, b, 0, 0)
}

/// struct stat, the fields that we read: statx(2) has one layout on every architecture.
pub(crate) struct Stat {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// Which file it is: device and inode.
    pub(crate) file: (u32, u32, u64),
    pub(crate) links: u32,
    pub(crate) accessed: (i64, u32),
    pub(crate) modified: (i64, u32),
}

impl Stat {
    pub(crate) fn kind(&self) -> u32 {
        self.mode & k::S_IFMT
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind() == k::S_IFDIR
    }

    /// The one true /dev/null: character device 1:3.
    pub(crate) fn is_null(&self) -> bool {
        self.kind() == k::S_IFCHR && (self.major, self.minor) == (1, 3)
    }
}

/// statfs(2) of what is behind a descriptor: the filesystem's magic number, and its mount's flags (`ST_*`).
pub(crate) fn filesystem_of(fd: &Fd) -> Result<(u64, u64)> {
    let mut statfs = core::mem::MaybeUninit::<k::statfs>::zeroed();
    call!(__NR_fstatfs, fd.number(), statfs.as_mut_ptr())?;
    // SAFETY: zeroed is a valid statfs, and the kernel filled it.
    let statfs = unsafe { statfs.assume_init() };
    Ok((statfs.f_type as u64, statfs.f_flags as u64))
}

/// statx(2) of `path` below `dir`; an empty path with AT_EMPTY_PATH is `dir` itself.
pub(crate) fn stat_at(dir: c_int, path: &Text, flags: u32) -> Result<Stat> {
    let mut stat = core::mem::MaybeUninit::<k::statx>::zeroed();
    call!(__NR_statx, dir, path.as_ptr(), flags, k::STATX_BASIC_STATS, stat.as_mut_ptr())?;
    // SAFETY: zeroed is a valid statx, and the kernel filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(Stat {
        mode: u32::from(stat.stx_mode),
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        major: stat.stx_rdev_major,
        minor: stat.stx_rdev_minor,
        file: (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino),
        links: stat.stx_nlink,
        accessed: (stat.stx_atime.tv_sec, stat.stx_atime.tv_nsec),
        modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
    })
}

pub(crate) fn stat(fd: &Fd) -> Result<Stat> {
    stat_at(fd.number(), &Text::new(""), k::AT_EMPTY_PATH)
}

/// openat2(2), tried again when the kernel could not be sure that no rename raced with it (EAGAIN).
pub(crate) fn open_at2(dir: c_int, path: &Text, flags: u32, mode: u32, resolve: u32) -> Result<Fd> {
    let how = k::open_how {
        flags: u64::from(flags | k::O_CLOEXEC),
        mode: u64::from(mode),
        resolve: u64::from(resolve),
    };
    let mut tries = 0;
    loop {
        match call!(__NR_openat2, dir, path.as_ptr(), &raw const how, size_of::<k::open_how>()) {
            Ok(number) => return Ok(Fd::own(number)),
            Err(EAGAIN | EINTR) if tries < 128 => tries += 1,
            Err(errno) => return Err(errno),
        }
    }
}

/// openat(2) of a host path, or of a single name below a directory that we hold.
pub(crate) fn open_at(dir: c_int, path: &Text, flags: u32, mode: u32) -> Result<Fd> {
    call!(__NR_openat, dir, path.as_ptr(), flags | k::O_CLOEXEC, mode).map(Fd::own)
}

pub(crate) fn duplicate_to(fd: &Fd, number: c_int) -> Result {
    if fd.number() == number {
        return call!(__NR_fcntl, number, k::F_SETFD, 0);
    }
    call!(__NR_dup3, fd.number(), number, 0)
}

/// What an ioctl on `fd` answers; `argument` is a number or points to an object of the size that `request` asks for.
pub(crate) fn ioctl(fd: &Fd, request: u32, argument: usize) -> Result {
    call!(__NR_ioctl, fd.number(), request, argument)
}
