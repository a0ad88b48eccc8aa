//! A request as WSGI's `environ`: a copy of what all requests of a listener share, and what this one says.
use crate::connection::Job;
use crate::input::Input;
use crate::latin1::{decode, decode_percent};
use crate::site_routes::below;
use crate::static_files::percent_decoded;
use penstock_http::uwsgi::Gateway;
use penstock_http::{forwarded, RequestFraming, Version};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};
use rustc_hash::FxHashMap;
use std::time::Duration;

/// A listener as `environ` shows it.
pub struct ListenerNames {
    pub server_name: String,
    pub server_port: String,
    /// The path of the site, without a slash at its end; "" for all of a host.
    pub script_name: String,
    pub multithread: bool,
    pub multiprocess: bool,
}

macro_rules! keys {
    ($($field:ident = $text:literal),* $(,)?) => {
        /// The names that are set for each request, made once: a dict finds such a key by its address.
        struct Keys { $($field: Py<PyString>),* }
        impl Keys {
            fn new(py: Python<'_>) -> Self {
                Self { $($field: PyString::intern(py, $text).unbind()),* }
            }
        }
    };
}

keys! {
    request_method = "REQUEST_METHOD",
    script_name = "SCRIPT_NAME",
    path_info = "PATH_INFO",
    query_string = "QUERY_STRING",
    request_uri = "REQUEST_URI",
    server_name = "SERVER_NAME",
    server_port = "SERVER_PORT",
    server_protocol = "SERVER_PROTOCOL",
    remote_addr = "REMOTE_ADDR",
    remote_port = "REMOTE_PORT",
    content_type = "CONTENT_TYPE",
    content_length = "CONTENT_LENGTH",
    http_host = "HTTP_HOST",
    url_scheme = "wsgi.url_scheme",
    input = "wsgi.input",
    early_hints = "wsgi.early_hints",
    queue_time = "penstock.queue_time",
}

/// Fields that most requests have; the names of others are made each time.
const USUAL_FIELDS: &[&str] = &[
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Authorization",
    "Cache-Control",
    "CF-Connecting-IP",
    "CF-IPCountry",
    "CF-Ray",
    "Connection",
    "Content-Encoding",
    "Cookie",
    "DNT",
    "Expect",
    "Forwarded",
    "From",
    "Host",
    "HX-Request",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Origin",
    "Pragma",
    "Priority",
    "Purpose",
    "Range",
    "Referer",
    "Sec-CH-UA",
    "Sec-CH-UA-Mobile",
    "Sec-CH-UA-Platform",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "Sec-GPC",
    "TE",
    "Traceparent",
    "Tracestate",
    "Transfer-Encoding",
    "Upgrade",
    "Upgrade-Insecure-Requests",
    "User-Agent",
    "Via",
    "X-Amzn-Trace-Id",
    "X-API-Key",
    "X-Correlation-ID",
    "X-CSRFToken",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-HTTP-Method-Override",
    "X-Real-IP",
    "X-Request-ID",
    "X-Requested-With",
];

/// A shorter time in the queue is shown as none.
const WORTH_TELLING: Duration = Duration::from_millis(1);

/// Makes environs.
pub struct Environs {
    templates: Vec<Py<PyDict>>,
    script_name: Vec<u8>,
    keys: Keys,
    /// `HTTP_…` by the field's name, as usually written and in lower case.
    fields: FxHashMap<Vec<u8>, Py<PyString>>,
    methods: FxHashMap<&'static [u8], Py<PyString>>,
    http: Py<PyString>,
    https: Py<PyString>,
    protocol_10: Py<PyString>,
    /// For all requests without a body: it has no state that one could change.
    no_input: Py<Input>,
}

impl Environs {
    pub fn new(py: Python<'_>, listeners: &[ListenerNames]) -> PyResult<Self> {
        let no_input = Py::new(py, Input::new(crate::body::Body::Empty))?;
        let templates = listeners
            .iter()
            .map(|listener| Ok(template(py, listener, &no_input)?.unbind()))
            .collect::<PyResult<_>>()?;
        let mut fields = FxHashMap::default();
        for name in USUAL_FIELDS {
            let key = PyString::intern(py, &cgi_name(name.as_bytes())).unbind();
            fields.insert(name.to_ascii_lowercase().into_bytes(), key.clone_ref(py));
            fields.insert(name.as_bytes().to_vec(), key);
        }
        let methods: [&'static str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
        Ok(Self {
            templates,
            script_name: listeners.first().map(|names| names.script_name.clone().into_bytes()).unwrap_or_default(),
            keys: Keys::new(py),
            fields,
            methods: methods.iter().map(|method| (method.as_bytes(), PyString::intern(py, method).unbind())).collect(),
            http: PyString::intern(py, "http").unbind(),
            https: PyString::intern(py, "https").unbind(),
            protocol_10: PyString::intern(py, "HTTP/1.0").unbind(),
            no_input,
        })
    }

    /// The environ of one request; takes the body out of it.
    pub fn make<'py>(
        &self,
        py: Python<'py>,
        job: &mut Job,
        queued: Duration,
        early_hints: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let Job { connection, request } = job;
        let (keys, bytes, head) = (&self.keys, request.bytes.as_slice(), &request.head);
        let environ = self.templates[connection.listener as usize].bind(py).copy()?;
        let method = head.method.of(bytes);
        match self.methods.get(method) {
            Some(method) => environ.set_item(&keys.request_method, method)?,
            None => environ.set_item(&keys.request_method, decode(py, method))?,
        }
        let path = head.path.of(bytes);
        if self.script_name.is_empty() {
            environ.set_item(&keys.path_info, decode_percent(py, path))?;
        } else if let Some(rest) = below(&self.script_name, &percent_decoded(path)) {
            environ.set_item(&keys.path_info, decode(py, rest))?;
        } else {
            // `OPTIONS *` is the one request that comes here.
            environ.set_item(&keys.script_name, "")?;
            environ.set_item(&keys.path_info, decode_percent(py, path))?;
        }
        environ.set_item(&keys.request_uri, decode(py, head.target.of(bytes)))?;
        let query = head.query.of(bytes);
        if !query.is_empty() {
            environ.set_item(&keys.query_string, decode(py, query))?;
        }
        if head.version == Version::Http10 {
            environ.set_item(&keys.server_protocol, &self.protocol_10)?;
        }
        if let Some(address) = request.client.address {
            environ.set_item(&keys.remote_addr, address.to_string())?;
            environ.set_item(&keys.remote_port, itoa::Buffer::new().format(request.client.port.unwrap_or(0)))?;
        } else if connection.peer.address.is_some() {
            environ.set_item(&keys.remote_addr, &*connection.peer.text)?;
            environ.set_item(&keys.remote_port, itoa::Buffer::new().format(connection.peer.port))?;
        }
        let https = request.client.https.or_else(|| request.gateway.as_ref().and_then(|gateway| gateway.https));
        if let Some(https) = https {
            environ.set_item(&keys.url_scheme, if https { &self.https } else { &self.http })?;
        }
        if let Some(gateway) = &request.gateway {
            self.set_gateway(&environ, gateway, bytes)?;
        }
        self.set_fields(py, &environ, job)?;
        let Job { request, .. } = job;
        if let Some(stream) = &request.stream {
            if let RequestFraming::Length(length) = request.head.framing {
                environ.set_item(&keys.content_length, itoa::Buffer::new().format(length))?;
            }
            environ.set_item(&keys.input, Bound::new(py, Input::streaming(stream.clone()))?)?;
        } else if request.head.framing != RequestFraming::None {
            let body = std::mem::take(&mut request.body);
            // Also for a chunked request: the body is known whole, so the application gets its length.
            environ.set_item(&keys.content_length, itoa::Buffer::new().format(body.len()))?;
            environ.set_item(&keys.input, Bound::new(py, Input::new(body))?)?;
        } else {
            environ.set_item(&keys.input, &self.no_input)?;
        }
        environ.set_item(&keys.early_hints, early_hints)?;
        if queued >= WORTH_TELLING {
            environ.set_item(&keys.queue_time, queued.as_secs_f64())?;
        }
        Ok(environ)
    }

    /// What a uwsgi peer knows of the request and HTTP does not say.
    fn set_gateway(&self, environ: &Bound<'_, PyDict>, gateway: &Gateway, bytes: &[u8]) -> PyResult<()> {
        let py = environ.py();
        // Of two with one name the last counts.
        for (name, value) in gateway.others.iter().rev() {
            let name = decode(py, name.of(bytes));
            // What is set for every request is ours to say.
            if !environ.contains(&name)? {
                environ.set_item(name, decode(py, value.of(bytes)))?;
            }
        }
        let named = [
            (&self.keys.script_name, gateway.script_name),
            (&self.keys.server_name, gateway.server_name),
            (&self.keys.server_port, gateway.server_port),
            (&self.keys.server_protocol, gateway.protocol),
        ];
        for (key, value) in named {
            let value = value.of(bytes);
            if !value.is_empty() {
                environ.set_item(key, decode(py, value))?;
            }
        }
        Ok(())
    }

    fn set_fields(&self, py: Python<'_>, environ: &Bound<'_, PyDict>, job: &Job) -> PyResult<()> {
        let Job { connection, request } = job;
        let bytes = request.bytes.as_slice();
        for field in &request.head.fields {
            let (name, value) = (field.name.of(bytes), field.value.of(bytes));
            let value = decode(py, value);
            let known = self.fields.get(name).or_else(|| self.fields.get(name.to_ascii_lowercase().as_slice()));
            let key = match known {
                Some(key) => key.bind(py).clone(),
                None if name.eq_ignore_ascii_case(b"content-type") => self.keys.content_type.bind(py).clone(),
                // Its own parsed value stands in for it, see make().
                None if name.eq_ignore_ascii_case(b"content-length") => continue,
                None => PyString::new(py, &cgi_name(name)),
            };
            if !connection.peer.trusted && is_forwarded(name) {
                continue;
            }
            if let Some(earlier) = environ.get_item(&key)? {
                // RFC 9110 5.3: a list goes on; RFC 6265 5.4: cookies are separated otherwise.
                let separator = if name.eq_ignore_ascii_case(b"cookie") { "; " } else { ", " };
                let joined = earlier.add(separator)?.add(value)?;
                environ.set_item(key, joined)?;
            } else {
                environ.set_item(key, value)?;
            }
        }
        let host = match (request.client.host, request.head.host) {
            (Some(forwarded), _) => Some(forwarded),
            // RFC 9112 3.2.2: the authority of an absolute-form target replaces the field.
            (None, Some(host)) if !request.head.target.of(bytes).starts_with(b"/") => Some(host),
            _ => None,
        };
        if let Some(host) = host {
            environ.set_item(&self.keys.http_host, decode(py, host.of(bytes)))?;
        }
        Ok(())
    }
}

/// A field by which only a trusted peer may speak for others.
fn is_forwarded(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'x' | b'X' | b'f' | b'F'))
        && forwarded::FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field.as_bytes()))
}

/// RFC 3875 4.1.18: in upper case, `-` as `_`, `HTTP_` before it. The name is a token, so it is ASCII.
fn cgi_name(name: &[u8]) -> String {
    let upper = name.iter().map(|byte| if *byte == b'-' { '_' } else { char::from(byte.to_ascii_uppercase()) });
    "HTTP_".chars().chain(upper).collect()
}

fn template<'py>(py: Python<'py>, listener: &ListenerNames, input: &Py<Input>) -> PyResult<Bound<'py, PyDict>> {
    let environ = PyDict::new(py);
    let keys = Keys::new(py);
    let empty = PyString::intern(py, "");
    // In the order of PEP 3333. What each request sets has its place already, so that the copy need not grow.
    environ.set_item(&keys.request_method, "GET")?;
    environ.set_item(&keys.script_name, decode(py, listener.script_name.as_bytes()))?;
    environ.set_item(&keys.path_info, "/")?;
    environ.set_item(&keys.query_string, &empty)?;
    environ.set_item(&keys.request_uri, "/")?;
    environ.set_item(&keys.server_name, &listener.server_name)?;
    environ.set_item(&keys.server_port, &listener.server_port)?;
    environ.set_item(&keys.server_protocol, "HTTP/1.1")?;
    environ.set_item("SERVER_SOFTWARE", concat!("penstock/", env!("CARGO_PKG_VERSION")))?;
    environ.set_item(&keys.remote_addr, &empty)?;
    environ.set_item(&keys.remote_port, &empty)?;
    environ.set_item("wsgi.version", PyTuple::new(py, [1, 0])?)?;
    environ.set_item(&keys.url_scheme, "http")?;
    environ.set_item(&keys.input, input)?;
    environ.set_item("wsgi.input_terminated", true)?;
    environ.set_item("wsgi.errors", py.import("sys")?.getattr("stderr")?)?;
    environ.set_item("wsgi.multithread", PyBool::new(py, listener.multithread))?;
    environ.set_item("wsgi.multiprocess", PyBool::new(py, listener.multiprocess))?;
    environ.set_item("wsgi.run_once", false)?;
    environ.set_item("wsgi.file_wrapper", py.get_type::<crate::file_wrapper::FileWrapper>())?;
    environ.set_item(&keys.early_hints, py.None())?;
    environ.set_item(&keys.queue_time, 0.0)?;
    environ.set_item("penstock.extend_timeout", wrap_pyfunction!(crate::exchange::extend_timeout, py)?)?;
    Ok(environ)
}
