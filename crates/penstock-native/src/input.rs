//! `wsgi.input`: a request's body as a Python file. Unless it is streamed the whole body is there, and nothing waits.
use crate::body::Body;
use crate::body_stream::{lock, SharedStream};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::io;

/// How far a line is looked for at once in a body that is in a file.
const LINE_STEP: usize = 8 * 1024;

/// Others have Python while so much or more is read from a file or a pipe, and a disk may be slow. What is less takes no
/// longer than to get Python back beside a busy thread.
const LARGE_READ: usize = 256 * 1024;

/// Where the bytes come from.
enum Source {
    /// They are all there.
    Whole { body: Body, position: u64 },
    /// The client still sends them.
    Stream(SharedStream),
}

/// A readable stream; at its end every read gives b"", for ever.
#[pyclass(module = "penstock._native", freelist = 64)]
pub struct Input {
    source: Source,
}

impl Input {
    pub fn new(body: Body) -> Self {
        Self { source: Source::Whole { body, position: 0 } }
    }

    /// A body that is read from the client when the application asks for it.
    pub fn streaming(stream: SharedStream) -> Self {
        Self { source: Source::Stream(stream) }
    }

    /// How much there is of what a size argument asks for: None and negative numbers mean everything.
    fn available(&self, py: Python<'_>, size: Option<i64>) -> PyResult<usize> {
        let wanted = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let left = match &self.source {
            Source::Whole { body, position } => usize::try_from(body.len() - position).unwrap_or(usize::MAX),
            Source::Stream(stream) => py.detach(|| {
                let mut stream = lock(stream);
                stream.fill(wanted).map(|()| stream.decoded.len())
            })?,
        };
        Ok(wanted.min(left))
    }

    fn take<'py>(&mut self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyBytes>> {
        let (body, position) = match &mut self.source {
            Source::Whole { body, position } => (body, position),
            Source::Stream(stream) => {
                let mut stream = lock(stream);
                let bytes = PyBytes::new(py, &stream.decoded[..count]);
                stream.decoded.drain(..count);
                return Ok(bytes);
            }
        };
        let begin = *position;
        *position += count as u64;
        if let Some(held) = body.in_memory() {
            let begin = begin as usize;
            return Ok(PyBytes::new(py, &held[begin..begin + count]));
        }
        PyBytes::new_with(py, count, |target| {
            if count < LARGE_READ {
                return Ok(read_exact(body, begin, target)?);
            }
            Ok(py.detach(|| read_exact(body, begin, target))?)
        })
    }

    /// Bytes up to and with the next newline, `size` at the most.
    fn line_length(&mut self, py: Python<'_>, size: Option<i64>) -> PyResult<usize> {
        if let Source::Stream(stream) = &self.source {
            let most = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
            return Ok(py.detach(|| streamed_line_length(stream, most))?);
        }
        let most = self.available(py, size)?;
        let Source::Whole { body, position } = &mut self.source else { return Ok(0) };
        let position = *position;
        if let Some(held) = body.in_memory() {
            let begin = position as usize;
            let rest = &held[begin..begin + most];
            return Ok(memchr::memchr(b'\n', rest).map_or(most, |end| end + 1));
        }
        let mut length = 0;
        let mut part = vec![0; LINE_STEP];
        while length < most {
            let wanted = LINE_STEP.min(most - length);
            let read = body.peek_at(position + length as u64, &mut part[..wanted])?;
            if read == 0 {
                break;
            }
            if let Some(end) = memchr::memchr(b'\n', &part[..read]) {
                return Ok(length + end + 1);
            }
            length += read;
        }
        Ok(length)
    }
}

fn read_exact(body: &mut Body, mut position: u64, mut target: &mut [u8]) -> io::Result<()> {
    while !target.is_empty() {
        let read = body.read_at(position, target)?;
        if read == 0 {
            return Err(io::Error::other("the request body has become shorter"));
        }
        position += read as u64;
        target = &mut target[read..];
    }
    Ok(())
}

fn streamed_line_length(stream: &SharedStream, most: usize) -> io::Result<usize> {
    let mut stream = lock(stream);
    let mut searched = 0;
    loop {
        let known = stream.decoded.len().min(most);
        if let Some(end) = memchr::memchr(b'\n', &stream.decoded[searched..known]) {
            return Ok(searched + end + 1);
        }
        searched = known;
        if known == most {
            return Ok(known);
        }
        stream.fill(known + 1)?;
        if stream.decoded.len() == known {
            return Ok(known);
        }
    }
}

#[pymethods]
impl Input {
    /// At most `size` bytes; all that are left without a size.
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&mut self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        let count = self.available(py, size)?;
        self.take(py, count)
    }

    /// One line with its newline, at most `size` bytes of it.
    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&mut self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        let length = self.line_length(py, size)?;
        self.take(py, length)
    }

    /// All lines, or about `hint` bytes of them.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&mut self, py: Python<'py>, hint: Option<i64>) -> PyResult<Bound<'py, PyList>> {
        let lines = PyList::empty(py);
        let enough = hint.filter(|hint| *hint > 0).map_or(u64::MAX, |hint| hint as u64);
        let mut read = 0;
        while read < enough {
            let line = self.readline(py, None)?;
            if line.as_bytes().is_empty() {
                break;
            }
            read += line.as_bytes().len() as u64;
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }
}
