//! Any bytes as a chunked body: an independent reading of what is accepted gives the same data.
#![no_main]
use libfuzzer_sys::fuzz_target;
use penstock_fuzz::decode;

fuzz_target!(|bytes: &[u8]| {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (requests, _) = decode([&head[..], bytes]);
    if let Some((_, body)) = requests.first() {
        assert_eq!(Some(body), unchunk(bytes).as_ref());
    }
});

/// Reads chunks as RFC 9112 7.1.3 tells it, without a look at limits or trailers. None when they are malformed.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let size = bytes[..end].split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes[size..].strip_prefix(b"\r\n")?;
    }
}
