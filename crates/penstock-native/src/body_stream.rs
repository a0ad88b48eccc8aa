//! A request body that is read from the client while the application asks for it (`stream_body`). Here, and only
//! here, a thread waits for a client: that is what the setting asks for.
use crate::connection::{Connection, Wire};
use penstock_http::{Decoder, Event, Limits, RequestHead};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{recv, shutdown, RecvFlags, Shutdown};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// What one receive may bring.
const STEP: usize = 64 * 1024;

/// The reading side of a connection while its request is answered.
pub struct BodyStream {
    wire: Arc<Wire>,
    decoder: Decoder,
    /// Bytes from the client that are not decoded yet.
    input: Vec<u8>,
    /// Decoded bytes that nobody has read yet.
    pub decoded: Vec<u8>,
    limits: Limits,
    patience: Duration,
    /// The client waits for "100 Continue".
    owes_continue: bool,
    is_complete: bool,
    is_closed: bool,
}

impl BodyStream {
    /// Takes over reading from a connection whose head has just been decoded.
    pub fn begin(connection: &mut Connection, limits: Limits, patience: Duration, owes_continue: bool) -> Self {
        let mut stream = Self {
            wire: connection.wire.clone(),
            decoder: std::mem::take(&mut connection.decoder),
            input: std::mem::take(&mut connection.input),
            decoded: Vec::new(),
            limits,
            patience,
            owes_continue,
            is_complete: false,
            is_closed: false,
        };
        // What came with the head may be all of it. An error is found again by whoever reads.
        let _ = stream.decode();
        stream
    }

    /// The request is answered: the connection reads on by itself, or closes when the body was not read to its end.
    fn end(&mut self, connection: &mut Connection) {
        self.is_closed = true;
        // Whatever arrived meanwhile was announced while nobody listened.
        connection.readable = true;
        if self.is_complete {
            connection.decoder = std::mem::take(&mut self.decoder);
            connection.input = std::mem::take(&mut self.input);
        } else {
            connection.close = true;
        }
    }

    /// The client has nothing more to say.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Reads until `wanted` decoded bytes are there or the body has ended. TimedOut when the client pauses for too
    /// long, ConnectionReset when it leaves, InvalidData when what it sends is no body.
    pub fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let mut part = Vec::new();
        while self.decoded.len() < wanted && !self.is_complete {
            if self.is_closed {
                return Err(io::Error::new(io::ErrorKind::NotConnected, "this request has been answered already"));
            }
            if self.decode()? {
                continue;
            }
            if std::mem::take(&mut self.owes_continue) {
                let mut output = self.wire.output();
                // In the middle of a response it would be a part of that.
                if !output.has_begun && !output.is_cut {
                    output.push_bytes(b"HTTP/1.1 100 Continue\r\n\r\n");
                    output.flush(self.wire.socket.as_fd())?;
                }
            }
            part.resize(STEP, 0);
            match recv(&self.wire.socket, &mut part[..], RecvFlags::empty()) {
                Ok((_, 0)) => return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the client has left")),
                Ok((_, count)) => self.input.extend_from_slice(&part[..count]),
                Err(Errno::AGAIN) => self.wait()?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Decodes what has been read. False when more has to be read first.
    fn decode(&mut self) -> io::Result<bool> {
        let mut used = 0;
        let before = self.decoded.len();
        let mut head = RequestHead::default();
        let outcome = loop {
            let input = &self.input[used..];
            match self.decoder.decode(input, &self.limits, &mut head) {
                Ok((count, event)) => {
                    used += count;
                    match event {
                        Event::Body(range) => self.decoded.extend_from_slice(&input[range]),
                        Event::End => {
                            self.is_complete = true;
                            break Ok(true);
                        }
                        Event::NeedMore | Event::Head => break Ok(self.decoded.len() > before),
                    }
                }
                Err(refusal) => break Err(io::Error::new(io::ErrorKind::InvalidData, refusal.reason)),
            }
        };
        self.input.drain(..used);
        outcome
    }

    fn wait(&self) -> io::Result<()> {
        let timeout =
            Timespec { tv_sec: self.patience.as_secs() as i64, tv_nsec: self.patience.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.wire.socket, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client has stopped sending")),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A stream that the connection and `wsgi.input` share.
pub type SharedStream = Arc<Mutex<BodyStream>>;

/// The request is answered. A thread that still waits for the client is told that nothing more comes.
pub fn end(stream: &SharedStream, connection: &mut Connection) {
    match stream.try_lock() {
        Ok(mut stream) => stream.end(connection),
        Err(TryLockError::Poisoned(stream)) => stream.into_inner().end(connection),
        Err(TryLockError::WouldBlock) => {
            connection.close = true;
            let _ = shutdown(&connection.wire.socket, Shutdown::Read);
        }
    }
}

/// Locks it, also after a panic: every step leaves it complete.
pub fn lock(stream: &SharedStream) -> MutexGuard<'_, BodyStream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
