//! Feeds bytes to a decoder in given pieces and notes what comes out. Checks on the way that every promise of the
//! decoder's interface holds: nothing used that was not there, no empty body event, no progress after a refusal.
use penstock_http::{Decoder, Event, Limits, RequestFraming, RequestHead, Version};

/// The defaults of the settings.
pub const LIMITS: Limits = Limits { request_line: 8190, head: 32768, fields: 100, body: 1 << 30 };

/// One complete request, with its spans resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub path: Vec<u8>,
    pub query: Vec<u8>,
    pub version: Version,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub host: Option<Vec<u8>>,
    pub framing: RequestFraming,
    pub expects_continue: bool,
    pub keep_alive: bool,
    pub body: Vec<u8>,
}

/// What comes after the last complete request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Idle,
    Incomplete,
    Refused(u16),
}

/// Decodes `pieces` as they would arrive, one after the other.
pub fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> (Vec<Request>, Outcome) {
    let mut decoder = Decoder::new();
    let mut waiting = Vec::new();
    let mut requests = Vec::new();
    let mut current = None;
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            // A head of its own for each call: the decoder may not rely on what it wrote into an earlier one.
            let mut head = RequestHead::default();
            let (used, event) = match decoder.decode(&waiting, limits, &mut head) {
                Ok(decoded) => decoded,
                Err(refusal) => {
                    let again = decoder.decode(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", limits, &mut head);
                    assert_eq!(again, Err(refusal), "a refusal is final");
                    assert!((400..=505).contains(&refusal.status));
                    return (requests, Outcome::Refused(refusal.status));
                }
            };
            assert!(used <= waiting.len());
            let is_over = event == Event::NeedMore;
            match event {
                Event::NeedMore => {}
                Event::Head => {
                    assert_eq!(used, head.len as usize);
                    assert!(current.replace(resolve(&waiting[..used], &head)).is_none(), "a head within a body");
                }
                Event::Body(range) => {
                    assert!(!range.is_empty() && range.end <= used);
                    current.as_mut().expect("a body without a head").body.extend_from_slice(&waiting[range]);
                }
                Event::End => requests.push(current.take().expect("an end without a head")),
            }
            waiting.drain(..used);
            assert_eq!(decoder.is_idle(), current.is_none());
            if is_over {
                break;
            }
        }
    }
    let is_idle = current.is_none() && waiting.is_empty();
    (requests, if is_idle { Outcome::Idle } else { Outcome::Incomplete })
}

fn resolve(bytes: &[u8], head: &RequestHead) -> Request {
    Request {
        method: head.method.of(bytes).to_vec(),
        target: head.target.of(bytes).to_vec(),
        path: head.path.of(bytes).to_vec(),
        query: head.query.of(bytes).to_vec(),
        version: head.version,
        fields: (head.fields.iter())
            .map(|field| (field.name.of(bytes).to_vec(), field.value.of(bytes).to_vec()))
            .collect(),
        host: head.host.map(|host| host.of(bytes).to_vec()),
        framing: head.framing,
        expects_continue: head.expects_continue,
        keep_alive: head.keep_alive,
        body: Vec::new(),
    }
}
