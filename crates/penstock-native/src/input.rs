//! `wsgi.input`: a request's body as a Python file. The whole body is there, so nothing here waits.
use crate::body::Body;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// How far a line is looked for at once in a body that is in a file.
const LINE_STEP: usize = 8 * 1024;

/// A readable stream; at its end every read gives b"", for ever.
#[pyclass(module = "penstock._native", freelist = 64)]
pub struct Input {
    body: Body,
    position: u64,
}

impl Input {
    pub fn new(body: Body) -> Self {
        Self { body, position: 0 }
    }

    fn left(&self) -> u64 {
        self.body.len() - self.position
    }

    /// How much a size argument asks for: None and negative numbers mean everything.
    fn wanted(&self, size: Option<i64>) -> usize {
        match size {
            Some(size) if size >= 0 => self.left().min(size as u64) as usize,
            _ => self.left() as usize,
        }
    }

    fn take<'py>(&mut self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyBytes>> {
        let begin = self.position;
        let bytes = match &self.body {
            Body::Memory(held) => {
                let begin = begin as usize;
                PyBytes::new(py, &held[begin..begin + count])
            }
            body => PyBytes::new_with(py, count, |mut target| {
                let mut position = begin;
                while !target.is_empty() {
                    let read = body.read_at(position, target)?;
                    if read == 0 {
                        return Err(PyOSError::new_err("the temporary file of the request body became shorter"));
                    }
                    position += read as u64;
                    target = &mut target[read..];
                }
                Ok(())
            })?,
        };
        self.position += count as u64;
        Ok(bytes)
    }

    /// Bytes up to and with the next newline, `most` at the most.
    fn line_length(&self, most: usize) -> PyResult<usize> {
        if let Body::Memory(held) = &self.body {
            let begin = self.position as usize;
            let rest = &held[begin..begin + most];
            return Ok(memchr::memchr(b'\n', rest).map_or(most, |end| end + 1));
        }
        let mut length = 0;
        let mut part = vec![0; LINE_STEP];
        while length < most {
            let wanted = LINE_STEP.min(most - length);
            let read = self.body.read_at(self.position + length as u64, &mut part[..wanted])?;
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

#[pymethods]
impl Input {
    /// At most `size` bytes; all that are left without a size.
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&mut self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        let count = self.wanted(size);
        self.take(py, count)
    }

    /// One line with its newline, at most `size` bytes of it.
    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&mut self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        let length = self.line_length(self.wanted(size))?;
        self.take(py, length)
    }

    /// All lines, or about `hint` bytes of them.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&mut self, py: Python<'py>, hint: Option<i64>) -> PyResult<Bound<'py, PyList>> {
        let lines = PyList::empty(py);
        let enough = hint.filter(|hint| *hint > 0).map_or(u64::MAX, |hint| hint as u64);
        let begin = self.position;
        while self.left() > 0 && self.position - begin < enough {
            lines.append(self.readline(py, None)?)?;
        }
        Ok(lines)
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if self.left() == 0 {
            return Ok(None);
        }
        self.readline(py, None).map(Some)
    }
}
