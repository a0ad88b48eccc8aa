//! Requests in the uwsgi protocol. From here on they are requests like all others.
use super::EventLoop;
use crate::connection::{Connection, Peer, Phase, Request};
use crate::scoreboard::Counter;
use penstock_http::uwsgi::{Gateway, Packet};
use penstock_http::{Event, Refusal};
use std::net::{IpAddr, SocketAddr};
use std::str::from_utf8;

impl EventLoop {
    /// Somebody who may not speak the protocol: whoever does is believed about the client. Said once a worker.
    pub(super) fn shut_out(&mut self, peer: &Peer) {
        self.hub.scoreboard.add(Counter::RefusedByParser, 1);
        if std::mem::replace(&mut self.has_turned_away, true) {
            return;
        }
        let text = format!(
            "{} may not speak the uwsgi protocol; hint: name it in uwsgi_allow if it is your web server",
            peer.text
        );
        self.hub.log_without_python("warning", text);
    }

    /// Makes a request of the variables at the start of `bytes`; says how long they are. None while they are incomplete.
    pub(super) fn decode_packet(
        &mut self,
        connection: &mut Connection,
        bytes: &[u8],
    ) -> Result<Option<(usize, Box<Request>)>, Refusal> {
        let Some((length, packet)) = Packet::parse(bytes)? else { return Ok(None) };
        let mut request = self.new_request();
        match self.fill(connection, packet, &mut request) {
            Ok(()) => Ok(Some((length, request))),
            Err(refusal) => {
                self.recycle(request);
                Err(refusal)
            }
        }
    }

    fn fill(&self, connection: &mut Connection, packet: Packet<'_>, request: &mut Request) -> Result<(), Refusal> {
        let limits = &self.hub.settings.limits;
        let gateway = packet.write(limits, &mut request.bytes)?;
        let Request { bytes, head, .. } = request;
        if connection.decoder.decode(bytes, limits, head)?.1 != Event::Head {
            return Err(Refusal { status: 400, reason: "the uwsgi variables make no request" });
        }
        connection.peer = self.client_of(&gateway, bytes)?;
        head.version = gateway.version;
        // One connection, one request: whatever the client wants of its own connection.
        head.keep_alive = false;
        if !gateway.request_uri.of(bytes).is_empty() {
            head.target = gateway.request_uri;
        }
        if gateway.is_path_empty {
            head.path.end = head.path.start;
        }
        request.gateway = Some(Box::new(gateway));
        connection.phase = Phase::Head;
        Ok(())
    }

    /// The client as its server saw it. One without an address is nobody who could speak for others.
    fn client_of(&self, gateway: &Gateway, bytes: &[u8]) -> Result<Peer, Refusal> {
        let trust = &self.hub.settings.trust;
        match gateway.address.of(bytes) {
            b"" => Ok(Peer { trusted: false, ..Peer::new(None, trust) }),
            b"unix:" => Ok(Peer::new(None, trust)),
            text => {
                let address: Option<IpAddr> = from_utf8(text).ok().and_then(|text| text.parse().ok());
                let address = address.ok_or(Refusal { status: 400, reason: "REMOTE_ADDR is no address" })?;
                Ok(Peer::new(Some(SocketAddr::new(address, gateway.port)), trust))
            }
        }
    }
}
