//! The encoder: what a response head says, how its body is framed, and what an application may not do.
#![allow(clippy::unwrap_used)]
use penstock_http::{BodyEncoder, HeadEncoder, ResponseError, Turn, Version};

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const TURN: Turn = Turn { version: Version::Http11, head_only: false, keep_alive: true };
const OLD: Turn = Turn { version: Version::Http10, ..TURN };
const HEAD: Turn = Turn { head_only: true, ..TURN };

type Fields<'a> = &'a [(&'a str, &'a str)];

fn encode(
    turn: Turn,
    status: &str,
    fields: Fields,
    length: Option<u64>,
) -> Result<(String, BodyEncoder), ResponseError> {
    let mut out = Vec::new();
    let mut head = HeadEncoder::start(&mut out, turn, status.as_bytes())?;
    for (name, value) in fields {
        head.field(name.as_bytes(), value.as_bytes())?;
    }
    let body = head.finish(DATE, length)?;
    Ok((String::from_utf8(out).unwrap().replace("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", ""), body))
}

fn head_of(turn: Turn, status: &str, fields: Fields, length: Option<u64>) -> String {
    encode(turn, status, fields, length).unwrap().0
}

fn reason_of(status: &str, fields: Fields, length: Option<u64>) -> String {
    encode(TURN, status, fields, length).unwrap_err().reason
}

#[test]
fn a_head_is_status_fields_date_and_framing_in_this_order() {
    let mut out = Vec::new();
    let mut head = HeadEncoder::start(&mut out, TURN, b"200 OK").unwrap();
    head.field(b"Content-Type", b"text/plain").unwrap();
    head.finish(DATE, Some(3)).unwrap();
    let lines =
        ["HTTP/1.1 200 OK", "Content-Type: text/plain", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Content-Length: 3"];
    assert_eq!(out, [lines.join("\r\n"), "\r\n\r\n".to_owned()].concat().as_bytes());
}

#[test]
fn a_date_of_the_application_stays() {
    let head = head_of(TURN, "200 OK", &[("DATE", "then")], Some(0));
    assert_eq!(head, "HTTP/1.1 200 OK\r\nDATE: then\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn a_reason_may_be_empty_or_latin_1() {
    assert!(head_of(TURN, "404 ", &[], Some(0)).starts_with("HTTP/1.1 404 \r\n"));
    let mut out = Vec::new();
    HeadEncoder::start(&mut out, TURN, b"200 Tr\xe8s bien").unwrap().finish(DATE, None).unwrap();
    assert!(out.starts_with(b"HTTP/1.1 200 Tr\xe8s bien\r\n"));
}

#[test]
fn a_status_that_is_no_final_status_is_refused() {
    for status in
        ["", "200", "200OK", "20 OK", "2000 OK", "100 Continue", "199 x", "600 x", "abc x", " 200 OK", "+20 OK"]
    {
        assert!(reason_of(status, &[], None).contains("the status"), "{status}");
    }
}

#[test]
fn a_status_with_a_control_character_is_refused() {
    for status in ["200 OK\r\nX: y", "200 OK\n", "200 \0", "200 a\tb", "200 \x7f"] {
        assert!(reason_of(status, &[], None).contains("the status"), "{status:?}");
    }
}

#[test]
fn a_field_name_that_is_no_token_is_refused() {
    for name in ["", "A B", "A:", "A\r\nB", "A\0", "Caf\u{e9}", "A\n"] {
        assert!(reason_of("200 OK", &[(name, "x")], None).contains("not a token"), "{name:?}");
    }
}

#[test]
fn a_field_value_with_a_control_character_is_refused_and_quoted_without_it() {
    for value in
        ["a\r\nSet-Cookie: b", "a\n", "\r", "\0", "a\x1bb", "\x7f", "a long value with a line end\nin its middle"]
    {
        assert!(reason_of("200 OK", &[("A", value)], None).contains("control character"), "{value:?}");
    }
    assert_eq!(
        reason_of("200 OK", &[("A", "b\r\nc")], None),
        r"a header's value has a control character: 'A: b\r\nc'"
    );
}

#[test]
fn a_tab_in_a_value_is_sent() {
    assert!(head_of(TURN, "200 OK", &[("A", "b\tc and some more")], None).contains("A: b\tc and some more\r\n"));
}

#[test]
fn hop_by_hop_fields_of_the_application_are_refused() {
    for name in [
        "Connection",
        "keep-alive",
        "Proxy-Authenticate",
        "PROXY-AUTHORIZATION",
        "TE",
        "Trailers",
        "Transfer-Encoding",
        "Upgrade",
    ] {
        assert!(reason_of("200 OK", &[(name, "x")], None).contains("hop-by-hop"), "{name}");
    }
}

#[test]
fn a_content_length_that_is_no_number_is_refused() {
    for value in ["", "+1", "-1", " 1", "1 ", "1_0", "1.0", "0x1", "18446744073709551616", "1, 1"] {
        assert!(reason_of("200 OK", &[("Content-Length", value)], None).contains("not a number"), "{value}");
    }
}

#[test]
fn two_content_lengths_that_differ_are_refused_and_equal_ones_are_sent_once() {
    let differ = [("Content-Length", "1"), ("content-length", "2")];
    assert!(reason_of("200 OK", &differ, None).contains("differs"));
    let equal = [("Content-Length", "1"), ("content-length", "1")];
    assert_eq!(head_of(TURN, "200 OK", &equal, None), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
}

#[test]
fn a_content_length_must_agree_with_the_body_that_is_known() {
    let reason = reason_of("200 OK", &[("Content-Length", "2")], Some(3));
    assert_eq!(reason, "Content-Length is 2, but the body has 3 bytes");
    for (turn, status) in [(HEAD, "200 OK"), (TURN, "304 Not Modified"), (TURN, "204 No Content")] {
        encode(turn, status, &[("Content-Length", "2")], Some(3)).unwrap();
    }
}

#[test]
fn a_head_that_fails_leaves_the_buffer_as_it_was() {
    let mut out = b"before".to_vec();
    let mut head = HeadEncoder::start(&mut out, TURN, b"200 OK").unwrap();
    head.field(b"A", b"b").unwrap();
    head.field(b"A", b"\n").unwrap_err();
    drop(head);
    assert_eq!(out, b"before");
    let mut head = HeadEncoder::start(&mut out, TURN, b"200 OK").unwrap();
    head.field(b"Content-Length", b"1").unwrap();
    head.finish(DATE, Some(2)).unwrap_err();
    assert_eq!(out, b"before");
}

#[test]
fn an_unknown_length_is_chunked_for_1_1_and_ends_with_the_connection_for_1_0() {
    let (head, body) = encode(TURN, "200 OK", &[], None).unwrap();
    assert_eq!(head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(body.keep_alive());
    let (head, body) = encode(OLD, "200 OK", &[], None).unwrap();
    assert_eq!(head, "HTTP/1.1 200 OK\r\n\r\n");
    assert!(!body.keep_alive());
}

#[test]
fn connection_is_named_where_it_differs_from_the_version_s_habit() {
    let closing = Turn { keep_alive: false, ..TURN };
    assert!(head_of(closing, "200 OK", &[], Some(0)).ends_with("Connection: close\r\n\r\n"));
    assert!(!head_of(TURN, "200 OK", &[], Some(0)).contains("Connection"));
    assert!(head_of(OLD, "200 OK", &[], Some(0)).ends_with("Connection: keep-alive\r\n\r\n"));
    let old_closing = Turn { keep_alive: false, ..OLD };
    assert!(!head_of(old_closing, "200 OK", &[], Some(0)).contains("Connection"));
}

#[test]
fn no_content_has_neither_length_nor_body() {
    let (head, mut body) = encode(TURN, "204 No Content", &[("Content-Length", "5")], Some(5)).unwrap();
    assert_eq!(head, "HTTP/1.1 204 No Content\r\n\r\n");
    let mut out = Vec::new();
    assert!(body.is_bodiless() && body.keep_alive());
    assert_eq!(body.frame(&mut out, 5), (0, &b""[..]));
    assert!(body.finish(&mut out) && out.is_empty());
}

#[test]
fn not_modified_keeps_the_application_s_length_and_adds_none() {
    let (head, body) = encode(TURN, "304 Not Modified", &[("Content-Length", "5")], None).unwrap();
    assert_eq!(head, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
    assert!(body.is_bodiless());
    assert_eq!(head_of(TURN, "304 Not Modified", &[], Some(7)), "HTTP/1.1 304 Not Modified\r\n\r\n");
}

#[test]
fn head_says_the_length_that_get_would_have_and_sends_no_body() {
    let (head, mut body) = encode(HEAD, "200 OK", &[], Some(7)).unwrap();
    assert_eq!(head, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    let mut out = Vec::new();
    assert!(body.is_bodiless() && body.keep_alive());
    assert_eq!(body.frame(&mut out, 7), (0, &b""[..]));
    assert!(body.finish(&mut out) && out.is_empty());
    assert_eq!(
        head_of(HEAD, "200 OK", &[("Content-Length", "9")], Some(0)),
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    );
}

#[test]
fn head_says_no_length_where_the_application_left_the_body_out() {
    assert_eq!(head_of(HEAD, "200 OK", &[], Some(0)), "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(head_of(HEAD, "200 OK", &[], None), "HTTP/1.1 200 OK\r\n\r\n");
}

#[test]
fn pieces_become_chunks_and_an_empty_piece_does_not_end_the_body() {
    let (_, mut body) = encode(TURN, "200 OK", &[], None).unwrap();
    let mut out = Vec::new();
    assert_eq!(body.frame(&mut out, 300), (300, &b"\r\n"[..]));
    assert_eq!(body.frame(&mut out, 0), (0, &b""[..]));
    assert_eq!(body.frame(&mut out, 16), (16, &b"\r\n"[..]));
    assert_eq!(body.remaining(), None);
    assert!(body.finish(&mut out));
    assert_eq!(out, b"12C\r\n10\r\n0\r\n\r\n");
    assert!(body.finish(&mut out), "a second end adds nothing");
    assert_eq!(out, b"12C\r\n10\r\n0\r\n\r\n");
}

#[test]
fn a_body_longer_than_announced_is_cut() {
    let (_, mut body) = encode(TURN, "200 OK", &[("Content-Length", "5")], None).unwrap();
    let mut out = Vec::new();
    assert_eq!(body.frame(&mut out, 3), (3, &b""[..]));
    assert_eq!(body.remaining(), Some(2));
    assert_eq!(body.frame(&mut out, 3), (2, &b""[..]));
    assert_eq!(body.frame(&mut out, 3), (0, &b""[..]));
    assert!(body.finish(&mut out) && out.is_empty() && body.keep_alive());
}

#[test]
fn a_body_shorter_than_announced_ends_the_connection() {
    let (_, mut body) = encode(TURN, "200 OK", &[("Content-Length", "5")], None).unwrap();
    let mut out = Vec::new();
    body.frame(&mut out, 3);
    assert!(!body.finish(&mut out));
    assert!(!body.keep_alive());
}
