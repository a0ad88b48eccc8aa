//! What Python sees: `Engine` and `Scoreboard`.
use crate::access_log::AccessLog;
use crate::deadlines::Stage;
use crate::environ::ListenerNames;
use crate::event_loop::{EventLoop, Listener};
use crate::hub::{Hub, Settings};
use crate::latin1;
use crate::lifecycle::Lifecycle;
use crate::options::{EngineOptions, ListenerOptions};
use crate::post::{Place, Post};
use crate::raw;
use crate::scoreboard::{self, Counter, SlotSnapshot};
use crate::site_routes::SiteRoutes;
use crate::static_files::{Mount, StaticFiles};
use crate::threads::Crew;
use crate::wsgi::Application;
use pyo3::exceptions::{PyGeneratorExit, PyIndexError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use rustix::net::sockopt::set_tcp_nodelay;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Serves one WSGI application from this process.
#[pyclass(module = "penstock._native")]
pub struct Engine {
    hub: Arc<Hub>,
    crew: Arc<Crew>,
    has_run: Mutex<bool>,
    /// Called for each late call: stage, thread's ident, request, age in seconds.
    on_late: Option<Py<PyAny>>,
    /// Raised in a thread whose call is late.
    timeout_exception: Option<Py<PyAny>>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (application, options, on_late=None, timeout_exception=None, log=None, lifecycle=None))]
    fn new(
        py: Python<'_>,
        application: Py<PyAny>,
        options: EngineOptions,
        on_late: Option<Py<PyAny>>,
        timeout_exception: Option<Py<PyAny>>,
        log: Option<Py<PyAny>>,
        lifecycle: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let hub = hub_for(&options, static_files(&options)?, log, post(&options)?)?;
        let threads = hub.settings.threads;
        let cells: Vec<_> = (0..threads).map_while(|index| hub.scoreboard.thread(index)).collect();
        if cells.len() < threads {
            return Err(PyValueError::new_err("the scoreboard has fewer threads than this engine"));
        }
        // Behind a front it is the front that accepts.
        let listeners = if hub.post.is_some() { Vec::new() } else { listeners(&options)? };
        let names = |listener: &ListenerOptions| ListenerNames {
            server_name: listener.server_name.clone(),
            server_port: listener.server_port.clone(),
            script_name: options.script_name.clone(),
            multithread: threads > 1,
            multiprocess: options.multiprocess,
        };
        let names: Vec<_> = options.listeners.iter().map(names).collect();
        if names.is_empty() {
            return Err(PyValueError::new_err("listeners is empty"));
        }
        let application = Application::new(py, application, &names, Lifecycle::new(lifecycle))?;
        let event_loop = EventLoop::new(hub.clone(), listeners)?;
        let crew = Crew::new(hub.clone(), event_loop, application, cells);
        Ok(Self { hub, crew, has_run: Mutex::new(false), on_late, timeout_exception })
    }

    /// Serves until stop(); how many threads are still inside the application then.
    #[pyo3(signature = (wakeup_fd=-1))]
    fn run(&self, py: Python<'_>, wakeup_fd: i32) -> PyResult<usize> {
        if std::mem::replace(&mut *self.has_run.lock().unwrap_or_else(PoisonError::into_inner), true) {
            return Err(PyRuntimeError::new_err("an engine runs once"));
        }
        let wakeup = if wakeup_fd >= 0 { Some(raw::duplicate(wakeup_fd)?) } else { None };
        self.crew.start()?;
        loop {
            py.detach(|| self.wait(wakeup.as_ref()))?;
            py.check_signals()?;
            self.deal_with_late_calls(py);
            for (level, text) in self.hub.take_messages() {
                self.hub.log(py, level, &text);
            }
            if self.crew.is_closed() {
                let is_over = self.hub.stop_deadline().is_none_or(|deadline| Instant::now() >= deadline);
                // Threads that rest leave at once; only those in the application have to be given up.
                if self.crew.running() == 0 || (is_over && self.hub.scoreboard.read().threads_busy() > 0) {
                    break;
                }
            }
        }
        if let Some(log) = &self.hub.access_log {
            py.detach(|| log.flush());
        }
        Ok(self.hub.scoreboard.read().threads_busy())
    }

    /// Asks run() to return within so many seconds.
    fn stop(&self, graceful_timeout: f64) -> PyResult<()> {
        let within = Duration::try_from_secs_f64(graceful_timeout)
            .map_err(|why| PyValueError::new_err(format!("graceful_timeout: {why}")))?;
        self.hub.stop(within);
        Ok(())
    }

    /// Opens the access log's path anew.
    fn reopen_logs(&self) {
        if let Some(log) = &self.hub.access_log {
            log.reopen();
        }
    }

    /// Counters since the start.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counters(py, &self.hub.scoreboard.read())
    }
}

impl Engine {
    /// Has Python write the stacks of the calls that are late, and raises an exception in those past their deadline.
    fn deal_with_late_calls(&self, py: Python<'_>) {
        for late in self.hub.take_late() {
            let watched = &self.hub.calls[late.thread];
            let ident = watched.ident.load(Ordering::Relaxed);
            let is_still_in = || watched.is_in(late.overdue.connection, late.began);
            if !is_still_in() {
                continue;
            }
            if late.overdue.stage == Stage::Abandoned {
                // What a generator that is closed gets; here it may be running.
                if watched.streams() {
                    raw::raise_in(py, ident, &py.get_type::<PyGeneratorExit>());
                }
                continue;
            }
            let running = self.hub.scoreboard.read().threads.swap_remove(late.thread).running.unwrap_or_default();
            let request = [running.method.as_slice(), b" ", running.path.as_slice()].concat();
            let age = late.overdue.age as f64 / 1e9;
            if let Some(on_late) = &self.on_late {
                let arguments = (late.overdue.stage.name(), ident, latin1::decode(py, &request), age);
                if let Err(error) = on_late.call1(py, arguments) {
                    error.write_unraisable(py, None);
                }
            }
            if let (Stage::Late, Some(exception), true) = (late.overdue.stage, &self.timeout_exception, is_still_in())
            {
                raw::raise_in(py, ident, exception.bind(py));
            }
        }
    }

    /// Waits until a signal has come or the crew has something to say.
    fn wait(&self, wakeup: Option<&OwnedFd>) -> io::Result<()> {
        let timeout = self.crew.is_closed().then_some(rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 });
        self.hub.wait_as_main(wakeup, None, timeout).map(|_| ())
    }
}

/// What the loop and its process share.
pub fn hub_for(
    options: &EngineOptions,
    files: StaticFiles,
    log: Option<Py<PyAny>>,
    post: Option<Post>,
) -> PyResult<Arc<Hub>> {
    let settings = Settings::new(options).map_err(PyValueError::new_err)?;
    let access_log = match options.access_log.as_str() {
        "" => None,
        path => Some(AccessLog::open(path, &options.access_log_format).map_err(PyValueError::new_err)?),
    };
    let (board, slot) = match options.scoreboard_fd {
        // Counting into memory of our own is simpler than asking each time whether to count.
        -1 => (scoreboard::Scoreboard::create(1, settings.threads)?, 0),
        number => (scoreboard::Scoreboard::open(raw::duplicate(number)?)?, options.scoreboard_slot),
    };
    let error_log = raw::duplicate(options.error_log_fd)?;
    let mut hub = Hub::new(settings, files, access_log, error_log, log, board, slot)?;
    hub.post = post;
    Ok(Arc::new(hub))
}

/// The listening sockets, each with "is it a unix socket?".
pub fn listeners(options: &EngineOptions) -> PyResult<Vec<Listener>> {
    let prepared = options.listeners.iter().map(|listener| {
        let socket: OwnedFd = raw::duplicate(listener.fd)?;
        let unix = match listener.kind.as_str() {
            "unix" => true,
            "tcp" => false,
            other => return Err(PyValueError::new_err(format!("a listener's kind is tcp or unix, not {other:?}"))),
        };
        if !unix {
            // Accepted connections inherit it.
            set_tcp_nodelay(&socket, true).map_err(io::Error::from)?;
        }
        rustix::io::ioctl_fionbio(&socket, true).map_err(io::Error::from)?;
        Ok(Listener { socket, unix, is_uwsgi: listener.is_uwsgi })
    });
    prepared.collect()
}

/// The way to the front, where there is one.
fn post(options: &EngineOptions) -> PyResult<Option<Post>> {
    let Some(front) = options.front_fd else { return Ok(None) };
    let routes = SiteRoutes::new(&options.routes).map_err(PyValueError::new_err)?;
    let place = Place::new(raw::duplicate(front)?, None)?;
    Ok(Some(Post::new(routes, Some(options.own_site), vec![place])))
}

fn static_files(options: &EngineOptions) -> PyResult<StaticFiles> {
    let mounts = options.static_mounts.iter().map(|mount| {
        Ok(Mount {
            prefix: mount.prefix.clone(),
            roots: mount.roots.iter().map(PathBuf::from).collect(),
            max_age: mount.max_age,
            immutable_hashed: match mount.immutable.as_str() {
                "hashed" => true,
                "never" => false,
                other => {
                    return Err(PyValueError::new_err(format!("immutable is hashed or never, not {other:?}")));
                }
            },
            fall_through: mount.fall_through,
        })
    });
    let protected: HashMap<_, _> = options.protected.clone();
    let protected = protected.into_iter().map(|(prefix, root)| (prefix, PathBuf::from(root))).collect();
    Ok(StaticFiles::new(mounts.collect::<PyResult<_>>()?, protected)?.guarding(options.guarded.clone()))
}

/// Shared memory that workers write and the supervisor reads.
#[pyclass(module = "penstock._native")]
pub struct Scoreboard {
    board: scoreboard::Scoreboard,
}

#[pymethods]
impl Scoreboard {
    #[new]
    fn new(workers: usize, threads: usize) -> PyResult<Self> {
        Ok(Self { board: scoreboard::Scoreboard::create(workers, threads)? })
    }

    /// The descriptor to hand to workers.
    fn fileno(&self) -> i32 {
        self.board.fd().as_raw_fd()
    }

    /// One worker's counters, latency histograms and threads.
    fn read<'py>(&self, py: Python<'py>, slot: usize) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.slot(slot)?.read();
        let result = counters(py, &snapshot)?;
        for (name, histogram) in [("duration", &snapshot.duration), ("queue", &snapshot.queue)] {
            let buckets: Vec<(f64, u64)> = histogram.cumulative().collect();
            let entry = PyDict::new(py);
            entry.set_item("sum", histogram.sum.as_secs_f64())?;
            entry.set_item("buckets", buckets)?;
            result.set_item(name, entry)?;
        }
        let threads = PyList::empty(py);
        for thread in &snapshot.threads {
            let entry = PyDict::new(py);
            entry.set_item("requests", thread.requests)?;
            if let Some(running) = &thread.running {
                entry.set_item("method", latin1::decode(py, &running.method))?;
                entry.set_item("path", latin1::decode(py, &running.path))?;
                entry.set_item("started", running.started as f64 / 1e9)?;
            }
            threads.append(entry)?;
        }
        result.set_item("threads", threads)?;
        Ok(result)
    }

    /// Empties a slot.
    fn clear(&self, slot: usize) -> PyResult<()> {
        self.slot(slot)?.clear();
        Ok(())
    }
}

impl Scoreboard {
    fn slot(&self, index: usize) -> PyResult<scoreboard::SlotRef> {
        self.board.slot(index).ok_or_else(|| PyIndexError::new_err(format!("the scoreboard has no slot {index}")))
    }
}

pub fn counters<'py>(py: Python<'py>, snapshot: &SlotSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let result = PyDict::new(py);
    for (counter, name) in Counter::ALL {
        result.set_item(name, snapshot.get(counter))?;
    }
    result.set_item("threads_busy", snapshot.threads_busy())?;
    Ok(result)
}
