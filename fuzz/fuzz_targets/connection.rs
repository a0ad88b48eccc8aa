//! Any bytes as a connection: whole, byte by byte, and in pieces of any one length they are the same requests.
#![no_main]
use libfuzzer_sys::fuzz_target;
use penstock_fuzz::decode;
use penstock_http::proxy_protocol;

fuzz_target!(|bytes: &[u8]| {
    let whole = decode([bytes]);
    assert_eq!(decode(bytes.chunks(1)), whole);
    let length = bytes.first().map_or(1, |first| usize::from(*first).max(1));
    assert_eq!(decode(bytes.chunks(length)), whole);
    if let Ok(proxy_protocol::Proxied::Client { len, .. }) = proxy_protocol::parse(bytes) {
        assert!(len <= bytes.len());
    }
});
