//! Any bytes as a head: the spans of one that is accepted lie in it, and hold what they must.
#![no_main]
use libfuzzer_sys::fuzz_target;
use penstock_fuzz::LIMITS;
use penstock_http::{forwarded, is_valid_host, Decoder, Event, RequestHead};

fuzz_target!(|bytes: &[u8]| {
    let mut head = RequestHead::default();
    let Ok((used, Event::Head)) = Decoder::new().decode(bytes, &LIMITS, &mut head) else { return };
    let text = &bytes[..used];
    assert!(text.ends_with(b"\r\n\r\n") && used == head.len as usize);
    assert!(head.target.of(text).iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#'));
    assert!(head.fields.len() <= LIMITS.fields);
    for field in &head.fields {
        let (name, value) = (field.name.of(text), field.value.of(text));
        assert!(!name.is_empty() && !name.contains(&b'_'));
        assert!(!value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
    }
    assert!(head.host.is_none_or(|host| is_valid_host(host.of(text))));
    if let Ok(trust) = forwarded::Trust::parse(&["10.0.0.0/8".to_owned()]) {
        let client = forwarded::client(&trust, text, &head.fields);
        assert!(client.host.is_none_or(|host| is_valid_host(host.of(text))));
    }
});
