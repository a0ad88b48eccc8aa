//! Where connections go that belong to another process: from the front to the sites, and back. One pair of sockets a
//! site; the front has one end of each, all workers of the site share the other. A letter waits in there while no worker
//! is ready, so nothing is lost when one ends. No site can reach another but through the front.
use crate::scoreboard::{Counter, SlotRef};
use crate::site_routes::{Nowhere, SiteRoutes};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// What the front does with the requests of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    /// No worker is there yet. Requests are kept, and counted.
    Waiting,
    /// 503, with a sentence that says why.
    Down(String),
}

/// The other side of one pair.
#[derive(Debug)]
pub struct Place {
    pub end: OwnedFd,
    /// The same, to be registered apart: a socket whose events go to one of several cannot be asked when it is writable.
    pub for_writing: OwnedFd,
    state: Mutex<State>,
    /// Where the connections to and from there are counted.
    counts: Option<SlotRef>,
}

impl Place {
    pub fn new(end: OwnedFd, counts: Option<SlotRef>) -> io::Result<Arc<Self>> {
        let for_writing = end.try_clone()?;
        Ok(Arc::new(Self { end, for_writing, state: Mutex::new(State::Up), counts }))
    }

    pub fn count(&self, counter: Counter) {
        if let Some(counts) = self.counts {
            counts.add(counter, 1);
        }
    }

    pub fn set_state(&self, state: State) {
        *self.state() = state;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a connection that belongs there finds.
    pub fn passage(&self) -> Passage {
        match &*self.state() {
            State::Up => Passage::Open,
            State::Waiting => Passage::Held,
            State::Down(reason) => Passage::Closed(reason.clone()),
        }
    }
}

/// Whether a connection may go on to its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    Open,
    /// It may, and waits there for a worker.
    Held,
    Closed(String),
}

/// Shared by the loop and by whoever changes it.
#[derive(Debug)]
pub struct Post {
    routes: RwLock<Arc<SiteRoutes>>,
    /// None in the front.
    own_site: Option<usize>,
    /// A site's only place is the front; the front's are the sites, by number.
    places: RwLock<Vec<Option<Arc<Place>>>>,
}

impl Post {
    pub fn new(routes: SiteRoutes, own_site: Option<usize>, places: Vec<Arc<Place>>) -> Self {
        let places = places.into_iter().map(Some).collect();
        Self { routes: RwLock::new(Arc::new(routes)), own_site, places: RwLock::new(places) }
    }

    pub fn is_front(&self) -> bool {
        self.own_site.is_none()
    }

    /// The place where a request belongs; None when that is here.
    pub fn elsewhere(&self, host: Option<&[u8]>, path: &[u8]) -> Result<Option<usize>, Nowhere> {
        let found = self.routes.read().unwrap_or_else(PoisonError::into_inner).find(host, path);
        match self.own_site {
            None => found.map(Some),
            // The front knows what to say to those who belong nowhere.
            Some(own) => Ok((found != Ok(own)).then_some(0)),
        }
    }

    pub fn set_routes(&self, routes: SiteRoutes) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
    }

    pub fn place(&self, index: usize) -> Option<Arc<Place>> {
        self.places.read().unwrap_or_else(PoisonError::into_inner).get(index).cloned().flatten()
    }

    /// How many there are, those that were removed included: a number is never used again.
    pub fn count(&self) -> usize {
        self.places.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Adds a place. Returns its number.
    pub fn add(&self, place: Arc<Place>) -> usize {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.push(Some(place));
        places.len() - 1
    }

    /// Gives a place up, with its descriptors.
    pub fn remove(&self, index: usize) {
        if let Some(place) = self.places.write().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            *place = None;
        }
    }
}
