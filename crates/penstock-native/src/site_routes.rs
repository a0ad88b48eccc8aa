//! Which site a request belongs to: by its host, then by its path. Pure: the front and the engines ask the same table,
//! so they agree. Of all rules that fit, the one with the most specific host counts, then the one with the longest path.
use crate::options::SiteRule;
use crate::static_files::percent_decoded;
use rustc_hash::FxHashMap;

/// The longest name that DNS has (RFC 1035 2.3.4), with room to spare. A longer one is no site's.
const LONGEST_NAME: usize = 255;

/// No site has this host: 421. None of those that have it has this path: 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nowhere {
    Host,
    Path,
}

/// The sites under one host, by their path without a slash at its end; the longest first.
type Paths = Vec<(Vec<u8>, usize)>;

/// All rules.
#[derive(Debug, Default)]
pub struct SiteRoutes {
    exact: FxHashMap<Vec<u8>, Paths>,
    /// By what stands behind the `*`: `.example.org`.
    wild: FxHashMap<Vec<u8>, Paths>,
    default: Paths,
}

impl SiteRoutes {
    /// The error is a sentence that names the rule.
    pub fn new(rules: &[SiteRule]) -> Result<Self, String> {
        let mut routes = Self::default();
        for rule in rules {
            let path = rule.path.strip_suffix('/').unwrap_or(&rule.path);
            if !(path.is_empty() || path.starts_with('/')) || path.ends_with('/') {
                return Err(format!("routes: the path {:?} must begin with one slash and end with none", rule.path));
            }
            for host in &rule.hosts {
                let paths = routes.paths_of(host)?;
                if paths.iter().any(|(other, _)| other == path.as_bytes()) {
                    return Err(format!("routes: two sites have the host {host:?} and the path {path:?}"));
                }
                paths.push((path.as_bytes().to_vec(), rule.site));
                paths.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
            }
        }
        Ok(routes)
    }

    /// Where the rules of a host belong; `""` is any host.
    fn paths_of(&mut self, host: &str) -> Result<&mut Paths, String> {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase().into_bytes();
        let suffix = name.strip_prefix(b"*.");
        let is_host = |name: &[u8]| !(name.is_empty() || name.contains(&b'*') || name.len() >= LONGEST_NAME);
        if host.is_empty() {
            return Ok(&mut self.default);
        }
        if !is_host(suffix.unwrap_or(&name)) {
            return Err(format!("routes: {host:?} is no host, and not \"*.\" with a host behind it"));
        }
        Ok(match suffix {
            Some(_) => self.wild.entry(name[1..].to_vec()).or_default(),
            None => self.exact.entry(name).or_default(),
        })
    }

    /// The site of a request. `host` as the client wrote it, with its port; `path` percent-encoded.
    pub fn find(&self, host: Option<&[u8]>, path: &[u8]) -> Result<usize, Nowhere> {
        let path = percent_decoded(path);
        let mut buffer = [0; LONGEST_NAME];
        let name = host.and_then(|host| folded(name_of(host), &mut buffer)).unwrap_or_default();
        let mut nowhere = Nowhere::Host;
        let dots = memchr::memchr_iter(b'.', name).filter(|dot| *dot > 0);
        let wild = dots.filter_map(|dot| self.wild.get(&name[dot..]));
        let default = (!self.default.is_empty()).then_some(&self.default);
        for paths in self.exact.get(name).into_iter().chain(wild).chain(default) {
            let fits = |(prefix, _): &&(Vec<u8>, usize)| below(prefix, &path).is_some();
            if let Some((_, site)) = paths.iter().find(fits) {
                return Ok(*site);
            }
            nowhere = Nowhere::Path;
        }
        Err(nowhere)
    }
}

/// What follows `prefix`, which ends at a border of segments: "/shop" has "/shop" and "/shop/a" below it, not "/shops".
pub fn below<'a>(prefix: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    path.strip_prefix(prefix).filter(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
}

/// A host without its port and the dot of the root zone. The brackets of IPv6 stay.
fn name_of(host: &[u8]) -> &[u8] {
    let port = match host.iter().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if host[at] == b':' => at,
        _ => host.len(),
    };
    host[..port].strip_suffix(b".").unwrap_or(&host[..port])
}

/// The name in lower case; None when it is too long for one.
fn folded<'a>(name: &[u8], buffer: &'a mut [u8; LONGEST_NAME]) -> Option<&'a [u8]> {
    let folded = buffer.get_mut(..name.len())?;
    folded.copy_from_slice(name);
    folded.make_ascii_lowercase();
    Some(folded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn rule(hosts: &[&str], path: &str, site: usize) -> SiteRule {
        SiteRule { hosts: hosts.iter().map(ToString::to_string).collect(), path: path.into(), site }
    }

    fn routes() -> SiteRoutes {
        SiteRoutes::new(&[
            rule(&["shop.example", "SHOP.test."], "/", 0),
            rule(&["shop.example"], "/blog", 1),
            rule(&["shop.example"], "/blog/old/", 2),
            rule(&["*.example"], "/", 3),
            rule(&["*.deep.example"], "/only", 4),
            rule(&["[::1]"], "", 5),
        ])
        .unwrap()
    }

    fn find(host: &str, path: &str) -> Result<usize, Nowhere> {
        routes().find(Some(host.as_bytes()), path.as_bytes())
    }

    #[test]
    fn a_host_is_found_without_regard_to_case_port_and_last_dot() {
        for host in ["shop.example", "Shop.EXAMPLE", "shop.example:8000", "shop.example.", "shop.example.:80"] {
            assert_eq!(find(host, "/"), Ok(0), "{host}");
        }
        assert_eq!(find("shop.test", "/"), Ok(0));
        assert_eq!(find("[::1]:8000", "/"), Ok(5));
        assert_eq!(find("[::1]", "/"), Ok(5));
    }

    #[test]
    fn the_longest_path_counts_at_borders_of_segments() {
        assert_eq!(find("shop.example", "/blog"), Ok(1));
        assert_eq!(find("shop.example", "/blog/"), Ok(1));
        assert_eq!(find("shop.example", "/blogs"), Ok(0));
        assert_eq!(find("shop.example", "/blog/old"), Ok(2));
        assert_eq!(find("shop.example", "/blog/older"), Ok(1));
    }

    #[test]
    fn a_path_is_compared_as_the_application_sees_it() {
        assert_eq!(find("shop.example", "/%62log/x"), Ok(1));
        assert_eq!(find("shop.example", "/blog%2Fold/x"), Ok(2));
        // Decoded once, and nothing is put away: the application gets what it says.
        assert_eq!(find("shop.example", "/%2562log"), Ok(0));
        assert_eq!(find("shop.example", "//blog"), Ok(0));
        assert_eq!(find("shop.example", "/./blog"), Ok(0));
        assert_eq!(find("shop.example", "/blog/%2e%2e/x"), Ok(1));
    }

    #[test]
    fn a_wild_host_covers_all_below_it_but_not_itself() {
        assert_eq!(find("any.example", "/"), Ok(3));
        assert_eq!(find("a.b.example", "/"), Ok(3));
        assert_eq!(find("example", "/"), Err(Nowhere::Host));
        assert_eq!(find(".example", "/"), Err(Nowhere::Host));
    }

    #[test]
    fn a_rule_whose_path_does_not_fit_leaves_the_request_to_less_specific_ones() {
        assert_eq!(find("a.deep.example", "/only/x"), Ok(4));
        assert_eq!(find("a.deep.example", "/"), Ok(3));
        let routes = SiteRoutes::new(&[rule(&["a"], "/x", 0)]).unwrap();
        assert_eq!(routes.find(Some(b"a"), b"/y"), Err(Nowhere::Path));
    }

    #[test]
    fn the_default_gets_what_no_other_has() {
        let routes = SiteRoutes::new(&[rule(&["a"], "/", 0), rule(&[""], "/", 1)]).unwrap();
        assert_eq!(routes.find(Some(b"a"), b"/"), Ok(0));
        assert_eq!(routes.find(Some(b"b"), b"/"), Ok(1));
        assert_eq!(routes.find(Some(&[b'x'; 300]), b"/"), Ok(1));
        assert_eq!(routes.find(None, b"/"), Ok(1));
        assert_eq!(routes.find(None, b"*"), Ok(1));
        assert_eq!(find("unknown", "/"), Err(Nowhere::Host));
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused() {
        let refused = |rules: &[SiteRule]| SiteRoutes::new(rules).unwrap_err();
        assert!(refused(&[rule(&["a"], "shop", 0)]).contains("\"shop\""));
        assert!(refused(&[rule(&["a"], "/shop//", 0)]).contains("slash"));
        assert!(refused(&[rule(&["a*b"], "/", 0)]).contains("a*b"));
        assert!(refused(&[rule(&["*example"], "/", 0)]).contains("*example"));
        assert!(refused(&[rule(&["*"], "/", 0)]).contains("\"*\""));
        assert!(refused(&[rule(&["a"], "/x", 0), rule(&["A"], "/x/", 1)]).contains("two sites"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_routed(host in proptest::collection::vec(any::<u8>(), 0..400), path in "\\PC*") {
            let _ = routes().find(Some(&host), path.as_bytes());
        }

        #[test]
        fn encoding_a_path_changes_nothing(path in "/(blog|old|x|/|\\.){0,6}") {
            let encoded: String = path.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(find("shop.example", &path), find("shop.example", &encoded));
        }

        #[test]
        fn a_site_gets_only_what_is_below_its_path(path in "/[a-z/]{0,12}") {
            if find("shop.example", &path) == Ok(1) {
                prop_assert!(path == "/blog" || path.starts_with("/blog/"));
            }
        }
    }
}
