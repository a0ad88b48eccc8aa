//! Python's bytes that a response keeps until they have left. Whoever drops them need not have Python.
use crate::hub::Hub;
use crate::raw;
use pyo3::pybacked::PyBackedBytes;
use std::sync::Arc;

/// A bytes object that the socket or a file still has to take.
pub struct PythonBytes {
    /// None only while it is dropped.
    bytes: Option<PyBackedBytes>,
    hub: Arc<Hub>,
}

impl PythonBytes {
    pub fn new(bytes: PyBackedBytes, hub: Arc<Hub>) -> Self {
        Self { bytes: Some(bytes), hub }
    }
}

impl AsRef<[u8]> for PythonBytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

impl Drop for PythonBytes {
    fn drop(&mut self) {
        let length = self.as_ref().len();
        // Without Python the object waits until some thread takes the GIL, which in a quiet worker may be never.
        self.bytes = None;
        if !raw::has_python() {
            self.hub.owe_python(length);
        }
    }
}
