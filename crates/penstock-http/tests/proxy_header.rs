//! The PROXY protocol's header, in pieces, in both versions, and malformed.
#![allow(clippy::unwrap_used)]
use penstock_http::proxy_protocol::{parse, Proxied};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn client(len: usize, source: &str, destination: &str) -> Proxied {
    Proxied::Client { len, source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
}

/// The header alone, with a request behind it, and every part of it, which must ask for more.
fn check(header: &[u8], expected: Proxied) {
    assert_eq!(parse(header), Ok(expected));
    assert_eq!(parse(&[header, b"GET / HTTP/1.1\r\n"].concat()), Ok(expected));
    for end in 0..header.len() {
        assert_eq!(parse(&header[..end]), Ok(Proxied::NeedMore), "{end} bytes");
    }
}

#[test]
fn version_1_names_both_ends() {
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";
    check(header, client(header.len(), "192.0.2.1:56324", "192.0.2.2:443"));
    let header = b"PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n";
    check(header, client(header.len(), "[2001:db8::1]:65535", "[2001:db8::2]:0"));
}

#[test]
fn version_1_unknown_is_the_proxy_itself() {
    check(b"PROXY UNKNOWN\r\n", Proxied::Local { len: 15 });
    check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Proxied::Local { len: 35 });
}

#[test]
fn version_2_names_both_ends_and_its_tlvs_are_skipped() {
    let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 4, 1, 0xbb];
    check(&binary(0x21, 0x11, &addresses), client(28, "192.0.2.1:56324", "192.0.2.2:443"));
    let with_tlv = [&addresses[..], &[4, 0, 1, 0]].concat();
    check(&binary(0x21, 0x11, &with_tlv), client(32, "192.0.2.1:56324", "192.0.2.2:443"));
    let mut addresses = [0; 36];
    (addresses[15], addresses[31], addresses[33], addresses[35]) = (1, 2, 3, 4);
    check(&binary(0x21, 0x21, &addresses), client(52, "[::1]:3", "[::2]:4"));
}

#[test]
fn version_2_local_and_families_without_an_address_are_the_proxy_itself() {
    check(&binary(0x20, 0x00, &[]), Proxied::Local { len: 16 });
    check(&binary(0x20, 0x11, &[0; 12]), Proxied::Local { len: 28 });
    check(&binary(0x21, 0x00, &[1, 2, 3]), Proxied::Local { len: 19 });
    check(&binary(0x21, 0x31, &[0; 216]), Proxied::Local { len: 232 });
}

#[test]
fn what_is_no_header_is_refused_at_the_first_byte_that_differs() {
    for bytes in [&b"G"[..], b"PROXZ", b"proxy TCP4", b"\r\n\r\nG", b"\n", b"\x16\x03\x01"] {
        assert_eq!(parse(bytes).unwrap_err().status, 400);
    }
}

#[test]
fn a_malformed_line_is_refused() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.\u{e9} 1 2\r\n",
    ] {
        assert_eq!(parse(line.as_bytes()).unwrap_err().status, 400, "{line}");
    }
}

#[test]
fn a_line_of_more_than_107_bytes_is_refused_before_it_ends() {
    let line = format!("PROXY UNKNOWN {}", "a".repeat(200));
    assert_eq!(parse(&line.as_bytes()[..106]), Ok(Proxied::NeedMore));
    assert_eq!(parse(&line.as_bytes()[..107]).unwrap_err().status, 400);
}

#[test]
fn a_malformed_binary_header_is_refused() {
    let too_long = [SIGNATURE, b"\x21\x11\x10\x01"].concat();
    for bytes in [
        binary(0x22, 0x11, &[0; 12]),
        binary(0x11, 0x11, &[0; 12]),
        binary(0x21, 0x12, &[0; 12]),
        binary(0x21, 0x41, &[0; 12]),
        binary(0x21, 0x11, &[0; 11]),
        binary(0x21, 0x21, &[0; 35]),
        too_long,
    ] {
        assert_eq!(parse(&bytes).unwrap_err().status, 400);
    }
}
