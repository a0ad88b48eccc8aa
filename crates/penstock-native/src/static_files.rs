//! Answers requests for files: static and media below their URL prefixes, protected files when the application asks
//! for it. Refused, as if they did not exist: whatever lies outside a root (also by way of a symbolic link), names
//! that begin with a dot, directories, and all that is no regular file. There are no listings.
//!
//! A small file is kept in memory with its descriptor. It is served only after one fstat has shown that the file
//! behind the descriptor is untouched (replacing or deleting it changes its ctime and link count), and for at most a
//! second, so that a changed directory or symbolic link shows too. A larger one is opened for each request: beside
//! sending it, that costs nothing. A name that is missing is never remembered.
use httpdate::{fmt_http_date, parse_http_date};
use memchr::{memchr, memchr2, memchr_iter};
use penstock_http::{HeadEncoder, ResponseError, Turn};
use rustix::fs::{fstat, openat, openat2, FileType, Mode, OFlags, ResolveFlags, Stat, CWD};
use rustix::io::{pread, Errno};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Up to this size one copy is cheaper than a system call of its own for the body.
const SMALL: u64 = 16 * 1024;

/// Small files kept: at most 2 MiB and 128 descriptors in each worker.
const KEPT_FILES: usize = 128;

/// How long a kept file or an opened root is believed without opening it anew.
const VALIDITY: Duration = Duration::from_secs(1);

/// The last second that HTTP's dates can say: the year 9999 ends.
pub const LAST_SECOND: u64 = 253_402_300_799;

/// A year, the most that RFC 9111 5.2.2 knows a use for.
const IMMUTABLE: &str = "max-age=31536000, public, immutable";

/// For what not everybody may read: a browser may keep it, and asks each time.
const PRIVATE: &str = "private, no-cache";

/// For reading, and never to wait: a FIFO without a writer is opened at once.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

const NO_SNIFF: (&[u8], &[u8]) = (b"X-Content-Type-Options", b"nosniff");

/// Files below a URL prefix.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Begins and ends with `/`.
    pub prefix: String,
    /// Tried in order; the first that has the file answers.
    pub roots: Vec<PathBuf>,
    /// Seconds for which a name without a hash may be used unasked; 0: it must be asked for each time.
    pub max_age: u32,
    /// Names with a hash in them never change; see [`has_hash`].
    pub immutable_hashed: bool,
    /// What is missing here goes on to the application.
    pub fall_through: bool,
}

/// What is read of a request for a file.
#[derive(Clone, Copy, Debug)]
pub struct FileRequest<'a> {
    /// As sent.
    pub method: &'a [u8],
    /// The path of the target as sent, still percent-encoded.
    pub path: &'a [u8],
    /// Where a web server serves the site; not encoded, mostly empty.
    pub script_name: &'a [u8],
    /// What the request says about its response.
    pub turn: Turn,
    /// The current date as IMF-fixdate, 29 bytes.
    pub date: &'a [u8],
    /// The field If-None-Match; the others accordingly. Equal fields are joined with `, `.
    pub if_none_match: Option<&'a [u8]>,
    /// If-Modified-Since.
    pub if_modified_since: Option<&'a [u8]>,
    /// If-Match.
    pub if_match: Option<&'a [u8]>,
    /// If-Unmodified-Since.
    pub if_unmodified_since: Option<&'a [u8]>,
    /// Range.
    pub range: Option<&'a [u8]>,
    /// If-Range.
    pub if_range: Option<&'a [u8]>,
    /// Accept-Encoding.
    pub accept_encoding: Option<&'a [u8]>,
}

/// An answer: its head, and a small body, are in the caller's buffer.
#[derive(Debug)]
pub struct Served {
    /// Of the response.
    pub status: u16,
    /// The connection may serve another request.
    pub keep_alive: bool,
    /// What has to be sent behind the buffer.
    pub body: FileBody,
    /// Bytes of the body in all, wherever they are; 0 for HEAD and 304.
    pub body_length: u64,
}

/// What has to be sent behind the buffer.
#[derive(Debug)]
pub enum FileBody {
    /// Nothing.
    Empty,
    /// A part of a file. When the file has become shorter meanwhile, the connection has to be closed.
    File {
        /// Opened for reading.
        file: OwnedFd,
        /// First byte.
        offset: u64,
        /// Bytes from there.
        length: u64,
    },
}

/// How the application names a protected file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// `X-Accel-Redirect`: a URI, percent-encoded, below a protected prefix.
    Accel,
    /// `X-Sendfile`: an absolute path in a protected directory; percent-encoded where no such file exists as it is.
    Sendfile,
}

/// A protected file that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedError {
    /// 404 when the file is missing, 503 when descriptors have run out, 500 when the application has to be mended.
    pub status: u16,
    /// A sentence with a hint for the log.
    pub reason: String,
}

/// All mounts and protected directories of a site.
#[derive(Debug)]
pub struct StaticFiles {
    /// Longest prefix first, each with its Cache-Control for names without a hash.
    mounts: Vec<(Mount, String)>,
    /// Longest prefix first.
    protected: Vec<(String, PathBuf)>,
    /// Paths of which the application decides who may read what lies there and below.
    guarded: Vec<String>,
    state: Mutex<State>,
}

impl StaticFiles {
    /// Roots that do not exist are tried again each time that one of their files is asked for.
    ///
    /// InvalidInput when a prefix does not begin and end with `/`, or a directory is not absolute.
    pub fn new(mut mounts: Vec<Mount>, mut protected: Vec<(String, PathBuf)>) -> io::Result<Self> {
        for prefix in mounts.iter().map(|mount| &mount.prefix).chain(protected.iter().map(|(prefix, _)| prefix)) {
            if !prefix.starts_with('/') || !prefix.ends_with('/') {
                return Err(invalid(format!("the prefix \"{prefix}\" has to begin and end with \"/\"")));
            }
        }
        for root in mounts.iter().flat_map(|mount| &mount.roots).chain(protected.iter().map(|(_, root)| root)) {
            if !root.is_absolute() {
                return Err(invalid(format!("the directory \"{}\" has to be an absolute path", root.display())));
            }
        }
        mounts.sort_by_key(|mount| Reverse(mount.prefix.len()));
        protected.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        let mounts = mounts.into_iter().map(|mount| {
            let age = mount.max_age;
            (mount, if age == 0 { "no-cache".to_owned() } else { format!("max-age={age}, public") })
        });
        let guarded = Vec::new();
        Ok(Self { mounts: mounts.collect(), protected, guarded, state: Mutex::default() })
    }

    /// Leaves these paths, and what lies below them, to the application, which may come back with
    /// [`Self::answer_guarded`]. The empty path is the whole site.
    pub fn guarding(self, guarded: Vec<String>) -> Self {
        Self { guarded, ..self }
    }

    /// Some paths are the application's to decide.
    pub fn has_guards(&self) -> bool {
        !self.guarded.is_empty()
    }

    /// Compares name by name, as the file system does: a doubled slash leads to the same file.
    fn is_guarded<'a>(&self, path: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        self.guarded.iter().any(|guarded| {
            let mut wanted = path.clone();
            names(guarded.as_bytes()).all(|name| wanted.next() == Some(name))
        })
    }

    /// No path is ours; protected files may still be.
    pub fn is_empty(&self) -> bool {
        self.mounts.is_empty()
    }

    /// Answers a request below one of the prefixes; the longest that fits decides alone. None, and nothing written:
    /// none of them fits, the path is guarded, or the file is missing and the mount falls through.
    pub fn answer(&self, request: &FileRequest<'_>, out: &mut Vec<u8>) -> Option<Served> {
        self.answer_at(SystemTime::now, request, out)
    }

    fn answer_at(
        &self,
        clock: impl Fn() -> SystemTime,
        request: &FileRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Served> {
        let path = percent_decoded(request.path);
        // As for the guard itself: a rule may mean the path with SCRIPT_NAME, or the one below it.
        let is_guarded_there = || self.is_guarded(names(request.script_name).chain(names(&path)));
        if self.is_guarded(names(&path)) || (!request.script_name.is_empty() && is_guarded_there()) {
            return None;
        }
        self.answer_path(&path, false, clock, request, out)
    }

    /// What [`Self::answer`] would have answered, had the path not been guarded; but nobody may keep it unasked.
    pub fn answer_guarded(&self, request: &FileRequest<'_>, out: &mut Vec<u8>) -> Option<Served> {
        self.answer_path(&percent_decoded(request.path), true, SystemTime::now, request, out)
    }

    fn answer_path(
        &self,
        path: &[u8],
        is_private: bool,
        clock: impl Fn() -> SystemTime,
        request: &FileRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Served> {
        let (mount, cache_control) =
            self.mounts.iter().find(|(mount, _)| path.starts_with(mount.prefix.as_bytes()))?;
        let now = clock();
        // A slash that was encoded is part of a name, and no file's name holds one.
        let name = safe_name(&path[mount.prefix.len()..]).filter(|_| !holds_encoded_slash(request.path));
        let content_type = content_type(name.unwrap_or_default());
        let varies = is_compressible(content_type);
        // A range counts bytes of one representation: of the plain one, which does not depend on Accept-Encoding.
        let encodings = match request.accept_encoding {
            Some(accepted) if varies && request.range.is_none() => accepted_encodings(accepted),
            _ => [None; 3],
        };
        let found = match name {
            Some(name) => self.state().find(&mount.prefix, &mount.roots, name, encodings, now),
            None => Err(Absent::Missing),
        };
        let answer = match found {
            Ok(_) if !is_read(request.method) => {
                plain(request, b"405 Method Not Allowed", &[(b"Allow", b"GET, HEAD")], out)
            }
            Ok(found) => {
                let is_immutable = mount.immutable_hashed && has_hash(name.unwrap_or_default());
                let public = if is_immutable { IMMUTABLE } else { cache_control };
                let presentation = Presentation {
                    status: b"200 OK",
                    content_type: Some(content_type),
                    cache_control: Some(if is_private { PRIVATE } else { public }),
                    varies,
                    fields: &[],
                };
                respond(request, found, &presentation, now, out)
            }
            Err(Absent::Missing) if mount.fall_through => return None,
            Err(Absent::Missing) => plain(request, b"404 Not Found", &[], out),
            Err(Absent::Exhausted) => plain(request, b"503 Service Unavailable", &[(b"Retry-After", b"1")], out),
        };
        // All fields are our own, so the encoder refuses none of them.
        debug_assert!(answer.is_ok(), "{answer:?}");
        answer.ok()
    }

    /// Answers with a file that the application names instead of a body. `status` and `fields` are the application's;
    /// what describes its own body (its length, coding, validators) is left out.
    ///
    /// A status other than 200, or a method other than GET and HEAD, means the whole file, whatever the preconditions.
    pub fn answer_protected(
        &self,
        location: &[u8],
        kind: Protected,
        request: &FileRequest<'_>,
        status: &[u8],
        fields: &[(&[u8], &[u8])],
        out: &mut Vec<u8>,
    ) -> Result<Served, ProtectedError> {
        let field = if kind == Protected::Accel { "X-Accel-Redirect" } else { "X-Sendfile" };
        let refused = |status, what: &str| {
            Err(ProtectedError { status, reason: format!("{field} \"{}\" {what}", location.escape_ascii()) })
        };
        let decoded = percent_decoded(location.split(|byte| *byte == b'?').next().unwrap_or_default());
        let candidates = match kind {
            Protected::Accel => [None, self.protected_by_prefix(&decoded)],
            Protected::Sendfile => [self.protected_by_path(location), self.protected_by_path(&decoded)],
        };
        let mut absent = None;
        for (root, name) in candidates.into_iter().flatten() {
            let now = SystemTime::now();
            let found = match self.state().load(std::slice::from_ref(root), name, [None; 3], now) {
                Ok(found) => found,
                Err(reason) => {
                    absent = Some(reason);
                    continue;
                }
            };
            let kept: Vec<_> = fields.iter().copied().filter(|(name, _)| !describes_own_body(name)).collect();
            let gives = |wanted: &str| kept.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
            let presentation = Presentation {
                status,
                content_type: (!gives("Content-Type")).then(|| content_type(name)),
                // Who may read it is for the application to say, each time.
                cache_control: (!gives("Cache-Control")).then_some(PRIVATE),
                varies: false,
                fields: &kept,
            };
            return respond(request, found, &presentation, now, out)
                .map_err(|error| ProtectedError { status: 500, reason: error.reason });
        }
        match absent {
            Some(Absent::Missing) => {
                refused(404, "does not exist or may not be read; hint: look at its name and owner")
            }
            Some(Absent::Exhausted) => refused(503, "cannot be opened; hint: raise the limit of open files"),
            None => refused(500, "lies in no protected directory; hint: configure the directory as protected"),
        }
    }

    fn protected_by_prefix<'a>(&'a self, path: &'a [u8]) -> Option<(&'a PathBuf, &'a [u8])> {
        self.protected
            .iter()
            .find_map(|(prefix, root)| Some((root, safe_name(path.strip_prefix(prefix.as_bytes())?)?)))
    }

    fn protected_by_path<'a>(&'a self, path: &'a [u8]) -> Option<(&'a PathBuf, &'a [u8])> {
        self.protected.iter().find_map(|(_, root)| {
            let directory = root.as_os_str().as_bytes();
            let directory = directory.strip_suffix(b"/").unwrap_or(directory);
            Some((root, safe_name(path.strip_prefix(directory)?.strip_prefix(b"/")?)?))
        })
    }

    /// A thread that panicked while holding it has left it usable: every step is complete.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Why there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    /// It does not exist, or must not be seen.
    Missing,
    /// Descriptors or memory have run out.
    Exhausted,
}

impl From<Errno> for Absent {
    fn from(error: Errno) -> Self {
        match error {
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Absent::Exhausted,
            _ => Absent::Missing,
        }
    }
}

/// What is said of a file.
#[derive(Debug)]
struct Description {
    size: u64,
    encoding: Option<Encoding>,
    etag: String,
    /// Seconds since 1970.
    modified: u64,
    last_modified: String,
}

impl Description {
    fn new(stat: &Stat, size: u64, encoding: Option<Encoding>, now: SystemTime) -> Self {
        // RFC 9110 8.8.2.1: Last-Modified is never later than Date. Nor is it a date that HTTP cannot write.
        let now = seconds(now);
        let modified = u64::try_from(stat.st_mtime).unwrap_or(0).min(now);
        // The inode tells files apart whose times were made equal, as reproducible images do. Where machines share
        // the work, this may cost a client a second download; without it, it could cost the right contents.
        // A sibling is a file of its own, so that each coding has its own tag.
        let (mtime, nanoseconds, inode) = (stat.st_mtime, stat.st_mtime_nsec, stat.st_ino);
        Self {
            size,
            encoding,
            etag: format!("\"{mtime:x}.{nanoseconds:x}-{size:x}-{inode:x}\""),
            modified,
            last_modified: fmt_http_date(UNIX_EPOCH + Duration::from_secs(modified)),
        }
    }
}

/// Since 1970, within what HTTP's dates can say.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST_SECOND)
}

/// A file that was read whole.
#[derive(Debug)]
struct Small {
    description: Description,
    body: Vec<u8>,
    file: OwnedFd,
    stat: Stat,
    loaded: SystemTime,
}

impl Small {
    fn is_current(&self, now: SystemTime) -> bool {
        is_recent(self.loaded, now) && fstat(&self.file).is_ok_and(|stat| version(&stat) == version(&self.stat))
    }
}

/// What changes with every change to a file, and when it is renamed, replaced or deleted.
fn version(stat: &Stat) -> impl PartialEq {
    (stat.st_ctime, stat.st_ctime_nsec, stat.st_mtime, stat.st_mtime_nsec, stat.st_size, stat.st_nlink)
}

/// A clock that was set back makes nothing recent.
fn is_recent(then: SystemTime, now: SystemTime) -> bool {
    now.duration_since(then).is_ok_and(|age| age < VALIDITY)
}

/// A file to answer with.
#[derive(Debug)]
enum Found {
    Small(Arc<Small>),
    Large(Description, OwnedFd),
}

/// What is open.
#[derive(Debug, Default)]
struct State {
    roots: HashMap<PathBuf, (OwnedFd, SystemTime)>,
    kept: HashMap<Vec<u8>, Arc<Small>>,
    /// The key that is looked up: kept, so that looking up allocates nothing.
    key: Vec<u8>,
}

impl State {
    /// A kept file, or one from disk.
    fn find(
        &mut self,
        prefix: &str,
        roots: &[PathBuf],
        name: &[u8],
        encodings: [Option<Encoding>; 3],
        now: SystemTime,
    ) -> Result<Found, Absent> {
        self.key.clear();
        self.key.extend(encodings.map(|encoding| encoding.map_or(0, |encoding| 1 + encoding as u8)));
        self.key.extend_from_slice(prefix.as_bytes());
        self.key.extend_from_slice(name);
        if let Some(small) = self.kept.get(&self.key).filter(|small| small.is_current(now)) {
            return Ok(Found::Small(Arc::clone(small)));
        }
        self.kept.remove(&self.key);
        let found = self.load(roots, name, encodings, now)?;
        if let Found::Small(small) = &found {
            self.keep(small, now);
        }
        Ok(found)
    }

    /// A file that was changed a moment ago is not kept: the clock of a file system ticks every few milliseconds,
    /// and a second change within one tick could not be seen.
    fn keep(&mut self, small: &Arc<Small>, now: SystemTime) {
        let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(small.stat.st_ctime).unwrap_or(0));
        let is_settled = now.duration_since(changed).is_ok_and(|age| age > 2 * VALIDITY);
        if self.kept.len() >= KEPT_FILES {
            self.kept.retain(|_, small| is_recent(small.loaded, now));
        }
        if is_settled && self.kept.len() < KEPT_FILES {
            self.kept.insert(self.key.clone(), Arc::clone(small));
        }
    }

    /// The first root that has the file answers, with the first sibling that there is of `encodings`.
    fn load(
        &mut self,
        roots: &[PathBuf],
        name: &[u8],
        encodings: [Option<Encoding>; 3],
        now: SystemTime,
    ) -> Result<Found, Absent> {
        let mut absent = Absent::Missing;
        for root in roots {
            match self.open(root, name, now) {
                Ok((file, stat)) => {
                    for encoding in encodings.into_iter().flatten() {
                        let sibling = [name, b".", encoding.names().1.as_bytes()].concat();
                        if let Ok((file, stat)) = self.open(root, &sibling, now) {
                            return read(file, stat, Some(encoding), now);
                        }
                    }
                    return read(file, stat, None, now);
                }
                Err(Absent::Missing) => {}
                Err(Absent::Exhausted) => absent = Absent::Exhausted,
            }
        }
        Err(absent)
    }

    /// Opens a regular file.
    fn open(&mut self, root: &Path, name: &[u8], now: SystemTime) -> Result<(OwnedFd, Stat), Absent> {
        let directory = self.root(root, now)?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = match openat2(directory, name, FLAGS, Mode::empty(), resolve) {
            // A kernel older than 5.6, a container's filter, or something was renamed while the kernel looked.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => walk(directory, name)?,
            opened => opened?,
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            Ok((file, stat))
        } else {
            Err(Absent::Missing)
        }
    }

    /// A root's directory, opened anew after a second: it may have been replaced, or made only now.
    fn root(&mut self, path: &Path, now: SystemTime) -> Result<BorrowedFd<'_>, Errno> {
        if !self.roots.get(path).is_some_and(|(_, opened)| is_recent(*opened, now)) {
            let directory = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
            self.roots.remove(path);
            self.roots.insert(path.to_owned(), (directory?, now));
        }
        self.roots.get(path).map(|(directory, _)| directory.as_fd()).ok_or(Errno::NOENT)
    }
}

/// What openat2 does, for systems without it, and stricter: no symbolic link is followed at all. The name has no
/// components `.` and `..`; see [`safe_name`].
fn walk(root: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let mut components = name.split(|byte| *byte == b'/').filter(|component| !component.is_empty());
    let last = components.next_back().ok_or(Errno::NOENT)?;
    let mut directory: Option<OwnedFd> = None;
    for component in components {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        directory = Some(openat(directory.as_ref().map_or(root, AsFd::as_fd), component, flags, Mode::empty())?);
    }
    openat(directory.as_ref().map_or(root, AsFd::as_fd), last, FLAGS | OFlags::NOFOLLOW, Mode::empty())
}

fn read(file: OwnedFd, stat: Stat, encoding: Option<Encoding>, now: SystemTime) -> Result<Found, Absent> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size > SMALL {
        return Ok(Found::Large(Description::new(&stat, size, encoding, now), file));
    }
    let mut body = vec![0; size as usize];
    let mut filled = 0;
    while filled < body.len() {
        match pread(&file, &mut body[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    // It may have become shorter since fstat: what was read is what is announced.
    body.truncate(filled);
    let description = Description::new(&stat, filled as u64, encoding, now);
    Ok(Found::Small(Arc::new(Small { description, body, file, stat, loaded: now })))
}

/// The codings that a sibling may have, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Brotli,
    Zstandard,
    Gzip,
}

impl Encoding {
    const ALL: [Encoding; 3] = [Encoding::Brotli, Encoding::Zstandard, Encoding::Gzip];

    /// In Content-Encoding, and behind the last dot of the sibling's name.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Encoding::Brotli => ("br", "br"),
            Encoding::Zstandard => ("zstd", "zst"),
            Encoding::Gzip => ("gzip", "gz"),
        }
    }
}

/// The codings that a client accepts, the one it likes best first, ours among equals (RFC 9110 12.5.3).
fn accepted_encodings(value: &[u8]) -> [Option<Encoding>; 3] {
    let (mut weights, mut identity, mut others) = ([None; 3], 0, 0);
    for element in value.split(|byte| *byte == b',') {
        let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix(b"q=").or(part.strip_prefix(b"Q="))).map_or(1000, weight);
        match coding.as_slice() {
            b"br" => weights[0] = Some(weight),
            b"zstd" => weights[1] = Some(weight),
            b"gzip" | b"x-gzip" => weights[2] = Some(weight),
            b"identity" => identity = weight,
            b"*" => others = weight,
            _ => {}
        }
    }
    let mut accepted = [0, 1, 2].map(|index| (weights[index].unwrap_or(others), Encoding::ALL[index]));
    accepted.sort_by_key(|(weight, _)| Reverse(*weight));
    accepted.map(|(weight, encoding)| (weight > 0 && weight >= identity).then_some(encoding))
}

/// `0.5` is 500; what is no number is 0.
fn weight(text: &[u8]) -> u16 {
    let weight = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f32>().ok()).unwrap_or(0.0);
    (weight.clamp(0.0, 1.0) * 1000.0) as u16
}

/// What is said of a file besides what the file system knows.
struct Presentation<'a> {
    status: &'a [u8],
    /// None when it is among `fields`.
    content_type: Option<&'a str>,
    /// None when it is among `fields`.
    cache_control: Option<&'a str>,
    /// The client's Accept-Encoding decides which sibling is sent, also when there is none yet.
    varies: bool,
    /// The application's.
    fields: &'a [(&'a [u8], &'a [u8])],
}

fn respond(
    request: &FileRequest<'_>,
    found: Found,
    presentation: &Presentation<'_>,
    now: SystemTime,
    out: &mut Vec<u8>,
) -> Result<Served, ResponseError> {
    let description = match &found {
        Found::Small(small) => &small.description,
        Found::Large(description, _) => description,
    };
    let size = description.size;
    let mut part = Part::Whole;
    let mut status = presentation.status;
    if status.starts_with(b"200") && is_read(request.method) {
        match precondition(request, description) {
            Precondition::Holds => part = requested_part(request, description, now),
            Precondition::NotModified => status = b"304 Not Modified",
            Precondition::Failed => return plain(request, b"412 Precondition Failed", &[], out),
        }
    }
    let (offset, length) = match part {
        Part::Whole => (0, size),
        Part::Range(offset, length) => (offset, length),
        Part::Unsatisfiable => {
            let range = format!("bytes */{size}");
            return plain(request, b"416 Range Not Satisfiable", &[(b"Content-Range", range.as_bytes())], out);
        }
    };
    if matches!(part, Part::Range(..)) {
        status = b"206 Partial Content";
    }
    let is_unmodified = status.starts_with(b"304");

    let mut head = HeadEncoder::start(out, request.turn, status)?;
    for (name, value) in presentation.fields {
        // RFC 9110 15.4.5: a 304 says nothing of the contents, which the client has.
        if !is_unmodified || !starts_with_ignoring_case(name, b"content-") {
            head.field(name, value)?;
        }
    }
    head.field(b"ETag", description.etag.as_bytes())?;
    if let Some(cache_control) = presentation.cache_control {
        head.field(b"Cache-Control", cache_control.as_bytes())?;
    }
    if presentation.varies {
        head.field(b"Vary", b"Accept-Encoding")?;
    }
    if !is_unmodified {
        if let Some(content_type) = presentation.content_type {
            head.field(b"Content-Type", content_type.as_bytes())?;
        }
        if let Some(encoding) = description.encoding {
            head.field(b"Content-Encoding", encoding.names().0.as_bytes())?;
        }
        head.field(b"Last-Modified", description.last_modified.as_bytes())?;
        head.field(b"Accept-Ranges", b"bytes")?;
        if matches!(part, Part::Range(..)) {
            let range = format!("bytes {offset}-{}/{size}", offset + length - 1);
            head.field(b"Content-Range", range.as_bytes())?;
        }
        // Uploads lie among the media files: a browser must not take a picture for a page because of its contents.
        if !presentation.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(NO_SNIFF.0)) {
            head.field(NO_SNIFF.0, NO_SNIFF.1)?;
        }
    }
    let encoder = head.finish(request.date, (!is_unmodified).then_some(length))?;

    let keep_alive = encoder.keep_alive();
    let status = status_code(status);
    if encoder.is_bodiless() {
        return Ok(Served { status, keep_alive, body: FileBody::Empty, body_length: 0 });
    }
    let body = match found {
        Found::Small(small) => {
            out.extend_from_slice(&small.body[offset as usize..(offset + length) as usize]);
            FileBody::Empty
        }
        Found::Large(_, file) => FileBody::File { file, offset, length },
    };
    Ok(Served { status, keep_alive, body, body_length: length })
}

/// A short answer of our own: its status line's text is also its body.
fn plain(
    request: &FileRequest<'_>,
    status: &[u8],
    fields: &[(&[u8], &[u8])],
    out: &mut Vec<u8>,
) -> Result<Served, ResponseError> {
    let mut head = HeadEncoder::start(out, request.turn, status)?;
    head.field(b"Content-Type", b"text/plain; charset=utf-8")?;
    head.field(NO_SNIFF.0, NO_SNIFF.1)?;
    for (name, value) in fields {
        head.field(name, value)?;
    }
    let length = status.len() as u64 + 1;
    let encoder = head.finish(request.date, Some(length))?;
    let (keep_alive, status_code) = (encoder.keep_alive(), status_code(status));
    if encoder.is_bodiless() {
        return Ok(Served { status: status_code, keep_alive, body: FileBody::Empty, body_length: 0 });
    }
    out.extend_from_slice(status);
    out.push(b'\n');
    Ok(Served { status: status_code, keep_alive, body: FileBody::Empty, body_length: length })
}

fn status_code(status: &[u8]) -> u16 {
    status.iter().take(3).fold(0, |code, digit| code * 10 + u16::from(digit.wrapping_sub(b'0') % 10))
}

/// What the preconditions of RFC 9110 13.1 ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precondition {
    Holds,
    NotModified,
    Failed,
}

/// In the order of RFC 9110 13.2.2; If-Range comes with the range.
fn precondition(request: &FileRequest<'_>, description: &Description) -> Precondition {
    let since = |value: Option<&[u8]>| value.and_then(date).map(|date| description.modified <= date);
    if let Some(tags) = request.if_match {
        if !has_tag(tags, &description.etag, Comparison::Strong) {
            return Precondition::Failed;
        }
    } else if since(request.if_unmodified_since) == Some(false) {
        return Precondition::Failed;
    }
    let is_unmodified = match request.if_none_match {
        Some(tags) => has_tag(tags, &description.etag, Comparison::Weak),
        None => since(request.if_modified_since) == Some(true),
    };
    if is_unmodified {
        Precondition::NotModified
    } else {
        Precondition::Holds
    }
}

fn date(value: &[u8]) -> Option<u64> {
    parse_http_date(std::str::from_utf8(value).ok()?).ok().map(seconds)
}

/// RFC 9110 8.8.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Is the tag in the list, or is the list `*`? What is no list of tags ends it.
fn has_tag(list: &[u8], etag: &str, comparison: Comparison) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        // RFC 9110 5.6.1: empty elements of a list are skipped.
        while let Some(next) = rest.strip_prefix(b",") {
            rest = next.trim_ascii_start();
        }
        let (is_weak, tag) = rest.strip_prefix(b"W/").map_or((false, rest), |tag| (true, tag));
        let Some(end) = tag.strip_prefix(b"\"").and_then(|text| text.iter().position(|byte| *byte == b'"')) else {
            return false;
        };
        if &tag[..end + 2] == etag.as_bytes() && (comparison == Comparison::Weak || !is_weak) {
            return true;
        }
        rest = tag[end + 2..].trim_ascii_start();
        if !rest.starts_with(b",") {
            return false;
        }
    }
}

/// What of a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// First byte and length; the length is at least 1.
    Range(u64, u64),
    Unsatisfiable,
}

fn requested_part(request: &FileRequest<'_>, description: &Description, now: SystemTime) -> Part {
    // RFC 9110 14.2: a Range with another method than GET is ignored.
    let Some(range) = request.range.filter(|_| request.method == b"GET") else {
        return Part::Whole;
    };
    let is_same = match request.if_range {
        None => true,
        Some(validator) if validator.contains(&b'"') => has_tag(validator, &description.etag, Comparison::Strong),
        // RFC 9110 13.1.5 and 8.8.2.2: a date counts when it is exact, and when the second that it names has passed,
        // so that the file cannot change again within it.
        Some(validator) => date(validator) == Some(description.modified) && description.modified < seconds(now),
    };
    if is_same {
        part(range, description.size)
    } else {
        Part::Whole
    }
}

/// One range is honoured; several, and what is no range, are ignored as RFC 9110 14.2 permits. So is any range of an
/// empty file: no 416 for what the client gets whole without asking.
fn part(range: &[u8], size: u64) -> Part {
    let unit = b"bytes=";
    if size == 0 || !starts_with_ignoring_case(range, unit) {
        return Part::Whole;
    }
    let mut ends = range[unit.len()..].splitn(2, |byte| *byte == b'-').map(<[u8]>::trim_ascii);
    let (Some(first), Some(last)) = (ends.next(), ends.next()) else {
        return Part::Whole;
    };
    let (start, end) = match (number(first), number(last)) {
        (None, Some(count)) if first.is_empty() => (size.saturating_sub(count), size),
        (Some(start), None) if last.is_empty() => (start, size),
        (Some(start), Some(last)) if start <= last => (start, last.saturating_add(1).min(size)),
        _ => return Part::Whole,
    };
    if start < size {
        Part::Range(start, end - start)
    } else {
        Part::Unsatisfiable
    }
}

/// Digits and nothing else. A number that is too large for us is larger than any file.
fn number(digits: &[u8]) -> Option<u64> {
    let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    are_digits.then(|| {
        digits.iter().fold(0u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

fn is_read(method: &[u8]) -> bool {
    method == b"GET" || method == b"HEAD"
}

fn starts_with_ignoring_case(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start))
}

/// Fields of the application that tell of the body which the file replaces, or that were for us.
fn describes_own_body(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 7] = [
        b"accept-ranges",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"etag",
        b"last-modified",
        b"x-sendfile",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)) || starts_with_ignoring_case(name, b"x-accel-")
}

/// Decodes once; a `%` that no two hexadecimal digits follow stands for itself.
pub fn percent_decoded(path: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr(b'%', path) else {
        return Cow::Borrowed(path);
    };
    let mut decoded = path[..first].to_vec();
    let mut rest = &path[first..];
    while let Some((byte, after)) = rest.split_first() {
        let digit = |index: usize| after.get(index).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(decoded)
}

fn holds_encoded_slash(path: &[u8]) -> bool {
    memchr_iter(b'%', path).any(|at| starts_with_ignoring_case(&path[at..], b"%2f"))
}

/// The names in a path, without the slashes between them.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// The name of a file below a root, or None when it may not be served whatever there is: it leads upwards, begins with
/// a dot somewhere (`.env`, `.git`; but `.well-known` is made for the web), or holds what other systems than ours take
/// for a separator or an end.
fn safe_name(path: &[u8]) -> Option<&[u8]> {
    let start = path.iter().position(|byte| *byte != b'/')?;
    let name = &path[start..];
    let is_hidden = |component: &[u8]| component.starts_with(b".") && component != b".well-known";
    let is_unsafe =
        name.ends_with(b"/") || memchr2(0, b'\\', name).is_some() || name.split(|byte| *byte == b'/').any(is_hidden);
    (!is_unsafe).then_some(name)
}

/// Does the name say that its contents never change? Django writes `app.3f2a1b4c5d6e.css`, bundlers also
/// `app-3f2a1b4c.js`: before the last dot at least eight hexadecimal digits, of both kinds, so that no date or
/// number (`photo-20240131.jpg`) is taken for a hash. Vite's base64 hashes look too much like words
/// (`jquery-Sortable.js`): a file that changes after all, and was promised not to, is worse than one more request.
fn has_hash(name: &[u8]) -> bool {
    let mut parts = name.rsplitn(2, |byte| *byte == b'.');
    let (_, Some(stem)) = (parts.next(), parts.next()) else {
        return false;
    };
    let Some(separator) = stem.iter().rposition(|byte| matches!(byte, b'.' | b'-' | b'/')) else {
        return false;
    };
    let hash = &stem[separator + 1..];
    stem[separator] != b'/'
        && hash.len() >= 8
        && hash.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && hash.iter().any(u8::is_ascii_digit)
        && hash.iter().any(u8::is_ascii_alphabetic)
}

/// By the extension. Text is UTF-8, as Django and every editor write it; the other types say it themselves.
fn content_type(name: &[u8]) -> &'static str {
    let extension = name.rsplit(|byte| matches!(byte, b'.' | b'/')).next().unwrap_or_default();
    let mut lower = [0; 12];
    let (Some(lower), true) = (lower.get_mut(..extension.len()), extension.len() < name.len()) else {
        return "application/octet-stream";
    };
    lower.copy_from_slice(extension);
    lower.make_ascii_lowercase();
    match &*lower {
        b"css" => "text/css; charset=utf-8",
        b"js" | b"mjs" => "text/javascript; charset=utf-8",
        b"html" | b"htm" => "text/html; charset=utf-8",
        b"txt" | b"text" | b"log" => "text/plain; charset=utf-8",
        b"csv" => "text/csv; charset=utf-8",
        b"md" => "text/markdown; charset=utf-8",
        b"ics" => "text/calendar; charset=utf-8",
        b"vcf" => "text/vcard; charset=utf-8",
        b"vtt" => "text/vtt; charset=utf-8",
        b"xml" | b"xsl" => "text/xml; charset=utf-8",
        b"json" | b"map" => "application/json",
        b"geojson" => "application/geo+json",
        b"jsonld" => "application/ld+json",
        b"webmanifest" => "application/manifest+json",
        b"atom" => "application/atom+xml",
        b"rss" => "application/rss+xml",
        b"xhtml" => "application/xhtml+xml",
        b"yaml" | b"yml" => "application/yaml",
        b"wasm" => "application/wasm",
        b"svg" => "image/svg+xml",
        b"png" => "image/png",
        b"apng" => "image/apng",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"gif" => "image/gif",
        b"webp" => "image/webp",
        b"avif" => "image/avif",
        b"jxl" => "image/jxl",
        b"heic" => "image/heic",
        b"ico" => "image/x-icon",
        b"bmp" => "image/bmp",
        b"tif" | b"tiff" => "image/tiff",
        b"woff" => "font/woff",
        b"woff2" => "font/woff2",
        b"ttf" => "font/ttf",
        b"otf" => "font/otf",
        b"eot" => "application/vnd.ms-fontobject",
        b"mp3" => "audio/mpeg",
        b"m4a" => "audio/mp4",
        b"aac" => "audio/aac",
        b"flac" => "audio/flac",
        b"oga" | b"ogg" | b"opus" => "audio/ogg",
        b"wav" => "audio/wav",
        b"weba" => "audio/webm",
        b"mid" | b"midi" => "audio/midi",
        b"mp4" | b"m4v" => "video/mp4",
        b"webm" => "video/webm",
        b"ogv" => "video/ogg",
        b"mov" => "video/quicktime",
        b"avi" => "video/x-msvideo",
        b"mpeg" | b"mpg" => "video/mpeg",
        b"mkv" => "video/matroska",
        b"ts" => "video/mp2t",
        b"m3u8" => "application/vnd.apple.mpegurl",
        b"mpd" => "application/dash+xml",
        b"glb" => "model/gltf-binary",
        b"gltf" => "model/gltf+json",
        b"pdf" => "application/pdf",
        b"rtf" => "application/rtf",
        b"epub" => "application/epub+zip",
        b"doc" => "application/msword",
        b"docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        b"xls" => "application/vnd.ms-excel",
        b"xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        b"ppt" => "application/vnd.ms-powerpoint",
        b"pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        b"odt" => "application/vnd.oasis.opendocument.text",
        b"ods" => "application/vnd.oasis.opendocument.spreadsheet",
        b"odp" => "application/vnd.oasis.opendocument.presentation",
        b"zip" => "application/zip",
        b"gz" | b"tgz" => "application/gzip",
        b"bz2" => "application/x-bzip2",
        b"xz" => "application/x-xz",
        b"zst" => "application/zstd",
        b"7z" => "application/x-7z-compressed",
        b"tar" => "application/x-tar",
        _ => "application/octet-stream",
    }
}

/// Types that compress well: those for which siblings are looked for, and caches told that there may be some.
fn is_compressible(content_type: &str) -> bool {
    const OTHERS: [&str; 7] = [
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/x-icon",
    ];
    content_type.starts_with("text/")
        || content_type.ends_with("json")
        || content_type.ends_with("xml")
        || OTHERS.contains(&content_type)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A test that fails here fails as it should.
mod tests {
    use super::*;
    use penstock_http::Version;
    use rustix::fs::{mkfifoat, utimensat, AtFlags, Timespec, Timestamps};
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    /// A root with some files, and a secret beside it.
    struct Site {
        folder: TempDir,
        files: StaticFiles,
    }

    struct Answer {
        status: u16,
        head: String,
        body: Vec<u8>,
    }

    impl Answer {
        fn field(&self, name: &str) -> Option<&str> {
            self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        }
    }

    fn mount(prefix: &str, root: PathBuf) -> Mount {
        Mount { prefix: prefix.into(), roots: vec![root], max_age: 60, immutable_hashed: true, fall_through: false }
    }

    impl Site {
        fn new() -> Self {
            Self::with(|_| {})
        }

        fn with(change: impl FnOnce(&mut Mount)) -> Self {
            let folder = TempDir::new().unwrap();
            let root = folder.path().join("root");
            fs::create_dir_all(root.join("sub/deep")).unwrap();
            fs::write(root.join("app.js"), "0123456789").unwrap();
            fs::write(root.join("sub/photo.JPG"), vec![7; 40_000]).unwrap();
            fs::write(root.join("empty.txt"), "").unwrap();
            fs::write(folder.path().join("secret"), "secret").unwrap();
            fs::create_dir(folder.path().join("protected")).unwrap();
            fs::write(folder.path().join("protected/bill 1.pdf"), "a bill").unwrap();
            let mut mount = mount("/static/", root);
            change(&mut mount);
            let protected = vec![("/protected/".into(), folder.path().join("protected"))];
            Self { files: StaticFiles::new(vec![mount], protected).unwrap(), folder }
        }

        fn root(&self) -> PathBuf {
            self.folder.path().join("root")
        }

        fn ask(&self, request: &FileRequest<'_>) -> Option<Answer> {
            self.ask_at(SystemTime::now(), request)
        }

        fn ask_at(&self, now: SystemTime, request: &FileRequest<'_>) -> Option<Answer> {
            let mut out = b"before".to_vec();
            let served = self.files.answer_at(|| now, request, &mut out);
            assert!(out.starts_with(b"before"));
            match served {
                Some(served) => Some(answer_of(served, &out[6..])),
                None => {
                    assert_eq!(out, b"before");
                    None
                }
            }
        }

        fn get(&self, path: &str) -> Answer {
            self.ask(&get(path)).unwrap()
        }

        fn status(&self, path: &str) -> u16 {
            self.get(path).status
        }

        fn protected(
            &self,
            kind: Protected,
            location: &str,
            status: &str,
            fields: &[(&[u8], &[u8])],
        ) -> Result<Answer, ProtectedError> {
            let mut out = Vec::new();
            let served = self.files.answer_protected(
                location.as_bytes(),
                kind,
                &get("/bill"),
                status.as_bytes(),
                fields,
                &mut out,
            );
            served.map(|served| answer_of(served, &out))
        }
    }

    fn answer_of(served: Served, out: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(out).into_owned();
        let end = text.find("\r\n\r\n").unwrap();
        let mut body = out[end + 4..].to_vec();
        if let FileBody::File { file, offset, length } = served.body {
            let mut bytes = vec![0; length as usize];
            assert_eq!(pread(&file, &mut bytes, offset).unwrap(), bytes.len());
            body.extend(bytes);
        }
        assert_eq!(body.len() as u64, served.body_length);
        assert!(text.starts_with(&format!("HTTP/1.1 {} ", served.status)), "{text}");
        Answer { status: served.status, head: text[..end].into(), body }
    }

    fn get(path: &str) -> FileRequest<'_> {
        FileRequest {
            method: b"GET",
            path: path.as_bytes(),
            script_name: b"",
            turn: Turn { version: Version::Http11, head_only: false, keep_alive: true },
            date: DATE,
            if_none_match: None,
            if_modified_since: None,
            if_match: None,
            if_unmodified_since: None,
            range: None,
            if_range: None,
            accept_encoding: None,
        }
    }

    /// Ten seconds on: what was just written has settled, so that it is kept.
    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(10)
    }

    fn set_modified(path: &Path, seconds: i64) {
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
    }

    #[test]
    fn a_file_is_served_with_its_type_its_validators_and_its_age() {
        let site = Site::new();
        set_modified(&site.root().join("app.js"), 784_111_777);
        let answer = site.get("/static/app.js");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"0123456789"[..]));
        assert_eq!(answer.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.field("Content-Length"), Some("10"));
        assert_eq!(answer.field("Last-Modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(answer.field("Cache-Control"), Some("max-age=60, public"));
        assert_eq!(answer.field("Accept-Ranges"), Some("bytes"));
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
        assert!(answer.field("ETag").is_some_and(|tag| tag.starts_with('"') && tag.ends_with('"')));
    }

    #[test]
    fn a_large_file_is_left_to_the_caller_to_send() {
        let site = Site::new();
        let answer = site.get("/static/sub/photo.JPG");
        assert_eq!((answer.status, answer.body.len()), (200, 40_000));
        assert_eq!(answer.field("Content-Type"), Some("image/jpeg"));
        assert_eq!(answer.field("Vary"), None);
    }

    #[test]
    fn other_paths_are_not_ours() {
        let site = Site::new();
        for path in ["/", "/static", "/statics/app.js", "/x/static/app.js", "/x/../static/app.js", "*", ""] {
            assert!(site.ask(&get(path)).is_none(), "{path}");
        }
        assert!(!site.files.is_empty());
        assert!(StaticFiles::new(Vec::new(), Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn nothing_outside_the_root_can_be_named() {
        let site = Site::new();
        for path in [
            "/static/../secret",
            "/static/%2e%2e/secret",
            "/static/.%2E/secret",
            "/static/%252e%252e/secret",
            "/static/sub/../../secret",
            "/static/..%2fsecret",
            "/static/..%5csecret",
            "/static/..\\secret",
            "/static//../secret",
            "/static/sub%2fphoto.JPG",
            "/static%2fapp.js",
            "/static/app.js%00",
            "/static/app.js%00.txt",
            "/static//etc/passwd",
            "/static/%2fetc/passwd",
        ] {
            assert_eq!(site.status(path), 404, "{path}");
        }
    }

    #[test]
    fn a_link_out_of_the_root_is_missing_and_one_inside_is_followed() {
        let site = Site::new();
        symlink("../secret", site.root().join("relative.txt")).unwrap();
        symlink(site.folder.path().join("secret"), site.root().join("absolute.txt")).unwrap();
        symlink("..", site.root().join("upwards")).unwrap();
        symlink("../app.js", site.root().join("sub/inside.js")).unwrap();
        symlink("loop", site.root().join("loop")).unwrap();
        for path in ["/static/relative.txt", "/static/absolute.txt", "/static/upwards/secret", "/static/loop"] {
            assert_eq!(site.status(path), 404, "{path}");
        }
        assert_eq!(site.get("/static/sub/inside.js").body, b"0123456789");
    }

    #[test]
    fn without_openat2_files_are_found_and_no_link_is_followed() {
        let site = Site::new();
        symlink("../secret", site.root().join("out.txt")).unwrap();
        symlink("../app.js", site.root().join("sub/inside.js")).unwrap();
        symlink("sub", site.root().join("linked")).unwrap();
        let root = fs::File::open(site.root()).unwrap();
        for name in ["app.js", "sub/photo.JPG", "sub//photo.JPG"] {
            assert!(walk(root.as_fd(), name.as_bytes()).is_ok(), "{name}");
        }
        for name in ["out.txt", "sub/inside.js", "linked/photo.JPG", "app.js/x", "none", ""] {
            assert!(walk(root.as_fd(), name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn hidden_files_are_missing_but_well_known_ones_are_not() {
        let site = Site::new();
        fs::write(site.root().join(".env"), "x").unwrap();
        fs::create_dir_all(site.root().join(".git")).unwrap();
        fs::write(site.root().join(".git/config"), "x").unwrap();
        fs::create_dir_all(site.root().join(".well-known")).unwrap();
        fs::write(site.root().join(".well-known/security.txt"), "x").unwrap();
        for path in ["/static/.env", "/static/%2eenv", "/static/.git/config", "/static/./app.js"] {
            assert_eq!(site.status(path), 404, "{path}");
        }
        assert_eq!(site.status("/static/.well-known/security.txt"), 200);
    }

    #[test]
    fn directories_and_special_files_are_missing_and_nobody_waits_for_a_fifo() {
        let site = Site::new();
        mkfifoat(CWD, site.root().join("fifo"), Mode::from_raw_mode(0o600)).unwrap();
        for path in ["/static/", "/static/sub", "/static/sub/", "/static/fifo", "/static/app.js/"] {
            assert_eq!(site.status(path), 404, "{path}");
        }
    }

    #[test]
    fn names_are_decoded_once() {
        let site = Site::new();
        for (name, path) in [
            ("a b.txt", "/static/a%20b.txt"),
            ("100%.txt", "/static/100%.txt"),
            ("%41.txt", "/static/%2541.txt"),
            ("ü.txt", "/static/%C3%BC.txt"),
            ("a?b.txt", "/static/a%3Fb.txt"),
        ] {
            fs::write(site.root().join(name), name).unwrap();
            assert_eq!(site.get(path).body, name.as_bytes(), "{path}");
        }
        assert_eq!(site.get("/st%61tic/app.js").status, 200);
    }

    #[test]
    fn only_get_and_head_are_allowed() {
        let site = Site::new();
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
            let answer = site.ask(&FileRequest { method: method.as_bytes(), ..get("/static/app.js") }).unwrap();
            assert_eq!((answer.status, answer.field("Allow")), (405, Some("GET, HEAD")), "{method}");
        }
        let turn = Turn { version: Version::Http11, head_only: true, keep_alive: true };
        for path in ["/static/app.js", "/static/sub/photo.JPG"] {
            let answer = site.ask(&FileRequest { method: b"HEAD", turn, ..get(path) }).unwrap();
            assert_eq!((answer.status, answer.body.len()), (200, 0));
            let length = site.get(path).body.len().to_string();
            assert_eq!(answer.field("Content-Length"), Some(length.as_str()));
        }
    }

    #[test]
    fn the_client_that_has_the_file_gets_304() {
        let site = Site::new();
        let whole = site.get("/static/app.js");
        let (tag, modified) = (whole.field("ETag").unwrap(), whole.field("Last-Modified").unwrap());
        let weak = format!("\"other, thing\" , W/{tag}");
        for tags in [tag, "*", &weak] {
            let request = FileRequest { if_none_match: Some(tags.as_bytes()), ..get("/static/app.js") };
            let answer = site.ask(&request).unwrap();
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{tags}");
            for name in ["ETag", "Cache-Control", "Vary"] {
                assert_eq!(answer.field(name), whole.field(name));
            }
            for name in ["Content-Type", "Content-Length", "Last-Modified", "Transfer-Encoding"] {
                assert_eq!(answer.field(name), None, "{name}");
            }
        }
        let request = FileRequest { if_modified_since: Some(modified.as_bytes()), ..get("/static/app.js") };
        assert_eq!(site.ask(&request).unwrap().status, 304);
    }

    #[test]
    fn preconditions_are_looked_at_in_the_order_of_the_rfc() {
        let site = Site::new();
        set_modified(&site.root().join("app.js"), 784_111_777);
        let (old, same) = (Some(&b"Sat, 05 Nov 1994 08:49:37 GMT"[..]), Some(DATE));
        let whole = site.get("/static/app.js");
        let tag = Some(whole.field("ETag").unwrap().as_bytes());
        let weak = format!("W/{}", whole.field("ETag").unwrap());
        let ask = |request: FileRequest<'_>| site.ask(&request).unwrap().status;
        let plain = get("/static/app.js");
        assert_eq!(ask(FileRequest { if_match: Some(b"\"x\""), ..plain }), 412);
        assert_eq!(ask(FileRequest { if_match: Some(weak.as_bytes()), ..plain }), 412);
        assert_eq!(ask(FileRequest { if_match: Some(b"*"), ..plain }), 200);
        assert_eq!(ask(FileRequest { if_match: tag, if_unmodified_since: old, ..plain }), 200);
        assert_eq!(ask(FileRequest { if_unmodified_since: old, ..plain }), 412);
        assert_eq!(ask(FileRequest { if_unmodified_since: same, ..plain }), 200);
        assert_eq!(ask(FileRequest { if_unmodified_since: Some(b"nonsense"), ..plain }), 200);
        assert_eq!(ask(FileRequest { if_match: tag, if_none_match: tag, ..plain }), 304);
        assert_eq!(ask(FileRequest { if_none_match: Some(b"\"x\""), if_modified_since: same, ..plain }), 200);
        assert_eq!(ask(FileRequest { if_none_match: Some(b"nonsense"), ..plain }), 200);
        assert_eq!(ask(FileRequest { if_modified_since: old, ..plain }), 200);
        assert_eq!(ask(FileRequest { if_none_match: tag, range: Some(b"bytes=0-1"), ..plain }), 304);
        assert_eq!(ask(FileRequest { if_match: Some(b"\"x\""), range: Some(b"bytes=0-1"), ..plain }), 412);
    }

    #[test]
    fn one_range_is_sent_alone() {
        let site = Site::new();
        for (range, content_range, body) in [
            ("bytes=0-0", "bytes 0-0/10", "0"),
            ("bytes=2-4", "bytes 2-4/10", "234"),
            ("bytes=7-", "bytes 7-9/10", "789"),
            ("bytes=-3", "bytes 7-9/10", "789"),
            ("bytes=-99", "bytes 0-9/10", "0123456789"),
            ("Bytes=8-99999999999999999999999", "bytes 8-9/10", "89"),
            ("bytes=0-18446744073709551615", "bytes 0-9/10", "0123456789"),
        ] {
            let answer = site.ask(&FileRequest { range: Some(range.as_bytes()), ..get("/static/app.js") }).unwrap();
            assert_eq!((answer.status, answer.field("Content-Range")), (206, Some(content_range)), "{range}");
            assert_eq!(answer.body, body.as_bytes(), "{range}");
        }
        let request = FileRequest { range: Some(b"bytes=39990-50000"), ..get("/static/sub/photo.JPG") };
        assert_eq!(site.ask(&request).unwrap().body.len(), 10);
    }

    #[test]
    fn a_range_beyond_the_end_gets_416_with_the_length() {
        let site = Site::new();
        for range in ["bytes=10-", "bytes=10-11", "bytes=99999999999999999999-", "bytes=-0"] {
            let answer = site.ask(&FileRequest { range: Some(range.as_bytes()), ..get("/static/app.js") }).unwrap();
            assert_eq!((answer.status, answer.field("Content-Range")), (416, Some("bytes */10")), "{range}");
        }
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        let site = Site::new();
        for range in ["bytes=0-1,3-4", "bytes=4-2", "bytes=", "bytes=-", "bytes=a-b", "bytes=+1-2", "lines=0-1", "0-1"]
        {
            let answer = site.ask(&FileRequest { range: Some(range.as_bytes()), ..get("/static/app.js") }).unwrap();
            assert_eq!((answer.status, answer.body.len()), (200, 10), "{range}");
        }
        let request = FileRequest { range: Some(b"bytes=0-"), ..get("/static/empty.txt") };
        assert_eq!(site.ask(&request).unwrap().status, 200);
        let turn = Turn { version: Version::Http11, head_only: true, keep_alive: true };
        let request = FileRequest { method: b"HEAD", turn, range: Some(b"bytes=0-1"), ..get("/static/app.js") };
        assert_eq!(site.ask(&request).unwrap().status, 200);
    }

    #[test]
    fn if_range_asks_for_a_part_of_the_same_file_only() {
        let site = Site::new();
        let path = site.root().join("app.js");
        set_modified(&path, 784_111_777);
        let tag = site.get("/static/app.js").field("ETag").unwrap().to_owned();
        let weak = format!("W/{tag}");
        let ask = |validator: &[u8]| {
            let request =
                FileRequest { range: Some(b"bytes=0-1"), if_range: Some(validator), ..get("/static/app.js") };
            site.ask(&request).unwrap().status
        };
        assert_eq!(ask(tag.as_bytes()), 206);
        assert_eq!(ask(DATE), 206);
        assert_eq!(ask(weak.as_bytes()), 200);
        assert_eq!(ask(b"\"x\""), 200);
        assert_eq!(ask(b"Sun, 06 Nov 1994 08:49:38 GMT"), 200);
        assert_eq!(ask(b"nonsense"), 200);
        fs::write(&path, "abcdefghij").unwrap();
        assert_eq!(ask(tag.as_bytes()), 200);
    }

    fn with_siblings() -> Site {
        let site = Site::new();
        for (extension, contents) in [("br", "BR"), ("zst", "ZST"), ("gz", "GZIP")] {
            fs::write(site.root().join(format!("app.js.{extension}")), contents).unwrap();
        }
        site
    }

    #[test]
    fn the_sibling_that_the_client_likes_best_is_sent() {
        let site = with_siblings();
        for (accepted, coding, body) in [
            ("gzip, deflate, br, zstd", Some("br"), "BR"),
            ("gzip", Some("gzip"), "GZIP"),
            ("GZip;q=0.8, zstd;q=0.9", Some("zstd"), "ZST"),
            ("br;q=0, *", Some("zstd"), "ZST"),
            ("br ; q=0.1, gzip ; Q=0.2", Some("gzip"), "GZIP"),
            ("identity, gzip;q=0.5", None, "0123456789"),
            ("br;q=0, gzip;q=0.000", None, "0123456789"),
            ("gzip;q=nonsense", None, "0123456789"),
            ("*;q=0", None, "0123456789"),
            ("deflate", None, "0123456789"),
            ("", None, "0123456789"),
        ] {
            let request = FileRequest { accept_encoding: Some(accepted.as_bytes()), ..get("/static/app.js") };
            let answer = site.ask(&request).unwrap();
            assert_eq!((answer.field("Content-Encoding"), answer.body.as_slice()), (coding, body.as_bytes()));
            assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
            assert_eq!(answer.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        }
    }

    #[test]
    fn each_coding_has_its_own_tag_and_a_range_is_of_the_plain_file() {
        let site = with_siblings();
        let plain = site.get("/static/app.js");
        let coded = FileRequest { accept_encoding: Some(b"br"), ..get("/static/app.js") };
        let tag = plain.field("ETag").unwrap();
        assert_ne!(site.ask(&coded).unwrap().field("ETag").unwrap(), tag);
        assert_eq!(site.ask(&FileRequest { if_none_match: Some(tag.as_bytes()), ..coded }).unwrap().status, 200);
        let answer = site.ask(&FileRequest { range: Some(b"bytes=0-1"), ..coded }).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (206, &b"01"[..]));
        assert_eq!((answer.field("Content-Encoding"), answer.field("ETag")), (None, Some(tag)));
    }

    #[test]
    fn a_sibling_alone_is_no_file_and_a_link_outwards_is_no_sibling() {
        let site = Site::new();
        fs::write(site.root().join("gone.css.gz"), "x").unwrap();
        symlink("../secret", site.root().join("app.js.gz")).unwrap();
        let request = FileRequest { accept_encoding: Some(b"gzip"), ..get("/static/gone.css") };
        assert_eq!(site.ask(&request).unwrap().status, 404);
        let request = FileRequest { accept_encoding: Some(b"gzip"), ..get("/static/app.js") };
        assert_eq!(site.ask(&request).unwrap().body, b"0123456789");
        assert_eq!(site.get("/static/gone.css.gz").field("Content-Type"), Some("application/gzip"));
    }

    #[test]
    fn only_names_with_a_hash_are_immutable() {
        for name in ["app.3f2a1b4c5d6e.css", "a/b/app.js.3f2a1b4c5d6e.map", "main.3f2a1b4c.js", "index-0a1b2c3d.js"] {
            assert!(has_hash(name.as_bytes()), "{name}");
        }
        for name in [
            "app.css",
            "photo-20240131.jpg",
            "report.202401311230.pdf",
            "index-BRBmoGS9.js",
            "jquery-Sortable.js",
            "app.3f2a1b4.css",
            "3f2a1b4c5d6e.css",
            "sub.3f2a1b4c5d6e/app.css",
            "a.b/3f2a1b4c5d6e.css",
            "app.3F2A1B4C5D6E.css",
            "defaced-facadeba.css",
            "3f2a1b4c5d6e",
            "",
        ] {
            assert!(!has_hash(name.as_bytes()), "{name}");
        }
        let site = Site::new();
        fs::write(site.root().join("app.3f2a1b4c5d6e.css"), "x").unwrap();
        let cache = site.get("/static/app.3f2a1b4c5d6e.css").field("Cache-Control").map(str::to_owned);
        assert_eq!(cache.as_deref(), Some("max-age=31536000, public, immutable"));
        let site = Site::with(|mount| {
            mount.immutable_hashed = false;
            mount.max_age = 0;
        });
        fs::write(site.root().join("app.3f2a1b4c5d6e.css"), "x").unwrap();
        assert_eq!(site.get("/static/app.3f2a1b4c5d6e.css").field("Cache-Control"), Some("no-cache"));
    }

    #[test]
    fn a_mount_that_falls_through_leaves_the_missing_to_the_application() {
        let site = Site::with(|mount| {
            mount.prefix = "/".into();
            mount.fall_through = true;
        });
        for path in ["/", "/missing", "/../secret", "/.env", "/sub%2fphoto.JPG"] {
            assert!(site.ask(&get(path)).is_none(), "{path}");
        }
        assert!(site.ask(&FileRequest { method: b"POST", ..get("/form") }).is_none());
        assert_eq!(site.status("/app.js"), 200);
    }

    #[test]
    fn the_longest_prefix_decides_and_roots_are_tried_in_order() {
        let folder = TempDir::new().unwrap();
        for (name, contents) in [("one/a", "one"), ("two/a", "two"), ("two/b", "two"), ("inner/c", "inner")] {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), contents).unwrap();
        }
        let mut outer = mount("/s/", folder.path().join("one"));
        outer.roots.push(folder.path().join("two"));
        let inner = mount("/s/inner/", folder.path().join("inner"));
        let site = Site { files: StaticFiles::new(vec![outer, inner], Vec::new()).unwrap(), folder };
        assert_eq!(site.get("/s/a").body, b"one");
        assert_eq!(site.get("/s/b").body, b"two");
        assert_eq!(site.get("/s/inner/c").body, b"inner");
        assert_eq!(site.status("/s/inner/a"), 404);
    }

    #[test]
    fn a_missing_root_is_served_once_it_is_there() {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("later");
        let files = StaticFiles::new(vec![mount("/static/", root.clone())], Vec::new()).unwrap();
        let site = Site { files, folder };
        assert_eq!(site.status("/static/a.txt"), 404);
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a.txt"), "a").unwrap();
        assert_eq!(site.status("/static/a.txt"), 200);
        fs::remove_dir_all(&root).unwrap();
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a.txt"), "b").unwrap();
        assert_eq!(site.ask_at(later(), &get("/static/a.txt")).unwrap().body, b"b");
    }

    #[test]
    fn prefixes_and_directories_that_make_no_sense_are_refused() {
        for (prefix, root) in [("static/", "/tmp"), ("/static", "/tmp"), ("", "/tmp"), ("/static/", "relative")] {
            assert!(StaticFiles::new(vec![mount(prefix, root.into())], Vec::new()).is_err(), "{prefix} {root}");
            assert!(StaticFiles::new(Vec::new(), vec![(prefix.into(), root.into())]).is_err(), "{prefix} {root}");
        }
    }

    #[test]
    fn a_kept_file_is_served_only_while_it_is_untouched() {
        let site = Site::new();
        let path = site.root().join("app.js");
        let now = later();
        let body = |now| site.ask_at(now, &get("/static/app.js")).unwrap().body;
        let kept = || site.files.state().kept.values().map(|small| small.body.clone()).collect::<Vec<_>>();

        assert_eq!(body(SystemTime::now()), b"0123456789");
        assert!(kept().is_empty(), "a file that was written just now could change again unseen");
        assert_eq!(body(now), b"0123456789");
        assert_eq!(kept(), [b"0123456789"]);

        // In place, by a new file under its name, and deleted.
        fs::write(&path, "in place!!").unwrap();
        set_modified(&path, 784_111_777);
        assert_eq!(body(now), b"in place!!");
        assert_eq!(kept(), [b"in place!!"]);
        fs::write(site.root().join("new"), "replaced").unwrap();
        fs::rename(site.root().join("new"), &path).unwrap();
        assert_eq!(body(now), b"replaced");
        fs::remove_file(&path).unwrap();
        assert_eq!(site.ask_at(now, &get("/static/app.js")).unwrap().status, 404);
        assert!(kept().is_empty());
    }

    #[test]
    fn a_kept_file_is_opened_anew_after_a_second() {
        let site = Site::new();
        fs::rename(site.root().join("sub"), site.root().join("one")).unwrap();
        fs::write(site.root().join("one/a.txt"), "one").unwrap();
        fs::create_dir(site.root().join("two")).unwrap();
        fs::write(site.root().join("two/a.txt"), "two").unwrap();
        symlink("one", site.root().join("current")).unwrap();
        let now = later();
        assert_eq!(site.ask_at(now, &get("/static/current/a.txt")).unwrap().body, b"one");
        fs::remove_file(site.root().join("current")).unwrap();
        symlink("two", site.root().join("current")).unwrap();
        assert_eq!(site.ask_at(now + VALIDITY, &get("/static/current/a.txt")).unwrap().body, b"two");
        assert_eq!(site.ask_at(now, &get("/static/current/a.txt")).unwrap().body, b"two");
    }

    #[test]
    fn the_number_of_kept_files_is_bounded() {
        let site = Site::new();
        let now = later();
        for index in 0..KEPT_FILES + 20 {
            fs::write(site.root().join(format!("{index}.txt")), "x").unwrap();
            assert_eq!(site.ask_at(now, &get(&format!("/static/{index}.txt"))).unwrap().status, 200);
        }
        assert_eq!(site.files.state().kept.len(), KEPT_FILES);
        site.ask_at(now + VALIDITY, &get("/static/app.js")).unwrap();
        assert_eq!(site.files.state().kept.len(), 1);
    }

    #[test]
    fn dates_that_http_cannot_write_do_no_harm() {
        let site = Site::new();
        let path = site.root().join("app.js");
        set_modified(&path, -5);
        assert_eq!(site.get("/static/app.js").field("Last-Modified"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        set_modified(&path, 8_000_000_000);
        let before = seconds(SystemTime::now());
        let answer = site.get("/static/app.js");
        let modified = date(answer.field("Last-Modified").unwrap().as_bytes()).unwrap();
        assert!((before..=seconds(SystemTime::now())).contains(&modified));
        let absurd = UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 10);
        assert_eq!(site.ask_at(absurd, &get("/static/app.js")).unwrap().status, 200);
        assert_eq!(site.ask_at(UNIX_EPOCH - VALIDITY, &get("/static/app.js")).unwrap().status, 200);
    }

    #[test]
    fn what_lies_below_a_guarded_path_is_left_to_the_application() {
        let guarding = |guarded: &str| {
            let site = Site::new();
            Site { files: site.files.guarding(vec![guarded.to_owned()]), folder: site.folder }
        };
        for (guarded, path) in [
            ("/static/sub", "/static/sub/photo.JPG"),
            ("/static/sub/", "/static/sub/photo.JPG"),
            ("/static/sub", "/static//sub/photo.JPG"),
            ("/static/sub", "/static/sub//photo.JPG"),
            ("/static/sub", "/static/%73ub/photo.JPG"),
            ("/static/sub", "/static%2fsub/photo.JPG"),
            ("/static/app.js", "/static/app.js"),
            ("/static/app.js", "/static//app.js"),
            ("/static", "/static/app.js"),
            ("/", "/static/app.js"),
        ] {
            assert!(guarding(guarded).ask(&get(path)).is_none(), "{guarded} {path}");
        }
        for (guarded, path, status) in [
            ("/static/sub", "/static/app.js", 200),
            ("/static/su", "/static/sub/photo.JPG", 200),
            ("/static/app", "/static/app.js", 200),
            ("/static/sub", "/static/x/../sub/photo.JPG", 404),
            ("/static/sub", "/static/./sub/photo.JPG", 404),
            ("/static/sub", "/static/SUB/photo.JPG", 404),
            ("/static/sub", "/static/%2573ub/photo.JPG", 404),
        ] {
            assert_eq!(guarding(guarded).status(path), status, "{guarded} {path}");
        }
    }

    #[test]
    fn a_guarded_file_is_for_the_one_who_asked_for_it() {
        let site = Site::new();
        let files = site.files.guarding(vec!["/static".into()]);
        let ask = |request: &FileRequest<'_>| {
            let mut out = Vec::new();
            files.answer_guarded(request, &mut out).map(|served| answer_of(served, &out))
        };
        let answer = ask(&FileRequest { range: Some(b"bytes=2-3"), ..get("/static/app.js") }).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (206, &b"23"[..]));
        assert_eq!(answer.field("Cache-Control"), Some("private, no-cache"));
        assert_eq!(ask(&get("/static/none")).unwrap().status, 404);
        assert!(ask(&get("/elsewhere")).is_none());
    }

    #[test]
    fn a_protected_file_keeps_what_the_application_says_of_it() {
        let site = Site::new();
        let path = format!("{}/protected/bill 1.pdf", site.folder.path().display());
        let encoded = path.replace(' ', "%20");
        let fields: &[(&[u8], &[u8])] = &[
            (b"Content-Type", b"text/x-bill"),
            (b"Content-Disposition", b"attachment"),
            (b"Content-Length", b"0"),
            (b"ETag", b"\"of nothing\""),
            (b"X-Accel-Buffering", b"no"),
            (b"X-Sendfile", b"/x"),
            (b"Set-Cookie", b"a=b"),
            (b"Cache-Control", b"max-age=5"),
        ];
        for (kind, location) in [
            (Protected::Accel, "/protected/bill%201.pdf"),
            (Protected::Accel, "/protected/bill 1.pdf?x=1"),
            (Protected::Sendfile, &path),
            (Protected::Sendfile, &encoded),
        ] {
            let answer = site.protected(kind, location, "200 OK", fields).unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"a bill"[..]), "{location}");
            for (name, value) in [
                ("Content-Type", Some("text/x-bill")),
                ("Content-Disposition", Some("attachment")),
                ("Content-Length", Some("6")),
                ("X-Accel-Buffering", None),
                ("X-Sendfile", None),
                ("Set-Cookie", Some("a=b")),
                ("Cache-Control", Some("max-age=5")),
            ] {
                assert_eq!(answer.field(name), value, "{name}");
            }
            assert_ne!(answer.field("ETag"), Some("\"of nothing\""));
        }
        let answer = site.protected(Protected::Accel, "/protected/bill%201.pdf", "200 OK", &[]).unwrap();
        assert_eq!(answer.field("Content-Type"), Some("application/pdf"));
        assert_eq!(answer.field("Cache-Control"), Some("private, no-cache"));
    }

    #[test]
    fn a_protected_file_answers_ranges_and_preconditions_unless_the_status_says_otherwise() {
        let site = Site::new();
        let ask = |request: &FileRequest<'_>, status: &[u8]| {
            let mut out = Vec::new();
            let location = b"/protected/bill%201.pdf";
            let fields: &[(&[u8], &[u8])] = &[(b"Content-Type", b"a/b"), (b"Set-Cookie", b"a=b")];
            let served = site.files.answer_protected(location, Protected::Accel, request, status, fields, &mut out);
            answer_of(served.unwrap(), &out)
        };
        let answer = ask(&FileRequest { range: Some(b"bytes=2-"), ..get("/") }, b"200 OK");
        assert_eq!((answer.status, answer.body.as_slice()), (206, &b"bill"[..]));
        let answer = ask(&FileRequest { range: Some(b"bytes=2-"), ..get("/") }, b"404 Not Found");
        assert_eq!((answer.status, answer.body.as_slice()), (404, &b"a bill"[..]));
        let answer = ask(&FileRequest { method: b"POST", if_none_match: Some(b"*"), ..get("/") }, b"200 OK");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"a bill"[..]));
        let answer = ask(&FileRequest { if_none_match: Some(b"*"), ..get("/") }, b"200 OK");
        assert_eq!((answer.status, answer.field("Set-Cookie")), (304, Some("a=b")));
        assert_eq!(answer.field("Content-Type"), None);
    }

    #[test]
    fn a_protected_file_that_cannot_be_served_says_why() {
        let site = Site::new();
        let secret = format!("{}/secret", site.folder.path().display());
        let upwards = format!("{}/protected/../secret", site.folder.path().display());
        let missing = format!("{}/protected/none", site.folder.path().display());
        symlink("../secret", site.folder.path().join("protected/link")).unwrap();
        for (kind, location, status) in [
            (Protected::Accel, "/protected/none", 404),
            (Protected::Accel, "/protected/link", 404),
            (Protected::Accel, "/protected/../secret", 500),
            (Protected::Accel, "/elsewhere/x", 500),
            (Protected::Accel, "", 500),
            (Protected::Sendfile, &secret, 500),
            (Protected::Sendfile, &upwards, 500),
            (Protected::Sendfile, &missing, 404),
            (Protected::Sendfile, "bill 1.pdf", 500),
        ] {
            let error = site.protected(kind, location, "200 OK", &[]).err().unwrap();
            assert_eq!(error.status, status, "{location}");
            assert!(error.reason.contains("hint: "), "{}", error.reason);
        }
        let bad: &[(&[u8], &[u8])] = &[(b"X-Bad", b"a\r\nb")];
        let error = site.protected(Protected::Accel, "/protected/bill%201.pdf", "200 OK", bad).err().unwrap();
        assert_eq!(error.status, 500);
    }

    #[test]
    fn paths_of_any_bytes_get_an_answer() {
        let site = Site::new();
        for byte in 0..=255u8 {
            for tail in [vec![byte], vec![b'%', byte], vec![b'%', b'2', byte], vec![byte; 5000]] {
                let path = [b"/static/".as_slice(), &tail].concat();
                let answer = site.ask(&FileRequest { path: &path, ..get("") }).unwrap();
                assert_eq!(answer.status, 404, "{}", path.escape_ascii());
            }
        }
    }
}
