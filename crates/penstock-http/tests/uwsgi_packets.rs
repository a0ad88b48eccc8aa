//! The uwsgi protocol: which requests packets make, which are refused, and what holds for any bytes.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use penstock_http::uwsgi::{Gateway, Packet};
use penstock_http::{Decoder, Event, Limits, Refusal, RequestFraming, RequestHead, Span, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The defaults of the settings.
const LIMITS: Limits = Limits { request_line: 8190, head: 32768, fields: 100, body: 1 << 30 };

/// What nginx sends of a plain GET with the parameters that Debian ships, and two fields.
const USUAL: [(&str, &str); 16] = [
    ("QUERY_STRING", "b=c"),
    ("REQUEST_METHOD", "GET"),
    ("CONTENT_TYPE", ""),
    ("CONTENT_LENGTH", ""),
    ("REQUEST_URI", "/a%20b?b=c"),
    ("PATH_INFO", "/a b"),
    ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REQUEST_SCHEME", "https"),
    ("HTTPS", "on"),
    ("REMOTE_ADDR", "192.0.2.7"),
    ("REMOTE_PORT", "4711"),
    ("SERVER_PORT", "443"),
    ("SERVER_NAME", "shop.example"),
    ("HTTP_HOST", "shop.example"),
    ("HTTP_ACCEPT_LANGUAGE", "de, en"),
];

fn raw(modifier1: u8, variables: &[u8], modifier2: u8) -> Vec<u8> {
    let size = u16::try_from(variables.len()).unwrap().to_le_bytes();
    [&[modifier1, size[0], size[1], modifier2], variables].concat()
}

fn packet(modifier1: u8, variables: &[(&str, &str)]) -> Vec<u8> {
    let sized = |text: &str| [&u16::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()].concat();
    let bytes: Vec<u8> = variables.iter().flat_map(|(name, value)| [sized(name), sized(value)].concat()).collect();
    raw(modifier1, &bytes, 0)
}

/// The usual variables, with these behind them: the last of a name counts.
fn usual_and(more: &[(&str, &str)]) -> Vec<u8> {
    packet(0, &[&USUAL[..], more].concat())
}

/// What a packet has been made into.
#[derive(Debug)]
struct Made {
    bytes: Vec<u8>,
    head: RequestHead,
    gateway: Gateway,
}

impl Made {
    fn text(&self, span: Span) -> String {
        String::from_utf8_lossy(span.of(&self.bytes)).into_owned()
    }

    fn fields(&self) -> Vec<(String, String)> {
        self.head.fields.iter().map(|field| (self.text(field.name), self.text(field.value))).collect()
    }

    fn others(&self) -> Vec<(String, String)> {
        self.gateway.others.iter().map(|(name, value)| (self.text(*name), self.text(*value))).collect()
    }

    fn decoded_path(&self) -> Vec<u8> {
        let mut encoded = self.head.path.of(&self.bytes).iter();
        let mut path = Vec::new();
        while let Some(&byte) = encoded.next() {
            let digits: Vec<u8> = if byte == b'%' { encoded.by_ref().take(2).copied().collect() } else { vec![] };
            path.push(match std::str::from_utf8(&digits) {
                Ok("") | Err(_) => byte,
                Ok(digits) => u8::from_str_radix(digits, 16).unwrap(),
            });
        }
        path
    }
}

/// The whole way: None while the packet is incomplete.
fn make(bytes: &[u8]) -> Result<Option<Made>, Refusal> {
    let Some((length, packet)) = Packet::parse(bytes)? else { return Ok(None) };
    assert!(length <= bytes.len());
    let mut made = Vec::from(*b"what was there");
    let gateway = packet.write(&LIMITS, &mut made)?;
    let mut head = RequestHead::default();
    let (used, event) = Decoder::new().decode(&made, &LIMITS, &mut head)?;
    assert_eq!(event, Event::Head, "a packet makes one whole head");
    let behind = gateway.script_name.start as usize;
    assert_eq!(used, behind, "nothing of the variables is read as a part of the request");
    Ok(Some(Made { bytes: made, head, gateway }))
}

fn made(bytes: &[u8]) -> Made {
    make(bytes).unwrap().unwrap()
}

fn status(bytes: &[u8]) -> u16 {
    make(bytes).unwrap_err().status
}

#[test]
fn a_usual_packet_makes_a_usual_request() {
    let made = made(&packet(0, &USUAL));
    assert_eq!(made.text(made.head.method), "GET");
    assert_eq!(made.text(made.head.path), "/a%20b");
    assert_eq!(made.text(made.head.query), "b=c");
    assert_eq!(made.text(made.head.host.unwrap()), "shop.example");
    assert_eq!(made.head.framing, RequestFraming::None);
    assert!(!made.head.expects_continue);
    let fields = [("host", "shop.example"), ("accept-language", "de, en")];
    assert_eq!(made.fields(), fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(made.text(made.gateway.request_uri), "/a%20b?b=c");
    assert_eq!(made.text(made.gateway.address), "192.0.2.7");
    assert_eq!(made.gateway.port, 4711);
    assert_eq!(made.text(made.gateway.server_name), "shop.example");
    assert_eq!(made.text(made.gateway.server_port), "443");
    assert_eq!(made.gateway.version, Version::Http11);
    assert_eq!(made.gateway.https, Some(true));
    assert_eq!(made.others(), [("DOCUMENT_ROOT".to_owned(), "/usr/share/nginx/html".to_owned())]);
}

#[test]
fn a_packet_that_has_not_come_whole_is_waited_for() {
    let bytes = packet(0, &USUAL);
    for end in 0..bytes.len() {
        assert!(make(&bytes[..end]).unwrap().is_none(), "{end} bytes");
    }
    assert_eq!(Packet::parse(&[&bytes[..], b"the body"].concat()).unwrap().unwrap().0, bytes.len());
}

#[test]
fn what_is_not_for_wsgi_is_refused_at_the_first_byte_that_says_so() {
    for bytes in [&b"G"[..], b"\x16\x03", b"\x05", b"\x1f\0\0", b"\0\0\0\x01", b"\x1e\0\0\x02more"] {
        assert_eq!(status(bytes), 400, "{bytes:?}");
    }
}

#[test]
fn variables_that_end_where_they_should_not_are_refused() {
    for variables in
        [&b"\x01"[..], b"\0\0", b"\x01\0", b"\x01\0A", b"\x01\0A\x01", b"\x01\0A\x01\0", b"\xff\xffA\x01\0"]
    {
        assert_eq!(status(&raw(0, variables, 0)), 400, "{variables:?}");
    }
    assert_eq!(status(&raw(0, b"\0\0\0\0", 0)), 400, "a name without a letter");
}

#[test]
fn the_largest_packet_is_read() {
    let value = "x".repeat(65535 - 4 - 1 - 4 - "REQUEST_METHODGET".len());
    let bytes = packet(0, &[("A", &value), ("REQUEST_METHOD", "GET")]);
    assert_eq!(bytes.len(), 4 + 65535);
    assert_eq!(made(&bytes).others(), [("A".to_owned(), value)]);
}

#[test]
fn any_byte_of_a_path_comes_back_from_its_encoding() {
    for byte in 0..=255 {
        let path = [b'/', byte];
        let mut variables = packet(0, &[("REQUEST_METHOD", "GET")])[4..].to_vec();
        variables.extend_from_slice(b"\x09\0PATH_INFO\x02\0");
        variables.extend_from_slice(&path);
        let made = made(&raw(0, &variables, 0));
        assert_eq!(made.decoded_path(), path);
        assert_eq!(made.head.query, Span { start: made.head.path.end, end: made.head.path.end });
    }
}

#[test]
fn of_two_variables_with_one_name_the_last_counts() {
    let made = made(&usual_and(&[("PATH_INFO", "/c"), ("REMOTE_ADDR", "192.0.2.8"), ("REQUEST_METHOD", "PUT")]));
    assert_eq!(made.text(made.head.path), "/c");
    assert_eq!(made.text(made.gateway.address), "192.0.2.8");
    assert_eq!(made.text(made.head.method), "PUT");
}

#[test]
fn lengths_must_agree_and_be_numbers() {
    let framing = |more: &[(&str, &str)]| make(&usual_and(more)).map(|made| made.unwrap().head.framing);
    assert_eq!(framing(&[]), Ok(RequestFraming::None));
    assert_eq!(made(&packet(0, &[("REQUEST_METHOD", "GET")])).head.framing, RequestFraming::None);
    let plain = |length| packet(0, &[("REQUEST_METHOD", "POST"), ("CONTENT_LENGTH", length)]);
    assert_eq!(made(&plain("0")).head.framing, RequestFraming::Length(0));
    assert_eq!(made(&plain("1073741824")).head.framing, RequestFraming::Length(1 << 30));
    for (length, expected) in
        [("1073741825", 413), ("18446744073709551616", 400), ("+1", 400), ("1,1", 400), (" 1", 400)]
    {
        assert_eq!(status(&plain(length)), expected, "{length}");
    }
    let twice = [("REQUEST_METHOD", "POST"), ("CONTENT_LENGTH", "1"), ("CONTENT_LENGTH", "1")];
    assert_eq!(made(&packet(0, &twice)).head.framing, RequestFraming::Length(1));
    assert_eq!(status(&usual_and(&[("CONTENT_LENGTH", "1"), ("CONTENT_LENGTH", "01")])), 400);
    // As for nginx's auth_request: behind the included parameters stands that there is no body.
    assert_eq!(framing(&[("CONTENT_LENGTH", "1"), ("CONTENT_LENGTH", "")]), Ok(RequestFraming::None));
}

#[test]
fn fields_of_the_client_do_not_frame_the_body() {
    let body = [("REQUEST_METHOD", "POST"), ("CONTENT_LENGTH", "3"), ("CONTENT_TYPE", "text/plain")];
    let contrary = [("HTTP_CONTENT_LENGTH", "9"), ("HTTP_CONTENT_TYPE", "x/y"), ("HTTP_TRANSFER_ENCODING", "chunked")];
    let read = made(&packet(0, &[&body[..], &contrary].concat()));
    assert_eq!(read.head.framing, RequestFraming::Length(3));
    let fields = [("content-type", "text/plain"), ("content-length", "3")];
    assert_eq!(read.fields(), fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let read = made(&usual_and(&[("HTTP_CONTENT_LENGTH", "9")]));
    assert_eq!(read.head.framing, RequestFraming::None, "the peer has kept the body to itself");
    assert_eq!(status(&usual_and(&[("HTTP_TRANSFER_ENCODING", "chunked")])), 411);
}

#[test]
fn a_field_may_be_there_twice_and_host_may_not() {
    let read = made(&usual_and(&[("HTTP_ACCEPT_LANGUAGE", "fr")]));
    assert_eq!(read.fields()[2], ("accept-language".to_owned(), "fr".to_owned()));
    assert_eq!(status(&usual_and(&[("HTTP_HOST", "other.example")])), 400);
}

#[test]
fn nothing_in_a_variable_can_add_a_line_to_the_request() {
    let cases = [
        ("HTTP_X", "a\r\nX-B: c"),
        ("HTTP_X", "a\nb"),
        ("HTTP_X", "a\0b"),
        ("HTTP_X: y\r\nX-B", "c"),
        ("HTTP_", "c"),
        ("HTTP_X-B", "c"),
        ("HTTP_X B", "c"),
        ("REQUEST_METHOD", "GET / HTTP/1.0\r\nX-B:"),
        ("REQUEST_METHOD", "GET /other"),
        ("REQUEST_METHOD", ""),
        ("QUERY_STRING", "a HTTP/1.0\r\nX-B: c"),
        ("QUERY_STRING", "a b"),
        ("QUERY_STRING", "a#b"),
        ("CONTENT_TYPE", "a\r\nX-B: c"),
        ("REQUEST_URI", "/a b"),
        ("REQUEST_URI", "http://shop.example/"),
        ("REQUEST_URI", "/\u{e9}"),
        ("PATH_INFO", "a"),
        ("SCRIPT_NAME", "a"),
        ("SERVER_NAME", "a\nb"),
        ("SSL_CLIENT_CERT", "a\0b"),
        ("", "a"),
    ];
    for (name, value) in cases {
        assert_eq!(status(&usual_and(&[(name, value)])), 400, "{name}: {value:?}");
    }
    assert_eq!(status(&packet(0, &[("PATH_INFO", "/")])), 400, "no method");
}

#[test]
fn limits_are_those_of_http() {
    assert_eq!(status(&usual_and(&[("QUERY_STRING", &"x".repeat(9000))])), 414);
    assert_eq!(status(&usual_and(&[("HTTP_COOKIE", &"x".repeat(40_000))])), 431);
    assert_eq!(status(&usual_and(&[("HTTP_X", "y"); 101])), 431);
    assert_eq!(status(&usual_and(&[("HTTP_EXPECT", "a miracle")])), 417);
}

#[test]
fn script_name_is_taken_off_the_path_when_the_peer_asks_for_it() {
    let path = |modifier1, script_name, path| {
        let made =
            made(&packet(modifier1, &[("REQUEST_METHOD", "GET"), ("SCRIPT_NAME", script_name), ("PATH_INFO", path)]));
        let below = if made.gateway.is_path_empty { String::new() } else { made.text(made.head.path) };
        (made.text(made.gateway.script_name), below)
    };
    let pair = |script_name: &str, path: &str| (script_name.to_owned(), path.to_owned());
    assert_eq!(path(30, "/shop", "/shop/cart"), pair("/shop", "/cart"));
    assert_eq!(path(30, "/shop/", "/shop/cart"), pair("/shop", "/cart"));
    assert_eq!(path(30, "/shop", "/shop"), pair("/shop", ""));
    assert_eq!(path(30, "/shop", "/shopping"), pair("/shop", "/shopping"));
    assert_eq!(path(30, "", "/cart"), pair("", "/cart"));
    assert_eq!(path(0, "/shop", "/shop/cart"), pair("/shop", "/shop/cart"));
    assert_eq!(path(0, "/shop", ""), pair("/shop", ""));
    assert_eq!(path(0, "/", "/"), pair("", "/"));
}

#[test]
fn the_scheme_is_what_the_peer_says_first_of_three_ways() {
    let https = |variables: &[(&str, &str)]| {
        made(&packet(0, &[&[("REQUEST_METHOD", "GET")], variables].concat())).gateway.https
    };
    assert_eq!(https(&[]), None);
    assert_eq!(https(&[("HTTPS", "")]), None);
    assert_eq!(https(&[("HTTPS", "on")]), Some(true));
    assert_eq!(https(&[("HTTPS", "1")]), Some(true));
    assert_eq!(https(&[("HTTPS", "off"), ("REQUEST_SCHEME", "https")]), Some(false));
    assert_eq!(https(&[("REQUEST_SCHEME", "https")]), Some(true));
    assert_eq!(https(&[("UWSGI_SCHEME", "http"), ("HTTPS", "on")]), Some(false));
    assert_eq!(https(&[("UWSGI_SCHEME", "gopher")]), None);
}

#[test]
fn other_variables_pass_when_their_names_cannot_pose() {
    let more = [("REMOTE_USER", "ada"), ("wsgi.input", "x"), ("ssl-unclean-shutdown", "1"), ("SSL_CERT", "-\n-")];
    let names: Vec<String> = made(&usual_and(&more)).others().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["DOCUMENT_ROOT", "REMOTE_USER", "ssl-unclean-shutdown", "SSL_CERT"]);
}

fn variable() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let names = USUAL.map(|(name, _)| name.as_bytes().to_vec()).to_vec();
    let values = USUAL.map(|(_, value)| value.as_bytes().to_vec()).to_vec();
    (
        prop_oneof![4 => select(names), 1 => vec(any::<u8>(), 0..20)],
        prop_oneof![4 => select(values), 1 => vec(any::<u8>(), 0..20)],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_request_refused_or_waited_for(bytes in vec(any::<u8>(), 0..200)) {
        let _ = make(&bytes);
        let _ = make(&raw(0, &bytes, 0));
    }

    #[test]
    fn any_variables_make_one_request_or_none(
        variables in vec(variable(), 0..12),
        modifier1 in select(&[0_u8, 30][..]),
    ) {
        let sized = |text: &[u8]| [&u16::try_from(text.len()).unwrap().to_le_bytes()[..], text].concat();
        let usual = USUAL.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let all = usual.chain(variables);
        let bytes: Vec<u8> = all.flat_map(|(name, value)| [sized(&name), sized(&value)].concat()).collect();
        let bytes = raw(modifier1, &bytes, 0);
        if let Ok(Some(made)) = make(&bytes) {
            let path = made.decoded_path();
            prop_assert!(path.starts_with(b"/"));
            prop_assert!(made.fields().iter().all(|(name, _)| !name.contains('_')));
        }
        for end in [1, 3, 4, bytes.len() / 2, bytes.len() - 1] {
            prop_assert!(!matches!(make(&bytes[..end]), Ok(Some(_))));
        }
    }
}
