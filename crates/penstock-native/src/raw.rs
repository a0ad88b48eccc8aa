//! The only unsafe code of the crate: what the compiler cannot check is done here, behind functions that are safe
//! to call with any argument. Nothing else belongs here.
use pyo3::prelude::*;
use rustix::fs::{fcntl_get_seals, fstat, SealFlags};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::mm::{mmap, MapFlags, ProtFlags};
use std::ffi::{c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU64;

/// Maps the whole of a memory file that is shared with other processes, for as long as this process lives.
///
/// InvalidInput when it is not sealed against shrinking, or when it is shorter than one word: memory that another
/// process can take away would end this one with SIGBUS.
pub fn map_shared(file: BorrowedFd<'_>) -> io::Result<&'static [AtomicU64]> {
    let words = usize::try_from(fstat(file)?.st_size).unwrap_or(0) / size_of::<AtomicU64>();
    if words == 0 || !fcntl_get_seals(file)?.contains(SealFlags::SHRINK) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no sealed memory file"));
    }
    let length = words * size_of::<AtomicU64>();
    // SAFETY: with a null address the kernel picks a free range, so no memory of ours is replaced. The range is
    // `length` bytes, page-aligned, never unmapped (hence 'static), and the seal keeps the file behind it. Any bit
    // pattern is an AtomicU64, and all processes reach this memory through atomics alone.
    unsafe {
        let start = mmap(std::ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)?;
        Ok(std::slice::from_raw_parts(start.cast::<AtomicU64>(), words))
    }
}

/// A descriptor of our own for what a number that came from Python stands for. An error when it stands for nothing.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: only -1 must not be borrowed. The number is not kept, and a wrong one makes the kernel answer EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(fcntl_dupfd_cloexec(borrowed, 3)?)
}

/// Has a connection take packets whatever their TTL, where its listener wanted the highest and it has inherited that.
pub fn take_any_ttl(socket: BorrowedFd<'_>) {
    const IPV6_MINHOPCOUNT: c_int = 73; // linux/in6.h
    let any: c_int = 0;
    let length = size_of::<c_int>() as libc::socklen_t;
    for (level, option) in [(libc::IPPROTO_IP, libc::IP_MINTTL), (libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT)] {
        // SAFETY: the kernel reads `length` bytes at `any`, which outlives the call. An error means that this is a
        // socket of another family: then there is nothing to take off.
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const any).cast(), length) };
    }
}

/// Raises an exception in another Python thread, at its next bytecode. Nothing happens when there is no such thread.
pub fn raise_in(_py: Python<'_>, ident: u64, exception: &Bound<'_, PyAny>) {
    // SAFETY: the GIL is held (`_py`), and Python takes a reference of its own to the exception.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident as c_long, exception.as_ptr()) };
}

/// Takes back an exception that [`raise_in`] has set and that has not been raised yet.
pub fn clear_exception_of(_py: Python<'_>, ident: u64) {
    // SAFETY: the GIL is held (`_py`); a null pointer takes the pending exception away.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident as c_long, std::ptr::null_mut()) };
}

/// Whether the calling thread has Python, so that what it drops is freed at once.
pub fn has_python() -> bool {
    // SAFETY: may be called by any thread, with Python or without it.
    unsafe { pyo3::ffi::PyGILState_Check() == 1 }
}
