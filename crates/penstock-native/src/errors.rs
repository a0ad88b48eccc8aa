//! Failures of the application, for the log: one line with the request, then the traceback.
use crate::hub::Hub;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Writes an exception of the application to the error log, in one piece.
pub fn report(py: Python<'_>, hub: &Hub, request: &str, error: &PyErr) {
    let text = format(py, error).unwrap_or_else(|_| error.to_string());
    hub.log(py, "error", &format!("{}: the application failed\n{}", request.escape_debug(), text.trim_end()));
}

fn format(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let lines = py.import("traceback")?.call_method1("format_exception", (error.clone_ref(py).into_value(py),))?;
    let lines = lines.cast_into::<PyList>().map_err(PyErr::from)?;
    let mut text = String::new();
    for line in lines.iter() {
        text.push_str(&line.to_string());
    }
    Ok(text)
}
