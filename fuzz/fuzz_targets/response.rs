//! Any status and fields: a head that is encoded is one head to httparse, and nothing stands behind it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use penstock_http::{HeadEncoder, Turn, Version};

/// Names and values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fuzz_target!(|input: (bool, Option<u64>, Vec<u8>, Fields)| {
    let (is_11, length, status, fields) = input;
    let version = if is_11 { Version::Http11 } else { Version::Http10 };
    let mut out = Vec::new();
    let turn = Turn { version, head_only: false, keep_alive: true };
    let status = [b"200 ", &status[..]].concat();
    let Ok(mut head) = HeadEncoder::start(&mut out, turn, &status) else { return };
    let taken = fields.iter().filter(|(name, value)| head.field(name, value).is_ok()).count();
    if head.finish(b"Sun, 06 Nov 1994 08:49:37 GMT", length).is_err() {
        return assert!(out.is_empty());
    }
    let mut read = vec![httparse::EMPTY_HEADER; taken + 3];
    let mut response = httparse::Response::new(&mut read);
    assert_eq!(response.parse(&out), Ok(httparse::Status::Complete(out.len())));
    assert_eq!(response.code, Some(200));
    // At most Date, the framing and Connection are added; Content-Length may have been given twice.
    assert!(response.headers.len() <= taken + 3);
});
