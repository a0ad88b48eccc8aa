//! Every head that is accepted here is accepted by httparse, with the same method, target, version and fields.
//! The other way round need not be true: httparse is more lenient, and knows no framing.
#![no_main]
use libfuzzer_sys::fuzz_target;
use penstock_fuzz::LIMITS;
use penstock_http::{Decoder, Event, RequestHead, Version};

fuzz_target!(|bytes: &[u8]| {
    let mut head = RequestHead::default();
    let Ok((used, Event::Head)) = Decoder::new().decode(bytes, &LIMITS, &mut head) else { return };
    let text = &bytes[..used];
    let mut fields = [httparse::EMPTY_HEADER; LIMITS.fields];
    let mut other = httparse::Request::new(&mut fields);
    let status = match other.parse(bytes) {
        // It takes 1.0 and 1.1 only; here a higher 1.x counts as 1.1, as RFC 9110 2.5 has it.
        Err(httparse::Error::Version) => return assert_eq!(head.version, Version::Http11),
        outcome => outcome.expect("httparse refuses what is accepted here"),
    };
    assert_eq!(status, httparse::Status::Complete(used));
    assert_eq!(other.method.map(str::as_bytes), Some(head.method.of(text)));
    assert_eq!(other.path.map(str::as_bytes), Some(head.target.of(text)));
    assert_eq!(other.version, Some(u8::from(head.version == Version::Http11)));
    // Names with an underscore are dropped here.
    let theirs = other.headers.iter().filter(|field| !field.name.contains('_'));
    let theirs: Vec<_> = theirs.map(|field| (field.name.as_bytes(), field.value.trim_ascii_end())).collect();
    let ours: Vec<_> = head.fields.iter().map(|field| (field.name.of(text), field.value.of(text))).collect();
    assert_eq!(ours, theirs);
});
