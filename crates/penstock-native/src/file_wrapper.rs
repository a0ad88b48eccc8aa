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
    /// regular file, or is read through something that changes its bytes (it has no descriptor or no position).
    pub fn regular_file(&self, py: Python<'_>) -> Option<(OwnedFd, u64, u64)> {
        let filelike = self.filelike.bind(py);
        let number: i32 = filelike.call_method0(intern!(py, "fileno")).ok()?.extract().ok()?;
        // tell() and not the descriptor's own position: a buffered reader has read ahead.
        let position: u64 = filelike.call_method0(intern!(py, "tell")).ok()?.extract().ok()?;
        let file = crate::raw::duplicate(number).ok()?;
        let status = fstat(&file).ok()?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return None;
        }
        Some((file, position, (status.st_size as u64).saturating_sub(position)))
    }
}
