//! One request and its response while the application has them: `start_response`, `write` and early hints.
use crate::connection::{push_plain, status_text, Connection, Job, Request, Wire};
use crate::deadlines::Watched;
use crate::hub::Hub;
use crate::latin1::encode;
use crate::output::{Flushed, COPIED_PIECE};
use crate::python_bytes::PythonBytes;
use crate::raw;
use crate::static_files::{FileBody, FileRequest, Protected, Served};
use crate::threads::CURRENT;
use penstock_http::{BodyEncoder, HeadEncoder, ResponseError, SuspendedHead, Version};
use pyo3::exceptions::{PyAssertionError, PyBrokenPipeError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::borrow::Cow;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A response that the client does not read goes to a temporary file up to this size; then its thread waits.
/// A gigabyte is more than a page and less than a disk.
const MOST_SPOOLED: u64 = 1024 * 1024 * 1024;

/// How far a response has come.
enum State {
    /// start_response has not been called.
    Fresh,
    /// The status and the fields are known and nothing has left.
    Started(SuspendedHead),
    /// The head is on its way.
    Body(BodyEncoder),
    /// A file has been put in the place of the application's body.
    Replaced,
}

/// Made for each call of the application, and empty before and after it.
#[pyclass(module = "penstock._native", freelist = 64)]
pub struct Exchange {
    loaded: Option<Loaded>,
}

struct Loaded {
    job: Job,
    hub: Arc<Hub>,
    date: [u8; 29],
    state: State,
    /// X-Accel-Redirect or X-Sendfile, where files may be served for the application.
    file: Option<(Protected, Vec<u8>)>,
    client_left: bool,
}

#[pymethods]
impl Exchange {
    /// PEP 3333, "The start_response() callable".
    #[pyo3(signature = (status, headers, exc_info=None, /))]
    fn start_response<'py>(
        this: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let mut exchange = this.try_borrow_mut()?;
        let loaded = exchange.loaded()?;
        match (exc_info, &loaded.state) {
            (None, State::Fresh) | (Some(_), State::Fresh | State::Started(_)) => {}
            (None, _) => {
                let message = "start_response was called a second time without exc_info; see PEP 3333";
                return Err(PyAssertionError::new_err(message));
            }
            // "If exc_info is provided, and the HTTP headers have already been sent, start_response must raise".
            (Some(exc_info), _) => return Err(exception_of(&exc_info)?),
        }
        loaded.start(status, headers)?;
        // It is its own write(): hardly anybody calls that, and a bound method would have to be made each time.
        Ok(this.clone())
    }

    /// PEP 3333, "The write() callable": sends a piece at once.
    fn __call__(this: &Bound<'_, Self>, piece: &Bound<'_, PyAny>) -> PyResult<()> {
        let piece = piece.cast::<PyBytes>().map_err(|_| not_bytes(piece))?;
        if piece.as_bytes().is_empty() {
            return Ok(());
        }
        let mut exchange = this.try_borrow_mut()?;
        exchange.commit(None)?;
        let excess = exchange.announced()?.is_some_and(|left| left < piece.as_bytes().len() as u64);
        let is_behind = exchange.send(piece)?;
        drop(exchange);
        if is_behind {
            wait_for_reader(this)?;
        }
        if excess {
            // "… or raise an error if the application tries to write() past that point"
            return Err(PyValueError::new_err("write() went past the Content-Length that was announced"));
        }
        Ok(())
    }

    /// Sends `Link` fields and the like with status 103, before the response. HTTP/1.0 clients do not get them.
    fn early_hints(&mut self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let loaded = self.loaded()?;
        if !matches!(loaded.state, State::Fresh | State::Started(_)) {
            return Err(PyAssertionError::new_err("early hints came after the response had begun"));
        }
        if loaded.job.request.turn(false).version == Version::Http10 {
            return Ok(());
        }
        let headers = native_fields(headers)?;
        let pairs: Vec<_> = headers.iter().collect();
        let fields: Vec<Pair<'_>> = pairs.iter().map(borrowed).collect::<PyResult<_>>()?;
        let mut output = loaded.job.connection.wire.output();
        let fields = fields.iter().map(|(name, value)| (&**name, &**value));
        penstock_http::encode_early_hints(output.tail(), fields).map_err(refused)?;
        drop(output);
        self.flush().map(|_| ())
    }

    /// `environ["penstock.serve_file"]`: answers with the static file at this path, although the path is guarded. The
    /// application then returns an empty list. False, and nothing answered, where there is no such mount, or where it
    /// leaves missing files to the application.
    fn serve_file(&mut self) -> PyResult<bool> {
        let loaded = self.loaded()?;
        if !matches!(loaded.state, State::Fresh) {
            return Err(PyAssertionError::new_err("serve_file came after the response had begun"));
        }
        loaded.serve_file()
    }
}

impl Exchange {
    pub fn empty() -> Self {
        Self { loaded: None }
    }

    pub fn load(&mut self, job: Job, hub: Arc<Hub>, date: &[u8]) {
        let mut copy = [b' '; 29];
        let length = date.len().min(copy.len());
        copy[..length].copy_from_slice(&date[..length]);
        self.loaded = Some(Loaded { job, hub, date: copy, state: State::Fresh, file: None, client_left: false });
    }

    /// The application is done with it.
    pub fn unload(&mut self) -> Option<Job> {
        self.loaded.take().map(|loaded| loaded.job)
    }

    fn loaded(&mut self) -> PyResult<&mut Loaded> {
        self.loaded.as_mut().ok_or_else(|| PyRuntimeError::new_err("this request has been answered already"))
    }

    /// Sends the head off. False when a file takes the place of the body, so that nothing of it is wanted.
    pub fn commit(&mut self, body_length: Option<u64>) -> PyResult<bool> {
        let loaded = self.loaded()?;
        match loaded.state {
            State::Body(_) => Ok(true),
            State::Replaced => Ok(false),
            State::Fresh => Err(PyAssertionError::new_err(
                "the application returned a body without having called start_response; see PEP 3333",
            )),
            State::Started(head) => loaded.commit(head, body_length),
        }
    }

    /// Appends a piece of the body behind the head.
    pub fn push(&mut self, piece: &Bound<'_, PyBytes>) -> PyResult<()> {
        let loaded = self.loaded()?;
        let State::Body(encoder) = &mut loaded.state else { return Ok(()) };
        let bytes = piece.as_bytes();
        let mut output = loaded.job.connection.wire.output();
        if output.is_cut {
            drop(output);
            return Err(loaded.cut());
        }
        let (length, suffix) = encoder.frame(output.tail(), bytes.len());
        if length == 0 {
            return Ok(());
        }
        if length <= COPIED_PIECE {
            output.push_bytes(&bytes[..length]);
        } else {
            let bytes = PythonBytes::new(PyBackedBytes::from(piece.clone()), loaded.hub.clone());
            output.push_shared(Box::new(bytes), length);
        }
        if !suffix.is_empty() {
            output.push_bytes(suffix);
        }
        loaded.job.request.body_sent += length as u64;
        Ok(())
    }

    /// Appends a whole file as the body, which then needs no Python any more.
    pub fn push_file(&mut self, file: std::os::fd::OwnedFd, offset: u64, length: u64) -> PyResult<()> {
        let loaded = self.loaded()?;
        let State::Body(encoder) = &mut loaded.state else { return Ok(()) };
        let mut output = loaded.job.connection.wire.output();
        let (length, suffix) = encoder.frame(output.tail(), usize::try_from(length).unwrap_or(usize::MAX));
        output.push_file(file, offset, length as u64);
        output.push_bytes(suffix);
        loaded.job.request.body_sent += length as u64;
        Ok(())
    }

    /// The Content-Length that the application gave to start_response, or what is left of it.
    pub fn announced(&mut self) -> PyResult<Option<u64>> {
        Ok(match &self.loaded()?.state {
            State::Started(head) => head.content_length(),
            State::Body(encoder) => encoder.remaining(),
            State::Fresh | State::Replaced => None,
        })
    }

    /// The response has no body, whatever comes.
    pub fn is_bodiless(&mut self) -> PyResult<bool> {
        Ok(match &self.loaded()?.state {
            State::Body(encoder) => encoder.is_bodiless(),
            State::Replaced => true,
            State::Fresh | State::Started(_) => false,
        })
    }

    /// Appends a piece of the body and sends what the socket takes now. True when so much waits for the reader that
    /// [`wait_for_reader`] has to see to it.
    pub fn send(&mut self, piece: &Bound<'_, PyBytes>) -> PyResult<bool> {
        self.push(piece)?;
        // Each piece of a response begins its time anew.
        note_progress();
        self.flush()
    }

    /// Sends what the socket takes now; the rest leaves without this thread. BrokenPipeError when the client has
    /// left. True as for [`Self::send`].
    fn flush(&mut self) -> PyResult<bool> {
        let loaded = self.loaded()?;
        let mut output = loaded.job.connection.wire.output();
        match output.flush(loaded.job.connection.wire.socket.as_fd()) {
            Ok(Flushed::Whole) => Ok(false),
            // No event tells when to go on.
            Ok(Flushed::Paused) => Ok(true),
            Ok(Flushed::Partly) => {
                let is_much = output.held_in_memory() > loaded.hub.settings.response_memory;
                Ok(is_much || output.pending() > MOST_SPOOLED)
            }
            Err(error) => {
                drop(output);
                Err(self.give_up(&format!("the client has left: {error}")))
            }
        }
    }

    /// Nobody reads this response: the connection closes. The error that tells the application so.
    pub fn give_up(&mut self, reason: &str) -> PyErr {
        if let Some(loaded) = &mut self.loaded {
            loaded.client_left = true;
            loaded.job.connection.close = true;
        }
        PyBrokenPipeError::new_err(reason.to_owned())
    }

    /// The body is complete.
    pub fn end(&mut self) -> PyResult<()> {
        self.commit(Some(0))?;
        let loaded = self.loaded()?;
        let State::Body(encoder) = &mut loaded.state else { return Ok(()) };
        let mut output = loaded.job.connection.wire.output();
        let complete = encoder.finish(output.tail());
        output.is_open_ended = false;
        if !complete {
            loaded.job.connection.close = true;
            let message = "the body is shorter than the Content-Length that was announced; the connection is closed";
            return Err(PyValueError::new_err(message));
        }
        Ok(())
    }

    /// The call has failed. False when the head had left already: then only closing tells the client.
    pub fn fail(&mut self, status: &[u8]) -> bool {
        let Some(loaded) = &mut self.loaded else { return false };
        let wire = loaded.job.connection.wire.clone();
        let mut output = wire.output();
        if output.is_cut {
            loaded.cut();
            return false;
        }
        let Job { connection, request } = &mut loaded.job;
        if matches!(loaded.state, State::Body(_) | State::Replaced) {
            connection.close = true;
            return false;
        }
        connection.close |= loaded.hub.stop_deadline().is_some();
        let turn = request.turn(connection.close);
        let keep = push_plain(&mut output, turn, status, None, &loaded.date);
        connection.close |= !keep;
        request.status = 500;
        true
    }

    /// Nobody is there to be told of a failure: the client has left, or was answered when the deadline had passed, and
    /// the log has the stack from then.
    pub fn is_over(&self) -> bool {
        let is_over = |loaded: &Loaded| loaded.client_left || loaded.job.connection.wire.output().is_cut;
        let is_abandoned = || own_call(Watched::is_abandoned).unwrap_or(false);
        self.loaded.as_ref().is_some_and(is_over) || is_abandoned()
    }

    /// What is needed to wait for the reader without holding this object.
    fn wire(&mut self) -> PyResult<(Arc<Wire>, Arc<Hub>)> {
        let loaded = self.loaded()?;
        Ok((loaded.job.connection.wire.clone(), loaded.hub.clone()))
    }
}

impl Loaded {
    /// Encodes status and fields, in place of earlier ones.
    fn start(&mut self, status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let status = status.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!("the status must be a str such as '200 OK', not {}", type_name(status)))
        })?;
        let headers = native_fields(headers)?;
        let Request { response_head, .. } = &mut *self.job.request;
        response_head.clear();
        let out = &mut std::mem::take(response_head);
        self.job.connection.close |= self.hub.stop_deadline().is_some();
        let turn = self.job.request.turn(self.job.connection.close);
        let mut encoder = HeadEncoder::start(out, turn, &encode(status)?).map_err(refused)?;
        self.file = None;
        let serves_files = self.hub.settings.serves_protected;
        for pair in headers.iter() {
            let (name, value) = borrowed(&pair)?;
            if serves_files {
                let kind = if name.eq_ignore_ascii_case(b"x-accel-redirect") {
                    Some(Protected::Accel)
                } else {
                    name.eq_ignore_ascii_case(b"x-sendfile").then_some(Protected::Sendfile)
                };
                if let Some(kind) = kind {
                    self.file = Some((kind, value.into_owned()));
                    continue;
                }
            }
            encoder.field(&name, &value).map_err(refused)?;
        }
        self.state = State::Started(encoder.suspend());
        self.job.request.response_head = std::mem::take(out);
        Ok(())
    }

    fn commit(&mut self, head: SuspendedHead, body_length: Option<u64>) -> PyResult<bool> {
        if let Some((kind, location)) = self.file.take() {
            self.replace(kind, &location)?;
            return Ok(false);
        }
        let Job { connection, request } = &mut self.job;
        let encoder = head.resume(&mut request.response_head).finish(&self.date, body_length).map_err(refused)?;
        connection.close |= !encoder.keep_alive();
        let mut output = connection.wire.output();
        if output.is_cut {
            drop(output);
            return Err(self.cut());
        }
        output.has_begun = true;
        output.is_open_ended = encoder.is_open_ended();
        output.push_bytes(&request.response_head);
        drop(output);
        request.status = head.status();
        self.state = State::Body(encoder);
        Ok(true)
    }

    /// The client has been answered already, because the deadline has passed.
    fn cut(&mut self) -> PyErr {
        self.client_left = true;
        self.job.connection.close = true;
        self.job.request.status = 504;
        PyBrokenPipeError::new_err("the request has passed its deadline; the client has been answered")
    }

    /// Puts a file in the place of the application's body.
    fn replace(&mut self, kind: Protected, location: &[u8]) -> PyResult<()> {
        let Job { connection, request } = &mut self.job;
        let head = std::mem::take(&mut request.response_head);
        let (status, fields) = parse_encoded(&head);
        let file_request = file_request(connection, request, &self.date);
        let mut out = Vec::new();
        let answer = self.hub.files.answer_protected(location, kind, &file_request, status, &fields, &mut out);
        let served = match answer {
            Ok(served) => served,
            Err(error) if error.status == 404 => {
                let mut output = connection.wire.output();
                if output.is_cut {
                    drop(output);
                    return Err(self.cut());
                }
                let turn = request.turn(connection.close);
                let keep = push_plain(&mut output, turn, status_text(404), None, &self.date);
                drop(output);
                connection.close |= !keep;
                request.status = 404;
                self.state = State::Replaced;
                return Ok(());
            }
            Err(error) => return Err(PyRuntimeError::new_err(error.reason)),
        };
        self.put(served, out)
    }

    /// A file of a mount, to a client that may have it.
    fn serve_file(&mut self) -> PyResult<bool> {
        let Job { connection, request } = &mut self.job;
        connection.close |= self.hub.stop_deadline().is_some();
        let mut out = Vec::new();
        let answer = self.hub.files.answer_guarded(&file_request(connection, request, &self.date), &mut out);
        answer.map_or(Ok(false), |served| self.put(served, out).map(|()| true))
    }

    /// The head of a file's answer, and the file.
    fn put(&mut self, served: Served, out: Vec<u8>) -> PyResult<()> {
        let Job { connection, request } = &mut self.job;
        let mut output = connection.wire.output();
        if output.is_cut {
            drop(output);
            return Err(self.cut());
        }
        output.has_begun = true;
        output.push_bytes(&out);
        if let FileBody::File { file, offset, length } = served.body {
            output.push_file(file, offset, length);
        }
        drop(output);
        connection.close |= !served.keep_alive;
        request.status = served.status;
        request.body_sent = served.body_length;
        request.response_head = out;
        self.state = State::Replaced;
        Ok(())
    }
}

/// A client reads more slowly than its response is made. What is waiting goes to a file; where that is too large
/// already or cannot be written, this thread waits as well, but no longer than `write_timeout` for a reader that takes
/// nothing. Others have Python meanwhile, also while a disk is slow.
pub fn wait_for_reader(exchange: &Bound<'_, Exchange>) -> PyResult<()> {
    let py = exchange.py();
    let (wire, hub) = exchange.try_borrow_mut()?.wire()?;
    let mut sent = wire.output().total_sent;
    let mut since = Instant::now();
    loop {
        if py.detach(|| make_room(&hub, &wire)) {
            return Ok(());
        }
        py.detach(|| {
            let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
            // A signal or an error ends the wait early; flush() finds out what it was.
            let _ = poll(&mut [PollFd::new(&wire.socket, PollFlags::OUT)], Some(&timeout));
        });
        let mut this = exchange.try_borrow_mut()?;
        if !this.flush()? {
            return Ok(());
        }
        let now_sent = wire.output().total_sent;
        if now_sent != sent {
            (sent, since) = (now_sent, Instant::now());
            // A response that goes on leaving is not late.
            note_progress();
        } else if since.elapsed() >= hub.settings.write_timeout {
            return Err(this.give_up("the client has read nothing for the whole of write_timeout"));
        }
    }
}

/// Sends what the socket takes and moves the rest to a file. False when that does not help.
fn make_room(hub: &Hub, wire: &Wire) -> bool {
    // An error is found again by the next who sends.
    while wire.output().flush(wire.socket.as_fd()) == Ok(Flushed::Paused) {}
    let mut output = wire.output();
    if output.held_in_memory() > hub.settings.response_memory {
        if let Err(error) = output.spill(&hub.settings.temp_dir) {
            hub.log_full_disk(&error);
            return false;
        }
    }
    output.pending() <= MOST_SPOOLED
}

/// The deadline of this thread's call counts from now.
fn note_progress() {
    CURRENT.with_borrow(|current| {
        if let Some((hub, index)) = current {
            hub.calls[*index].progress(hub.nanoseconds(Instant::now()), &hub.settings.patience);
        }
    });
}

/// Asks the call that this thread is in; None outside of one.
fn own_call<T>(ask: impl FnOnce(&Watched) -> T) -> Option<T> {
    CURRENT.with_borrow(|current| current.as_ref().map(|(hub, index)| ask(&hub.calls[*index])))
}

/// From now on the application makes one piece after the other.
pub fn begin_stream() {
    own_call(|watched| watched.set_streams(true));
}

/// It has made the last one. What was raised because nobody reads them must not hit its close().
pub fn end_stream(py: Python<'_>) {
    own_call(|watched| {
        watched.set_streams(false);
        if watched.is_abandoned() {
            raw::clear_exception_of(py, watched.ident.load(Ordering::Relaxed));
        }
    });
}

/// `environ["penstock.extend_timeout"]`: gives the request of this thread so many seconds from now on, in the place of
/// what is left of its `timeout`.
#[pyfunction]
pub fn extend_timeout(seconds: f64) -> PyResult<()> {
    let by = Duration::try_from_secs_f64(seconds).map_err(|why| PyValueError::new_err(why.to_string()))?;
    CURRENT.with_borrow(|current| {
        let Some((hub, index)) = current else {
            let message = "extend_timeout() has to be called in the thread that answers the request";
            return Err(PyRuntimeError::new_err(message));
        };
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        hub.calls[*index].extend(hub.nanoseconds(Instant::now()), by);
        Ok(())
    })
}

/// The fields that decide how a file is sent.
const FILE_FIELDS: [&[u8]; 7] = [
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
    b"range",
    b"if-range",
    b"accept-encoding",
];

/// What a request says to whoever answers it with a file.
pub fn file_request<'a>(connection: &Connection, request: &'a mut Request, date: &'a [u8]) -> FileRequest<'a> {
    let places = request.values(&FILE_FIELDS);
    let request = &*request;
    let [if_match, if_none_match, if_modified_since, if_unmodified_since, range, if_range, accept_encoding] =
        places.map(|place| place.map(|place| place.of(&request.bytes)));
    FileRequest {
        method: request.method(),
        path: request.path(),
        script_name: request.gateway.as_ref().map_or(&[], |gateway| gateway.script_name.of(&request.bytes)),
        turn: request.turn(connection.close),
        date,
        if_none_match,
        if_modified_since,
        if_match,
        if_unmodified_since,
        range,
        if_range,
        accept_encoding,
    }
}

type Parsed<'a> = (&'a [u8], &'a [u8]);

/// The status and the fields of a head that we have encoded ourselves, without its end.
fn parse_encoded(head: &[u8]) -> (&[u8], Vec<Parsed<'_>>) {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().and_then(|line| line.strip_prefix(b"HTTP/1.1 ")).unwrap_or_default();
    let fields = lines.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii_start()))
    });
    (status, fields.collect())
}

/// "headers must be a list of (header_name, header_value) tuples".
fn native_fields<'a, 'py>(headers: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyList>> {
    headers.cast::<PyList>().map_err(|_| {
        PyTypeError::new_err(format!("the headers must be a list of (name, value) tuples, not {}", type_name(headers)))
    })
}

type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// One (name, value) as bytes.
fn borrowed<'a>(pair: &'a Bound<'_, PyAny>) -> PyResult<Pair<'a>> {
    let wrong = || PyTypeError::new_err(format!("a header must be a tuple of two str, not {}", repr(pair)));
    let pair = pair.cast::<PyTuple>().map_err(|_| wrong())?;
    let (name, value) = match pair.as_slice() {
        [name, value] => (name, value),
        _ => return Err(wrong()),
    };
    let name = name.cast::<PyString>().map_err(|_| wrong())?;
    let value = value.cast::<PyString>().map_err(|_| wrong())?;
    Ok((encode(name)?, encode(value)?))
}

fn repr(object: &Bound<'_, PyAny>) -> String {
    object.repr().map_or_else(|_| type_name(object), |text| text.to_string())
}

pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "an unknown type".into(), |name| name.to_string())
}

/// PEP 3333 asks for bytes; str is the usual mistake.
pub fn not_bytes(piece: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("the body must be made of bytes, not {}; see PEP 3333", type_name(piece)))
}

fn refused(error: ResponseError) -> PyErr {
    PyValueError::new_err(error.reason)
}

/// The exception of an exc_info triple, with its traceback.
fn exception_of(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let value = exc_info.get_item(1)?;
    let traceback = exc_info.get_item(2)?;
    Ok(PyErr::from_value(value.call_method1("with_traceback", (traceback,))?))
}
