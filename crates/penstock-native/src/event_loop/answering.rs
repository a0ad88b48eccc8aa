//! A complete request: a file, a health check or a refusal answers it here, else the application does later.
use super::EventLoop;
use crate::body_stream::BodyStream;
use crate::connection::{push_explained, push_plain, status_text, Connection, Job, Phase, Request};
use crate::exchange::file_request;
use crate::routes::shape;
use crate::scoreboard::Counter;
use crate::static_files::{FileBody, Served};
use penstock_http::{forwarded, Refusal, RequestFraming, RequestHead, Turn, Version};
use std::sync::{Arc, Mutex};

impl EventLoop {
    /// A request is complete: a file answers it here, the application later.
    pub(super) fn dispatch(&mut self, mut connection: Box<Connection>, mut request: Box<Request>) {
        connection.phase = Phase::Answering;
        self.note_request_of(connection.id);
        connection.close =
            !request.head.keep_alive || self.is_stopping || self.hub.settings.keep_alive_timeout.is_zero();
        request.arrived = self.now;
        if self.hub.settings.stream_body && request.head.framing != RequestFraming::None {
            let settings = &self.hub.settings;
            let (patience, expects) = (settings.body_timeout, request.head.expects_continue);
            let stream = BodyStream::begin(&mut connection, settings.limits, patience, expects);
            request.stream = Some(Arc::new(Mutex::new(stream)));
        }
        if connection.peer.trusted {
            request.client = forwarded::client(&self.hub.settings.trust, &request.bytes, &request.head.fields);
        }
        if self.hub.settings.request_id {
            request.identify(connection.peer.trusted, self.request_ids.next());
        }
        if !self.hub.settings.health_path.is_empty() && request.path() == self.hub.settings.health_path {
            return self.answer_health(connection, request);
        }
        if !self.hub.files.is_empty() {
            if let Some(served) = self.answer_with_file(&connection, &mut request) {
                self.finish_file(connection, request, served);
                return;
            }
        }
        request.shape = shape(request.method(), request.path());
        if let Some(slot) = self.slots.get_mut(connection.slot as usize) {
            slot.is_head = request.method() == b"HEAD";
        }
        // With one thread nobody else would compute while it waits.
        let waits = self.hub.settings.threads > 1 && self.routes.mostly_waits(request.shape);
        let job = Job { connection, request };
        if !self.ready.admits(self.now) || self.is_deaf {
            self.reject(job);
        } else if waits {
            self.ready.push_waiting(self.now, job);
        } else {
            self.ready.push(self.now, job);
        }
    }

    /// Says that the site is up, although no thread may be free. So does a worker that leaves: it knows only of itself,
    /// and others serve on after a reload. When the site stops nobody listens any more.
    pub(super) fn answer_health(&mut self, mut connection: Box<Connection>, mut request: Box<Request>) {
        request.status = 200;
        let turn = request.turn(connection.close);
        let keep = push_plain(&mut connection.wire.output(), turn, b"200 OK", None, self.date.now());
        connection.close |= !keep;
        self.hub.account(&connection, &request, None, None);
        self.finish(Job { connection, request });
    }

    pub(super) fn answer_with_file(&mut self, connection: &Connection, request: &mut Request) -> Option<Served> {
        let file_request = file_request(connection, request, self.date.now());
        self.hub.files.answer(&file_request, connection.wire.output().tail())
    }

    pub(super) fn finish_file(&mut self, mut connection: Box<Connection>, mut request: Box<Request>, served: Served) {
        connection.close |= !served.keep_alive;
        request.status = served.status;
        request.body_sent = served.body_length;
        if let FileBody::File { file, offset, length } = served.body {
            connection.wire.output().push_file(file, offset, length);
        }
        self.hub.scoreboard.add(Counter::StaticAnswers, 1);
        self.hub.account(&connection, &request, None, None);
        self.finish(Job { connection, request });
    }

    /// No thread will be free in time: 503, and the connection stays.
    pub fn reject(&mut self, job: Job) {
        let Job { mut connection, mut request } = job;
        self.hub.scoreboard.add(Counter::Rejected, 1);
        connection.close |= self.is_deaf;
        let turn = request.turn(connection.close);
        let keep = push_plain(&mut connection.wire.output(), turn, status_text(503), Some(1), self.date.now());
        connection.close |= !keep;
        request.status = 503;
        self.hub.account(&connection, &request, None, None);
        self.finish(Job { connection, request });
    }

    /// The client's fault: answers, and reads nothing more of what it says.
    pub(super) fn refuse(&mut self, connection: Box<Connection>, refusal: Refusal) {
        let Refusal { status, reason } = refusal;
        let counter = if status == 408 { Counter::TimedOut } else { Counter::RefusedByParser };
        self.hub.scoreboard.add(counter, 1);
        self.turn_away(connection, status, reason, None);
    }

    /// Answers by ourselves, with a sentence that says why, and reads nothing more of what the client says.
    pub(super) fn turn_away(
        &mut self,
        mut connection: Box<Connection>,
        status: u16,
        reason: &str,
        retry_after: Option<u32>,
    ) {
        if let Some(request) = connection.request.take() {
            self.recycle(request);
        }
        let turn = Turn { version: Version::Http11, head_only: false, keep_alive: false };
        let status_line = status_text(status);
        push_explained(&mut connection.wire.output(), turn, status_line, reason, retry_after, self.date.now());
        let mut request = self.new_request();
        request.status = status;
        request.head = RequestHead::default();
        request.arrived = self.now;
        self.hub.account(&connection, &request, None, None);
        self.recycle(request);
        connection.input = Vec::new();
        connection.close = true;
        connection.readable = true;
        self.begin_sending(&mut connection);
        self.send(connection);
    }
}
