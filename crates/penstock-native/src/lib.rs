//! The engine as a Python module: `penstock._native`. `_native.pyi` describes it.
mod access_log;
mod body;
mod body_stream;
mod clock;
mod connection;
mod deadlines;
mod doze;
mod engine;
mod environ;
mod errors;
mod event_loop;
mod exchange;
mod file_wrapper;
mod front;
mod hub;
mod input;
mod large_bodies;
mod latin1;
mod letter;
mod lifecycle;
mod options;
mod output;
mod pipes;
mod post;
mod python_bytes;
mod queue;
mod raw;
mod request_ids;
mod routes;
mod scoreboard;
mod site_routes;
mod static_files;
mod threads;
mod unread;
mod wsgi;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::engine::{Engine, Scoreboard};
    #[pymodule_export]
    use crate::front::Front;
    #[pymodule_export]
    use crate::lifecycle::{request_begins, request_ends};

    /// Refuses a format that no access log can have: ValueError says why, and what is known.
    #[pyfunction]
    #[pyo3(signature = (format, /))]
    fn check_access_log_format(format: &str) -> PyResult<()> {
        crate::access_log::check(format).map_err(pyo3::exceptions::PyValueError::new_err)
    }

    /// The engine's version; equal to the package's.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
