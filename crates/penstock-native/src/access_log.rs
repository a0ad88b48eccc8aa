//! One line for each answered request, written off the request path. Refused: to wait for a disk or a reader. Lines
//! that cannot be written are kept up to a bound, then dropped and counted. Nothing that a client sends can end a
//! line, close a quoted value or reach a terminal as a control character.
use crate::static_files::LAST_SECOND;
use httpdate::HttpDate;
use penstock_http::{RequestHead, Version};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use std::borrow::Cow;
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Lines wait this long for others to be written with them.
const GATHER: Duration = Duration::from_millis(100);

/// Unless there are this many bytes of them.
const BATCH: usize = 64 * 1024;

/// What is kept while nothing can be written; as much again may be in the middle of being written.
const KEPT: usize = 1024 * 1024;

/// How long a failed write is not tried again, and how long a reader may take nothing before it counts as failed.
const RETRY: Duration = Duration::from_secs(1);

/// How long `flush` waits at most: a worker has to end even when its log is stuck.
const FLUSH: Duration = Duration::from_secs(2);

/// A pipe takes this much or nothing (PIPE_BUF), so lines of several workers do not mix.
const PIPE_PIECE: usize = 4096;

/// Apache's combined format, in Gunicorn's atoms.
const COMBINED: &str = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;

/// Looks up a variable of the WSGI environ.
pub type Environ<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// One answered request.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// The client; None for the peer of a unix socket.
    pub peer: Option<IpAddr>,
    /// The bytes in which `head` counts.
    pub request_bytes: &'a [u8],
    /// Empty when the request was refused before it was understood.
    pub head: &'a RequestHead,
    /// Of the response.
    pub status: u16,
    /// The response's status line and fields as sent.
    pub response_head: &'a [u8],
    /// Bytes of the response's body.
    pub body_sent: u64,
    /// When the request was complete.
    pub started: SystemTime,
    /// From there to the end of the response.
    pub duration: Duration,
    /// Variables of the WSGI environ; only asked for when the format names one.
    pub environ: Option<&'a Environ<'a>>,
}

impl<'a> Entry<'a> {
    fn request_line(&self, line: &mut Vec<u8>) {
        let method = self.head.method.of(self.request_bytes);
        if method.is_empty() {
            let sent = self.request_bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next();
            return push_text(line, sent.filter(|sent| !sent.is_empty()));
        }
        push_escaped(line, method);
        line.push(b' ');
        push_escaped(line, self.head.target.of(self.request_bytes));
        line.push(b' ');
        line.extend_from_slice(self.protocol().unwrap_or_default());
    }

    fn protocol(&self) -> Option<&'static [u8]> {
        let is_understood = self.head.method.start < self.head.method.end;
        is_understood.then_some(if self.head.version == Version::Http10 { b"HTTP/1.0" } else { b"HTTP/1.1" })
    }

    /// The values of a field of the request.
    fn request_field(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let fields = self.head.fields.iter().map(|field| (&field.name, &field.value));
        joined(fields.map(|(name, value)| (name.of(self.request_bytes), value.of(self.request_bytes))), name)
    }

    /// The values of a field of the response.
    fn response_field(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let lines = self.response_head.split(|byte| *byte == b'\n').skip(1);
        let fields = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        });
        joined(fields, name)
    }

    /// Who the client says it is (HTTP Basic); only a status other than 401 says that it is believed.
    fn user(&self) -> Option<Vec<u8>> {
        let value = self.request_field("authorization")?;
        let (scheme, credentials) = value.split_at_checked(6)?;
        let mut user = scheme.eq_ignore_ascii_case(b"basic ").then(|| base64_decoded(credentials.trim_ascii()))??;
        user.truncate(user.iter().position(|byte| *byte == b':')?);
        (!user.is_empty()).then_some(user)
    }
}

/// The values of equal fields, joined as RFC 9110 5.3 has it.
fn joined<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>, wanted: &str) -> Option<Cow<'a, [u8]>> {
    let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes())).map(|(_, value)| value);
    let first = Cow::Borrowed(values.next()?);
    Some(values.fold(first, |joined, value| Cow::Owned([&joined, &b", "[..], value].concat())))
}

/// RFC 4648 4, with or without padding; None when it is something else.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut decoded, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for byte in text.iter().take_while(|byte| **byte != b'=') {
        bits = bits << 6 | ALPHABET.iter().position(|known| known == byte)? as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push((bits >> held) as u8);
        }
    }
    Some(decoded)
}

/// How a line looks.
#[derive(Debug)]
enum Format {
    Json,
    Pieces(Vec<Piece>),
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// One of Gunicorn's letters.
    Atom(char),
    RequestField(String),
    ResponseField(String),
    Environ(String),
}

/// Refuses a format in which no line can be written: a sentence says why, and a hint what there is instead.
pub fn check(format: &str) -> Result<(), String> {
    Format::parse(format).map(drop)
}

impl Format {
    fn parse(format: &str) -> Result<Self, String> {
        match format {
            "json" => Ok(Format::Json),
            "combined" => pieces(COMBINED).map(Format::Pieces),
            _ => pieces(format).map(Format::Pieces),
        }
    }

    fn push_line(&self, line: &mut Vec<u8>, entry: &Entry<'_>) {
        match self {
            Format::Json => push_json(line, entry),
            Format::Pieces(pieces) => pieces.iter().for_each(|piece| push_piece(line, piece, entry)),
        }
        line.push(b'\n');
    }
}

fn pieces(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        text.push_str(&rest[..percent]);
        rest = &rest[percent + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        let parsed = rest.strip_prefix('(').and_then(|rest| {
            let (atom, after) = rest.split_once(')')?;
            Some((piece(atom)?, after.strip_prefix(['s', 'd'])?))
        });
        let Some((piece, after)) = parsed else {
            let shown: String = rest.chars().take_while(|character| !character.is_whitespace()).collect();
            return Err(format!(
                "there is no atom %{shown}; hint: known are %(X)s with X one of \
                 h l u t r m U q H s B b f a T M D L p, {{name}}i, {{name}}o and {{name}}e"
            ));
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
        rest = after;
    }
    if pieces.is_empty() {
        return Err(format!("{format:?} names nothing to log; hint: use combined, json, or atoms such as %(r)s"));
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

fn piece(atom: &str) -> Option<Piece> {
    if let Some((name, kind)) = atom.strip_prefix('{').and_then(|atom| atom.rsplit_once('}')) {
        return match kind {
            "i" => Some(Piece::RequestField(name.to_owned())),
            "o" => Some(Piece::ResponseField(name.to_owned())),
            "e" => Some(Piece::Environ(name.to_owned())),
            _ => None,
        };
    }
    let mut letters = atom.chars();
    let letter = letters.next().filter(|letter| "hlutrmUqHsBbfaTMDLp".contains(*letter))?;
    letters.next().is_none().then_some(Piece::Atom(letter))
}

fn push_piece(line: &mut Vec<u8>, piece: &Piece, entry: &Entry<'_>) {
    let of_request = |span: penstock_http::Span| Some(span.of(entry.request_bytes)).filter(|text| !text.is_empty());
    match piece {
        Piece::Text(text) => line.extend_from_slice(text.as_bytes()),
        Piece::RequestField(name) => push_text(line, entry.request_field(name).as_deref()),
        Piece::ResponseField(name) => push_text(line, entry.response_field(name).as_deref()),
        Piece::Environ(name) => {
            push_text(line, entry.environ.and_then(|environ| environ(name)).as_deref().map(str::as_bytes));
        }
        Piece::Atom(letter) => match letter {
            'h' => push_text(line, entry.peer.map(|peer| peer.to_string()).as_deref().map(str::as_bytes)),
            // Nobody asks the client's machine who it is (RFC 1413); Apache logs "-" as well.
            'l' => line.push(b'-'),
            'u' => push_user(line, entry.user().as_deref()),
            't' => push_time(line, entry.started),
            'r' => entry.request_line(line),
            'm' => push_text(line, of_request(entry.head.method)),
            'U' => push_text(line, of_request(entry.head.path)),
            'q' => push_escaped(line, entry.head.query.of(entry.request_bytes)),
            'H' => push_text(line, entry.protocol()),
            's' => push_number(line, u64::from(entry.status)),
            'B' => push_number(line, entry.body_sent),
            'b' if entry.body_sent == 0 => line.push(b'-'),
            'b' => push_number(line, entry.body_sent),
            'f' => push_text(line, entry.request_field("referer").as_deref()),
            'a' => push_text(line, entry.request_field("user-agent").as_deref()),
            'T' => push_number(line, entry.duration.as_secs()),
            'M' => push_number(line, entry.duration.as_millis() as u64),
            'D' => push_number(line, entry.duration.as_micros() as u64),
            'L' => push_seconds(line, entry.duration),
            _ => {
                line.push(b'<');
                push_number(line, u64::from(std::process::id()));
                line.push(b'>');
            }
        },
    }
}

const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// One object with always the same keys; what there is not is null.
fn push_json(line: &mut Vec<u8>, entry: &Entry<'_>) {
    let of_request = |span: penstock_http::Span| Some(span.of(entry.request_bytes)).filter(|text| !text.is_empty());
    let micros = entry.started.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_micros());
    let peer = entry.peer.map(|peer| peer.to_string());
    let date = http_date(entry.started);
    let month = MONTHS.chunks(3).position(|month| *month == date[8..11]).map_or(0, |index| index as u64 + 1);
    line.extend_from_slice(b"{\"time\":\"");
    line.extend_from_slice(&date[12..16]);
    line.push(b'-');
    push_padded(line, month, 100);
    line.push(b'-');
    line.extend_from_slice(&date[5..7]);
    line.push(b'T');
    line.extend_from_slice(&date[17..25]);
    line.push(b'.');
    push_padded(line, u64::from(micros), 1_000_000);
    line.extend_from_slice(b"Z\"");
    for (key, text) in [
        (",\"remote_addr\":", peer.as_deref().map(str::as_bytes)),
        (",\"user\":", entry.user().as_deref()),
        (",\"method\":", of_request(entry.head.method)),
        (",\"host\":", entry.head.host.and_then(of_request)),
        (",\"path\":", of_request(entry.head.path)),
        (",\"query\":", of_request(entry.head.query)),
        (",\"protocol\":", entry.protocol()),
        (",\"referer\":", entry.request_field("referer").as_deref()),
        (",\"user_agent\":", entry.request_field("user-agent").as_deref()),
        (",\"request_id\":", entry.request_field("x-request-id").as_deref()),
    ] {
        line.extend_from_slice(key.as_bytes());
        push_json_text(line, text);
    }
    for (key, number) in [
        (&b",\"status\":"[..], u64::from(entry.status)),
        (b",\"bytes\":", entry.body_sent),
        (b",\"pid\":", u64::from(std::process::id())),
    ] {
        line.extend_from_slice(key);
        push_number(line, number);
    }
    line.extend_from_slice(b",\"duration\":");
    push_seconds(line, entry.duration);
    line.push(b'}');
}

fn push_json_text(line: &mut Vec<u8>, text: Option<&[u8]>) {
    let Some(text) = text else {
        return line.extend_from_slice(b"null");
    };
    line.push(b'"');
    let text = String::from_utf8_lossy(text);
    let mut rest = &*text;
    while let Some((at, character)) = rest.char_indices().find(|(_, character)| is_special_in_json(*character)) {
        line.extend_from_slice(&rest.as_bytes()[..at]);
        match character {
            '"' | '\\' => line.extend([b'\\', character as u8]),
            // All control characters are below U+00A0.
            _ => line.extend([b'\\', b'u', b'0', b'0', high_digit(character as u8), low_digit(character as u8)]),
        }
        rest = &rest[at + character.len_utf8()..];
    }
    line.extend_from_slice(rest.as_bytes());
    line.push(b'"');
}

fn is_special_in_json(character: char) -> bool {
    character.is_control() || matches!(character, '"' | '\\')
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn high_digit(byte: u8) -> u8 {
    HEX[usize::from(byte >> 4)]
}

fn low_digit(byte: u8) -> u8 {
    HEX[usize::from(byte & 15)]
}

fn push_text(line: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => push_escaped(line, text),
        None => line.push(b'-'),
    }
}

/// As Apache does it: a backslash before quotes and backslashes, names or numbers for all that is not printable ASCII.
fn push_escaped(line: &mut Vec<u8>, text: &[u8]) {
    let is_special = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    let mut rest = text;
    while let Some(at) = rest.iter().position(is_special) {
        line.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => line.extend([b'\\', byte]),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            b'\t' => line.extend(b"\\t"),
            byte => line.extend([b'\\', b'x', high_digit(byte), low_digit(byte)]),
        }
        rest = &rest[at + 1..];
    }
    line.extend_from_slice(rest);
}

/// The one value of the combined format that is neither quoted nor free of spaces by itself.
fn push_user(line: &mut Vec<u8>, user: Option<&[u8]>) {
    let start = line.len();
    push_text(line, user);
    if line[start..].contains(&b' ') {
        let escaped = line.split_off(start);
        line.extend_from_slice(&escaped.split(|byte| *byte == b' ').collect::<Vec<_>>().join(&b"\\x20"[..]));
    }
}

fn push_number(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// With zeros in front; `limit` is a power of ten above the number.
fn push_padded(line: &mut Vec<u8>, number: u64, limit: u64) {
    line.extend_from_slice(&itoa::Buffer::new().format(limit + number).as_bytes()[1..]);
}

/// Seconds with six decimals.
fn push_seconds(line: &mut Vec<u8>, duration: Duration) {
    push_number(line, duration.as_secs());
    line.push(b'.');
    push_padded(line, u64::from(duration.subsec_micros()), 1_000_000);
}

/// `[06/Nov/1994:08:49:37 +0000]`: always UTC, because asking the C library for the local offset while other threads
/// may change the environment is not safe, and because a fleet's logs want one clock.
fn push_time(line: &mut Vec<u8>, time: SystemTime) {
    let date = http_date(time);
    for part in [b"[", &date[5..7], b"/", &date[8..11], b"/", &date[12..16], b":", &date[17..25], b" +0000]"] {
        line.extend_from_slice(part);
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, to cut the parts out of; a clock that is out of its range counts as 1970.
fn http_date(time: SystemTime) -> [u8; 29] {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let time = UNIX_EPOCH + Duration::from_secs(if seconds <= LAST_SECOND { seconds } else { 0 });
    let mut text = [b' '; 29];
    // It has always this length.
    let _ = write!(&mut text[..], "{}", HttpDate::from(time));
    text
}

/// What waits for the writing thread, and what it is asked to do.
#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    dropped: u64,
    is_writing: bool,
    flush: bool,
    reopen: bool,
    close: bool,
}

impl Queue {
    fn is_urgent(&self) -> bool {
        self.flush || self.reopen || self.close || self.lines.len() >= BATCH
    }

    fn is_done(&self) -> bool {
        self.lines.is_empty() && !self.is_writing && !self.reopen
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// The writing thread has something to do.
    wake: Condvar,
    /// The writing thread has done something.
    done: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lock back for at most `time`, or until `until` holds.
    fn wait<'a>(
        condition: &Condvar,
        queue: MutexGuard<'a, Queue>,
        time: Duration,
        until: impl Fn(&Queue) -> bool,
    ) -> MutexGuard<'a, Queue> {
        condition.wait_timeout_while(queue, time, |queue| !until(queue)).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The access log of one worker. It has a thread: to be opened after the last fork.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    shared: Arc<Shared>,
}

impl AccessLog {
    /// `path` is a file to append to, or `-` for standard output; `format` is `combined`, `json` or a format string
    /// with Gunicorn's atoms. The error is a sentence with a hint.
    pub fn open(path: &str, format: &str) -> Result<Self, String> {
        let format = Format::parse(format).map_err(|error| format!("access_log_format: {error}"))?;
        let path = (path != "-").then(|| PathBuf::from(path));
        let shown = path.as_ref().map_or_else(|| "on standard output".into(), |path| format!("{path:?}"));
        let failed =
            |error| format!("the access log {shown} cannot be opened: {error}; hint: see its folder and owner");
        let file = open_anew(path.as_deref()).map_err(failed)?;
        let mut target = Target { file, path, shown: shown.clone(), is_failing: false };
        let shared = Arc::new(Shared::default());
        let for_writer = Arc::clone(&shared);
        let writer = thread::Builder::new().name("penstock-log".into()).spawn(move || target.run(&for_writer));
        writer.map_err(failed)?;
        Ok(Self { format, shared })
    }

    /// Logs one request. Never waits for a file; may be called by several threads.
    pub fn record(&self, entry: &Entry<'_>) {
        thread_local! {
            static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        }
        // Formatted before the lock is taken: `environ` may have to wait for Python.
        let mut line = LINE.take();
        line.clear();
        self.format.push_line(&mut line, entry);
        let mut queue = self.shared.queue();
        if queue.lines.len() + line.len() > KEPT {
            queue.dropped += 1;
        } else {
            let before = queue.lines.len();
            queue.lines.extend_from_slice(&line);
            if before == 0 || (before < BATCH && queue.lines.len() >= BATCH) {
                self.shared.wake.notify_one();
            }
        }
        drop(queue);
        if line.capacity() <= PIPE_PIECE {
            LINE.set(line);
        }
    }

    /// Opens the path anew, after it was renamed, or takes what is standard output now. What has been recorded before
    /// still goes to the old file.
    pub fn reopen(&self) {
        self.shared.queue().reopen = true;
        self.shared.wake.notify_one();
    }

    /// Waits until all that was recorded is written, at most two seconds.
    pub fn flush(&self) {
        let mut queue = self.shared.queue();
        queue.flush = true;
        self.shared.wake.notify_one();
        drop(Shared::wait(&self.shared.done, queue, FLUSH, Queue::is_done));
    }

    /// Lines that were not written because the disk was full or the reader stuck.
    #[cfg(test)]
    fn dropped(&self) -> u64 {
        self.shared.queue().dropped
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.shared.queue().close = true;
        self.flush();
    }
}

/// None is standard output.
fn open_anew(path: Option<&Path>) -> io::Result<File> {
    match path {
        Some(path) => append_to(path),
        None => io::stdout().as_fd().try_clone_to_owned().map(File::from),
    }
}

/// Without waiting for the reader of a FIFO: when there is none, that is an error.
fn append_to(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().append(true).create(true).custom_flags(flags.bits() as i32).open(path)
}

/// Where the lines go. Only the writing thread has it.
struct Target {
    file: File,
    /// None for standard output.
    path: Option<PathBuf>,
    shown: String,
    /// The last write failed, and it has been said.
    is_failing: bool,
}

impl Target {
    /// Writes until the log is closed.
    fn run(&mut self, shared: &Shared) {
        let mut batch = Vec::new();
        loop {
            let mut queue = shared.queue();
            while queue.lines.is_empty() && !queue.is_urgent() {
                queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue = Shared::wait(&shared.wake, queue, GATHER, Queue::is_urgent);
            std::mem::swap(&mut queue.lines, &mut batch);
            queue.is_writing = true;
            queue.flush = false;
            let reopen = std::mem::take(&mut queue.reopen);
            drop(queue);

            let dropped = self.write(&batch, shared);
            batch.clear();
            if reopen {
                self.reopen();
            }

            let mut queue = shared.queue();
            queue.dropped += dropped;
            queue.is_writing = false;
            shared.done.notify_all();
            if queue.close && queue.is_done() {
                return;
            }
        }
    }

    /// Writes everything, however long it takes, unless the log is closed. Returns how many lines were given up.
    fn write(&mut self, mut rest: &[u8], shared: &Shared) -> u64 {
        while !rest.is_empty() {
            match self.write_some(rest) {
                Ok(count) => {
                    rest = &rest[count..];
                    if std::mem::take(&mut self.is_failing) {
                        let dropped = shared.queue().dropped;
                        self.report(&format!("is written again; dropped since the start: {dropped} lines"));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        self.report(&format!(
                            "cannot be written: {error}; 1 MiB of lines is kept, more are dropped; \
                             hint: free space on the disk, or see to the reader of the pipe"
                        ));
                    }
                    let queue = shared.queue();
                    if queue.close {
                        return rest.iter().filter(|byte| **byte == b'\n').count() as u64;
                    }
                    let mut queue = Shared::wait(&shared.wake, queue, RETRY, |queue| queue.reopen || queue.close);
                    if std::mem::take(&mut queue.reopen) {
                        drop(queue);
                        self.reopen();
                    }
                }
            }
        }
        0
    }

    /// A regular file takes all at once, whole lines, at its end (O_APPEND). Anything else gets as much as a pipe
    /// that has room takes without waiting.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut piece = bytes;
        if !self.file.metadata()?.is_file() {
            let end = bytes.len().min(PIPE_PIECE);
            piece = &bytes[..bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(end, |at| at + 1)];
            let limit = Timespec { tv_sec: RETRY.as_secs() as i64, tv_nsec: 0 };
            if poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], Some(&limit))? == 0 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "its reader takes nothing"));
            }
        }
        match self.file.write(piece)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            count => Ok(count),
        }
    }

    fn reopen(&mut self) {
        match open_anew(self.path.as_deref()) {
            Ok(file) => self.file = file,
            Err(error) => self.report(&format!(
                "cannot be reopened: {error}; lines go on to the old file; hint: see its folder and owner"
            )),
        }
    }

    /// On standard error, because the log itself is what fails. When that fails too, nobody can be told.
    fn report(&self, what: &str) {
        let _ = writeln!(io::stderr(), "the access log {} {what}", self.shown);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A test that fails here fails as it should.
mod tests {
    use super::*;
    use penstock_http::{Decoder, Event, Limits};
    use rustix::fs::{mkfifoat, Mode, CWD};
    use std::fs;
    use std::io::Read;
    use tempfile::TempDir;

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nset-cookie:c=d\r\n\r\n";

    fn head_of(bytes: &[u8]) -> RequestHead {
        let limits = Limits { request_line: 8192, head: 32768, fields: 100, body: 0 };
        let mut head = RequestHead::default();
        let (_, event) = Decoder::new().decode(bytes, &limits, &mut head).unwrap();
        assert_eq!(event, Event::Head);
        head
    }

    fn entry<'a>(bytes: &'a [u8], head: &'a RequestHead) -> Entry<'a> {
        Entry {
            peer: Some(IpAddr::from([192, 0, 2, 7])),
            request_bytes: bytes,
            head,
            status: 200,
            response_head: RESPONSE,
            body_sent: 1234,
            started: UNIX_EPOCH + Duration::from_micros(784_111_777_000_042),
            duration: Duration::from_micros(2_034_567),
            environ: None,
        }
    }

    fn formatted(format: &str, bytes: &[u8]) -> String {
        let mut line = Vec::new();
        Format::parse(format).unwrap().push_line(&mut line, &entry(bytes, &head_of(bytes)));
        String::from_utf8(line).unwrap()
    }

    const REQUEST: &[u8] = b"GET /a/b?c=d HTTP/1.1\r\nHost: x.example\r\nReferer: http://r/\r\nUser-Agent: Test/1\r\n\
        Authorization: Basic anVsaWE6c2VjcmV0\r\nX-Many: 1\r\nX-Many: 2\r\n\r\n";

    #[test]
    fn combined_is_the_line_that_apache_writes() {
        assert_eq!(
            formatted("combined", REQUEST),
            "192.0.2.7 - julia [06/Nov/1994:08:49:37 +0000] \"GET /a/b?c=d HTTP/1.1\" 200 1234 \
             \"http://r/\" \"Test/1\"\n"
        );
        assert_eq!(
            formatted("combined", b"HEAD / HTTP/1.0\r\n\r\n"),
            "192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] \"HEAD / HTTP/1.0\" 200 1234 \"-\" \"-\"\n"
        );
    }

    #[test]
    fn each_of_gunicorns_atoms_has_its_value() {
        for (atom, value) in [
            ("h", "192.0.2.7"),
            ("l", "-"),
            ("u", "julia"),
            ("t", "[06/Nov/1994:08:49:37 +0000]"),
            ("r", "GET /a/b?c=d HTTP/1.1"),
            ("m", "GET"),
            ("U", "/a/b"),
            ("q", "c=d"),
            ("H", "HTTP/1.1"),
            ("s", "200"),
            ("B", "1234"),
            ("b", "1234"),
            ("f", "http://r/"),
            ("a", "Test/1"),
            ("T", "2"),
            ("M", "2034"),
            ("D", "2034567"),
            ("L", "2.034567"),
            ("p", &format!("<{}>", std::process::id())),
            ("{x-MANY}i", "1, 2"),
            ("{x-none}i", "-"),
            ("{content-type}o", "text/html"),
            ("{Set-Cookie}o", "a=b, c=d"),
            ("{HTTP/1.1 200 OK}o", "-"),
            ("{wsgi.url_scheme}e", "-"),
        ] {
            assert_eq!(formatted(&format!("%({atom})s"), REQUEST), format!("{value}\n"), "{atom}");
        }
        assert_eq!(formatted("100%% %(D)d\t%(s)s.", REQUEST), "100% 2034567\t200.\n");
    }

    #[test]
    fn variables_of_the_environ_are_logged_where_they_are_named() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let path = path.to_str().unwrap();
        let log = AccessLog::open(path, "%({REMOTE_USER}e)s %({NONE}e)s").unwrap();
        let head = head_of(REQUEST);
        let environ = |name: &str| (name == "REMOTE_USER").then(|| "a\"b".to_owned());
        log.record(&Entry { environ: Some(&environ), ..entry(REQUEST, &head) });
        log.flush();
        assert_eq!(fs::read_to_string(path).unwrap(), "a\\\"b -\n");
    }

    #[test]
    fn an_unknown_atom_is_named_when_the_log_is_opened() {
        for format in ["%(h)s %(Z)s x", "%(Z)s", "%(Z)", "%(Z)x", "%({x}Z)s", "%(Zh)s", "%Z", "%(Z"] {
            let error = AccessLog::open("-", format).unwrap_err();
            assert!(error.contains('Z') && error.contains("hint: "), "{error}");
        }
        for format in ["common", "", "%%", "100%"] {
            assert!(AccessLog::open("-", format).unwrap_err().contains("hint: "), "{format}");
        }
    }

    #[test]
    fn a_request_that_was_not_understood_is_logged_as_it_came() {
        let head = RequestHead::default();
        let bytes = b"\x16\x03\x01 \"TLS?\"\r\nmore";
        for (bytes, line) in [(&bytes[..], "\\x16\\x03\\x01 \\\"TLS?\\\" - - - \n"), (b"", "- - - - \n")] {
            let mut formatted = Vec::new();
            let format = Format::parse("%(r)s %(m)s %(U)s %(H)s %(q)s").unwrap();
            format.push_line(&mut formatted, &entry(bytes, &head));
            assert_eq!(String::from_utf8(formatted).unwrap(), line);
        }
    }

    #[test]
    fn nothing_that_a_client_sends_can_forge_a_line() {
        // The decoder lets none of these through in fields; a lenient one, or the environ, might.
        let hostile = b"a\" 200\r\n192.0.2.9 - - \\ \x1b[2J\x00\x7f\xff\xc2\x9b";
        let mut line = Vec::new();
        push_escaped(&mut line, hostile);
        let expected = r#"a\" 200\r\n192.0.2.9 - - \\ \x1b[2J\x00\x7f\xff\xc2\x9b"#;
        assert_eq!(String::from_utf8(line).unwrap(), expected);
        let mut line = Vec::new();
        push_json_text(&mut line, Some(hostile));
        let expected =
            r#""a\" 200\u000d\u000a192.0.2.9 - - \\ \u001b[2J\u0000\u007f"#.to_owned() + "\u{fffd}\\u009b\"";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
        // "x [y] z:": a user name with spaces is still one word.
        let request = b"GET / HTTP/1.0\r\nAuthorization: basic eCBbeV0gejo=\r\n\r\n";
        assert_eq!(formatted("%(u)s", request), "x\\x20[y]\\x20z\n");
        for credentials in
            ["", "Basic", "Basic ", "Basic ?", "Basic OnNlY3JldA==", "Bearer anVsaWE6", "Basic anVsaWE="]
        {
            let request = format!("GET / HTTP/1.0\r\nAuthorization: {credentials}\r\n\r\n");
            assert_eq!(formatted("%(u)s", request.as_bytes()), "-\n", "{credentials}");
        }
    }

    #[test]
    fn json_is_one_object_with_fixed_keys() {
        let pid = std::process::id();
        assert_eq!(
            formatted("json", REQUEST),
            format!(
                "{{\"time\":\"1994-11-06T08:49:37.000042Z\",\"remote_addr\":\"192.0.2.7\",\"user\":\"julia\",\
                 \"method\":\"GET\",\"host\":\"x.example\",\"path\":\"/a/b\",\"query\":\"c=d\",\
                 \"protocol\":\"HTTP/1.1\",\"referer\":\"http://r/\",\"user_agent\":\"Test/1\",\"request_id\":null,\
                 \"status\":200,\"bytes\":1234,\"pid\":{pid},\"duration\":2.034567}}\n"
            )
        );
        let line = formatted("json", b"GET / HTTP/1.0\r\n\r\n");
        assert!(line.contains("\"user\":null") && line.contains("\"host\":null"), "{line}");
    }

    #[test]
    fn a_clock_that_is_out_of_range_does_no_harm() {
        for time in [UNIX_EPOCH - Duration::from_secs(9), UNIX_EPOCH + Duration::from_secs(300_000_000_000)] {
            assert_eq!(&http_date(time), b"Thu, 01 Jan 1970 00:00:00 GMT");
        }
    }

    #[test]
    fn after_reopening_new_lines_go_to_a_new_file() {
        let folder = TempDir::new().unwrap();
        let (path, rotated) = (folder.path().join("log"), folder.path().join("log.1"));
        let log = AccessLog::open(path.to_str().unwrap(), "%(m)s").unwrap();
        let head = head_of(REQUEST);
        log.record(&entry(REQUEST, &head));
        fs::rename(&path, &rotated).unwrap();
        log.reopen();
        log.flush();
        log.record(&entry(REQUEST, &head));
        log.record(&entry(REQUEST, &head));
        drop(log);
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "GET\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "GET\nGET\n");
    }

    #[test]
    fn when_it_cannot_be_reopened_the_old_file_goes_on() {
        let folder = TempDir::new().unwrap();
        let (path, moved) = (folder.path().join("logs/log"), folder.path().join("moved"));
        fs::create_dir(folder.path().join("logs")).unwrap();
        let log = AccessLog::open(path.to_str().unwrap(), "%(m)s").unwrap();
        fs::rename(folder.path().join("logs"), &moved).unwrap();
        log.reopen();
        let head = head_of(REQUEST);
        log.record(&entry(REQUEST, &head));
        drop(log);
        assert_eq!(fs::read_to_string(moved.join("log")).unwrap(), "GET\n");
    }

    #[test]
    fn lines_of_several_threads_and_workers_stay_whole() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let head = head_of(REQUEST);
        let logs = [0, 1].map(|_| AccessLog::open(path.to_str().unwrap(), "combined").unwrap());
        thread::scope(|scope| {
            for log in logs.iter().chain(&logs) {
                scope.spawn(|| (0..2000).for_each(|_| log.record(&entry(REQUEST, &head))));
            }
        });
        drop(logs);
        let expected = formatted("combined", REQUEST);
        let lines = fs::read_to_string(path).unwrap();
        assert_eq!(lines.split_inclusive('\n').filter(|line| *line == expected).count(), 8000);
        assert_eq!(lines.len(), 8000 * expected.len());
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let log = AccessLog::open("/dev/full", "combined").unwrap();
        let head = head_of(REQUEST);
        let length = formatted("combined", REQUEST).len();
        for _ in 0..3 * KEPT / length {
            log.record(&entry(REQUEST, &head));
        }
        assert!(log.dropped() > 0);
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_the_others_arrive_whole() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("fifo");
        mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
        assert!(AccessLog::open(path.to_str().unwrap(), "%(r)s").is_err(), "a FIFO without a reader");
        let flags = OFlags::NONBLOCK.bits() as i32;
        let mut reader = OpenOptions::new().read(true).custom_flags(flags).open(&path).unwrap();
        rustix::io::ioctl_fionbio(&reader, false).unwrap();
        let log = AccessLog::open(path.to_str().unwrap(), "combined").unwrap();
        let head = head_of(REQUEST);
        let expected = formatted("combined", REQUEST);
        let count = 3 * KEPT / expected.len();
        for _ in 0..count {
            log.record(&entry(REQUEST, &head));
        }
        let dropped = log.dropped() as usize;
        assert!(dropped > 0);
        let lines = thread::spawn(move || {
            let mut lines = String::new();
            reader.read_to_string(&mut lines).map(|_| lines)
        });
        log.flush();
        drop(log);
        let lines = lines.join().unwrap().unwrap();
        assert_eq!(lines, expected.repeat(count - dropped));
    }
}
