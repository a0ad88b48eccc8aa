//! `wsgi.file_wrapper`: a file as an iterable. A real one leaves with sendfile and is never read by Python.
use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use rustix::fs::{fstat, FileType};
use std::os::fd::OwnedFd;

/// Wraps a file-like object.
#[pyclass(module = "penstock._native")]
pub struct FileWrapper {
    filelike: Py<PyAny>,
    block_size: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, block_size=65536))]
    fn new(filelike: Py<PyAny>, block_size: usize) -> Self {
        Self { filelike, block_size: block_size.max(1) }
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.filelike.bind(py).call_method1(intern!(py, "read"), (self.block_size,))?;
        Ok(block.is_truthy()?.then_some(block))
    }

    /// Closes the file, when it can be closed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.filelike.bind(py).getattr(intern!(py, "close")) {
            Ok(close) => close.call0().map(|_| ()),
            Err(error) if error.is_instance_of::<PyAttributeError>(py) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl FileWrapper {
    /// A descriptor of its own for the file, with the position and the number of bytes behind it; None when it is no
    /// regular file, or when what its read() gives might be something else than the bytes on the disk.
    pub fn regular_file(&self, py: Python<'_>) -> PyResult<Option<(OwnedFd, u64, u64)>> {
        let mut filelike = self.filelike.bind(py).clone();
        if !is_plain(&filelike)? {
            // Django's File and the like pass read() on to what they wrap.
            let Some(inner) = filelike.getattr_opt(intern!(py, "file"))? else { return Ok(None) };
            let read = intern!(py, "read");
            if !is_plain(&inner)? || !filelike.getattr(read)?.eq(inner.getattr(read)?)? {
                return Ok(None);
            }
            filelike = inner;
        }
        let number: i32 = filelike.call_method0(intern!(py, "fileno"))?.extract()?;
        // tell() and not the descriptor's own position: a buffered reader has read ahead.
        let Ok(position) = filelike.call_method0(intern!(py, "tell")).and_then(|position| position.extract()) else {
            return Ok(None);
        };
        let file = crate::raw::duplicate(number)?;
        let status = fstat(&file).map_err(std::io::Error::from)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        Ok(Some((file, position, (status.st_size as u64).saturating_sub(position))))
    }
}

/// A file of `open(path, "rb")`, with or without a buffer: gzip and others have a descriptor, too, but of other bytes.
fn is_plain(filelike: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = filelike.py();
    let io = py.import(intern!(py, "io"))?;
    let file = io.getattr(intern!(py, "FileIO"))?;
    let kind = filelike.get_type();
    if kind.is(&file) {
        return Ok(true);
    }
    if kind.is(&io.getattr(intern!(py, "BufferedReader"))?) || kind.is(&io.getattr(intern!(py, "BufferedRandom"))?) {
        return Ok(filelike.getattr(intern!(py, "raw"))?.get_type().is(&file));
    }
    Ok(false)
}
