//! What is believed of a request that came through proxies.
#![allow(clippy::unwrap_used)]
use penstock_http::forwarded::{client, Client, Trust};
use penstock_http::{Field, Span};
use std::net::IpAddr;

fn trust(entries: &[&str]) -> Trust {
    Trust::parse(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// What is believed where 10.0.0.0/8 and the machine itself are trusted, and the host's text.
fn read(lines: &[(&str, &str)]) -> (Client, Option<String>) {
    let mut bytes = Vec::new();
    let fields: Vec<_> = (lines.iter())
        .map(|(name, value)| {
            let mut add = |text: &str| {
                bytes.extend_from_slice(text.as_bytes());
                Span { start: (bytes.len() - text.len()) as u32, end: bytes.len() as u32 }
            };
            Field { name: add(name), value: add(value) }
        })
        .collect();
    let client = client(&trust(&["10.0.0.0/8", "127.0.0.1", "::1"]), &bytes, &fields);
    let host = client.host.map(|host| String::from_utf8(host.of(&bytes).to_vec()).unwrap());
    (client, host)
}

fn address_of(name: &str, value: &str) -> Option<IpAddr> {
    read(&[(name, value)]).0.address
}

#[test]
fn trust_covers_addresses_networks_unix_sockets_or_all() {
    let some = trust(&["192.0.2.1", "10.0.0.0/8", "2001:db8::/32", " ::1 "]);
    for inside in ["192.0.2.1", "10.255.0.1", "2001:db8:ffff::1", "::1", "::ffff:10.0.0.1"] {
        assert!(some.includes(address(inside)), "{inside}");
    }
    for outside in ["192.0.2.2", "11.0.0.1", "2001:db9::1", "::2", "::ffff:11.0.0.1", "::a00:1"] {
        assert!(!some.includes(address(outside)), "{outside}");
    }
    assert!(!some.includes(None));
    assert!(trust(&["unix"]).includes(None) && !trust(&["unix"]).includes(address("127.0.0.1")));
    assert!(trust(&["*"]).includes(None) && trust(&["*"]).includes(address("2001:db8::1")));
    assert!(!trust(&[]).includes(None) && !trust(&[]).includes(address("127.0.0.1")));
}

#[test]
fn a_network_of_one_family_does_not_cover_the_other() {
    assert!(trust(&["0.0.0.0/0"]).includes(address("192.0.2.1")));
    assert!(!trust(&["0.0.0.0/0"]).includes(address("2001:db8::1")));
    assert!(trust(&["::/0"]).includes(address("2001:db8::1")));
    assert!(!trust(&["::/0"]).includes(address("192.0.2.1")));
    assert!(trust(&["::ffff:10.0.0.0/104"]).includes(address("10.1.1.1")));
}

#[test]
fn an_entry_that_cannot_be_read_is_named() {
    for entry in [
        "",
        "example.test",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "::1/129",
        "10.0.0/8",
        "10.0.0.0/8/8",
        "::ffff:0.0.0.0/95",
    ] {
        assert!(Trust::parse(&[entry.to_owned()]).unwrap_err().contains(&format!("'{entry}'")), "{entry}");
    }
    let error = Trust::parse(&["10.0.0.1/8".to_owned()]).unwrap_err();
    assert!(error.contains("'10.0.0.1/8'") && error.contains("behind its prefix"));
}

#[test]
fn the_nearest_address_that_is_not_trusted_is_the_client() {
    assert_eq!(address_of("X-Forwarded-For", "198.51.100.9, 192.0.2.1, 10.0.0.2,10.0.0.1"), address("192.0.2.1"));
    assert_eq!(address_of("x-forwarded-for", "192.0.2.1"), address("192.0.2.1"));
}

#[test]
fn several_fields_are_one_list() {
    let lines =
        [("X-Forwarded-For", "198.51.100.9"), ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "10.0.0.1")];
    assert_eq!(read(&lines).0.address, address("192.0.2.1"));
}

#[test]
fn where_all_are_trusted_the_leftmost_is_the_client() {
    assert_eq!(address_of("X-Forwarded-For", "10.0.0.3, 10.0.0.2, 127.0.0.1"), address("10.0.0.3"));
}

#[test]
fn an_element_that_cannot_be_read_ends_the_walk() {
    for bad in ["unknown", "", "a b", "1.2.3", "1.2.3.4:x", "1.2.3.4:99999", "[::1", "2001:db8::1%eth0", "010.0.0.1"] {
        let value = format!("198.51.100.9, {bad}, 10.0.0.1");
        assert_eq!(address_of("X-Forwarded-For", &value), address("10.0.0.1"), "{bad}");
        assert_eq!(address_of("X-Forwarded-For", bad), None, "{bad}");
    }
}

#[test]
fn ports_brackets_and_mapped_addresses_are_understood() {
    for (text, expected, port) in [
        ("192.0.2.1:55", "192.0.2.1", Some(55)),
        ("[2001:db8::1]:123", "2001:db8::1", Some(123)),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("2001:db8::1", "2001:db8::1", None),
        ("::ffff:192.0.2.1", "192.0.2.1", None),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1", Some(1)),
    ] {
        let (client, _) = read(&[("X-Forwarded-For", text)]);
        assert_eq!((client.address, client.port), (address(expected), port), "{text}");
    }
}

#[test]
fn the_last_scheme_counts_and_only_http_and_https_are_schemes() {
    for (value, expected) in [
        ("https", Some(true)),
        ("http, HTTPS", Some(true)),
        ("https,http", Some(false)),
        ("wss", Some(true)),
        ("ws", Some(false)),
        ("ftp", None),
        ("https, ", None),
        ("on", None),
    ] {
        assert_eq!(read(&[("X-Forwarded-Proto", value)]).0.https, expected, "{value}");
    }
}

#[test]
fn the_last_host_counts_when_it_is_a_host() {
    for (value, expected) in [
        ("a.test", Some("a.test")),
        ("a.test, b.test:81", Some("b.test:81")),
        ("a.test,\tb.test ", Some("b.test")),
        ("a.test, b/c", None),
        ("", None),
    ] {
        assert_eq!(read(&[("X-Forwarded-Host", value)]).1.as_deref(), expected, "{value}");
    }
}

#[test]
fn forwarded_describes_the_client_s_own_connection() {
    let outer = r#"for=198.51.100.9, For="[2001:db8::1]:47" ;Proto=HTTPS;by=_x; host="a.test:81""#;
    let inner = "for=10.0.0.1;proto=http;host=inner";
    let (client, host) = read(&[("Forwarded", &format!("{outer}, {inner}"))]);
    assert_eq!((client.address, client.port), (address("2001:db8::1"), Some(47)));
    assert_eq!((client.https, host.as_deref()), (Some(true), Some("a.test:81")));
}

#[test]
fn what_an_outer_proxy_left_out_is_taken_from_the_next() {
    let (client, host) =
        read(&[("Forwarded", "for=192.0.2.1"), ("Forwarded", "for=10.0.0.1;proto=https;host=a.test")]);
    assert_eq!(client.address, address("192.0.2.1"));
    assert_eq!((client.https, host.as_deref()), (Some(true), Some("a.test")));
}

#[test]
fn what_came_before_the_client_in_forwarded_is_not_believed() {
    let (client, host) = read(&[("Forwarded", "for=198.51.100.9;proto=https;host=evil.test, for=192.0.2.1")]);
    assert_eq!(client, Client { address: address("192.0.2.1"), ..Client::default() });
    assert_eq!(host, None);
}

#[test]
fn unknown_and_hidden_names_in_forwarded_end_the_walk() {
    for hidden in ["unknown", "_secret", "\"_secret:_port\"", "\"unknown:80\""] {
        let value = format!("for=198.51.100.9, for={hidden};proto=https, for=10.0.0.1");
        let (client, _) = read(&[("Forwarded", &value)]);
        assert_eq!((client.address, client.https), (address("10.0.0.1"), Some(true)), "{hidden}");
    }
}

#[test]
fn a_hidden_port_does_not_hide_the_address() {
    let (client, _) = read(&[("Forwarded", "for=\"192.0.2.1:_port\"")]);
    assert_eq!((client.address, client.port), (address("192.0.2.1"), None));
}

#[test]
fn commas_and_semicolons_in_quotes_part_nothing() {
    let (client, _) = read(&[("Forwarded", r#"for=192.0.2.1;x="a,for=198.51.100.9;\",b";proto=https"#)]);
    assert_eq!((client.address, client.https), (address("192.0.2.1"), Some(true)));
}

#[test]
fn a_malformed_forwarded_says_nothing() {
    for bad in [
        "for",
        "for=",
        "=a",
        "for=\"192.0.2.1",
        "for=192.0.2.1;for=192.0.2.2",
        "fo r=192.0.2.1",
        "for=192.0.2.1, \"",
        "for=\"",
    ] {
        assert_eq!(read(&[("Forwarded", bad)]), (Client::default(), None), "{bad}");
        let behind = [("Forwarded", "for=198.51.100.9;proto=https"), ("Forwarded", bad)];
        assert_eq!(read(&behind), (Client::default(), None), "{bad}");
    }
}

#[test]
fn forwarded_counts_only_where_no_older_field_stands() {
    let lines = [("X-Forwarded-For", "198.51.100.9"), ("Forwarded", "for=192.0.2.1;proto=https;host=evil.test")];
    assert_eq!(read(&lines), (Client { address: address("198.51.100.9"), ..Client::default() }, None));
    assert_eq!(read(&lines[1..]).0.address, address("192.0.2.1"));
}

#[test]
fn no_field_no_client() {
    assert_eq!(read(&[("Host", "a.test"), ("X-Forwarded-Port", "1")]), (Client::default(), None));
}
