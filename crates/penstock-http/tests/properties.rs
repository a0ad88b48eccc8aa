//! What holds for any input, tried with many: splits change nothing, nothing panics, no response can be split.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod exchange;

use exchange::{decode, Outcome, LIMITS};
use penstock_http::{forwarded, is_valid_host, proxy_protocol, Field, HeadEncoder, Limits, Span, Turn, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, Index};

/// Small ones, so that every limit is met often.
const NARROW: Limits = Limits { request_line: 40, head: 160, fields: 5, body: 40 };

/// A request line may be longer than a head: the order of the two does not matter.
const CONTRARY: Limits = Limits { request_line: 400, head: 25, ..NARROW };

/// Pieces of requests, good and bad, which are strung together at random.
const PIECES: [&[u8]; 40] = [
    b"GET / HTTP/1.1\r\n",
    b"POST /a?b HTTP/1.1\r\n",
    b"HEAD http://a.test/b HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.0\r\n",
    b"GET / HTTP/3.0\r\n",
    b"Host: a.test\r\n",
    b"Host: [::1]:80\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Content-Length: 99\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, x\r\n",
    b"X_Y: z\r\n",
    b"X: a long value that is looked at in several steps\r\n",
    b"Y: \xff\t\xfe\r\n",
    b"Z : bad\r\n",
    b" folded\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"abc",
    b"3\r\nabc\r\n",
    b"3;x=\"y\"\r\nabc\r\n",
    b"a\r\n0123456789\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"5\r\nabc\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    b": ",
];

/// The bytes of a connection: mostly whole lines, now and then with a byte changed.
fn connection() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..3);
    (vec(select(&PIECES[..]), 0..14), changes).prop_map(|(pieces, changes)| {
        let mut bytes = pieces.concat();
        for (place, byte) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        bytes
    })
}

fn split<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let starts = [0].into_iter().chain(ends.clone());
    starts.zip(&ends).map(|(start, &end)| &bytes[start..end]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_requests(
        bytes in connection(),
        places in vec(any::<Index>(), 0..20),
        limits in select(&[LIMITS, NARROW, CONTRARY][..]),
    ) {
        let whole = decode([&bytes[..]], &limits);
        prop_assert_eq!(&decode(split(&bytes, &places), &limits), &whole);
        prop_assert_eq!(&decode(bytes.chunks(1), &limits), &whole);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        decode([&bytes[..]], &LIMITS);
        decode([b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes[..]], &LIMITS);
    }

    #[test]
    fn what_is_accepted_keeps_to_the_limits(bytes in connection()) {
        for request in decode([&bytes[..]], &NARROW).0 {
            prop_assert!(request.target.len() + request.method.len() + 10 <= NARROW.request_line);
            prop_assert!(request.fields.len() <= NARROW.fields);
            prop_assert!(request.body.len() as u64 <= NARROW.body);
        }
    }

    #[test]
    fn a_generated_request_is_read_as_it_was_meant(
        method in "[A-Z]{1,9}",
        path in "/[a-z/%.]{0,20}",
        query in "[a-z&=?/]{0,10}",
        fields in vec(("[A-Za-z][A-Za-z-]{0,12}", "[ -~\u{a1}-\u{ff}]{0,40}"), 0..8),
        chunks in vec(vec(any::<u8>(), 1..40), 0..5),
        is_chunked: bool,
    ) {
        prop_assume!(method != "CONNECT");
        let special = ["host", "connection", "content-length", "transfer-encoding", "expect"];
        let fields: Vec<_> = fields.into_iter()
            .filter(|(name, _)| !special.contains(&name.to_lowercase().as_str()))
            .map(|(name, value)| (name.into_bytes(), value.trim_matches(' ').as_bytes().to_vec()))
            .collect();
        let mut bytes = format!("{method} {path}?{query} HTTP/1.1\r\nHost: a.test\r\n").into_bytes();
        for (name, value) in &fields {
            bytes.extend([name, &b": "[..], value, b" \r\n"].concat());
        }
        let body = chunks.concat();
        if is_chunked {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in &chunks {
                bytes.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
            bytes.extend(&body);
        }
        let (requests, outcome) = decode([&bytes[..]], &LIMITS);
        prop_assert_eq!(outcome, Outcome::Idle);
        prop_assert_eq!(requests.len(), 1);
        let request = &requests[0];
        prop_assert_eq!(&request.method, method.as_bytes());
        prop_assert_eq!(&request.path, path.as_bytes());
        prop_assert_eq!(&request.query, query.as_bytes());
        prop_assert_eq!(&request.fields[1..request.fields.len() - 1], &fields[..]);
        prop_assert_eq!(&request.body, &body);
    }

    #[test]
    fn no_response_can_be_split(
        status in prop_oneof![Just(b"200 OK".to_vec()), vec(any::<u8>(), 0..12)],
        fields in vec((prop_oneof![vec(any::<u8>(), 0..8), "[A-Za-z-]{1,20}".prop_map(String::into_bytes)],
            prop_oneof![vec(any::<u8>(), 0..20), "[ -~]{0,20}".prop_map(String::into_bytes)]), 0..6),
        pieces in vec(vec(any::<u8>(), 0..30), 0..5),
        is_11: bool,
        head_only: bool,
        keep_alive: bool,
        knows_length: bool,
    ) {
        let version = if is_11 { Version::Http11 } else { Version::Http10 };
        let mut out = b"before".to_vec();
        let turn = Turn { version, head_only, keep_alive };
        let Ok(mut head) = HeadEncoder::start(&mut out, turn, &status) else { return Ok(()) };
        let mut taken = Vec::new();
        for (name, value) in &fields {
            if head.field(name, value).is_ok() {
                taken.push((name, value));
            }
        }
        let announced = head.content_length();
        let length = pieces.concat().len() as u64;
        let Ok(mut body) = head.finish(b"Sun, 06 Nov 1994 08:49:37 GMT", knows_length.then_some(length)) else {
            prop_assert_eq!(out, b"before");
            return Ok(());
        };
        let mut sent = Vec::new();
        for piece in &pieces {
            let (allowed, after) = body.frame(&mut out, piece.len());
            out.extend_from_slice(&piece[..allowed]);
            out.extend_from_slice(after);
            sent.extend_from_slice(&piece[..allowed]);
        }
        let is_complete = body.finish(&mut out);
        let (lines, rest) = read_response(&out["before".len()..]);
        // The application's fields stand in their order; what the server added stands behind them.
        prop_assert_eq!(&lines[0], &[b"HTTP/1.1 ", &status[..]].concat());
        let is_length = |name: &[u8]| name.eq_ignore_ascii_case(b"content-length");
        let mut given = lines[1..].iter();
        for (name, value) in taken.iter().filter(|(name, _)| !is_length(name)) {
            prop_assert_eq!(given.next().unwrap(), &[name, &b": "[..], value].concat());
        }
        let added: Vec<_> = given.map(|line| line.split(|&byte| byte == b':').next().unwrap().to_vec()).collect();
        let known: [&[u8]; 4] = [b"Date", b"Content-Length", b"Transfer-Encoding", b"Connection"];
        prop_assert!(added.iter().all(|name| known.contains(&&name[..])));
        prop_assert!(added.len() <= 3);
        prop_assert_eq!(body.keep_alive() && !keep_alive, false);
        if body.is_bodiless() {
            prop_assert!(rest.is_empty() && sent.is_empty());
        } else if added.iter().any(|name| name == b"Transfer-Encoding") {
            prop_assert_eq!(unchunk(rest), pieces.concat());
        } else {
            prop_assert_eq!(rest, sent);
            prop_assert_eq!(is_complete, announced.unwrap_or(0) <= length);
        }
    }

    #[test]
    fn a_host_never_holds_what_ends_one_in_a_url(
        bytes in prop_oneof![vec(any::<u8>(), 0..20), "[\\[\\]:%a-f0-9.]{0,20}".prop_map(String::into_bytes)],
    ) {
        let is_harmless = bytes.iter().all(|byte| byte.is_ascii_graphic() && !DELIMITERS.contains(byte));
        prop_assert!(is_harmless || !is_valid_host(&bytes));
    }

    #[test]
    fn any_forwarded_field_names_places_that_exist(
        names in vec(select(&forwarded::FIELDS[..]), 1..4),
        value in prop_oneof![
            vec(any::<u8>(), 0..40),
            "(for=|host=|proto=|\"|;|,|\\\\|10\\.0\\.0\\.1|_a|http| ){0,12}".prop_map(String::into_bytes),
        ],
    ) {
        let mut bytes = Vec::new();
        let mut fields = Vec::new();
        for name in names {
            let start = bytes.len() as u32;
            let middle = start + name.len() as u32;
            let end = middle + value.len() as u32;
            bytes.extend([name.as_bytes(), &value].concat());
            fields.push(Field { name: Span { start, end: middle }, value: Span { start: middle, end } });
        }
        let trust = forwarded::Trust::parse(&["10.0.0.0/8".to_owned()]).unwrap();
        if let Some(host) = forwarded::client(&trust, &bytes, &fields).host {
            prop_assert!(is_valid_host(host.of(&bytes)));
        }
    }

    #[test]
    fn a_proxy_header_is_never_longer_than_what_came(
        start in select(&PROXY_STARTS[..]),
        rest in vec(any::<u8>(), 0..120),
    ) {
        use proxy_protocol::Proxied::{Client, Local};
        let bytes = [start, &rest].concat();
        if let Ok(Local { len } | Client { len, .. }) = proxy_protocol::parse(&bytes) {
            prop_assert!(len <= bytes.len());
        }
    }
}

/// What no host may hold, whatever it is quoted in.
const DELIMITERS: &[u8] = b"/?#@\\\"<>^`{|}";

const PROXY_STARTS: [&[u8]; 4] = [b"PROXY TCP4 ", b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0", b""];

/// An independent reading of a response: its lines up to the empty one, and what is behind.
fn read_response(bytes: &[u8]) -> (Vec<Vec<u8>>, &[u8]) {
    let mut lines = vec![Vec::new()];
    for (index, &byte) in bytes.iter().enumerate() {
        let line = lines.last_mut().unwrap();
        line.push(byte);
        if line.ends_with(b"\r\n") {
            line.truncate(line.len() - 2);
            if line.is_empty() {
                lines.pop();
                return (lines, &bytes[index + 1..]);
            }
            lines.push(Vec::new());
        } else {
            assert!(byte != b'\n' && byte != 0, "a stray line end in a head");
        }
    }
    panic!("the head does not end");
}

/// An independent reading of chunks, which must end with the input.
fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = bytes[end + 2 + size..].strip_prefix(b"\r\n").unwrap();
        if size == 0 {
            assert!(bytes.is_empty());
            return body;
        }
    }
}
