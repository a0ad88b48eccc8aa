//! The front of many sites, as Python sees it: a loop that accepts, reads the first head and passes the connection on.
//! It answers only what no site is asked for, and calls no application.
use crate::engine::{counters, hub_for, listeners};
use crate::event_loop::{EventLoop, Patience};
use crate::hub::Hub;
use crate::options::{EngineOptions, SiteRule};
use crate::post::{Place, Post, State};
use crate::raw;
use crate::scoreboard::{Scoreboard, SlotRef};
use crate::site_routes::SiteRoutes;
use crate::static_files::StaticFiles;
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Passes connections on to sites.
#[pyclass(module = "penstock._native")]
pub struct Front {
    hub: Arc<Hub>,
    event_loop: Mutex<Option<EventLoop>>,
    /// Where each site's connections are counted; None when nobody looks.
    board: Option<Scoreboard>,
    /// Called when `control_fd` has something to read; false when that is not to be looked at any more.
    on_control: Option<Py<PyAny>>,
}

#[pymethods]
impl Front {
    #[new]
    #[pyo3(signature = (options, sites, on_control=None, log=None))]
    fn new(
        options: EngineOptions,
        sites: Vec<(RawFd, Option<usize>)>,
        on_control: Option<Py<PyAny>>,
        log: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let routes = SiteRoutes::new(&options.routes).map_err(PyValueError::new_err)?;
        let board = match options.scoreboard_fd {
            -1 => None,
            number => Some(Scoreboard::open(raw::duplicate(number)?)?),
        };
        let places = sites.into_iter().map(|(site, slot)| place_of(site, board.as_ref(), slot));
        let places = places.collect::<PyResult<_>>()?;
        let post = Post::new(routes, None, places);
        check_sites(&post, &options.routes)?;
        let files = StaticFiles::new(Vec::new(), Vec::new())?;
        let hub = hub_for(&options, files, log, Some(post))?;
        if options.listeners.iter().any(|listener| listener.is_uwsgi) {
            let message = "an address for uwsgi is one site's; the front of several speaks HTTP";
            return Err(PyValueError::new_err(message));
        }
        let event_loop = EventLoop::new(hub.clone(), listeners(&options)?)?;
        Ok(Self { hub, event_loop: Mutex::new(Some(event_loop)), board, on_control })
    }

    /// Passes connections on until stop().
    #[pyo3(signature = (wakeup_fd=-1, control_fd=-1))]
    fn run(&self, py: Python<'_>, wakeup_fd: i32, control_fd: i32) -> PyResult<()> {
        let event_loop = self.event_loop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut event_loop = event_loop.ok_or_else(|| PyRuntimeError::new_err("a front runs once"))?;
        let own = |number: i32| (number >= 0).then(|| raw::duplicate(number)).transpose();
        let (wakeup, mut control) = (own(wakeup_fd)?, own(control_fd)?);
        let has_ended = Arc::new(AtomicBool::new(false));
        let teller = TellMain { hub: self.hub.clone(), has_ended: has_ended.clone() };
        let runner = thread::Builder::new().name("front".into()).spawn(move || {
            let _told_at_the_end = teller;
            while !event_loop.is_finished() {
                event_loop.turn(Patience::UntilEvent(None));
            }
        })?;
        while !has_ended.load(Ordering::SeqCst) {
            let is_told = py.detach(|| self.hub.wait_as_main(wakeup.as_ref(), control.as_ref(), None))?;
            py.check_signals()?;
            for (level, text) in self.hub.take_messages() {
                self.hub.log(py, level, &text);
            }
            if is_told {
                let goes_on = self.on_control.as_ref().map(|on_control| on_control.call0(py)).transpose()?;
                control = control.filter(|_| goes_on.is_some_and(|goes_on| goes_on.is_truthy(py).unwrap_or(false)));
            }
        }
        if let Some(log) = &self.hub.access_log {
            py.detach(|| log.flush());
        }
        runner.join().map_err(|_| PyRuntimeError::new_err("the front's loop has failed"))
    }

    /// Asks run() to return: nobody is accepted any more, and who is there gets so many seconds.
    fn stop(&self, graceful_timeout: f64) -> PyResult<()> {
        let within = Duration::try_from_secs_f64(graceful_timeout)
            .map_err(|why| PyValueError::new_err(format!("graceful_timeout: {why}")))?;
        self.hub.stop(within);
        Ok(())
    }

    /// Says whether a site takes requests.
    #[pyo3(signature = (site, state, reason=""))]
    fn set_state(&self, site: usize, state: &str, reason: &str) -> PyResult<()> {
        let state = match state {
            "up" => State::Up,
            "waiting" => State::Waiting,
            "down" => State::Down(reason.to_owned()),
            other => return Err(PyValueError::new_err(format!("a site is up, waiting or down, not {other:?}"))),
        };
        let post = self.post()?;
        if site >= post.count() {
            return Err(PyIndexError::new_err(format!("the front has no site {site}")));
        }
        // One that was given up stays so: its site has closed its end, and no site may end the front by that.
        if let Some(place) = post.place(site) {
            place.set_state(state);
        }
        Ok(())
    }

    /// Adds a site. Its number.
    #[pyo3(signature = (site, slot=None))]
    fn add_site(&self, site: RawFd, slot: Option<usize>) -> PyResult<usize> {
        let number = self.post()?.add(place_of(site, self.board.as_ref(), slot)?);
        self.hub.wake();
        Ok(number)
    }

    /// Replaces the table that tells whose a request is.
    fn set_routes(&self, routes: Vec<SiteRule>) -> PyResult<()> {
        let table = SiteRoutes::new(&routes).map_err(PyValueError::new_err)?;
        check_sites(self.post()?, &routes)?;
        self.post()?.set_routes(table);
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

impl Front {
    fn post(&self) -> PyResult<&Post> {
        self.hub.post.as_ref().ok_or_else(|| PyRuntimeError::new_err("a front has sites"))
    }
}

/// Wakes the main thread when the loop has ended, however it did.
struct TellMain {
    hub: Arc<Hub>,
    has_ended: Arc<AtomicBool>,
}

impl Drop for TellMain {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.hub.wake_main();
    }
}

/// The place of a site, which is counted in its slot of the scoreboard.
fn place_of(site: RawFd, board: Option<&Scoreboard>, slot: Option<usize>) -> PyResult<Arc<Place>> {
    let unknown = |slot| PyIndexError::new_err(format!("the scoreboard has no slot {slot}"));
    let counts = |(board, slot): (&Scoreboard, usize)| board.slot(slot).ok_or_else(|| unknown(slot));
    let counts: Option<SlotRef> = board.zip(slot).map(counts).transpose()?;
    Ok(Place::new(raw::duplicate(site)?, counts)?)
}

fn check_sites(post: &Post, rules: &[SiteRule]) -> PyResult<()> {
    match rules.iter().find(|rule| rule.site >= post.count()) {
        Some(rule) => Err(PyValueError::new_err(format!("routes: the front has no site {}", rule.site))),
        None => Ok(()),
    }
}
