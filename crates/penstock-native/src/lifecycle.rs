//! What an application's framework has to hear of besides its requests: that one has begun and not ended, that a thread
//! rests, that a thread leaves. Nothing is asked of a framework that has not given us anybody to tell.
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::cell::Cell;
use std::time::Duration;

/// A thread that has nothing to do for so long is asked what it may put away. Between the requests of one visitor it
/// is not.
const FIRST_REST: Duration = Duration::from_secs(1);

/// It may not ask to be asked again sooner than this, or later than the next one.
const SHORTEST_REST: f64 = 0.05;
const LONGEST_REST: f64 = 86_400.0;

thread_local! {
    /// Requests that the framework has begun in this thread, and not ended.
    static OPEN: Cell<u32> = const { Cell::new(0) };
}

/// A receiver of Django's `request_started`.
#[pyfunction]
#[pyo3(signature = (*, signal=None, sender=None, environ=None, **_named))]
pub fn request_begins(
    signal: Option<&Bound<'_, PyAny>>,
    sender: Option<&Bound<'_, PyAny>>,
    environ: Option<&Bound<'_, PyAny>>,
    _named: Option<&Bound<'_, PyDict>>,
) {
    // Named, so that no dictionary has to be made of them.
    let _ = (signal, sender, environ);
    OPEN.set(OPEN.get().saturating_add(1));
}

/// A receiver of Django's `request_finished`.
#[pyfunction]
#[pyo3(signature = (*, signal=None, sender=None, **_named))]
pub fn request_ends(
    signal: Option<&Bound<'_, PyAny>>,
    sender: Option<&Bound<'_, PyAny>>,
    _named: Option<&Bound<'_, PyDict>>,
) {
    let _ = (signal, sender);
    OPEN.set(OPEN.get().saturating_sub(1));
}

/// Whom to tell, if anybody.
pub struct Lifecycle {
    listener: Option<Py<PyAny>>,
}

impl Lifecycle {
    pub fn new(listener: Option<Py<PyAny>>) -> Self {
        Self { listener }
    }

    /// A call of the application has ended. Tells of a request that it has left open.
    #[inline]
    pub fn end_call(&self, py: Python<'_>, environ: &Bound<'_, PyDict>, has_failed: bool) -> PyResult<()> {
        if OPEN.replace(0) == 0 {
            return Ok(());
        }
        let Some(listener) = &self.listener else { return Ok(()) };
        let told = listener.call_method1(py, intern!(py, "unfinished"), (environ, has_failed)).map(|_| ());
        // What the listener has begun by itself is nobody's request.
        OPEN.set(0);
        told
    }

    /// How long a thread may rest before it is asked what it can put away; None when nobody wants to know.
    pub fn first_rest(&self) -> Option<Duration> {
        self.listener.as_ref().map(|_| FIRST_REST)
    }

    /// This thread has had nothing to do. How long it may rest before it is asked again; None when it keeps nothing.
    pub fn rest(&self, py: Python<'_>) -> Option<Duration> {
        let listener = self.listener.as_ref()?;
        let told = listener
            .call_method0(py, intern!(py, "rest"))
            .and_then(|answer| answer.extract::<Option<f64>>(py))
            .unwrap_or_else(|error| {
                error.write_unraisable(py, Some(listener.bind(py)));
                None
            });
        // No number at all is as good as no answer.
        told.and_then(|seconds| Duration::try_from_secs_f64(seconds.clamp(SHORTEST_REST, LONGEST_REST)).ok())
    }

    /// This thread ends.
    pub fn leave(&self, py: Python<'_>) {
        let Some(listener) = &self.listener else { return };
        if let Err(error) = listener.call_method0(py, intern!(py, "leave")) {
            error.write_unraisable(py, Some(listener.bind(py)));
        }
    }
}
