//! The decoder's interface where the corpus cannot reach it: odd limits, and bytes that come back changed.
#![allow(clippy::unwrap_used)]
use penstock_http::{Decoder, Event, Limits, Refusal, RequestHead};

const LIMITS: Limits = Limits { request_line: 8190, head: 32768, fields: 100, body: 1 << 30 };
const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn limits_of_any_size_do_not_overflow() {
    let largest = Limits { request_line: usize::MAX, head: usize::MAX, fields: usize::MAX, body: u64::MAX };
    let mut head = RequestHead::default();
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(REQUEST, &largest, &mut head), Ok((REQUEST.len(), Event::Head)));
    let chunks = b"ffffffffffffff00\r\na";
    assert_eq!(decoder.decode(chunks, &largest, &mut head), Ok((chunks.len(), Event::Body(18..19))));
    let length = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n";
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(length, &largest, &mut head), Ok((length.len(), Event::Head)));
    assert_eq!(decoder.decode(b"abc", &largest, &mut head), Ok((3, Event::Body(0..3))));
}

#[test]
fn limits_of_nothing_refuse_everything() {
    let nothing = Limits { request_line: 0, head: 0, fields: 0, body: 0 };
    let refusal = Decoder::new().decode(b"G", &nothing, &mut RequestHead::default());
    assert_eq!(refusal, Err(Refusal { status: 414, reason: "the request line is too long" }));
}

#[test]
fn a_decoder_is_idle_from_the_end_of_a_request_to_the_head_of_the_next() {
    let mut decoder = Decoder::new();
    let mut head = RequestHead::default();
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(decoder.is_idle());
    assert_eq!(decoder.decode(&bytes[..20], &LIMITS, &mut head), Ok((0, Event::NeedMore)));
    assert!(decoder.is_idle());
    assert_eq!(decoder.decode(bytes, &LIMITS, &mut head), Ok((bytes.len(), Event::Head)));
    assert!(!decoder.is_idle());
    assert_eq!(decoder.decode(b"", &LIMITS, &mut head), Ok((0, Event::End)));
    assert!(decoder.is_idle());
}

#[test]
fn bytes_that_are_taken_away_are_read_anew() {
    let mut decoder = Decoder::new();
    let mut head = RequestHead::default();
    assert_eq!(decoder.decode(&REQUEST[..40], &LIMITS, &mut head), Ok((0, Event::NeedMore)));
    assert_eq!(decoder.decode(b"", &LIMITS, &mut head), Ok((0, Event::NeedMore)));
    assert_eq!(decoder.decode(REQUEST, &LIMITS, &mut head), Ok((REQUEST.len(), Event::Head)));
}

#[test]
fn chunks_of_one_byte_with_extensions_come_to_an_end() {
    let mut decoder = Decoder::new();
    let mut head = RequestHead::default();
    decoder.decode(REQUEST, &LIMITS, &mut head).unwrap();
    let chunk = [b"1;", &[b'a'; 200][..], b"\r\na\r\n"].concat();
    let many = chunk.repeat(100);
    let mut input = &many[..];
    let refusal = loop {
        match decoder.decode(input, &LIMITS, &mut head) {
            Ok((used, event)) => {
                assert!(event != Event::NeedMore, "all of them were taken");
                input = &input[used..];
            }
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.reason, "the chunk extensions are too long");
}
