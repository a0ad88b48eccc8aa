//! Any bytes as a uwsgi packet: it makes one whole head, which holds nothing that the parser of HTTP would refuse.
#![no_main]
use libfuzzer_sys::fuzz_target;
use penstock_fuzz::LIMITS;
use penstock_http::uwsgi::Packet;
use penstock_http::{Decoder, Event, RequestHead};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some((length, packet))) = Packet::parse(bytes) else { return };
    assert!(length <= bytes.len());
    for end in 0..length {
        assert!(matches!(Packet::parse(&bytes[..end]), Ok(None)), "a packet without its end is waited for");
    }
    let mut out = Vec::new();
    let Ok(gateway) = packet.write(&LIMITS, &mut out) else { return };
    let mut head = RequestHead::default();
    let Ok((used, event)) = Decoder::new().decode(&out, &LIMITS, &mut head) else { return };
    assert_eq!(event, Event::Head);
    assert_eq!(used, gateway.script_name.start as usize, "no variable is read as a part of the request");
    assert!(head.path.of(&out).starts_with(b"/"));
    for (name, value) in &gateway.others {
        assert!(!name.of(&out).is_empty() && !name.of(&out).contains(&b'.') && !value.of(&out).contains(&0));
    }
});
