//! What the targets share: a connection decoded in pieces, its outcome in a form that can be compared.
use penstock_http::{Decoder, Event, Limits, RequestHead};

/// Small, so that inputs of a usual length meet every limit.
pub const LIMITS: Limits = Limits { request_line: 200, head: 1000, fields: 20, body: 500 };

/// One request: the text of its head as Rust prints it, and its body.
pub type Request = (String, Vec<u8>);

/// Complete requests, and the status of the refusal that ends them.
pub fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Request>, Option<u16>) {
    let mut decoder = Decoder::new();
    let mut waiting = Vec::new();
    let mut requests = Vec::new();
    let mut current = Request::default();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let mut head = RequestHead::default();
            let (used, event) = match decoder.decode(&waiting, &LIMITS, &mut head) {
                Ok(decoded) => decoded,
                Err(refusal) => return (requests, Some(refusal.status)),
            };
            let is_over = event == Event::NeedMore;
            match event {
                Event::NeedMore => {}
                Event::Head => current = (format!("{head:?}"), Vec::new()),
                Event::Body(range) => current.1.extend_from_slice(&waiting[range]),
                Event::End => requests.push(std::mem::take(&mut current)),
            }
            waiting.drain(..used);
            if is_over {
                break;
            }
        }
    }
    assert!(waiting.len() <= LIMITS.head + 8, "more is held back than any head or line may take");
    (requests, None)
}
