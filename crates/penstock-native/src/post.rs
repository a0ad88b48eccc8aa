//! Where connections go that belong to another process: from the front to the sites, and back. One pair of sockets a
//! site; the front has one end of each, all workers of the site share the other. A letter waits in there while no worker
//! is ready, so nothing is lost when one ends. No site can reach another but through the front.
use crate::site_routes::{Nowhere, SiteRoutes};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// What the front does with the requests of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    /// No worker is there yet. Requests are kept; whoever starts the site is told once.
    Waiting {
        is_told: bool,
    },
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
}

impl Place {
    pub fn new(end: OwnedFd) -> io::Result<Arc<Self>> {
        let for_writing = end.try_clone()?;
        Ok(Arc::new(Self { end, for_writing, state: Mutex::new(State::Up) }))
    }

    pub fn set_state(&self, state: State) {
        *self.state() = state;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a connection that belongs there finds.
    pub fn passage(&self) -> Passage {
        match &mut *self.state() {
            State::Up | State::Waiting { is_told: true } => Passage::Open,
            State::Waiting { is_told } => {
                *is_told = true;
                Passage::Wanted
            }
            State::Down(reason) => Passage::Closed(reason.clone()),
        }
    }
}

/// Whether a connection may go on to its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    Open,
    /// It may, and somebody has to be told that the site is wanted.
    Wanted,
    Closed(String),
}

/// Shared by the loop and by whoever changes it.
#[derive(Debug)]
pub struct Post {
    routes: RwLock<Arc<SiteRoutes>>,
    /// None in the front.
    own_site: Option<usize>,
    /// A site's only place is the front; the front's are the sites, by number.
    places: RwLock<Vec<Arc<Place>>>,
}

impl Post {
    pub fn new(routes: SiteRoutes, own_site: Option<usize>, places: Vec<Arc<Place>>) -> Self {
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
        self.places.read().unwrap_or_else(PoisonError::into_inner).get(index).cloned()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.places.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Adds a place. Returns its number.
    pub fn add(&self, place: Arc<Place>) -> usize {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.push(place);
        places.len() - 1
    }
}
