//! The call of a WSGI application (PEP 3333): environ in, response out, close() exactly once, whatever happens.
use crate::connection::Job;
use crate::environ::{Environs, ListenerNames};
use crate::errors;
use crate::exchange::{not_bytes, wait_for_reader, Exchange};
use crate::file_wrapper::FileWrapper;
use crate::hub::Hub;
use crate::lifecycle::Lifecycle;
use crate::scoreboard::ThreadCell;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple, PyType};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The application and what is needed to call it.
pub struct Application {
    callable: Py<PyAny>,
    environs: Environs,
    /// Iterators over what exists already: looking ahead in them runs nobody's code.
    list_iterator: Py<PyType>,
    tuple_iterator: Py<PyType>,
    pub lifecycle: Lifecycle,
}

/// What one call needs besides the request.
pub struct Call<'a> {
    pub hub: &'a Arc<Hub>,
    pub date: &'a [u8],
    pub cell: ThreadCell,
    /// How long the request has waited for a thread.
    pub queued: Duration,
}

impl Application {
    pub fn new(
        py: Python<'_>,
        callable: Py<PyAny>,
        listeners: &[ListenerNames],
        lifecycle: Lifecycle,
    ) -> PyResult<Self> {
        if !callable.bind(py).is_callable() {
            return Err(PyTypeError::new_err("the application is not callable"));
        }
        Ok(Self {
            callable,
            environs: Environs::new(py, listeners)?,
            list_iterator: PyList::empty(py).as_any().try_iter()?.get_type().unbind(),
            tuple_iterator: PyTuple::empty(py).as_any().try_iter()?.get_type().unbind(),
            lifecycle,
        })
    }

    /// Calls it. The job comes back with its response in the connection's output, accounted for; and when that was.
    pub fn call(&self, py: Python<'_>, call: Call<'_>, mut job: Job) -> (Job, Instant) {
        let exchange = match Bound::new(py, Exchange::empty()) {
            Ok(exchange) => exchange,
            Err(error) => return self.answer_without_python(py, &call, job, &error),
        };
        let environ = exchange
            .getattr(intern!(py, "early_hints"))
            .and_then(|early_hints| self.environs.make(py, &mut job, call.queued, early_hints));
        let environ = match environ.and_then(|environ| offer_files(py, call.hub, &exchange, environ)) {
            Ok(environ) => environ,
            Err(error) => return self.answer_without_python(py, &call, job, &error),
        };
        exchange.borrow_mut().load(job, call.hub.clone(), call.date);
        // A panic of ours is a failed request, not a dead worker.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run(py, &exchange, &environ)))
            .unwrap_or_else(|_| Err(PyRuntimeError::new_err("penstock failed inside; please report this")));
        let told = self.lifecycle.end_call(py, &environ, outcome.is_err());
        if let Err(error) = told {
            errors::report(py, call.hub, &describe(&environ), &error);
        }
        if let Err(error) = outcome {
            if !exchange.borrow().is_over() {
                // Formatting a traceback runs code of the application's, so nothing is borrowed meanwhile.
                errors::report(py, call.hub, &describe(&environ), &error);
            }
            exchange.borrow_mut().fail(b"500 Internal Server Error");
        }
        job = match exchange.borrow_mut().unload() {
            Some(job) => job,
            // Nobody else can unload it: the object is not in anybody's hands outside this function.
            None => unreachable!("an exchange lost its job"),
        };
        let lookup = |name: &str| environ.get_item(name).ok().flatten().map(|value| value.to_string());
        let end = call.hub.account(&job.connection, &job.request, Some((call.cell, call.queued)), Some(&lookup));
        (job, end)
    }

    /// Python cannot even make the objects for a call: most likely memory has run out.
    fn answer_without_python(&self, py: Python<'_>, call: &Call<'_>, mut job: Job, error: &PyErr) -> (Job, Instant) {
        errors::report(py, call.hub, "a request", error);
        let turn = job.request.turn(job.connection.close);
        let text = crate::connection::status_text(500);
        let keep = crate::connection::push_plain(&mut job.connection.wire.output(), turn, text, None, call.date);
        job.connection.close |= !keep;
        job.request.status = 500;
        let end = call.hub.account(&job.connection, &job.request, Some((call.cell, call.queued)), None);
        (job, end)
    }

    fn run(&self, py: Python<'_>, exchange: &Bound<'_, Exchange>, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        let start_response = exchange.getattr(intern!(py, "start_response"))?;
        let result = self.callable.bind(py).call1((environ, start_response))?;
        let answered = self.respond(py, exchange, &result);
        // "If the iterable has a close() method, the server must call it upon completion of the request, whether it
        // was completed normally, or terminated early due to an application error or an early disconnect."
        let closed = close(py, &result);
        match (answered, closed) {
            (Err(first), Err(second)) => {
                // The first error is the one to report; the second one must not vanish.
                second.write_unraisable(py, Some(&result));
                Err(first)
            }
            (answered, closed) => answered.and(closed),
        }
    }

    fn respond(&self, py: Python<'_>, exchange: &Bound<'_, Exchange>, result: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(list) = result.cast_exact::<PyList>() {
            if list.len() == 1 {
                return send_whole(exchange, &[list.get_item(0)?]);
            }
            return send_whole(exchange, &list.iter().collect::<Vec<_>>());
        }
        if let Ok(tuple) = result.cast_exact::<PyTuple>() {
            return send_whole(exchange, tuple.as_slice());
        }
        if let Ok(wrapper) = result.cast_exact::<FileWrapper>() {
            if send_file(py, exchange, &wrapper.borrow())? {
                return Ok(());
            }
        }
        if result.is_instance_of::<PyBytes>() || result.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(format!(
                "the application returned {}, which would be sent byte by byte; return a list of bytes",
                crate::exchange::type_name(result)
            )));
        }
        let iterator = result.try_iter()?;
        let kind = iterator.get_type();
        if kind.is(&self.list_iterator) || kind.is(&self.tuple_iterator) {
            let pieces = iterator.collect::<PyResult<Vec<_>>>()?;
            return send_whole(exchange, &pieces);
        }
        crate::exchange::begin_stream();
        let sent = send_pieces(exchange, iterator);
        crate::exchange::end_stream(py);
        sent
    }
}

/// Sends what an iterator of the application's makes, piece by piece.
fn send_pieces(exchange: &Bound<'_, Exchange>, iterator: Bound<'_, PyIterator>) -> PyResult<()> {
    for piece in iterator {
        let piece = piece?;
        let piece = piece.cast::<PyBytes>().map_err(|_| not_bytes(&piece))?;
        if piece.as_bytes().is_empty() {
            continue;
        }
        let mut this = exchange.borrow_mut();
        if !this.commit(None)? || this.is_bodiless()? {
            break;
        }
        let is_behind = this.send(piece)?;
        if this.announced()? == Some(0) {
            // "should stop iterating over the response when enough data has been sent"
            break;
        }
        drop(this);
        if is_behind {
            wait_for_reader(exchange)?;
        }
    }
    exchange.borrow_mut().end()
}

/// Lets whoever guards files give them away.
fn offer_files<'py>(
    py: Python<'py>,
    hub: &Hub,
    exchange: &Bound<'py, Exchange>,
    environ: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    if hub.files.has_guards() {
        let serve_file = exchange.getattr(intern!(py, "serve_file"))?;
        environ.set_item(intern!(py, "penstock.serve_file"), serve_file)?;
    }
    Ok(environ)
}

/// A response of which every piece exists: its length is known.
fn send_whole(exchange: &Bound<'_, Exchange>, pieces: &[Bound<'_, PyAny>]) -> PyResult<()> {
    let mut length = 0;
    for piece in pieces {
        length += piece.cast::<PyBytes>().map_err(|_| not_bytes(piece))?.as_bytes().len() as u64;
    }
    let mut exchange = exchange.borrow_mut();
    // Pieces that write() has sent already are behind a head that is committed.
    exchange.commit(Some(length))?;
    for piece in pieces {
        exchange.push(piece.cast::<PyBytes>()?)?;
    }
    exchange.end()
}

/// Hands a real file to the kernel. False when it is none, and has to be read by Python.
fn send_file(py: Python<'_>, exchange: &Bound<'_, Exchange>, wrapper: &FileWrapper) -> PyResult<bool> {
    let Some((file, offset, length)) = wrapper.regular_file(py)? else { return Ok(false) };
    let mut exchange = exchange.borrow_mut();
    let announced = exchange.announced()?;
    // "transmission should begin at the current position … and end at Content-Length where the application gave one".
    let length = announced.map_or(length, |announced| announced.min(length));
    exchange.commit(Some(length))?;
    exchange.push_file(file, offset, length)?;
    exchange.end()?;
    Ok(true)
}

/// Calls close() where there is one.
fn close(py: Python<'_>, result: &Bound<'_, PyAny>) -> PyResult<()> {
    if result.is_exact_instance_of::<PyList>() || result.is_exact_instance_of::<PyTuple>() {
        return Ok(());
    }
    match result.getattr_opt(intern!(py, "close"))? {
        Some(close) => close.call0().map(|_| ()),
        None => Ok(()),
    }
}

fn describe(environ: &Bound<'_, PyDict>) -> String {
    let get = |name| environ.get_item(name).ok().flatten().map(|value| value.to_string()).unwrap_or_default();
    let line = format!("{} {}", get("REQUEST_METHOD"), get("REQUEST_URI"));
    match get("HTTP_X_REQUEST_ID") {
        id if id.is_empty() => line,
        id => format!("{line} (request {id})"),
    }
}
