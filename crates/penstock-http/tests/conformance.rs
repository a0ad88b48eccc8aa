//! The numbered corpus in tests/conformance: each case whole, byte by byte, and followed by another request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod exchange;

use exchange::{decode, Outcome, Request, LIMITS};
use penstock_http::{Limits, RequestFraming, Version};
use std::path::Path;

struct Case {
    name: String,
    wire: Vec<u8>,
    limits: Limits,
    expected: Vec<Expected>,
    outcome: Outcome,
}

/// A request, and whether the case names its fields.
struct Expected {
    request: Request,
    has_fields: bool,
}

#[test]
fn every_case_gives_what_it_expects_when_it_is_fed_whole() {
    for case in cases() {
        case.check(decode([&case.wire[..]], &case.limits));
    }
}

#[test]
fn every_case_gives_the_same_when_it_is_fed_byte_by_byte() {
    for case in cases() {
        case.check(decode(case.wire.chunks(1), &case.limits));
    }
}

#[test]
fn a_request_behind_a_case_is_read_where_the_case_is_accepted_and_never_where_it_is_refused() {
    // Short enough for the smallest limits of the corpus.
    let next = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n";
    for case in cases() {
        for pieces in [vec![&case.wire[..], next], vec![&[&case.wire[..], next].concat()[..]]] {
            let (mut requests, outcome) = decode(pieces, &case.limits);
            match case.outcome {
                Outcome::Idle => {
                    let last = requests.pop().expect(&case.name);
                    assert_eq!(last.target, b"/behind", "{}", case.name);
                    case.check((requests, outcome));
                }
                Outcome::Refused(_) => {
                    assert!(requests.iter().all(|request| request.target != b"/behind"), "{}", case.name);
                    assert!(matches!(outcome, Outcome::Refused(_)), "{}", case.name);
                }
                // What follows belongs to what is incomplete.
                Outcome::Incomplete => {}
            }
        }
    }
}

#[test]
fn the_corpus_is_numbered_without_gaps() {
    let numbers: Vec<usize> = cases().iter().map(|case| case.name[..3].parse().expect(&case.name)).collect();
    assert!(numbers.len() >= 120);
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

impl Case {
    fn check(&self, (requests, outcome): (Vec<Request>, Outcome)) {
        assert_eq!(outcome, self.outcome, "{}", self.name);
        assert_eq!(requests.len(), self.expected.len(), "{}", self.name);
        for (mut request, expected) in requests.into_iter().zip(&self.expected) {
            if !expected.has_fields {
                request.fields.clear();
            }
            assert_eq!(request, expected.request, "{}", self.name);
        }
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "http"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Case {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let mut case = Case { name, wire: Vec::new(), limits: LIMITS, expected: Vec::new(), outcome: Outcome::Idle };
    let mut has_end = false;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(!has_end, "{}: nothing follows end:", case.name);
        if let Some(wire) = line.strip_prefix("> ") {
            case.wire.extend(unescape(wire));
            continue;
        }
        let (key, value) = line.split_once(':').expect(line);
        let value = value.strip_prefix(' ').unwrap_or(value);
        match key {
            "limits" => value.split(' ').for_each(|limit| set_limit(&mut case.limits, limit)),
            "request" => case.expected.push(expected(value)),
            "end" => {
                has_end = true;
                case.outcome = match value.split_once(' ') {
                    None if value == "idle" => Outcome::Idle,
                    None if value == "incomplete" => Outcome::Incomplete,
                    Some(("refused", status)) => Outcome::Refused(status.parse().unwrap()),
                    _ => panic!("{}: {line}", case.name),
                };
            }
            _ => set(case.expected.last_mut().expect(line), key, value),
        }
    }
    assert!(has_end, "{} does not say how it ends", case.name);
    case
}

fn set_limit(limits: &mut Limits, limit: &str) {
    let (name, value) = limit.split_once('=').expect(limit);
    match name {
        "request_line" => limits.request_line = value.parse().unwrap(),
        "head" => limits.head = value.parse().unwrap(),
        "fields" => limits.fields = value.parse().unwrap(),
        "body" => limits.body = value.parse().unwrap(),
        _ => panic!("no such limit: {name}"),
    }
}

fn expected(request: &str) -> Expected {
    let (method, target) = request.split_once(' ').expect(request);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        method: method.into(),
        target: target.into(),
        path: path.into(),
        query: query.into(),
        version: Version::Http11,
        fields: Vec::new(),
        host: Some(b"example.test".to_vec()),
        framing: RequestFraming::None,
        expects_continue: false,
        keep_alive: true,
        body: Vec::new(),
    };
    Expected { request, has_fields: false }
}

fn set(expected: &mut Expected, key: &str, value: &str) {
    let request = &mut expected.request;
    let yes = || match value {
        "yes" => true,
        "no" => false,
        _ => panic!("{key} is yes or no"),
    };
    match key {
        "version" if value == "1.0" => request.version = Version::Http10,
        "path" => request.path = value.into(),
        "query" => request.query = value.into(),
        "host" => request.host = (value != "none").then(|| value.into()),
        "fields" => expected.has_fields = true,
        "field" => {
            expected.has_fields = true;
            let (name, value) = value.split_once(':').expect(value);
            request.fields.push((name.into(), unescape(value.strip_prefix(' ').unwrap_or(value))));
        }
        "framing" => {
            request.framing = match value.split_once(' ') {
                None if value == "chunked" => RequestFraming::Chunked,
                Some(("length", length)) => RequestFraming::Length(length.parse().unwrap()),
                _ => panic!("no such framing: {value}"),
            }
        }
        "expects_continue" => request.expects_continue = yes(),
        "keep_alive" => request.keep_alive = yes(),
        "body" => request.body = unescape(value),
        _ => panic!("no such key: {key}"),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&kind, behind) = rest.split_first().expect(text);
        rest = behind;
        bytes.push(match kind {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let (digits, behind) = rest.split_at(2);
                rest = behind;
                u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            }
            _ => panic!("no such escape: {text}"),
        });
    }
    bytes
}
